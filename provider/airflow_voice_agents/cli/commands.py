"""The commands; each returns its exit code."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from airflow_voice_agents.cli.running import DIFFERS, ERROR, IN_SYNC, confirmed, distinct, say, send, show
from airflow_voice_agents.transport.errors import InputError, VoiceAgentsError
from airflow_voice_agents.transport.text import visible

COMMAND_LINE = "command line"
"""Stands for the DAG in locks and records of what a person started from a terminal."""

# ------------------------------------------------------------------------------------- the state folder


def status(args: Any) -> int:
    """Show how targets stand, from what runs left."""
    from airflow_voice_agents.ui.board import State, build
    from airflow_voice_agents.ui.records import StateReader
    from airflow_voice_agents.ui.view import Query, View

    now = datetime.now(UTC)
    board = build(StateReader(args.state_folder).read(), None, now)
    view = View(board, Query(), now)
    states = [state.value for state in State]
    if args.state is not None and args.state not in states:
        raise InputError(f"--state must be one of {', '.join(states)}, not {args.state!r}")
    shown = [
        target
        for project in board.projects
        for target in project.targets.values()
        if (target.sections or target.hold)
        and args.project in (None, project.name)
        and args.state in (None, target.state.value)
    ]
    rows = [
        {
            "target": target.name,
            "state": target.state.value,
            "source": str(target.compared.get("source") or ""),
            "keys": target.key_count,
            "version": str((target.version or {}).get("version") or "")[:8],
            "on_hold": target.hold is not None,
            "looked_at": target.at,
            "age": view.age(target.at),
            "dag_id": str(target.compared.get("run", {}).get("dag_id", "")),
        }
        for target in shown
    ]
    show(rows, args, empty="Nothing is on record. A drift run or a promotion leaves records.")
    if board.unreadable:
        sys.stderr.write(f"{board.unreadable} file(s) of the state folder cannot be read.\n")
        return ERROR
    if not shown:
        return ERROR
    return IN_SYNC if all(target.state is State.IN_SYNC for target in shown) else DIFFERS


def locks(args: Any) -> int:
    """List the locks of runs."""
    from airflow_voice_agents.ui.records import StateReader

    now = datetime.now(UTC).timestamp()
    rows = [
        {
            "holder": str(lock.holder),
            "since": _moment(lock.acquired_at),
            "until": _moment(lock.expires_at),
            "state": "held" if lock.expires_at > now else "ended",
            "file": lock.file,
            "targets": list(lock.targets),
        }
        for lock in StateReader(args.state_folder).read().locks
    ]
    show(rows, args, empty="No run holds a lock.")
    return IN_SYNC


def holds(args: Any) -> int:
    """List the targets on hold."""
    from airflow_voice_agents.ui.records import StateReader

    rows = [_hold_row(block) for block in StateReader(args.state_folder).read().blocks]
    show(rows, args, empty="No target is on hold.")
    return IN_SYNC


def _hold_row(block: Any) -> dict[str, Any]:
    return {
        "target": block.target,
        "reason": block.reason,
        "placed_at": block.placed_at,
        "placed_by": "/".join(block.placed_by.get(name, "") for name in ("dag_id", "run_id", "task_id")),
        "resources": len(block.digests),
    }


def release_hold(args: Any) -> int:
    """Release targets that a rollback put on hold, once they were shown."""
    from airflow_voice_agents.state import rollback_blocks

    named, for_people = distinct(args.targets), args.output in ("table", "plain")
    tell = say if for_people else _tell
    held = rollback_blocks.read(args.state_folder, named)
    if not held:
        tell(f"Not on hold: {', '.join(named)}")
    for block in held.values():
        tell(str(block))
    agreed = bool(held) and confirmed(f"Release {len(held)} target(s)?", yes=args.yes)
    released = rollback_blocks.release(args.state_folder, list(held)) if agreed else []
    if released:
        tell(f"Released: {', '.join(released)}")
    if not for_people:
        show(
            [{**_hold_row(block), "released": name in released} for name, block in held.items()],
            args,
            empty="",
        )
    return IN_SYNC if released else ERROR


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


# ---------------------------------------------------------------------------------------- the platform


def agents(args: Any) -> int:
    """List the agents of an account."""
    from airflow_voice_agents.bases.hook import extra_of
    from airflow_voice_agents.polyai import api
    from airflow_voice_agents.polyai.hooks import PolyAIHook

    account = args.account_id
    if account is None:
        account = extra_of(PolyAIHook.get_connection(args.conn_id)).get("account_id")
    if not account:
        raise InputError(
            f"connection {args.conn_id!r} has no account_id. Nothing was sent. Give --account-id, or add it there."
        )
    found = send(args.conn_id, lambda run: run.send(api.list_agents(str(account))))
    rows = [
        {"agent_id": each.agent_id, "name": each.agent_name or "", "updated_at": each.updated_at or ""}
        for each in found
    ]
    show(rows, args, empty=f"Account {account} has no agents.")
    return IN_SYNC


def diff(args: Any) -> int:
    """Show how the targets of a spec differ from their sources; nothing is written."""
    from airflow_voice_agents.plans.drift import Drift, counts_sentence
    from airflow_voice_agents.polyai.drift_request import parse_drift

    comparison = parse_drift(spec_file=args.spec, state_folder=args.state_folder)
    report = send(args.conn_id, comparison.run)
    rows = [
        {
            "target": finding.target,
            "kind": finding.resource.kind,
            "state": finding.drift.value,
            "keys": list(finding.keys),
            "reason": finding.reason,
        }
        for finding in report.findings
    ]
    show(rows, args, empty="The spec names no targets.")
    if args.output == "table":
        say(counts_sentence(report))
    if report.having(Drift.UNKNOWN):
        return ERROR
    return DIFFERS if report.drifted else IN_SYNC


def plan(args: Any) -> int:
    """Plan a promotion, show it, and with ``--apply`` carry out exactly that plan."""
    from airflow_voice_agents.bases.display import display
    from airflow_voice_agents.engine import apply as engine
    from airflow_voice_agents.engine.policy import Policy, Protections
    from airflow_voice_agents.plans.document import PlanDocument, save
    from airflow_voice_agents.plans.guards import GuardContext, Overrides
    from airflow_voice_agents.plans.render import render_plan
    from airflow_voice_agents.polyai.actions.promotion import Promotion
    from airflow_voice_agents.polyai.export_files import read_spec, shelf

    action = Promotion(spec=read_spec(None, args.spec, None), shelf=shelf())
    shown = display(False if args.hide_values else None)
    guards = GuardContext(overrides=Overrides(confirm_live=args.confirm_live))
    policy, protections = Policy(display=shown), replace(_protections(args), observer=Protections().observer)
    made, _ = send(args.conn_id, lambda run: engine.plan(run, action, policy, protections), guards=guards)
    if args.output == "table":
        say(render_plan(made, shown))
    else:
        show([made.document()], args, empty="")
    if made.errors():
        return ERROR
    if made.empty or not args.apply:
        return IN_SYNC if made.empty else DIFFERS
    if not confirmed(f"Apply plan {made.digest[:12]}?", yes=args.yes):
        return DIFFERS
    document = PlanDocument.read(save(made, None))
    return _apply(args, action, replace(policy, document=document), guards)


def _apply(args: Any, action: Any, policy: Any, guards: Any) -> int:
    from airflow_voice_agents.engine import apply as engine
    from airflow_voice_agents.plans.render import render_report
    from airflow_voice_agents.state.folder_check import check_state_folder

    check_state_folder(args.state_folder, writes=True, log=_tell)
    protections = _protections(args)
    report = send(args.conn_id, lambda run: engine.apply(run, action, policy, protections), guards=guards)
    sys.stderr.write(f"{render_report(report)}\n")
    return IN_SYNC if report.complete else ERROR


def _protections(args: Any) -> Any:
    """Return the locks, holds, snapshots and stops of a run that a person started here."""
    from airflow_voice_agents.bases.operator import STOP_VARIABLE
    from airflow_voice_agents.bases.protections import AirflowProtections, ProtectionSettings
    from airflow_voice_agents.polyai.hooks import PolyAIHook
    from airflow_voice_agents.state.snapshots import Origin

    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    with suppress(OSError, KeyError):
        started += f" by {getpass.getuser()}"

    def xcom_push(key: str, value: Any) -> None:
        _tell(f"{key}: {value}")

    ids = {"dag_id": COMMAND_LINE, "run_id": started, "task_id": "plan", "map_index": -1, "try_number": 1}
    ti = SimpleNamespace(**ids, xcom_push=xcom_push)
    settings = ProtectionSettings(
        name="command-line",
        origin=lambda: Origin("polyai", *PolyAIHook(args.conn_id).place()),
        state_folder=args.state_folder,
        stop_variable=STOP_VARIABLE,
    )
    return AirflowProtections(settings, {"ti": ti}, _tell).build()  # type: ignore[typeddict-item]


def _tell(text: str) -> None:
    sys.stderr.write(f"{visible(text)}\n")


def export(args: Any) -> int:
    """Keep environments as files."""
    from airflow_voice_agents.polyai.actions.export import FILES, parse_export
    from airflow_voice_agents.polyai.export_files import keep
    from airflow_voice_agents.polyai.files import PARTS
    from airflow_voice_agents.state.export_files import checked

    places = [dict(zip(("agent_id", "environment"), _place(name), strict=True)) for name in args.targets]
    wanted = parse_export(places, PARTS, partial(keep, checked(args.folder)))
    report = send(args.conn_id, wanted.run)
    rows = [
        {
            "target": str(item.resource),
            "status": item.status.value,
            "files": list(item.details.get(FILES, ())),
            "reason": item.reason,
        }
        for item in report.items
    ]
    show(rows, args, empty="Nothing was named.")
    return IN_SYNC if report.complete else ERROR


def _place(target: str) -> tuple[str, str]:
    agent, _, environment = target.rpartition("/")
    if not agent:
        raise InputError(f"a target is written agent/environment, not {target!r}")
    return agent, environment


# ------------------------------------------------------------------------------------------ no platform


def validate(args: Any) -> int:
    """Check spec and export files; nothing is sent, and no connection is needed."""
    rows = [row for path in distinct(args.files) for row in _checked(Path(path))]
    show(rows, args, empty="No files were found.")
    return IN_SYNC if rows and all(row["result"] == "valid" for row in rows) else ERROR


def _checked(path: Path) -> Iterator[Mapping[str, str]]:
    from airflow_voice_agents.polyai.files import NAMES

    if path.is_dir():
        folders = sorted({file.parent for file in path.rglob("*") if file.name in NAMES})
        if not folders:
            yield _row(path, "export", "the folder holds no file of an export")
        for folder in folders:
            files = sorted(file for file in folder.iterdir() if file.name in NAMES)
            yield _row(folder, "export", _problem(lambda files=files: _read_export(files)))
    elif path.name in NAMES:
        yield _row(path, "export", _problem(lambda: _read_export([path])))
    else:
        yield _row(path, "spec", _problem(lambda: _read_spec(path)))


def _read_export(files: list[Path]) -> None:
    from airflow_voice_agents.plans.decoding import decode_text
    from airflow_voice_agents.polyai.files import from_documents

    texts = {file.name: decode_text(file.read_bytes(), where=str(file)) for file in files}
    from_documents(texts, str(files[0].parent))


def _read_spec(path: Path) -> None:
    from airflow_voice_agents.polyai.actions.planner import refuse_entangled
    from airflow_voice_agents.polyai.export_files import read_spec

    refuse_entangled(read_spec(None, str(path.absolute()), None))


def _problem(check: Any) -> str:
    try:
        check()
    except (VoiceAgentsError, OSError) as error:
        return str(error)
    return ""


def _row(path: Path, what: str, problem: str) -> Mapping[str, str]:
    return {
        "file": str(path),
        "what": what,
        "result": "invalid" if problem else "valid",
        "problem": problem,
    }
