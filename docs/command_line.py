"""Print what every command of ``airflow voice-agents`` answers, from a local server and records that never change.

python docs/command_line.py            # prints the section of docs/command-line.md
python docs/command_line.py --write    # puts it into the page
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

HERE = Path(__file__).parent
PAGE = HERE / "command-line.md"
BEGIN, END = "<!-- output: docs/command_line.py -->", "<!-- end of output -->"
WIDTH = "170"
SPEC = """\
source: {agent_id: harbour-hotels, environment: sandbox}
targets:
  - {agent_id: harbour-hotels, environment: pre-release}
config: {include_keys: [holiday_message, csat_enabled], promote_schema: false}
deployment: {}
"""
COMMANDS = (
    "status --state 'edited by hand'",
    "status --project harbour-hotels --output yaml",
    "locks --output yaml",
    "holds",
    "release-hold northgate-bank/live --yes",
    "validate promotion.yaml wrong.yaml",
    "agents",
    "diff promotion.yaml",
    "plan promotion.yaml",
    "plan promotion.yaml --apply --yes",
    "export harbour-hotels/sandbox --folder $PWD/fleet",
    "stauts",
)
ROWS_SHOWN = 24
"""Most lines of an answer on the page."""


def main() -> None:
    """Print the section, or put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into docs/command-line.md")
    found = section()
    if parser.parse_args().write:
        PAGE.write_text(with_section(PAGE.read_text(), found))
    else:
        print(found)


def with_section(text: str, found: str) -> str:
    """Return a page with its section replaced.

    :param text: the page.
    :param found: the section.
    """
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{found}\n{END}{rest.split(END)[1]}"


def section() -> str:
    """Return every command with its answer and its exit code."""
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)):
        return "\n".join(shown(command, Path(folder)) for command in COMMANDS)


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """Run in a folder with a spec, a state folder and a connection to a local server; the clock stands still.

    :param folder: an empty folder.
    """
    sys.path.insert(0, str(HERE))
    settings = {"AIRFLOW_HOME": str(folder / "airflow"), "COLUMNS": WIDTH, "NO_COLOR": "1", "TZ": "UTC"}
    os.environ.update(settings)
    import demo_state
    from cryptography.fernet import Fernet

    from airflow_voice_agents.emulator.server import EmulatorServer

    demo_state.write(folder / "state", more=1)
    (folder / "promotion.yaml").write_text(SPEC)
    (folder / "wrong.yaml").write_text(SPEC.replace("pre-release", "pre-relase"))
    with EmulatorServer() as server, contextlib.chdir(folder):
        fields = {"conn_type": "polyai", "host": server.url, "password": "demo-key-uk"}
        os.environ |= {
            "AIRFLOW_CONN_POLYAI_DEFAULT": json.dumps({**fields, "extra": {"account_id": "demo-uk"}}),
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW_VAR_VOICE_AGENTS_STOP": "off",
            "AIRFLOW__VOICE_AGENTS__STATE_FOLDER": f"file://{folder}/state",
        }
        yield


def shown(command: str, folder: Path) -> str:
    """Run a command and return it with its answer, as Markdown.

    :param command: what follows ``airflow voice-agents``.
    :param folder: the folder that it runs in.
    """
    words = [word.replace("$PWD", str(folder)) for word in shlex.split(command)]
    code, answer = run(words)
    lines = tidy(answer, folder).rstrip("\n").split("\n")
    if len(lines) > ROWS_SHOWN:
        lines = [*lines[:ROWS_SHOWN], f"… {len(lines) - ROWS_SHOWN} more lines"]
    text = "\n".join(line.rstrip() for line in lines)
    return f"```console\n$ airflow voice-agents {command}\n{text}\n$ echo $?\n{code}\n```\n"


def run(words: list[str]) -> tuple[int, str]:
    """Run a command in this process and return its exit code and all that it prints.

    :param words: the command line behind ``airflow voice-agents``.
    """
    import demo_state
    from airflow.cli import cli_parser, simple_table

    from airflow_voice_agents.bases import protections
    from airflow_voice_agents.cli import commands
    from airflow_voice_agents.cli.definition import get_voice_agents_cli_commands

    class Still(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return demo_state.NOW.astimezone(tz)

    still_lock = partial(protections.hold_lock, clock=demo_state.NOW.timestamp)  # else demo locks would end
    printed, code = io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["airflow", "voice-agents", *words]),
        mock.patch.object(commands, "datetime", Still),
        mock.patch.object(protections, "hold_lock", still_lock),
        mock.patch.object(simple_table, "is_tty", return_value=True),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        parser = cli_parser.DefaultHelpParser(prog="airflow")
        groups = parser.add_subparsers(dest="subcommand")
        for each in get_voice_agents_cli_commands():
            cli_parser._add_command(groups, each)
        try:
            args = parser.parse_args(sys.argv[1:])
            args.func(args)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, printed.getvalue()


def tidy(text: str, folder: Path) -> str:
    """Replace what differs from one time and machine to the next.

    :param text: the answer of a command.
    :param folder: the folder that it ran in.
    """
    text = text.replace(f"file://{folder}", "file:///srv").replace(str(folder), "/srv")
    return re.sub(r"(?<=snapshots/)[0-9TZ]+[^-]*", "20261127T171400Z", text)


if __name__ == "__main__":
    main()
