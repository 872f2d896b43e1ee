from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from airflow_voice_agents.emulator.cli import main
from airflow_voice_agents.emulator.fleet_seed import fleet_seed

COMMAND = [sys.executable, "-m", "airflow_voice_agents.emulator"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and what it printed until it was ready."""
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        try:
            yield process, "".join(lines)
        finally:
            process.kill()


def address(banner: str) -> str:
    found = re.search(r"address\s+(http://127\.0\.0\.1:\d+)", banner)
    assert found, banner
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_and_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    with running("--port", "0") as (process, banner):
        assert httpx.get(f"{address(banner)}/_emulator/health").status_code == 200

        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "Stopped.\n", "")


def test_banner_says_what_it_is_and_what_it_holds_without_keys() -> None:
    with running("--port", "0") as (_, banner):
        pass

    for text in (
        "development tool",
        "loopback only",
        "not use it in production",
        "demo-uk, demo-us",
        "harbour-hotels, rosa-restaurants, northgate-bank",
        "Demo UK",
        "12 connectors, 40 phone numbers",
        "Hotels and restaurants, Northgate Bank (trial) (SignalWire: 32 phone numbers)",
        "harbour, northgate (4 agents, 6 numbers)",
        "/_emulator/",
    ):
        assert text in banner
    assert not any(secret in banner for secret in ("demo-key", "demo-token", "demo-omnia-key"))


def test_options_reach_the_server(tmp_path: Path) -> None:
    seed, state = tmp_path / "seed.json", tmp_path / "state.json"
    seed.write_text(json.dumps(fleet_seed(7)))
    options = ("--port", "0", "--seed", str(seed), "--state", str(state), "--switch", "latency=0.001")

    with running(*options) as (_, banner):
        assert "site-0001, site-0002, site-0003, site-0004, site-0005 and 2 more" in banner
        assert httpx.get(f"{address(banner)}/_emulator/switches").json()["latency"] == 0.001

    assert json.loads(state.read_text())["switches"]["latency"] == 0.001


def test_taken_port_is_named_and_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert main(["--port", str(port)]) == 2

    assert f"cannot listen on 127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "192.0.2.1"], "loopback only"),
        (["--host", "::"], "loopback only"),
        (["--port", "70000"], "cannot listen on 127.0.0.1:70000"),
        (["--port", "0", "--seed", "no-such-file.json"], "cannot read no-such-file.json"),
        (["--port", "0", "--switch", "latency=soon"], "takes a number"),
        (["--port", "0", "--switch", "nope=1"], "unknown switch 'nope'"),
        (["--port", "0", "--switch", "latency"], "name=value"),
        (["--port", "0", "--state", "no/such/folder/state.json"], "cannot write no/such/folder/state.json"),
    ],
)
def test_what_cannot_be_started_says_why_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(options) == 2
    assert message in capsys.readouterr().err


def test_help_lists_the_switches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])

    assert exit_.value.code == 0
    assert "null_variable=store|delete" in capsys.readouterr().out


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "airflow_voice_agents.emulator.server", raising=False)

    assert main(["--port", "0"]) == 2
    assert "airflow-provider-voice-agents[emulator]" in capsys.readouterr().err
