"""Command line of the embedded server."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from airflow_voice_agents.emulator.behaviors import SwitchError, describe, parse_assignment

DEFAULT_PORT = 8099
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost")

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted.

    :param arguments: command line without the program's name; ``None`` takes the process's own.
    :return: exit status: 0 after an interrupt, 2 when the server cannot start as asked.
    """
    options = _parse(arguments)
    try:
        from airflow_voice_agents.emulator.server import open_listener
    except ModuleNotFoundError as error:
        return _fail(f"{error.name} is missing: install airflow-provider-voice-agents[emulator]")
    if options.host not in _LOOPBACK_HOSTS:
        return _fail(f"--host {options.host} refused: this is a development tool and serves loopback only")
    try:
        listener = open_listener(options.port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _fail(f"cannot listen on 127.0.0.1:{options.port}: {reason}")
    with listener:
        return _serve(options, listener)


def _serve(options: argparse.Namespace, listener: socket.socket) -> int:
    from airflow_voice_agents.emulator.core import Emulator
    from airflow_voice_agents.emulator.server import QuietServer
    from airflow_voice_agents.emulator.state import SeedError

    try:
        emulator = Emulator(
            options.seed,
            state_file=options.state,
            switches=dict(map(parse_assignment, options.switch)),
            end_process=_end_process,
        )
    except (SeedError, SwitchError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot write {options.state}: {error.strerror}")
    server = QuietServer(emulator)
    _say(_banner(emulator, listener.getsockname()[1], options.state))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[listener])
    _say("Stopped.")
    return 0


def _banner(emulator: Any, port: int, state_file: str | None) -> str:
    summary = emulator.polyai.summary()
    carrier, omnia = emulator.signalwire.summary(), emulator.omnia_voice.summary()
    lines = [
        "Voice agents emulator: a development tool. It serves loopback only; do not use it in production.",
        f"  address   http://127.0.0.1:{port}",
        f"  accounts  {', '.join(summary['accounts']) or 'none'}",
        f"  projects  {_shortened(summary['agents'])}",
        f"  keys      {', '.join(summary['keys']) or 'none'} (names; the values are in the seed)",
        f"  content   {summary['connectors']} connectors, {summary['numbers']} phone numbers",
        f"  carrier   {_shortened(carrier['projects'])} (SignalWire: {carrier['numbers']} phone numbers)",
        f"  Omnia     {_shortened(omnia['workspaces'])} ({omnia['agents']} agents, {omnia['numbers']} numbers)",
        f"  state     {state_file or 'in memory only'}",
        f"  page      http://127.0.0.1:{port}/",
        f"  control   http://127.0.0.1:{port}/_emulator/ (state, journal, faults, switches, health)",
        "Stop with Ctrl-C.",
    ]
    return "\n".join(lines)


def _shortened(names: list[str]) -> str:
    shown = ", ".join(names[:5]) or "none"
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_voice_agents.emulator",
        description="Serve the vendors' APIs from memory, on loopback, for development and tests.",
        epilog="switches (the first value is the default):\n  " + "\n  ".join(describe()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 picks one (default %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="loopback only; anything else is refused")
    parser.add_argument("--seed", metavar="FILE", help="JSON to start from; without it, the shipped seed")
    parser.add_argument("--state", metavar="FILE", help="JSON file that keeps the state over a restart")
    parser.add_argument("--switch", metavar="NAME=VALUE", action="append", default=[], help="may be repeated")
    return parser.parse_args(arguments)


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


def _fail(message: str) -> int:
    print(f"emulator: {message}", file=sys.stderr, flush=True)  # noqa: T201 - the command's output
    return USAGE_ERROR
