"""A state folder as a fleet leaves it, always the same, for screenshots and for measuring the status page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.drift import Drift, DriftFinding, DriftReport
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan, plan_of
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.state.locks import LockFile, LockOwner
from airflow_voice_agents.state.status import StatusRecorder

NOW = datetime(2026, 11, 27, 17, 14, tzinfo=UTC)
FREEZE = {"start": "2026-12-30T18:00", "end": "2027-01-02T06:00", "timezone": "UTC", "reason": "New Year"}
AUTHORS = ("Anna", "Luis", "Tom", "Mia")
KEYS = (
    *("late_arrival_cutoff", "holiday_message", "opening_hours", "handoff_number"),
    *("greeting", "flags", "menu_of_the_day"),
)


def write(base: Path, *, more: int = 20) -> None:
    """Write the folder.

    :param base: where; it need not exist.
    :param more: number of projects in sync beside those that show something.
    """
    url = f"file://{base.absolute()}"
    _drift(url, more)
    _waiting(url)
    _held(url)
    _running(url)


def _drift(url: str, more: int) -> None:
    """What the nightly search for drift has found, 2 minutes ago."""
    findings = [
        *_project("harbour-hotels", ("4f2a", "4f2a", "1d67"), Drift.NOT_PROMOTED, 7, label="Late check-out"),
        *_project("northgate-bank", ("55a9", "55a9", "8fa2"), Drift.NOT_PROMOTED, 3, label="Card support"),
        *_project("rosa-restaurants", ("0e67", "d276", "9b1c"), Drift.EDITED, 4, label="Winter menu"),
        *_project("kestrel-clinics", ("7c30", "7c30", "6de1"), Drift.DIVERGED, 2, label="Triage questions"),
    ]
    for place in range(1, 4):
        findings += _project(f"site-{place:04}", ("5b5b", "5b5b", "4a4a"), Drift.NOT_PROMOTED, 7)
    for place in range(4, 4 + more):
        findings += _project(f"site-{place:04}", ("5b5b", "5b5b", "5b5b"), Drift.IN_SYNC, 0)
    _recorder(url, "watch_for_drift", "compare", 2).drift(DriftReport(tuple(findings)))


def _waiting(url: str) -> None:
    """A plan for live that a person is asked about, after checks of pre-release that passed."""
    plan = _plan("harbour-hotels/live", 7)
    recorder = _recorder(url, "promote_with_approval", "plan", 1)
    recorder.planned("promote", plan, digest=plan_of("promote", plan).digest, writes=False)
    asked = _recorder(url, "promote_with_approval", "approve", 1)
    asked.approval("waiting", plan_of("promote", plan).digest, NOW + timedelta(hours=12))
    names = ("read back", "test suite smoke", "alerts", "conversations")
    found = {"verdict": "passed", "checks": [{"name": each, "verdict": "passed"} for each in names]}
    _recorder(url, "promote_with_approval", "check", 9).checks(found, ["harbour-hotels/pre-release"])


def _held(url: str) -> None:
    """A rollback that put a target on hold."""
    plan = _plan("northgate-bank/live", 3)
    _applied(_recorder(url, "release_pipeline", "apply", 26 * 60), plan, Status.CHANGED)
    placed_by = {"dag_id": "release_pipeline", "run_id": "scheduled__2026-11-26", "task_id": "watch"}
    at = (NOW - timedelta(hours=25)).isoformat()
    rollback_blocks.place(
        url, RollbackBlock("northgate-bank/live", {}, "handoffs 2.4 times the baseline", placed_by, at)
    )


def _running(url: str) -> None:
    """A rollout in its second wave of three."""
    names = [f"shop-{place:03}/live" for place in range(1, 26)]
    plan = [each for name in names for each in _plan(name, 11)]
    recorder = _recorder(url, "b_promote_25", "apply", 4)
    recorder.planned("promote", plan, digest=plan_of("promote", plan).digest, writes=True)
    recorder.reached(1, 3, 5, 25)
    owner = LockOwner("b_promote_25", "manual__2026-11-27", "apply")
    lock = LockFile("demo.lock", owner, tuple(names), NOW.timestamp() - 240, NOW.timestamp() + 660)
    StateFiles(state_folder(url, "locks")).write(lock.file, lock.content())


def _applied(recorder: StatusRecorder, plan: list[TargetPlan], status: Status) -> None:
    recorder.planned("promote", plan, digest=plan_of("promote", plan).digest, writes=True)
    items = tuple(ItemReport(item.resource, status) for target in plan for item in target.items)
    recorder.ended(Report("promote", items))


def _recorder(url: str, dag_id: str, task_id: str, minutes: int) -> StatusRecorder:
    run = {"dag_id": dag_id, "run_id": "scheduled__2026-11-27", "task_id": task_id, "map_index": -1}
    settings: dict[str, Any] = {"freeze": [FREEZE], "stop_variable": "voice_agents_stop"}
    return StatusRecorder(url, run, print, clock=lambda: NOW - timedelta(minutes=minutes), **settings)


def _project(
    agent: str, versions: tuple[str, str, str], live: Drift, keys: int, label: str = ""
) -> Iterator[DriftFinding]:
    shown = {
        environment: _version(agent, short, place, label if short == versions[0] else "")
        for place, (environment, short) in enumerate(
            zip(("sandbox", "pre-release", "live"), versions, strict=True)
        )
    }
    for environment, before in (("pre-release", "sandbox"), ("live", "pre-release")):
        drift = live if environment == "live" else Drift.IN_SYNC
        if environment == "pre-release" and shown["sandbox"]["version"] != shown["pre-release"]["version"]:
            drift = Drift.NOT_PROMOTED
        facts = {"versions": shown, "source": f"{agent}/{before}"}
        found = KEYS[: keys if environment == "live" else 0]
        yield DriftFinding(
            Resource("config page", agent, environment),
            f"{agent}/{environment}",
            drift,
            keys=found,
            facts=facts,
        )


def _version(agent: str, short: str, place: int, label: str) -> Mapping[str, str]:
    age = timedelta(hours=2 + 30 * place + len(agent))
    return {
        "version": short + hashlib.sha256(short.encode()).hexdigest()[:28],
        "deployment_id": f"{agent}-{place}",
        "label": label,
        "author": AUTHORS[(len(agent) + place) % len(AUTHORS)],
        "created_at": (NOW - age).isoformat(),
    }


def _plan(target: str, keys: int) -> list[TargetPlan]:
    agent, _, environment = target.rpartition("/")
    names = [*KEYS, *(f"feature_{place}" for place in range(9))][:keys]
    changes = tuple(
        Change(Op.ADD if place == 0 else Op.CHANGE, (name,), None, None) for place, name in enumerate(names)
    )
    item = PlannedItem(
        Resource("config page", agent, environment),
        hashlib.sha256(b"before").hexdigest(),
        hashlib.sha256(b"after").hexdigest(),
        changes=changes,
        writes=1,
        facts={"source": f"{agent}/pre-release"},
    )
    return [TargetPlan(target, (item,), live=environment == "live")]
