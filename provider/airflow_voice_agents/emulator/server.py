"""The server on a loopback port: in a thread of the caller's process, or as the whole process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

try:
    import uvicorn
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "the local server needs the extra: pip install 'airflow-provider-voice-agents[emulator]'",
        name=_missing.name,
    ) from None

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.control import build_app
from airflow_voice_agents.emulator.core import Emulator, Seed
from airflow_voice_agents.emulator.faults import Action, Fault
from airflow_voice_agents.emulator.journal import Journal
from airflow_voice_agents.emulator.omnia_voice.store import OmniaVoiceStore
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.protocol import DroppableProtocol
from airflow_voice_agents.emulator.signalwire.store import SignalWireStore
from airflow_voice_agents.emulator.state import State

LOOPBACK = "127.0.0.1"
START_LIMIT = 10.0
"""Seconds that the server's thread may take to start."""


class EmulatorServer:
    """A running server for tests, in a daemon thread on a port of its own.

    ::

        with EmulatorServer() as server:
            httpx.get(f"{server.url}/v1/agents/harbour-hotels/real-time-configs", headers=...)
            assert server.journal.count("GET") == 1

    :param seed: what to start from, as a dictionary or a file; ``None`` takes the seed that is shipped.
        A dictionary's documents are used as they are and must not be changed while the server runs.
    :param state: JSON file that keeps the state; where it exists, it is used instead of the seed.
    :param switches: switches that go before those of seed and state file.
    :raises SeedError: where seed or state file cannot be used.
    :raises SwitchError: for an unknown switch or value.
    """

    def __init__(
        self,
        seed: Seed | str | Path | None = None,
        state: str | Path | None = None,
        switches: Mapping[str, Any] | None = None,
    ) -> None:
        self.emulator = Emulator(seed, state_file=state, switches=switches)
        self.url = ""
        self._server: QuietServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """The live state; read and edit it through its methods."""
        return self.emulator.state

    @property
    def polyai(self) -> PolyAIStore:
        """The PolyAI part of the live state: pages, connectors, numbers, deployments."""
        return self.emulator.polyai.store

    @property
    def signalwire(self) -> SignalWireStore:
        """The SignalWire part of the live state: projects, their numbers, and what can be bought."""
        return self.emulator.signalwire.store

    @property
    def omnia_voice(self) -> OmniaVoiceStore:
        """The Omnia Voice part of the live state: workspaces, agents, numbers."""
        return self.emulator.omnia_voice.store

    @property
    def journal(self) -> Journal:
        """The requests so far."""
        return self.emulator.journal

    @property
    def switches(self) -> Behaviors:
        """The live switches; assign to change one."""
        return self.emulator.state.switches

    def fault(self, action: Action, **rule: Any) -> Fault:
        """Install a fault, whose counters can be watched on what is returned.

        :param action: what happens.
        :param rule: the other fields of :class:`~airflow_voice_agents.emulator.faults.Fault`.
        :raises FaultError: for values that do not fit.
        """
        return self.emulator.faults.add(Fault(action, **rule))

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.emulator.faults.clear()

    def reset(self, seed: Seed | None = None) -> None:
        """Start over from a seed (``None``: the first one), without faults and with an empty journal."""
        self.emulator.reset(seed)

    def start(self) -> Self:
        """Listen, and return once requests are answered."""
        listener = open_listener(0)
        self.url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        self._server = QuietServer(self.emulator)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="emulator", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(START_LIMIT):
            raise RuntimeError(f"the emulator did not start within {START_LIMIT} seconds")
        return self

    def stop(self) -> None:
        """Stop listening, drop what is under way and wait for the thread to end."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class QuietServer(uvicorn.Server):
    """uvicorn for one emulator: HTTP/1.1 only, no access log, a flag once it is ready.

    :param grace: seconds that requests under way get when the server stops.
    """

    def __init__(self, emulator: Emulator, grace: int = 1) -> None:
        super().__init__(
            uvicorn.Config(
                build_app(emulator),
                http=DroppableProtocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=grace,
            )
        )
        self.ready = threading.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs the server."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell that requests are answered."""
        await super().startup(sockets)
        self.ready.set()


def open_listener(port: int) -> socket.socket:
    """A socket listening on the loopback interface.

    :param port: TCP port; 0 picks a free one.
    :raises OSError: when the port is taken.
    """
    return socket.create_server((LOOPBACK, port), backlog=2048)
