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
from airflow_voice_agents.plans.plan import DESTINATIONS, PlannedItem, TargetPlan, plan_of
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.state.locks import LockFile, LockOwner
from airflow_voice_agents.state.status import StatusRecorder

NOW = datetime(2026, 11, 27, 17, 14, tzinfo=UTC)
FREEZE = {"start": "2026-12-30T18:00", "end": "2027-01-02T06:00", "timezone": "UTC", "reason": "New Year"}
DAGS = (
    *("watch_for_drift", "promote_with_approval", "release_pipeline", "b_promote_25"),
    *("route_numbers", "assign_numbers"),
)
ROUTED = {"signalwire": ("route_numbers", "carrier number"), "omniavoice": ("assign_numbers", "agent number")}
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
    _refused(url)
    _numbers(url)


def _drift(url: str, more: int) -> None:
    """What the nightly search for drift has found, 2 minutes ago."""
    findings = [
        *_project(
            "harbour-hotels",
            ("4f2a", "4f2a", "1d67"),
            Drift.NOT_PROMOTED,
            7,
            label="Late check-out",
            behind=3,
        ),
        *_project(
            "northgate-bank", ("55a9", "55a9", "8fa2"), Drift.NOT_PROMOTED, 3, label="Card support", behind=2
        ),
        *_project(
            "willow-dental",
            ("91be", "91be", "20cc"),
            Drift.NOT_PROMOTED,
            2,
            label="New recall text",
            behind=1,
        ),
        *_project("rosa-restaurants", ("0e67", "d276", "9b1c"), Drift.EDITED, 4, label="Winter menu"),
        *_project("kestrel-clinics", ("7c30", "7c30", "6de1"), Drift.DIVERGED, 2, label="Triage questions"),
    ]
    for place in range(1, 4):
        findings += _project(f"site-{place:04}", ("5b5b", "5b5b", "4a4a"), Drift.NOT_PROMOTED, 7, behind=1)
    for place in range(4, 4 + more):
        findings += _project(f"site-{place:04}", ("5b5b", "5b5b", "5b5b"), Drift.IN_SYNC, 0)
    _recorder(url, "watch_for_drift", "compare", 2).drift(DriftReport(tuple(findings)))


def _waiting(url: str) -> None:
    """A plan for live that a person is asked about, after checks of pre-release that passed."""
    plan = _plan("harbour-hotels/live", 7)
    recorder = _recorder(url, "promote_with_approval", "plan", 1)
    recorder.planned("promote", plan, digest=plan_of("promote", plan).digest, writes=False)
    _applied(_recorder(url, "promote_with_approval", "apply", 15 * 24 * 60), plan, Status.CHANGED)
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


def _refused(url: str) -> None:
    """A promotion that an A/B test kept from live."""
    plan = _plan("willow-dental/live", 2)
    _applied(_recorder(url, "release_pipeline", "willow", 1), plan, Status.FAILED, marks=["A/B test"])


def _numbers(url: str) -> None:
    """Numbers of a carrier, some of which are to be pointed at another platform, and of a second agent platform."""
    spaces = {
        "harbour.signalwire.com": ("relay_script agents.example.com", 2),
        "rosa.signalwire.com": ("ai_agent 3f2b1d44-0a51-4a0c-8f2e-71a2b6e9c001", 0),
    }
    for place, (space, (wanted, moved)) in enumerate(spaces.items()):
        old = "laml_webhooks ivr.example.com" if moved else wanted
        leads = [(old, wanted if index < moved else old) for index in range(6 - 2 * place)]
        _route(url, "signalwire", space, leads)
    leads = [(f"agent agent_{name}", f"agent agent_{name}") for name in ("front_desk", "front_desk", "spa")]
    _route(url, "omniavoice", "omnia_voice", leads)


def _route(url: str, system: str, target: str, leads: list[tuple[str, str]]) -> None:
    dag_id, kind = ROUTED[system]
    items = tuple(
        PlannedItem(
            Resource(kind, target, f"+4420794601{index:02}"),
            now,
            then,
            changes=() if now == then else (Change(Op.CHANGE, ("call_handler",), None, None),),
            writes=int(now != then),
            facts={DESTINATIONS: [now, then]},
        )
        for index, (now, then) in enumerate(leads)
    )
    recorder = _recorder(url, dag_id, target, 35, system=system)
    targets = [TargetPlan(target, items, live=True)]
    recorder.planned("route", targets, digest=plan_of("route", targets).digest, writes=False)


def _applied(recorder: StatusRecorder, plan: list[TargetPlan], status: Status, **details: Any) -> None:
    recorder.planned("promote", plan, digest=plan_of("promote", plan).digest, writes=True)
    items = tuple(
        ItemReport(item.resource, status, details=details) for target in plan for item in target.items
    )
    recorder.ended(Report("promote", items))


def _recorder(url: str, dag_id: str, task_id: str, minutes: int, system: str = "polyai") -> StatusRecorder:
    run = {"dag_id": dag_id, "run_id": "scheduled__2026-11-27", "task_id": task_id, "map_index": -1}
    settings: dict[str, Any] = {"freeze": [FREEZE], "stop_variable": "voice_agents_stop", "system": system}
    return StatusRecorder(url, run, print, clock=lambda: NOW - timedelta(minutes=minutes), **settings)


def _project(
    agent: str, versions: tuple[str, str, str], live: Drift, keys: int, *, label: str = "", behind: int = 0
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
        facts: dict[str, Any] = {"versions": shown, "source": f"{agent}/{before}"}
        if environment == "live" and behind:
            facts["behind"] = behind
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
