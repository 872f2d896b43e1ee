"""The server without a network: state, rooms, faults and journal, wired together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from airflow_voice_agents.emulator.faults import Faults
from airflow_voice_agents.emulator.journal import Journal
from airflow_voice_agents.emulator.middleware import Gate
from airflow_voice_agents.emulator.omnia_voice.app import OmniaVoiceRoom
from airflow_voice_agents.emulator.polyai.app import PolyAIRoom
from airflow_voice_agents.emulator.request import Room
from airflow_voice_agents.emulator.signalwire.app import SignalWireRoom
from airflow_voice_agents.emulator.state import State, read_seed_file

Seed = Mapping[str, Any]


class Emulator:
    """Everything behind the address.

    :param seed: what to start from, as a dictionary or a file; ``None`` takes the seed that is shipped.
    :param state_file: JSON file that keeps the state; where it exists, it is used instead of the seed.
    :param switches: switches that go before those of seed and state file.
    :param end_process: ends the process for the fault ``kill``; ``None`` refuses such faults.
    :raises SeedError: where seed or state file cannot be used.
    :raises SwitchError: for an unknown switch or value.
    """

    def __init__(
        self,
        seed: Seed | str | Path | None = None,
        *,
        state_file: str | Path | None = None,
        switches: Mapping[str, Any] | None = None,
        end_process: Callable[[], None] | None = None,
    ) -> None:
        file = Path(state_file) if state_file is not None else None
        self.seed = _as_seed(seed)
        self.state = State(file)
        self.polyai = PolyAIRoom(self.state)
        self.signalwire = SignalWireRoom(self.state)
        self.omnia_voice = OmniaVoiceRoom(self.state)
        rooms: tuple[Room, ...] = (self.polyai, self.signalwire, self.omnia_voice)
        for room in rooms:
            self.state.add_room(room)
        self.state.load(read_seed_file(file) if file is not None and file.exists() else self.seed)
        self.state.switches.update(switches or {})
        self._start_switches = dict(switches or {})
        self.state.persist()
        self.faults = Faults(may_kill=end_process is not None)
        self.journal = Journal()
        self.gate = Gate(self.state, rooms, self.faults, self.journal, end_process or _never)

    def reset(self, seed: Seed | None = None) -> None:
        """Start over: state from a seed, no faults, an empty journal, fresh rate limits.

        :param seed: the seed from now on; ``None`` takes the one given at the start.
        :raises SeedError: where the seed cannot be used; everything stays as it was.
        """
        with self.state.lock:
            before = self.state.dump()
            try:
                self.state.load(self.seed if seed is None else seed)
            except ValueError:
                self.state.load(before)
                raise
            self.seed = self.seed if seed is None else seed
            self.state.switches.update(self._start_switches)
            self.state.persist()
        self.faults.clear()
        self.journal.clear()
        self.gate.clear_limits()


def default_seed() -> dict[str, Any]:
    """The seed that is shipped: a hotel group, a restaurant chain and a bank, with their phone numbers."""
    with resources.as_file(resources.files(__package__) / "seeds" / "hotels.json") as path:
        return read_seed_file(path)


def _as_seed(seed: Seed | str | Path | None) -> Seed:
    if seed is None:
        return default_seed()
    return seed if isinstance(seed, Mapping) else read_seed_file(Path(seed))


def _never() -> None:
    raise AssertionError("faults of this kind are refused")
