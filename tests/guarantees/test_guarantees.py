"""Each row of the table of guarantees, for each operator that writes."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.bases.operator import WritingOperator
from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks, snapshots
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    ItemsFailed,
    StateMoved,
    TargetLocked,
    VoiceAgentsError,
)
from guarantees.cases import CASES, Case, World
from guarantees.table import PAGE, REASONS, ROWS, render

SOMEBODY = LockOwner("other_dag", "other_run", "other_task")


class Stopped(BaseException):
    """Ends a run where it stands; nothing on the way catches it, as nothing catches a kill."""


def rows(row: str) -> Any:
    """Parametrise a test over the operators that the row applies to."""
    applies = [case for case in CASES if (case.name, row) not in REASONS]
    return pytest.mark.parametrize("case", applies, ids=lambda case: case.name)


def said(outcome: Any) -> str:
    """The error that ended an attempt."""
    return str(outcome.error)


def refused(outcome: Any, kind: type[Exception] = GuardRefused) -> str:
    """The text of a refusal; nothing else may have ended the attempt."""
    assert outcome.state == "failed" or isinstance(outcome.error, TargetLocked), outcome.error
    assert isinstance(outcome.error, kind), repr(outcome.error)
    return str(outcome.error)


def succeeded(outcome: Any) -> dict[str, Any]:
    """The report of a success, whose totals add up."""
    assert outcome.state == "success", outcome.error
    report = outcome.xcoms["report"]
    found = dict(report["counts"])
    assert found.pop("total") == sum(found.values())
    return dict(report)


def written_twice(world: World) -> int:
    """Changes that were made more than once with the same content."""
    counts = Counter((entry.path, entry.digest) for entry in world.changes())
    return sum(count - 1 for count in counts.values())


@contextmanager
def killed_after(world: World, changes: int) -> Iterator[None]:
    """Let the client's next request end the run, once so many changes were made."""
    send = Client.asend

    async def sending(self: Any, request: Any) -> Any:
        if len(world.changes()) >= changes:
            raise Stopped
        return await send(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "asend", sending)
        yield


def frozen(hours: int = 1) -> list[dict[str, Any]]:
    """A freeze window around the present moment."""
    now = datetime.now(UTC)
    return [
        {
            "start": (now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M"),
            "end": (now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M"),
            "timezone": "UTC",
        }
    ]


# ------------------------------------------------------------------------------------- the table


def writing_operators() -> set[str]:
    """Every public operator of the provider that writes, by what the provider's metadata names."""
    found = set()
    for system in get_provider_info()["operators"]:  # type: ignore[attr-defined]
        for name in system["python-modules"]:
            module = importlib.import_module(name)
            for each in vars(module).values():
                if inspect.isclass(each) and issubclass(each, WritingOperator) and each.__module__ == name:
                    found.add(each.__name__)
    return {name for name in found if not name.startswith("_")}


WATCHES = {"PolyAIWatchPromotionOperator", "PolyAIWatchReleaseOperator"}
"""They write only by rolling back, as PolyAIRollbackOperator and PolyAIRollbackDeploymentOperator do."""


def test_every_writing_operator_has_a_case() -> None:
    assert writing_operators() - WATCHES == {case.name for case in CASES}


def test_exceptions_name_operators_and_rows() -> None:
    names = {case.name for case in CASES}
    assert all(name in names and row in ROWS for name, row in REASONS)


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(list(dict.fromkeys(case.name for case in CASES)))


# ------------------------------------------------------------------------------------------ rows


@rows("dry_run")
def test_dry_run(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)
    before = world.at.server.state.read()

    report = succeeded(
        world.run(case.task(world, dry_run=True, **({case.consent: False} if case.live else {})))
    )

    assert report["dry_run"] is True
    assert report["counts"]["changed"] == case.items
    assert world.writes() == 0
    assert world.at.server.state.read() == before
    if case.live:
        assert "would be refused" in world.at.runner.log


@rows("expected_digest")
def test_expected_digest(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)
    digest = succeeded(world.run(case.task(world, "plan", dry_run=True)))["plan_digest"]

    refused(world.run(case.task(world, "other", expected_digest="0" * 64)), StateMoved)
    assert world.writes() == 0

    task = case.task(world, expected_digest=digest, concurrency=1)
    with killed_after(world, 1):
        assert isinstance(world.run(task).error, Stopped)
    succeeded(world.run(task, try_number=2))
    assert written_twice(world) == 0


@rows("lock")
def test_lock(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)

    with hold_lock([case.lock(world)], SOMEBODY, f"{folder}/locks", log=lambda _: None):
        text = refused(world.run(case.task(world, "first", lock_wait=0.0)), TargetLocked)
        assert "other_dag" in text
        assert world.writes() == 0
    succeeded(world.run(case.task(world, lock_wait=0.0)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_live_is_not_written_where_machines_have_a_state_folder_each(
    case: Case, server: EmulatorServer, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = case.prepare(server, folder)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.delenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", raising=False)
    plain, allowed = case.task(world, "first"), case.task(world, allow_local_state=True)
    plain.state_folder = allowed.state_folder = None

    if case.live:
        text = refused(world.run(plain))
        assert "[voice_agents] state_folder is not set, and CeleryExecutor can run tasks on several" in text
        assert "allow_local_state=True" in text
        assert world.writes() == 0
    succeeded(world.run(allowed))
    assert "[voice_agents] state_folder is not set" in world.at.runner.log


@rows("spelling")
def test_spelling(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)
    assert case.spelled is not None
    with hold_lock([case.lock(world)], SOMEBODY, f"{folder}/locks", log=lambda _: None):
        task = case.task(world, lock_wait=0.0, **case.spelled(world))
        refused(world.run(task), TargetLocked)
    assert world.writes() == 0


def block_of(case: Case, world: World, plan: Plan) -> RollbackBlock:
    """A rollback block on everything that a plan leads to."""
    digests = {item.resource.key: item.after for item in plan.items if item.changed}
    return RollbackBlock(case.block(world), digests, "tests", {"dag_id": "d"}, "2026-01-01T00:00:00+00:00")


@rows("hold")
def test_hold(case: Case, server: EmulatorServer, folder: str, plans: list[Plan]) -> None:
    world = case.prepare(server, folder)
    succeeded(world.run(case.task(world, "plan", dry_run=True)))
    rollback_blocks.place(folder, block_of(case, world, plans[-1]))

    text = refused(world.run(case.task(world, "held")))

    assert "on hold" in text
    assert world.writes() == 0
    assert rollback_blocks.release(folder, [case.block(world)]) == [case.block(world)]
    succeeded(world.run(case.task(world)))


@rows("snapshot")
def test_snapshot(case: Case, server: EmulatorServer, folder: str, plans: list[Plan]) -> None:
    world = case.prepare(server, folder)
    outcome = world.run(case.task(world, take_snapshot=True))
    succeeded(outcome)
    url = outcome.xcoms["snapshot"]
    assert snapshots.load(url)["resources"]
    planned = {item.resource.key: item.before for item in plans[-1].items if item.changed}

    assert case.restore is not None
    succeeded(world.run(case.restore(world, url)))

    back = {item.resource.key: item.after for item in plans[-1].items}
    assert {key: back.get(key) for key in planned} == planned


@rows("consent")
def test_consent(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)

    text = refused(world.run(case.task(world, **{case.consent: False})))

    assert case.consent in text
    assert world.writes() == 0


@rows("backfill")
def test_backfill(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)
    world.at.runner.run_type = "backfill"

    text = refused(world.run(case.task(world, "held")))

    assert "backfill" in text
    assert world.writes() == 0
    succeeded(world.run(case.task(world, allow_backfill=True)))


@rows("waves")
def test_waves(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)

    succeeded(world.run(case.task(world, waves=[1, "100%"])))

    assert "wave 1 of 2 is over, 1 of 2" in world.at.runner.log


@rows("failures")
def test_failures(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)
    world.at.server.emulator.faults.add(
        Fault(
            "answer", status=403, body={"error": "no"}, route=WRITES[case.name], method=VERBS.get(case.name)
        )
    )

    outcome = world.run(case.task(world, waves=[1, "100%"], max_failures=0, concurrency=1))

    assert isinstance(outcome.error, ItemsFailed), outcome.error
    counts = outcome.xcoms["report"]["counts"]
    assert counts["changed"] == 0
    assert counts["failed"] + counts["skipped"] == counts["total"] == 2
    assert world.writes() == 1, "nothing further is begun"


@rows("changes")
def test_changes(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)

    text = refused(world.run(case.task(world, max_changed=0)))

    assert "max_changed" in text
    assert world.writes() == 0


@rows("stop")
def test_stop(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)
    world.at.runner.variables["halt"] = "on"

    outcome = world.run(case.task(world, stop_variable="halt"))

    assert isinstance(outcome.error, VoiceAgentsError)
    assert "halt" in said(outcome)
    assert world.writes() == 0
    world.at.runner.variables["halt"] = "off"
    succeeded(world.run(case.task(world, stop_variable="halt"), try_number=2))


@rows("freeze")
def test_freeze(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)

    refused(world.run(case.task(world, "held", freeze=frozen())))
    assert world.writes() == 0

    report = succeeded(world.run(case.task(world, freeze=frozen(), override_freeze="a fire")))
    assert any("a fire" in note for note in report["notes"])


WRITES = {
    "PolyAIPromoteConfigOperator": "variables",
    "PolyAIUpdateConfigOperator": "variables",
    "PolyAIBatchUpdateConnectorsOperator": "connectors",
    "PolyAIImportPhoneNumbersOperator": "phone-numbers$",
    "PolyAIUpdateSipExtensionsOperator": "extensions",
    "PolyAIPublishOperator": "publish",
    "PolyAIPromoteDeploymentOperator": "promote",
    "PolyAIRollbackDeploymentOperator": "rollback",
    "PolyAIMergeBranchOperator": "merge",
    "PolyAIRunTestsOperator": "trigger",
    "PolyAIReleaseBranchOperator": "merge",
    "PolyAIApplyPromotionOperator": "variables",
    "PolyAIRollbackOperator": "variables",
    "SignalWireRoutePhoneNumbersOperator": "phone_numbers",
    "SignalWireRestoreRoutingOperator": "phone_numbers",
    "SignalWireSearchAndPurchaseOperator": "phone_numbers",
    "SignalWireReleasePhoneNumbersOperator": "phone_numbers",
    "SignalWireAssignE911Operator": "e911",
    "OmniaVoiceAssignNumbersOperator": "numbers",
    "OmniaVoiceUpdateNumbersOperator": "numbers",
    "OmniaVoiceDeleteNumbersOperator": "numbers",
    "OmniaVoiceRestoreAssignmentsOperator": "numbers",
}
"""Operator -> part of the route of its writes."""

VERBS = {
    "PolyAIBatchUpdateConnectorsOperator": "PATCH",
    "PolyAIImportPhoneNumbersOperator": "POST",
    "PolyAIUpdateSipExtensionsOperator": "POST",
    "SignalWireRoutePhoneNumbersOperator": "PUT",
    "SignalWireRestoreRoutingOperator": "PUT",
    "SignalWireSearchAndPurchaseOperator": "POST",
    "SignalWireReleasePhoneNumbersOperator": "DELETE",
    "OmniaVoiceAssignNumbersOperator": "PATCH",
    "OmniaVoiceUpdateNumbersOperator": "PATCH",
    "OmniaVoiceDeleteNumbersOperator": "DELETE",
    "OmniaVoiceRestoreAssignmentsOperator": "PATCH",
}
"""Operator -> verb of its writes, where reads share the route."""


def lost(case: Case, *, applied: bool) -> Fault:
    """A connection that breaks at the first write, after or before it was applied."""
    return Fault("reset", apply=applied, route=WRITES[case.name], method=VERBS.get(case.name))


@rows("unknown")
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "lost"])
def test_unknown(case: Case, server: EmulatorServer, folder: str, applied: bool) -> None:
    world = case.prepare(server, folder)
    fault = world.at.server.emulator.faults.add(lost(case, applied=applied))

    outcome = world.run(case.task(world))

    assert fault.fired == 1
    counts = outcome.xcoms["report"]["counts"]
    assert counts["failed"] == 0
    assert counts["changed"] + counts["unknown"] + counts["unchanged"] == counts["total"]
    if applied:
        assert counts["unknown"] == 0
    world.at.server.emulator.faults.clear()
    if counts["unknown"]:
        succeeded(world.run(case.task(world), try_number=2))
    assert written_twice(world) == 0


@rows("kill")
@pytest.mark.parametrize("changes", [0, 1])
def test_kill(case: Case, server: EmulatorServer, folder: str, changes: int) -> None:
    world = case.prepare(server, folder)
    with killed_after(world, changes):
        assert isinstance(world.run(case.task(world, concurrency=1)).error, Stopped)

    succeeded(world.run(case.task(world), try_number=2))

    assert written_twice(world) == 0
    assert len(world.changes()) >= case.items


@rows("again")
def test_again(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)
    succeeded(world.run(case.task(world)))
    writes, changes = world.writes(), len(world.changes())
    assert changes

    outcome = world.run(case.task(world), try_number=2)

    assert succeeded(outcome)["counts"]["changed"] == 0
    assert len(world.changes()) == changes
    assert world.writes() == writes or case.asks


@rows("totals")
def test_totals(case: Case, server: EmulatorServer, folder: str) -> None:
    world = case.prepare(server, folder)

    report = succeeded(world.run(case.task(world)))

    assert report["counts"]["changed"] == case.items
    assert report["counts"]["total"] == len(report["items"])
    assert report["plan_digest"]
