"""The commands of ``airflow voice-agents``: what they print, what they change, and their exit codes."""

from __future__ import annotations

import argparse
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_voice_agents.cli import commands, running
from airflow_voice_agents.cli.definition import get_voice_agents_cli_commands
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.plans.drift import Drift, DriftFinding, DriftReport
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.state.status import StatusRecorder
from support.emulated import HOTELS, Emulated

from .conftest import make_parser

Run = Callable[..., int]
NAMES = [command.name for command in get_voice_agents_cli_commands()[0].subcommands]  # type: ignore[union-attr]
PLACED_BY = {"dag_id": "watch", "run_id": "r", "task_id": "t"}
SPEC = {
    "source": {"agent_id": HOTELS, "environment": "sandbox"},
    "targets": [{"agent_id": HOTELS, "environment": "pre-release"}],
    "config": {},
}


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    return str(path)


def look(base: str, drift: Drift, target: str = "hotel-1/live") -> None:
    """Leave what a search for drift leaves."""
    run = {"dag_id": "watch", "run_id": "r", "task_id": drift.value, "map_index": -1}
    agent, _, name = target.partition("/")
    finding = DriftFinding(Resource("config page", agent, name), target, drift, keys=("greeting",))
    StatusRecorder(base, run, print).drift(DriftReport((finding,)))


def hold(base: str, target: str = "hotel-1/live", reason: str = "handoffs") -> None:
    rollback_blocks.place(base, RollbackBlock(target, {}, reason, PLACED_BY, datetime.now(UTC).isoformat()))


# --------------------------------------------------------------------------------------------- the whole


def test_the_metadata_names_the_commands_and_each_is_there() -> None:
    (path,) = get_provider_info()["cli"]  # type: ignore[misc]

    assert path.endswith("cli.definition.get_voice_agents_cli_commands")  # type: ignore[has-type]
    assert set(NAMES) == {
        *("status", "agents", "diff", "plan", "validate", "export", "locks", "holds", "release-hold")
    }
    assert all(inspect.isfunction(getattr(commands, name.replace("-", "_"))) for name in NAMES)


@pytest.mark.parametrize(("given", "code"), [("spec.yaml", 0), ("no-such-file.yaml", 1)])
def test_they_run_in_every_airflow_as_a_module(given: str, code: int, spec: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airflow_voice_agents.cli", "validate", str(tmp_path / given)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == code, done.stderr[-3000:]
    assert given in done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_command_line_never_looks_like_a_difference(
    name: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ["--folder", "/x"] if name == "export" else []

    assert run(name, "x", *folder, "--no-such-option") == 1
    assert "no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [("stauts", "Did you mean status?"), ("release", "Did you mean release-hold?"), ("x", "Commands: ")],
)
def test_a_command_that_does_not_exist_never_looks_like_a_difference(
    typed: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow builds its parser while the command line is there to be read."""
    monkeypatch.setattr(sys, "argv", ["airflow", "voice-agents", typed, "--output", "json"])
    parser = make_parser()
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(sys.argv[1:])

    assert ended.value.code == 1
    shown = capsys.readouterr()
    assert f"{typed!r} is not a command" in shown.err
    assert said in shown.err
    assert not shown.out


@pytest.mark.parametrize("argv", [["airflow", "dags", "stauts"], ["airflow", "voice-agents"], ["pytest"], []])
def test_no_other_command_line_adds_a_command(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)

    (group,) = get_voice_agents_cli_commands()
    assert [command.name for command in group.subcommands] == NAMES  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["diff", "plan", "validate", "export", "release-hold"])
def test_a_missing_argument_is_a_usage_error(name: str, run: Run) -> None:
    assert run(name) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert "--output" in capsys.readouterr().out


# --------------------------------------------------------------------------------------- the state folder


@pytest.mark.parametrize(
    ("drift", "expected"),
    [(Drift.IN_SYNC, (0, "in sync")), (Drift.DIVERGED, (2, "diverged")), (Drift.UNKNOWN, (2, "unknown"))],
)
def test_status_tells_by_its_exit_code_whether_all_is_in_sync(
    drift: Drift, expected: tuple[int, str], run: Run, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, state = expected
    look(base, drift)

    assert run("status", "--state-folder", base, "--output", "json") == code
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["target"], row["state"]) == ("hotel-1/live", state)


def test_nothing_on_record_is_not_in_sync(run: Run, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--state-folder", base) == 1
    assert "Nothing is on record" in capsys.readouterr().out


def test_status_is_filtered_and_the_exit_code_is_that_of_what_is_shown(run: Run, base: str) -> None:
    look(base, Drift.IN_SYNC, "hotel-1/live")
    look(base, Drift.EDITED, "hotel-2/live")

    assert run("status", "--state-folder", base) == 2
    assert run("status", "--state-folder", base, "--project", "hotel-1") == 0
    assert run("status", "--state-folder", base, "--state", "edited by hand") == 2
    assert run("status", "--state-folder", base, "--state", "edited") == 1


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_output_for_programs_can_be_read_back(
    output: str, read: Any, run: Run, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(base, reason="a" * 300)

    assert run("holds", "--state-folder", base, "--output", output) == 0
    (row,) = read(capsys.readouterr().out)
    assert (row["reason"], row["resources"]) == ("a" * 300, 0)
    run("status", "--state-folder", base, "--output", output)
    assert read(capsys.readouterr().out)[0]["on_hold"] is True


def test_a_table_shows_what_is_there_and_spells_out_what_would_turn_a_terminal(
    run: Run, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(base, reason="[red]\x1b[31m\u202eok")

    run("holds", "--state-folder", base)
    shown = capsys.readouterr().out

    assert "hotel-1/live" in shown
    assert "[red]" in shown
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown


def test_locks_names_the_run_that_holds_one(run: Run, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    owner = LockOwner("nightly", "run-1", "apply")
    with hold_lock(["hotel-1/live"], owner, f"{base}/locks", log=print):
        assert run("locks", "--state-folder", base, "--output", "json") == 0

    (row,) = json.loads(capsys.readouterr().out)
    assert row["targets"] == ["hotel-1/live"]
    assert "DAG nightly" in row["holder"]
    assert row["state"] == "held"


def test_a_hold_is_released_only_once_it_was_shown_and_agreed_to(
    run: Run, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(base)

    assert run("release-hold", "hotel-1/live", "--state-folder", base) == 1
    assert "handoffs" in capsys.readouterr().out
    assert rollback_blocks.read(base, ["hotel-1/live"])
    assert run("release-hold", "hotel-1/live", "--yes", "--state-folder", base) == 0
    assert not rollback_blocks.read(base, ["hotel-1/live"])
    assert run("release-hold", "hotel-1/live", "--yes", "--state-folder", base) == 1


# --------------------------------------------------------------------------------------------- validate


def test_validate_needs_no_connection_and_names_what_is_wrong(
    run: Run, spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("targets: [{agent_id: x, environment: liv}]\nconfig: {}\n")

    assert run("validate", spec) == 0
    capsys.readouterr()
    assert run("validate", spec, str(wrong), str(tmp_path / "none.yaml"), "--output", "json") == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["result"] for row in rows] == ["valid", "invalid", "invalid"]
    assert "liv" in rows[1]["problem"]


def test_validate_reads_every_environment_of_an_export(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {"live": '{"schema": null, "variables": {}}', "sandbox": '{"variables": 1}'}.items():
        place = tmp_path / "fleet" / "hotel-1" / name
        place.mkdir(parents=True)
        (place / "config.json").write_text(text)

    assert run("validate", str(tmp_path / "fleet"), "--output", "json") == 1
    rows = json.loads(capsys.readouterr().out)
    assert {Path(row["file"]).name: row["result"] for row in rows} == {"live": "valid", "sandbox": "invalid"}


# ----------------------------------------------------------------------------------------- the platform


def test_agents_are_those_of_the_connections_account(
    run: Run, connected: EmulatorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("agents", "--output", "json") == 0
    assert HOTELS in {row["agent_id"] for row in json.loads(capsys.readouterr().out)}


def test_a_connection_that_is_not_there_is_an_error_in_one_sentence(
    run: Run, spec: str, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", spec, "--conn-id", "nowhere", "--state-folder", base) == 1
    assert "Traceback" not in (said := capsys.readouterr().err)
    assert "nowhere" in said


def test_diff_and_plan_differ_and_write_nothing(
    run: Run, connected: EmulatorServer, spec: str, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    polyai = Emulated(connected)
    before = polyai.state()

    assert run("diff", spec, "--state-folder", base) == 2
    assert run("plan", spec, "--state-folder", base) == 2
    assert run("plan", spec, "--apply", "--state-folder", base) == 2  # nobody can be asked
    assert "late_arrival_cutoff" in capsys.readouterr().out
    assert polyai.state() == before
    assert polyai.writes() == 0


@pytest.mark.usefixtures("connected", "fernet_key")
def test_a_plan_is_applied_with_yes_and_then_nothing_differs(
    run: Run, spec: str, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", spec, "--apply", "--yes", "--state-folder", base) == 0
    said = capsys.readouterr()
    assert "Plan: promote" in said.out
    assert "snapshot" in said.err
    assert run("plan", spec, "--state-folder", base) == 0
    assert run("diff", spec, "--state-folder", base) == 0


def test_live_needs_consent_of_its_own(
    run: Run, connected: EmulatorServer, tmp_path: Path, base: str, fernet_key: str
) -> None:
    polyai = Emulated(connected)
    path = tmp_path / "live.json"
    path.write_text(
        json.dumps(
            {
                **SPEC,
                "targets": [{"agent_id": HOTELS, "environment": "live"}],
                "source": {"agent_id": HOTELS, "environment": "pre-release"},
                "config": {"stale_keys": "keep"},
            }
        )
    )

    assert run("plan", str(path), "--apply", "--yes", "--state-folder", base) == 1
    assert polyai.writes() == 0


def test_values_are_hidden_on_request(
    run: Run, connected: EmulatorServer, spec: str, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("plan", spec, "--state-folder", base)
    assert "22:30" in capsys.readouterr().out
    run("plan", spec, "--hide-values", "--state-folder", base)
    assert "22:30" not in capsys.readouterr().out


def test_export_writes_files_that_validate(
    run: Run, connected: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "fleet"

    assert run("export", f"{HOTELS}/sandbox", "--folder", str(folder), "--output", "json") == 0
    assert json.loads(capsys.readouterr().out)[0]["status"] == "changed"
    assert run("validate", str(folder)) == 0


ANSWERS: dict[str, tuple[int, ...]] = {
    "status": (2,),
    "agents": (0,),
    "diff": (2,),
    "plan": (2,),
    "validate": (0,),
    "export": (0,),
    "locks": (0,),
    "holds": (0,),
    "release-hold": (0,),
}
"""Command -> exit code in :func:`test_every_command_answers_in_every_format`."""


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
@pytest.mark.parametrize("name", NAMES)
def test_every_command_answers_in_every_format(  # noqa: PLR0917  fixtures
    name: str,
    output: str,
    run: Run,
    connected: EmulatorServer,
    spec: str,
    base: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    look(base, Drift.EDITED)
    hold(base)
    arguments = {
        "agents": [],
        "diff": [spec],
        "plan": [spec],
        "validate": [spec],
        "export": [f"{HOTELS}/sandbox", "--folder", str(tmp_path / "fleet")],
        "release-hold": ["hotel-1/live", "--yes"],
    }
    folder = [] if name in ("agents", "validate", "export") else ["--state-folder", base]

    assert (run(name, *arguments.get(name, []), *folder, "--output", output),) == ANSWERS[name]
    said = capsys.readouterr()
    assert said.out.strip()
    assert "Traceback" not in said.err
    if output != "table":
        found = json.loads(said.out) if output == "json" else yaml.safe_load(said.out)
        assert isinstance(found, list)


@pytest.mark.parametrize("name", ["agents", "diff", "plan", "export"])
def test_a_platform_that_refuses_is_an_error_and_no_difference(  # noqa: PLR0917  fixtures
    name: str,
    run: Run,
    connected: EmulatorServer,
    spec: str,
    base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = {"conn_type": "polyai", "host": connected.url, "password": "x" * 12, "extra": {"account_id": "a"}}
    monkeypatch.setenv("AIRFLOW_CONN_POLYAI_DEFAULT", json.dumps(wrong))
    arguments = {
        "agents": [],
        "diff": [spec, "--state-folder", base],
        "plan": [spec, "--state-folder", base],
        "export": [f"{HOTELS}/sandbox", "--folder", str(tmp_path / "fleet")],
    }

    assert run(name, *arguments[name]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert "401" in said.err + said.out


@pytest.mark.parametrize("name", ["status", "locks", "holds", "release-hold"])
def test_a_state_folder_that_cannot_be_read_is_an_error(
    name: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["hotel-1/live"] if name == "release-hold" else []

    assert run(name, *target, "--state-folder", "nowhere://folder") == 1
    said = capsys.readouterr().err
    assert "nowhere" in said
    assert "Traceback" not in said
    with pytest.raises(ValueError, match="nowhere"):
        run(name, *target, "--state-folder", "nowhere://folder", "--verbose")


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("is_terminal", [True, False])
def test_bars_are_drawn_on_a_terminal_alone(
    is_terminal: bool, run: Run, spec: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bool] = []

    class Watched(running.Progress):
        def __init__(self, *columns: Any, **options: Any) -> None:
            drawn.append(not options["disable"])
            super().__init__(*columns, **options)

    monkeypatch.setattr(running, "Progress", Watched)
    monkeypatch.setattr(running, "Console", partial(running.Console, force_terminal=is_terminal))

    assert run("diff", spec, "--state-folder", base) == 2
    assert drawn == [is_terminal]


def test_no_command_is_imported_by_its_definition() -> None:
    source = inspect.getsource(inspect.getmodule(get_voice_agents_cli_commands))  # type: ignore[arg-type]

    assert "\nfrom airflow_voice_agents" not in source


def test_the_parser_is_airflows(parser: argparse.ArgumentParser) -> None:
    assert type(parser).__module__ == "airflow.cli.cli_config"
