"""Promotions in chunks: one plan, one approval, one limit for failures and one report for several apply tasks."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.bases.approval import PromotionApprovalOperator
from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai.operators.promotion import (
    MARKDOWN_KEY,
    REFERENCE_KEY,
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.polyai.operators.rollback import PolyAIRollbackOperator
from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.state import baselines
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
)
from support.airflow_runner import Outcome
from support.airflow_versions import DagSerialization
from support.emulated import PRE_RELEASE, SANDBOX, SCHEMA, Emulated, counts, place
from support.faults import Killing, changes, settle
from support.forked_tasks import Attempt, Nursery

pytestmark = pytest.mark.usefixtures("fernet_key")

SITES = [f"site-{number:04}" for number in range(2, 7)]
SPEC: dict[str, Any] = {
    "source": place("site-0001", SANDBOX),
    "targets": [place(site, PRE_RELEASE) for site in SITES],
    "config": {"exclude_keys": ["site_name", "fallback_number"], "stale_keys": "keep"},
}


class Fleet:
    """A promotion of five sites in chunks of two.

    :param server: the local server.
    :param folder: the state folder.
    """

    def __init__(self, server: EmulatorServer, folder: Path) -> None:
        server.reset(fleet_seed(6))
        self.polyai = Emulated(server, FLEET_KEY)
        self.folder = folder

    def group(self, **options: Any) -> Any:
        """Return the task group."""
        given = {"spec": SPEC, "approval": False, "state_folder": str(self.folder), "concurrency": 1}
        with DAG("fleet", schedule=None):
            return promotion(**{**given, "chunk_size": 2, **options})

    def run(self, group: Any, name: str, chunk: int = -1, **options: Any) -> Outcome:
        """Run a task of the group."""
        return self.polyai.run(group[name], map_index=chunk, **options)

    def applied(self, group: Any) -> list[Outcome]:
        """Plan, and apply every chunk."""
        planned = self.run(group, "plan")
        assert planned.state == "success", planned.error
        return [self.run(group, "apply", chunk) for chunk in range(len(planned.result))]

    def states(self) -> list[Any]:
        """What the sites run."""
        return [self.polyai.digest(site, PRE_RELEASE) for site in SITES]


@pytest.fixture
def fleet(server: EmulatorServer, tmp_path: Path) -> Fleet:
    return Fleet(server, tmp_path / "state")


@pytest.fixture
def nursery(fernet_key: str) -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def fail_one(fleet: Fleet, operation: str = SCHEMA) -> None:
    fleet.polyai.server.emulator.faults.add(
        Fault("answer", operation=operation, status=403, times=1, body={"message": "no"})
    )


def test_the_group_is_mapped_over_chunks_and_survives_serialization(fleet: Fleet) -> None:
    group = fleet.group(approval=True, max_active_chunks=3, baseline="fleet", max_changed=5)
    dag = group.dag
    read = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).task_dict
    names = [f"promotion.{each}" for each in ("plan", "approval", "apply", "report", "verify")]

    assert sorted(read) == sorted(names)
    assert {name: read[name].is_mapped for name in names} == {
        name: name.endswith(("apply", "verify")) for name in names
    }
    assert group["apply"].upstream_task_ids == {names[0], names[1]}
    assert group["verify"].upstream_task_ids == {names[0], names[2], names[3]}
    assert group["report"].trigger_rule == "all_done"
    assert group["apply"].partial_kwargs["max_active_tis_per_dagrun"] == 3
    assert not {"baseline", "max_changed"} & group["apply"].partial_kwargs.keys()
    assert (group["report"].baseline, group["plan"].max_changed) == ("fleet", 5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"waves": [1, "100%"]}, "chunk_size and waves exclude each other"),
        ({"chunk_size": None, "max_active_chunks": 2}, "max_active_chunks needs chunk_size"),
        ({"chunk_size": 0}, "chunk_size must be a whole number of at least 1"),
        ({"chunk_size": "2"}, "chunk_size must be a whole number of at least 1"),
    ],
)
def test_what_cannot_hold_for_chunks_is_refused_when_the_dag_is_read(
    fleet: Fleet, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        fleet.group(**options)


def test_every_chunk_is_applied_under_one_digest_and_one_report_has_them_all(fleet: Fleet) -> None:
    group = fleet.group(baseline="fleet")
    outcomes = fleet.applied(group)
    report = fleet.run(group, "report")
    verified = [fleet.run(group, "verify", chunk) for chunk in range(3)]
    digest = fleet.polyai.runner._xcoms_of("promotion.plan", -1)[REFERENCE_KEY]["digest"]

    assert [counts(each) for each in outcomes] == [{"changed": 2}, {"changed": 2}, {"changed": 1}]
    assert {each.result["plan_digest"] for each in [*outcomes, report]} == {digest}
    assert counts(report) == {"changed": 5}
    assert [item["owner"] for item in report.xcoms["report"]["items"]] == SITES
    assert {each.state for each in (report, *verified)} == {"success"}
    assert len({each.xcoms["snapshot"] for each in outcomes}) == 3
    assert len(baselines.load(str(fleet.folder), "fleet")) == 5
    assert sum(len(each.asset_events) for each in outcomes) == 5
    assert not report.asset_events


def test_a_second_run_writes_nothing(fleet: Fleet) -> None:
    fleet.applied(fleet.group())
    writes = fleet.polyai.writes()
    again = fleet.applied(fleet.group())

    assert writes > 0
    assert fleet.polyai.writes() == writes
    assert [counts(each) for each in again] == [{"unchanged": 2}, {"unchanged": 2}, {"unchanged": 1}]


def test_the_digest_is_that_of_the_plan_of_a_single_task(fleet: Fleet) -> None:
    single = fleet.polyai.run(
        PolyAIPlanPromotionOperator(task_id="single", spec=SPEC, state_folder=str(fleet.folder))
    )
    planned = fleet.run(fleet.group(), "plan")

    assert planned.xcoms[REFERENCE_KEY]["digest"] == single.result["digest"]


def test_xcoms_hold_addresses_and_no_plan(fleet: Fleet) -> None:
    planned = fleet.run(
        fleet.group(spec={**SPEC, "config": {**SPEC["config"], "overrides": {"own": "v" * 5000}}}), "plan"
    )
    sizes = {key: len(json.dumps(value)) for key, value in planned.xcoms.items()}

    assert planned.state == "success", planned.error
    assert {"return_value", REFERENCE_KEY, MARKDOWN_KEY} <= sizes.keys()
    assert sum(sizes.values()) < 30_000
    assert all(len(json.dumps(each)) < 600 for each in (*planned.result, planned.xcoms[REFERENCE_KEY]))
    assert sizes[MARKDOWN_KEY] <= 25_000
    assert all(b"vvvvv" not in path.read_bytes() for path in (fleet.folder / "plans").iterdir())


def test_one_approval_is_bound_to_the_plan_of_all_chunks(fleet: Fleet) -> None:
    fleet.applied(fleet.group())
    planned = fleet.run(fleet.group(), "plan")
    approval = PromotionApprovalOperator(
        task_id="approval", plan=planned.xcoms[REFERENCE_KEY], body=planned.xcoms[MARKDOWN_KEY]
    )
    approved = fleet.polyai.run(approval)  # nothing changes, so nobody is asked
    chunk, folder = planned.result[1], str(fleet.folder)

    def apply(digest: Any) -> Outcome:
        task = PolyAIApplyPromotionOperator(
            task_id="apply", plan=chunk, approved_digest=digest, state_folder=folder
        )
        return fleet.polyai.run(task)

    assert approved.result == planned.xcoms[REFERENCE_KEY]["digest"]
    assert apply(approved.result).state == "success"
    assert [type(apply(each).error) for each in (None, "0" * 64)] == [GuardRefused] * 2


# Failures


def test_a_failure_in_one_chunk_keeps_the_others_from_beginning(fleet: Fleet) -> None:
    group, before = fleet.group(), fleet.states()
    fail_one(fleet)
    outcomes = fleet.applied(group)
    report = fleet.run(group, "report")

    assert {each.state for each in outcomes} == {"failed"}
    assert [counts(each) for each in outcomes] == [
        {"failed": 1, "skipped": 1},
        {"skipped": 2},
        {"skipped": 1},
    ]
    assert "1 of 5 target(s) failed, and max_failures allows 0" in str(outcomes[2].error)
    assert fleet.states() == before
    assert isinstance(report.error, ItemsFailedPermanently)
    assert counts(report) == {"failed": 1, "skipped": 4}


def test_failures_of_all_chunks_are_counted_together(fleet: Fleet) -> None:
    group = fleet.group(max_failures=1)
    fail_one(fleet)
    planned = fleet.run(group, "plan")
    first = fleet.run(group, "apply", 0)
    fail_one(fleet)
    second = fleet.run(group, "apply", 1)
    third = fleet.run(group, "apply", 2)

    assert len(planned.result) == 3
    assert [counts(each) for each in (first, second, third)] == [
        {"changed": 1, "failed": 1},
        {"failed": 1, "skipped": 1},
        {"skipped": 1},
    ]


def test_cleared_chunks_go_on_where_they_stopped(fleet: Fleet) -> None:
    group = fleet.group()
    fail_one(fleet)
    fleet.applied(group)
    again = [fleet.run(group, "apply", chunk) for chunk in range(3)]
    report = fleet.run(group, "report")

    assert [each.state for each in again] == ["success"] * 3
    assert counts(report) == {"changed": 5}


def test_a_chunk_without_a_report_is_named_as_unknown(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.run(group, "plan")
    fleet.run(group, "apply", 0)
    report = fleet.run(group, "report")

    assert isinstance(report.error, ItemsFailed)
    assert counts(report) == {"changed": 2, "unknown": 3}
    assert "its chunk did not run to its end" in str(report.error)


def test_without_any_chunk_there_is_no_report(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.run(group, "plan")

    assert fleet.run(group, "report").state == "skipped"


def test_a_dry_run_of_a_chunk_leaves_no_report(fleet: Fleet) -> None:
    group = fleet.group()
    planned = fleet.run(group, "plan")
    task = PolyAIApplyPromotionOperator(
        task_id="look", plan=planned.result[0], state_folder=str(fleet.folder), dry_run=True
    )

    assert fleet.polyai.run(task).state == "success"
    assert fleet.run(group, "report").state == "skipped"


def test_all_chunks_are_rolled_back(fleet: Fleet) -> None:
    before, values = fleet.states(), [fleet.polyai.values(site, PRE_RELEASE) for site in SITES]
    snapshots = [each.xcoms["snapshot"] for each in fleet.applied(fleet.group())]
    changed = fleet.states()
    with DAG("back", schedule=None):
        back = PolyAIRollbackOperator.partial(task_id="back", state_folder=str(fleet.folder)).expand(
            snapshot=snapshots
        )
    outcomes = [fleet.polyai.run(back, map_index=chunk) for chunk in range(3)]

    assert [each.state for each in outcomes] == ["success"] * 3
    assert all(one != other for one, other in zip(before, changed, strict=True))
    for site, former in zip(SITES, values, strict=True):
        assert fleet.polyai.values(site, PRE_RELEASE).items() >= former.items()
    assert isinstance(fleet.run(fleet.group(), "plan").error, GuardRefused)  # on hold


def test_a_chunk_whose_worker_was_killed_goes_on_where_it_stopped(fleet: Fleet, nursery: Nursery) -> None:
    planned = fleet.run(fleet.group(), "plan")
    arguments = {"plan": planned.result[0], "state_folder": str(fleet.folder), "concurrency": 1}
    attempt = Attempt(PolyAIApplyPromotionOperator, arguments, fleet.polyai.server.url, FLEET_KEY)
    kill = Killing(nth=5, apply=True)
    fleet.polyai.server.emulator.faults.add(kill)
    [killed] = nursery.run(attempt, started=kill.target)
    settle(fleet.polyai.server)
    fleet.polyai.server.clear_faults()
    [again] = nursery.run(
        Attempt(
            PolyAIApplyPromotionOperator,
            arguments,
            fleet.polyai.server.url,
            FLEET_KEY,
            try_number=2,
            store=killed.store,
        )
    )

    assert killed.exit_code == -signal.SIGKILL
    assert again.state == "success", again.text
    assert set(changes(fleet.polyai.server.journal.entries()).values()) == {1}  # no write was applied twice
    assert again.xcoms["report"]["counts"]["total"] == 2


# Files that are not as they were


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes().replace(b"update", b"Update", 1) + b" "),
            "was changed",
        ),
        (lambda path: path.unlink(), "is not there"),
    ],
    ids=["changed", "removed"],
)
def test_a_plan_that_is_not_as_it_was_saved_is_not_applied(fleet: Fleet, spoil: Any, said: str) -> None:
    group = fleet.group()
    planned = fleet.run(group, "plan")
    spoil(Path(planned.result[0]["address"].removeprefix("file://")))
    outcome = fleet.run(group, "apply", 0)

    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert fleet.polyai.writes() == 0


def test_a_chunk_of_another_plan_is_refused(fleet: Fleet) -> None:
    planned = fleet.run(fleet.group(), "plan").result
    mixed = {**planned[0], "digest": "0" * 64}
    task = PolyAIApplyPromotionOperator(task_id="apply", plan=mixed, state_folder=str(fleet.folder))

    assert "is part of another plan" in str(fleet.polyai.run(task).error)


def test_a_report_needs_all_chunks(fleet: Fleet) -> None:
    group = fleet.group()
    planned = fleet.run(group, "plan")
    fleet.polyai.runner.push("promotion.plan", planned.result[:2])

    assert isinstance(fleet.run(group, "report").error, InputError)
