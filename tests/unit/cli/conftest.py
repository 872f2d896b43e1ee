"""A local server, and Airflow's own parser with the commands of the provider."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.cli import cli_parser

from airflow_voice_agents.cli.definition import get_voice_agents_cli_commands
from airflow_voice_agents.emulator.server import EmulatorServer
from support.emulated import KEY
from support.fixtures import fernet_key, running_server, server

__all__ = ["fernet_key", "running_server", "server"]

Command = Callable[..., int]


def make_parser() -> argparse.ArgumentParser:
    """Return Airflow's parser with the commands of the provider."""
    parser = cli_parser.DefaultHelpParser(prog="airflow")
    groups = parser.add_subparsers(dest="subcommand")
    for command in get_voice_agents_cli_commands():
        cli_parser._add_command(groups, command)
    return parser


@pytest.fixture(scope="session")
def parser() -> argparse.ArgumentParser:
    return make_parser()


@pytest.fixture
def run(parser: argparse.ArgumentParser) -> Command:
    """Run ``airflow voice-agents ...`` and return its exit code."""

    def run(*arguments: str) -> int:
        try:
            args = parser.parse_args(["voice-agents", *arguments])
            args.func(args)
        except SystemExit as ended:
            return int(ended.code or 0)
        raise AssertionError("every command ends with an exit code")

    return run


@pytest.fixture
def base(tmp_path: Path) -> str:
    return f"file://{tmp_path}/state"


@pytest.fixture
def connected(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    fields = {
        "conn_type": "polyai",
        "host": server.url,
        "password": KEY,
        "extra": {"account_id": "demo-uk"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_POLYAI_DEFAULT", json.dumps(fields))
    return server
