"""The server's state: a logical clock, behavior switches, and one section per vendor's API.

The dump of the state, a state file and a seed have one format, so that each can stand for another::

    {
      "clock": "2026-09-01T08:00:00Z",   # optional; the time of the last change
      "sequence": 0,                     # optional; the number last used in a generated id
      "switches": {"latency": 0.1},      # optional; see the module switches
      "polyai": {...},                   # a room's section, optional; see the room's module seed
      "signalwire": {...},
      "omnia_voice": {...}
    }
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.request import Room

CLOCK_START = "2026-09-01T08:00:00Z"


class SeedError(ValueError):
    """A seed or state file that cannot be used; the message says where and why."""


class Clock:
    """Logical time: one second per change, so that every run stamps alike; or the machine's own time.

    :param wall: the machine's time, or ``None`` as long as the logical one counts.
    """

    def __init__(self, wall: Callable[[], datetime | None] = lambda: None) -> None:
        self._moment = parse_stamp(CLOCK_START)
        self._sequence = 0
        self._wall = wall

    def tick(self) -> str:
        """Advance and return the new time: by one second, or to the machine's, but always forward."""
        wall = self._wall()
        if wall is None:
            self._moment += timedelta(seconds=1)
        else:
            self._moment = max(self._moment + timedelta(milliseconds=1), wall)
        return self.now()

    def now(self) -> str:
        """Time of the last change (ISO 8601, UTC)."""
        return format_stamp(self._moment)

    def present(self) -> datetime:
        """What the server takes for the present: the time of the last change, or the machine's."""
        return self._wall() or self._moment

    def next_number(self) -> int:
        """A number not given out before."""
        self._sequence += 1
        return self._sequence

    def new_uuid(self) -> str:
        """A time-ordered UUID in the manner of version 7, repeatable from run to run."""
        number = self.next_number()
        high = int(self._moment.timestamp() * 1000) << 16 | 0x7000 | (number & 0xFFF)
        return str(uuid.UUID(int=high << 64 | 1 << 63 | number))

    def set(self, now: str, sequence: int) -> None:
        """Continue from a given time and number.

        :raises SeedError: for anything but an ISO 8601 time and a number.
        """
        if not isinstance(sequence, int) or sequence < 0:
            raise SeedError(f"sequence must be a number from 0, not {sequence!r}")
        self._moment = parse_stamp(now)
        self._sequence = sequence

    @property
    def sequence(self) -> int:
        """The number last given out."""
        return self._sequence


class State:
    """Everything that survives a restart.

    All changes happen while :attr:`lock` is held: by the server's event loop for the length of one
    request, by other threads for the length of one call of this class.

    :param file: JSON file to keep the state in; ``None`` keeps it in memory only.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.switches = Behaviors()
        self.clock = Clock(lambda: datetime.now(UTC) if self.switches.wall_clock else None)
        self.revision = 0
        self._rooms: list[Room] = []
        self._file = file
        self._saved_revision = 0

    def add_room(self, room: Room) -> None:
        """Let a room keep its section in this state."""
        self._rooms.append(room)

    def touch(self) -> str:
        """Note a change and return its time stamp."""
        self.revision += 1
        return self.clock.tick()

    def load(self, seed: Mapping[str, Any]) -> None:
        """Replace everything by a seed, whose documents are shared and never changed.

        :raises SeedError: where the seed cannot be used; the server needs another one then.
        """
        known = {"clock", "sequence", "switches", *(room.name for room in self._rooms)}
        unknown = sorted(set(seed) - known)
        if unknown:
            raise SeedError(f"unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        with self.lock:
            self.switches.update(Behaviors().as_dict() | dict(seed.get("switches", {})))
            self.clock.set(seed.get("clock", CLOCK_START), seed.get("sequence", 0))
            for room in self._rooms:
                room.load(seed.get(room.name, {}))
            latest = max([self.clock.now(), *(room.latest_stamp() for room in self._rooms)])
            self.clock.set(latest, self.clock.sequence)
            self.revision += 1

    def dump(self) -> dict[str, Any]:
        """The state as a seed, sharing its documents: read it while holding the lock, change nothing."""
        return {
            "clock": self.clock.now(),
            "sequence": self.clock.sequence,
            "switches": self.switches.as_dict(),
            **{room.name: room.dump() for room in self._rooms},
        }

    def snapshot(self) -> dict[str, Any]:
        """An independent copy of the state, which is also a seed."""
        with self.lock:
            copy: dict[str, Any] = json.loads(json.dumps(self.dump()))
        return copy

    def read(self, *path: str) -> Any:
        """An independent copy of one part of the state.

        :param path: keys from the top, as in ``read("polyai", "agents", "a", "configs", "live")``.
        :raises KeyError: for an unknown part.
        """
        with self.lock:
            part: Any = self.dump()
            for key in path:
                part = part[key]
            return json.loads(json.dumps(part))

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the state behind the server's back, as a colleague in the vendor's console would.

        :param change: changes the snapshot that it is given in place.
        :raises SeedError: where the outcome cannot be used.
        """
        with self.lock:
            data = self.snapshot()
            change(data)
            self.load(data)
            self.persist()

    def persist(self) -> None:
        """Write the state file if anything changed since it was last written."""
        if self._file is None or self.revision == self._saved_revision:
            return
        temporary = self._file.with_name(self._file.name + ".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), 0o600)  # it holds keys
            file.write(json.dumps(self.dump(), ensure_ascii=True))
        temporary.replace(self._file)
        self._saved_revision = self.revision


def read_seed_file(path: Path) -> dict[str, Any]:
    """Read a seed or state file.

    :raises SeedError: when the file is missing, unreadable or no JSON object.
    """
    try:
        seed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise SeedError(f"{path} is not JSON: {error}") from None
    if not isinstance(seed, dict):
        raise SeedError(f"{path} must hold a JSON object")
    return seed


def format_stamp(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC, with milliseconds where it has any."""
    whole = moment.astimezone(UTC).replace(tzinfo=None)
    precision = "milliseconds" if whole.microsecond >= 1000 else "seconds"
    return f"{whole.isoformat(timespec=precision)}Z"


def parse_stamp(stamp: str) -> datetime:
    """The moment that an ISO 8601 text means.

    :raises SeedError: for anything else.
    """
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC)
    except (TypeError, ValueError):
        raise SeedError(f"{stamp!r} is not an ISO 8601 time") from None
