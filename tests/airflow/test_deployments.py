"""Publish, promote, roll back and merge through the real task runner: records, requests, XComs, reports."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.polyai.assets import deployment_uri
from airflow_voice_agents.polyai.operators.deployments import (
    PolyAIMergeBranchOperator,
    PolyAIPromoteDeploymentOperator,
    PolyAIPublishOperator,
    PolyAIRollbackDeploymentOperator,
)
from airflow_voice_agents.polyai.operators.rollback import PolyAIReleaseHoldOperator
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    StateMoved,
)
from support.airflow_runner import Outcome, make
from support.airflow_versions import DagSerialization
from support.emulated import BANK, HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, counts, items
from support.no_pauses import no_pauses  # noqa: F401  a fixture

ACTIVE, HISTORY = "get active deployments", "list deployments"
PUBLISH, PROMOTE, BACK = "publish deployment", "promote deployment", "roll back deployment"
BRANCHES, MERGE = "list branches", "merge branch"

FIRST, SECOND, THIRD = (
    "1d6710c69efd1b6e8b8faffb2a191c36",
    "1aa8f7a4ab4d125dfe2c25957c03030c",
    "d0704f7170916a87e9f87beb2b992129",
)
"""The versions of the hotels: sandbox runs the third, pre-release the second, live the first."""

ROSA_OLD, ROSA_NEW = "d2767ccf927178e992b7cfecdefcde50", "4645d79927562a089abdacce2278c352"
ROSA_DRAFT = "952f9bebc9941fd39258fa86241758e2"
BRANCH = "BRANCH-1F0C77D2"


def promote(**arguments: Any) -> PolyAIPromoteDeploymentOperator:
    usual = {"agent_id": HOTELS, "source_environment": SANDBOX, "target_environment": PRE_RELEASE}
    return make(PolyAIPromoteDeploymentOperator, task_id="promote", **{**usual, **arguments})


def to_live(**arguments: Any) -> PolyAIPromoteDeploymentOperator:
    usual = {"source_environment": PRE_RELEASE, "target_environment": LIVE, "confirm_live": True}
    return promote(**{**usual, **arguments})


def roll_back(**arguments: Any) -> PolyAIRollbackDeploymentOperator:
    usual = {"agent_id": HOTELS, "environment": PRE_RELEASE, "to": "previous"}
    return make(PolyAIRollbackDeploymentOperator, task_id="back", **{**usual, **arguments})


def publish(**arguments: Any) -> PolyAIPublishOperator:
    return make(PolyAIPublishOperator, task_id="publish", **{"agent_id": ROSA, "message": "m", **arguments})


def merge(**arguments: Any) -> PolyAIMergeBranchOperator:
    return make(
        PolyAIMergeBranchOperator, task_id="merge", **{"agent_id": ROSA, "branch": BRANCH, **arguments}
    )


def records(polyai: Emulated, agent_id: str, environment: str) -> list[dict[str, Any]]:
    found = polyai.server.state.read("polyai", "agents", agent_id)["deployments"]
    return [record for record in found if record["environment"] == environment]


def versions(polyai: Emulated, agent_id: str, environment: str) -> list[str]:
    return [record["version"] for record in records(polyai, agent_id, environment)]


def deploy(polyai: Emulated, agent_id: str, environment: str, version: str) -> None:
    """What a colleague deploys."""
    source = {"version": version, "artifactVersion": "2026-09-01T08:00:00"}
    metadata = {"deployment_type": "publish", "deployment_message": "by a colleague"}
    with polyai.server.state.lock:
        polyai.server.polyai.deploy(agent_id, environment, source, "colleague", metadata)


def conflict(polyai: Emulated) -> None:
    """Edit one variant on the branch and on main."""
    branches = polyai.server.polyai.agents[ROSA]["branches"]
    variant = next(iter(branches[BRANCH]["variants"]))
    for name, text in (("main", "Ours is secret"), (BRANCH, "Theirs is secret")):
        branch = branches[name]
        changed = {**branch["variants"][variant], "name": text}
        branches[name] = {**branch, "variants": {**branch["variants"], variant: changed}}


def fault(polyai: Emulated, operation: str, action: str = "reset", **rule: Any) -> None:
    polyai.server.emulator.faults.add(Fault(action, operation=operation, **rule))  # type: ignore[arg-type]


def told(outcome: Outcome) -> dict[str, Any]:
    names = ("previous_version", "version", "deployment_id", "test_run_ids")
    return {name: outcome.xcoms[name] for name in names if name in outcome.xcoms}


def reason(outcome: Outcome) -> str:
    (item,) = items(outcome).values()
    return str(item.get("reason", ""))


@pytest.mark.parametrize("task", [promote(), roll_back(), publish(), merge()], ids=lambda task: task.task_id)
def test_the_operators_survive_serialisation(task: Any) -> None:
    dag = DAG(f"serialised_{task.task_id}", schedule=None)
    dag.add_task(task)

    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))

    restored = DagSerialization.from_dict(stored).get_task(task.task_id)
    assert set(restored.template_fields) == set(task.template_fields)


# --------------------------------------------------------------------------------------- promotion


def test_a_promotion_adds_one_record_and_tells_its_ids(polyai: Emulated) -> None:
    outcome = polyai.run(promote(message="For acceptance"))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 1})
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, THIRD]
    assert polyai.order() == [ACTIVE, HISTORY, PROMOTE, ACTIVE]
    made = records(polyai, HOTELS, PRE_RELEASE)[-1]
    assert made["metadata"]["deployment_message"] == "For acceptance"
    facts = told(outcome)
    assert len(facts.pop("test_run_ids")) == 1
    assert facts == {"previous_version": SECOND, "version": THIRD, "deployment_id": made["id"]}
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == deployment_uri(HOTELS, PRE_RELEASE)
    assert event["extra"]["version"] == THIRD


def test_a_second_promotion_costs_one_read_and_adds_no_record(polyai: Emulated) -> None:
    first = polyai.run(promote())
    after = polyai.state()

    second, requests = polyai.again(promote())

    assert (counts(second), requests) == ({"unchanged": 1}, {ACTIVE: 1})
    assert polyai.state() == after
    assert second.asset_events == []
    assert told(second) == told(first)


def test_a_second_promotion_by_another_task_tells_what_runs(polyai: Emulated) -> None:
    polyai.run(promote())
    polyai.runner.state_store.clear()

    facts = told(polyai.run(promote()))

    assert facts.pop("deployment_id") == records(polyai, HOTELS, PRE_RELEASE)[-1]["id"]
    assert facts == {"previous_version": THIRD, "version": THIRD, "test_run_ids": []}


def test_the_first_deployment_of_an_environment_needs_no_history(polyai: Emulated) -> None:
    outcome = polyai.run(to_live(agent_id=BANK, verify=False))

    assert counts(outcome) == {"changed": 1}
    assert polyai.order() == [ACTIVE, PROMOTE]
    assert told(outcome)["previous_version"] is None
    assert len(records(polyai, BANK, LIVE)) == 1


def test_a_dry_run_shows_the_versions_and_writes_nothing(polyai: Emulated) -> None:
    outcome = polyai.run(to_live(dry_run=True, confirm_live=False))

    assert (outcome.state, polyai.writes()) == ("success", 0)
    assert f'"{FIRST[:8]}" → "{SECOND[:8]}"' in outcome.log
    assert f'{SECOND[:8]}: "Late check-out" by Mara Lindqvist on 2026-08-14' in outcome.log
    assert outcome.result["dry_run"] is True
    assert (outcome.asset_events, told(outcome)) == ([], {})


def test_a_promotion_holds_to_the_approved_plan(polyai: Emulated) -> None:
    digest = polyai.run(promote(dry_run=True)).result["plan_digest"]
    deploy(polyai, HOTELS, SANDBOX, "e" * 32)

    outcome = polyai.run(promote(expected_digest=digest))

    assert isinstance(outcome.error, StateMoved)
    assert polyai.writes() == 0


def test_a_retry_goes_on_with_the_approved_plan(polyai: Emulated) -> None:
    digest = polyai.run(promote(dry_run=True)).result["plan_digest"]
    task = promote(expected_digest=digest)
    first, second = polyai.run(task), polyai.run(task)

    assert (counts(first), counts(second)) == ({"changed": 1}, {"unchanged": 1})


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (to_live(confirm_live=False), "confirm_live=True"),
        (to_live(source_environment=SANDBOX), "allow_skip_pre_release=True"),
        (promote(deployment_model="branches"), "nothing is promoted"),
        (roll_back(environment=LIVE, to=FIRST), "confirm_live=True"),
        (roll_back(environment=LIVE, confirm_live=True), "allow_previous_live=True"),
        (roll_back(environment=SANDBOX, deployment_model="branches"), "only live can be rolled back"),
        (publish(environment=LIVE), "Nothing is published to live directly"),
        (publish(environment=PRE_RELEASE), "Nothing is published to pre-release directly"),
        (publish(deployment_model="branches"), "nothing is published"),
        (merge(deployment_model="branches", allow_unapproved=True), "confirm_live=True"),
    ],
)
def test_guards_refuse_before_any_request(polyai: Emulated, task: Any, message: str) -> None:
    outcome = polyai.run(task)

    assert isinstance(outcome.error, GuardRefused)
    assert message in str(outcome.error)
    assert polyai.requests() == {}


@pytest.mark.parametrize(
    "task",
    [
        to_live(),
        roll_back(environment=LIVE, to=FIRST, confirm_live=True),
        merge(deployment_model="branches", allow_unapproved=True, confirm_live=True),
    ],
)
def test_no_backfill_goes_live(polyai: Emulated, task: Any) -> None:
    polyai.runner.run_type = "backfill"

    outcome = polyai.run(task)

    assert isinstance(outcome.error, GuardRefused)
    assert polyai.requests() == {}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (promote(target_environment=SANDBOX), "nothing is promoted from sandbox to sandbox"),
        (promote(source_environment=LIVE), "nothing is promoted from live"),
        (promote(source_environment="staging"), "source_environment"),
        (promote(expected_version=""), "expected_version is empty"),
        (promote(expected_target_version=""), "expected_target_version is empty"),
        (promote(deployment_model="other"), "deployment_model"),
        (promote(agent_id=""), "agent_id"),
        (roll_back(strategy="promote"), "is for live"),
        (roll_back(strategy="other"), "strategy"),
        (roll_back(to=""), "to must not be empty"),
        (publish(nothing_new="other"), "nothing_new"),
        (merge(branch="main"), "'main'"),
    ],
)
def test_wrong_arguments_are_refused_before_any_request(polyai: Emulated, task: Any, message: str) -> None:
    outcome = polyai.run(task)

    assert isinstance(outcome.error, InputError)
    assert message in str(outcome.error)
    assert polyai.requests() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expected_version": SECOND}, f"sandbox runs version {THIRD}, and {SECOND} was expected"),
        ({"expected_target_version": FIRST}, f"pre-release runs version {SECOND}, and {FIRST} was expected"),
    ],
)
def test_pinned_versions_must_run(polyai: Emulated, arguments: dict[str, str], message: str) -> None:
    if "expected_version" in arguments:  # a target that runs the pinned version already is done
        deploy(polyai, HOTELS, PRE_RELEASE, FIRST)
    outcome = polyai.run(promote(**arguments))

    assert isinstance(outcome.error, GuardRefused)
    assert message in str(outcome.error)
    assert polyai.writes() == 0


def test_pinned_versions_that_run_are_promoted(polyai: Emulated) -> None:
    outcome = polyai.run(promote(expected_version=THIRD, expected_target_version=SECOND))

    assert counts(outcome) == {"changed": 1}


def test_live_is_not_overwritten_by_what_is_older_than_it(polyai: Emulated) -> None:
    deploy(polyai, HOTELS, LIVE, THIRD)

    refused = polyai.run(to_live())
    allowed = polyai.run(to_live(allow_downgrade=True))

    assert isinstance(refused.error, GuardRefused)
    assert told(refused) == {}
    assert f"{THIRD}, which it would replace, was made after {SECOND}" in str(refused.error)
    assert counts(allowed) == {"changed": 1}


def test_stale_content_is_not_promoted_over_what_a_merge_put_into_live(polyai: Emulated) -> None:
    """A project on the branches model of which nobody told: the platform would take the promotion."""
    polyai.server.state.switches.simplified = [ROSA]
    merged = polyai.run(merge(deployment_model="branches", allow_unapproved=True, confirm_live=True))
    deploy(polyai, ROSA, SANDBOX, ROSA_OLD)
    live = versions(polyai, ROSA, LIVE)

    outcome = polyai.run(to_live(agent_id=ROSA))

    assert counts(merged) == {"changed": 1}
    assert isinstance(outcome.error, GuardRefused)
    assert "deployment_model='branches'" in str(outcome.error)
    assert versions(polyai, ROSA, LIVE) == live


def test_a_version_that_never_was_in_sandbox_is_not_replaced(polyai: Emulated) -> None:
    deploy(polyai, HOTELS, LIVE, "f" * 32)

    outcome = polyai.run(to_live())

    assert isinstance(outcome.error, GuardRefused)
    assert "does not occur in the sandbox history" in str(outcome.error)


def test_a_lost_answer_of_a_promotion_leads_to_one_record(polyai: Emulated) -> None:
    fault(polyai, PROMOTE, apply=True)

    outcome = polyai.run(promote())

    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, THIRD]
    assert polyai.requests()[PROMOTE] == 1
    assert "reading it back showed it applied" in reason(outcome)
    assert told(outcome)["deployment_id"] == records(polyai, HOTELS, PRE_RELEASE)[-1]["id"]
    assert told(outcome)["previous_version"] == SECOND


def test_a_lost_request_of_a_promotion_is_polled_for_and_not_sent_again(polyai: Emulated) -> None:
    fault(polyai, PROMOTE)

    outcome = polyai.run(promote())
    polyai.server.emulator.faults.clear()
    retry = polyai.run(promote(), try_number=2)

    assert counts(outcome) == {"unknown": 1}
    assert "It may still take effect, so it was not sent again" in reason(outcome)
    assert counts(retry) == {"changed": 1}
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, THIRD]


def test_a_late_promotion_is_found_by_polling(polyai: Emulated) -> None:
    fault(polyai, PROMOTE)
    polyai.meanwhile(lambda: deploy(polyai, HOTELS, PRE_RELEASE, THIRD), operation=ACTIVE, nth=3)

    outcome = polyai.run(promote())

    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, THIRD]
    assert polyai.requests()[PROMOTE] == 1


def test_a_retry_does_not_write_over_what_somebody_else_deployed_meanwhile(polyai: Emulated) -> None:
    fault(polyai, PROMOTE)
    first = polyai.run(promote())
    polyai.server.emulator.faults.clear()
    deploy(polyai, HOTELS, PRE_RELEASE, FIRST)

    retry = polyai.run(promote(), try_number=2)

    assert counts(first) == {"unknown": 1}
    assert isinstance(retry.error, GuardRefused)
    assert "was changed after the first try of this task read it" in str(retry.error)
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, FIRST]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("apply", [True, False])
def test_a_server_error_leads_to_one_record_and_no_more(polyai: Emulated, status: int, apply: bool) -> None:
    fault(polyai, PROMOTE, "answer", status=status, apply=apply)

    outcome = polyai.run(promote())

    assert counts(outcome) == ({"changed": 1} if apply else {"unknown": 1})
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, *([THIRD] if apply else [])]
    assert polyai.requests()[PROMOTE] == 1


def test_a_lasting_server_error_fails_and_may_be_retried(polyai: Emulated) -> None:
    fault(polyai, PROMOTE, "answer", status=502, times=None)

    outcome = polyai.run(promote())

    assert isinstance(outcome.error, ItemsFailed)
    assert not outcome.error.permanent
    assert "did not show it" in reason(outcome)
    assert polyai.requests()[PROMOTE] == 1
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND]


def test_a_retry_after_an_unreadable_outcome_adds_no_record_and_keeps_the_facts(polyai: Emulated) -> None:
    fault(polyai, PROMOTE, apply=True)
    fault(polyai, ACTIVE, "answer", status=500, nth=2, times=None)
    first = polyai.run(promote())
    polyai.server.emulator.faults.clear()

    second = polyai.run(promote(), try_number=2)

    assert counts(first) == {"unknown": 1}
    assert first.xcoms["previous_version"] == SECOND
    assert counts(second) == {"unchanged": 1}
    assert told(second)["previous_version"] == SECOND
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize("other", [FIRST, SECOND])
def test_what_a_colleague_deployed_after_a_lost_answer_is_not_overwritten(
    polyai: Emulated, other: str
) -> None:
    """Also if it is what ran before: then it was rolled back, and not left undone."""
    fault(polyai, PROMOTE, apply=True)
    polyai.meanwhile(lambda: deploy(polyai, HOTELS, PRE_RELEASE, other), operation=ACTIVE, nth=2)

    outcome = polyai.run(promote())

    assert isinstance(outcome.error, ItemsFailed)
    assert "something else changed it meanwhile" in reason(outcome)
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, THIRD, other]
    assert polyai.requests()[PROMOTE] == 1


@pytest.mark.parametrize(("other", "what"), [(FIRST, "version"), (THIRD, "a newer write by somebody else")])
def test_a_concurrent_promoter_is_told_of(polyai: Emulated, other: str, what: str) -> None:
    polyai.meanwhile(lambda: deploy(polyai, HOTELS, PRE_RELEASE, other), operation=ACTIVE, nth=2)

    outcome = polyai.run(promote())

    assert isinstance(outcome.error, ItemsFailed)
    assert f"differs in: {what}. Applied before that: promote deployment" in reason(outcome)
    assert told(outcome)["version"] == THIRD


def test_an_ab_test_is_hinted_at(polyai: Emulated) -> None:
    polyai.server.state.switches.ab_test = [HOTELS]

    promotion = polyai.run(to_live())
    rollback = polyai.run(roll_back(environment=LIVE, to=FIRST, confirm_live=True))

    assert isinstance(promotion.error, ItemsFailedPermanently)
    assert "An A/B test runs on this agent" in reason(promotion)
    assert "It was not changed" in reason(promotion)
    assert counts(rollback) == {"unchanged": 1}
    assert versions(polyai, HOTELS, LIVE) == [FIRST]


def test_an_ab_test_is_hinted_at_in_a_rollback(polyai: Emulated) -> None:
    deploy(polyai, HOTELS, LIVE, SECOND)
    polyai.server.state.switches.ab_test = [HOTELS]

    outcome = polyai.run(roll_back(environment=LIVE, to=FIRST, confirm_live=True))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "End the test in Agent Studio" in reason(outcome)


def test_live_before_pre_release_is_explained(polyai: Emulated) -> None:
    polyai.server.state.switches.sandbox_to_live = "precondition"

    outcome = polyai.run(to_live(source_environment=SANDBOX, allow_skip_pre_release=True))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "Promote it to pre-release first" in reason(outcome)
    assert versions(polyai, HOTELS, LIVE) == [FIRST]


def test_what_was_published_is_what_is_promoted(polyai: Emulated) -> None:
    task = promote(agent_id=ROSA, expected_version="{{ ti.xcom_pull(task_ids='publish', key='version') }}")
    polyai.run(publish())

    promoted = polyai.run(task)
    deploy(polyai, ROSA, PRE_RELEASE, ROSA_NEW)
    deploy(polyai, ROSA, SANDBOX, "e" * 32)
    refused = polyai.run(task)

    assert counts(promoted) == {"changed": 1}
    assert versions(polyai, ROSA, PRE_RELEASE)[1] == ROSA_DRAFT
    assert isinstance(refused.error, GuardRefused)
    assert f"{ROSA_DRAFT} was expected" in str(refused.error)


def test_a_pin_that_no_task_left_promotes_nothing(polyai: Emulated) -> None:
    outcome = polyai.run(promote(expected_version="{{ ti.xcom_pull(task_ids='publish', key='version') }}"))

    assert isinstance(outcome.error, InputError)
    assert "expected_version rendered to nothing" in str(outcome.error)
    assert polyai.writes() == 0


# ---------------------------------------------------------------------------------------- rollback


def test_a_rollback_to_previous_adds_one_record_and_says_which(polyai: Emulated) -> None:
    outcome = polyai.run(roll_back())

    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, FIRST]
    assert polyai.order() == [ACTIVE, HISTORY, BACK, ACTIVE]
    target = records(polyai, HOTELS, PRE_RELEASE)[0]
    assert f"means deployment {target['id']}, version {FIRST}" in outcome.log
    assert told(outcome)["previous_version"] == SECOND
    assert told(outcome)["deployment_id"] == records(polyai, HOTELS, PRE_RELEASE)[-1]["id"]


def test_a_retry_of_previous_does_not_go_forward_again(polyai: Emulated) -> None:
    first = polyai.run(roll_back())
    second, requests = polyai.again(roll_back(), try_number=2)

    assert (counts(second), requests) == ({"unchanged": 1}, {ACTIVE: 1})
    assert told(second) == told(first)


def test_previous_of_what_was_rolled_back_has_to_be_named(polyai: Emulated) -> None:
    polyai.run(roll_back())
    polyai.runner.state_store.clear()

    outcome = polyai.run(roll_back())

    assert isinstance(outcome.error, GuardRefused)
    assert f"{SECOND}, which is newer than {FIRST}" in str(outcome.error)
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, FIRST]


def test_previous_is_chosen_anew_once_something_else_was_deployed(polyai: Emulated) -> None:
    polyai.run(roll_back())
    deploy(polyai, HOTELS, PRE_RELEASE, THIRD)
    deploy(polyai, HOTELS, PRE_RELEASE, "e" * 32)

    polyai.run(roll_back())

    assert versions(polyai, HOTELS, PRE_RELEASE)[-1] == THIRD


@pytest.mark.parametrize("by", ["id", "version"])
def test_live_goes_back_to_what_is_named(polyai: Emulated, by: str) -> None:
    deploy(polyai, HOTELS, LIVE, SECOND)
    first = records(polyai, HOTELS, LIVE)[0]

    outcome = polyai.run(roll_back(environment=LIVE, to=first[by], confirm_live=True))

    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, HOTELS, LIVE) == [FIRST, SECOND, FIRST]


def test_live_goes_back_to_previous_where_that_is_allowed(polyai: Emulated) -> None:
    deploy(polyai, HOTELS, LIVE, SECOND)

    outcome = polyai.run(roll_back(environment=LIVE, confirm_live=True, allow_previous_live=True))

    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, HOTELS, LIVE) == [FIRST, SECOND, FIRST]


def test_a_rollback_of_live_by_promotion_takes_a_deployment_of_pre_release(polyai: Emulated) -> None:
    deploy(polyai, HOTELS, LIVE, SECOND)
    task = roll_back(environment=LIVE, to=FIRST, strategy="promote", confirm_live=True)

    outcome = polyai.run(task)

    assert counts(outcome) == {"changed": 1}
    assert polyai.order() == [ACTIVE, HISTORY, PROMOTE, ACTIVE]
    made = records(polyai, HOTELS, LIVE)[-1]
    assert (made["version"], made["metadata"]["deployment_type"]) == (FIRST, "promotion")


def test_previous_of_live_by_promotion_is_live_s_own(polyai: Emulated) -> None:
    deploy(polyai, HOTELS, LIVE, THIRD)
    deploy(polyai, HOTELS, PRE_RELEASE, THIRD)
    task = roll_back(environment=LIVE, strategy="promote", confirm_live=True, allow_previous_live=True)

    outcome = polyai.run(task)
    again, requests = polyai.again(task, try_number=2)

    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, HOTELS, LIVE) == [FIRST, THIRD, FIRST]
    assert (counts(again), requests) == ({"unchanged": 1}, {ACTIVE: 1})


def test_a_deployment_of_another_environment_is_not_taken(polyai: Emulated) -> None:
    other = records(polyai, HOTELS, SANDBOX)[0]["id"]

    outcome = polyai.run(roll_back(to=other))

    assert isinstance(outcome.error, GuardRefused)
    assert "neither the id nor the version" in str(outcome.error)
    assert polyai.writes() == 0


def test_a_rollback_of_sandbox_warns_that_main_moves(polyai: Emulated) -> None:
    outcome = polyai.run(roll_back(environment=SANDBOX, to=SECOND))

    assert counts(outcome) == {"changed": 1}
    assert "moves the main branch" in reason(outcome)
    assert polyai.server.polyai.agents[HOTELS]["draft"]["version"] == SECOND


def test_a_rollback_holds_to_what_is_expected_to_run(polyai: Emulated) -> None:
    refused = polyai.run(roll_back(to=FIRST, expected_target_version=THIRD))
    taken = polyai.run(roll_back(to=FIRST, expected_target_version=SECOND))

    assert isinstance(refused.error, GuardRefused)
    assert counts(taken) == {"changed": 1}


@pytest.mark.parametrize("apply", [True, False])
def test_a_lost_rollback_leads_to_one_record(polyai: Emulated, apply: bool) -> None:
    fault(polyai, BACK, apply=apply)

    outcome = polyai.run(roll_back())

    assert counts(outcome) == ({"changed": 1} if apply else {"unknown": 1})
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, *([FIRST] if apply else [])]
    assert polyai.requests()[BACK] == 1


def test_a_version_that_was_rolled_back_from_stays_back_until_it_is_released(polyai: Emulated) -> None:
    polyai.run(promote())
    back = polyai.run(roll_back())
    polyai.runner.state_store.clear()

    refused = polyai.run(promote())
    dry = polyai.run(promote(dry_run=True))
    PolyAIReleaseHoldOperator(task_id="release", targets=f"{HOTELS}/{PRE_RELEASE}").execute({})
    taken = polyai.run(promote())

    assert counts(back) == {"changed": 1}
    assert isinstance(refused.error, GuardRefused)
    assert "is on hold" in str(refused.error)
    assert "is on hold" in dry.log
    assert counts(taken) == {"changed": 1}
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, THIRD, SECOND, THIRD]


def test_a_rollback_without_hold_lets_the_version_come_again(polyai: Emulated) -> None:
    polyai.run(promote())
    polyai.run(roll_back(hold=False))
    polyai.runner.state_store.clear()

    assert counts(polyai.run(promote())) == {"changed": 1}


def test_a_retry_after_an_unreadable_rollback_adds_no_record(polyai: Emulated) -> None:
    fault(polyai, BACK, apply=True)
    fault(polyai, ACTIVE, "answer", status=500, nth=2, times=None)
    first = polyai.run(roll_back())
    polyai.server.emulator.faults.clear()

    second = polyai.run(roll_back(), try_number=2)

    assert (counts(first), counts(second)) == ({"unknown": 1}, {"unchanged": 1})
    assert versions(polyai, HOTELS, PRE_RELEASE) == [FIRST, SECOND, FIRST]
    assert told(second)["previous_version"] == SECOND


# --------------------------------------------------------------------------------------- publishing


def test_publishing_adds_one_record_and_tells_its_ids(polyai: Emulated) -> None:
    outcome = polyai.run(publish())

    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, ROSA, SANDBOX) == [ROSA_OLD, ROSA_NEW, ROSA_DRAFT]
    assert polyai.order() == [ACTIVE, PUBLISH, ACTIVE]
    made = records(polyai, ROSA, SANDBOX)[-1]
    assert told(outcome) == {
        "previous_version": ROSA_NEW,
        "version": ROSA_DRAFT,
        "deployment_id": made["id"],
        "test_run_ids": [],
    }
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == deployment_uri(ROSA, SANDBOX)


@pytest.mark.parametrize("answer", ["conflict", "already"])
def test_nothing_new_is_unchanged_or_a_failure(polyai: Emulated, answer: str) -> None:
    polyai.server.state.switches.publish_again = answer  # type: ignore[assignment]
    polyai.run(publish())
    polyai.runner.state_store.clear()

    second = polyai.run(publish())
    strict = polyai.run(publish(nothing_new="fail"))

    assert counts(second) == {"unchanged": 1}
    assert told(second)["version"] == ROSA_DRAFT
    assert second.asset_events == []
    assert isinstance(strict.error, ItemsFailedPermanently)
    assert versions(polyai, ROSA, SANDBOX) == [ROSA_OLD, ROSA_NEW, ROSA_DRAFT]


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("message", ["m", ""])
def test_a_lost_publication_leads_to_one_record(polyai: Emulated, apply: bool, message: str) -> None:
    fault(polyai, PUBLISH, apply=apply)

    outcome = polyai.run(publish(message=message))
    unsure = counts(outcome)
    polyai.server.emulator.faults.clear()
    sent = polyai.requests()[PUBLISH]
    outcome = outcome if apply else polyai.run(publish(message=message), try_number=2)

    assert (unsure, sent) == ({"changed": 1} if apply else {"unknown": 1}, 1)
    assert counts(outcome) == {"changed": 1}
    assert versions(polyai, ROSA, SANDBOX) == [ROSA_OLD, ROSA_NEW, ROSA_DRAFT]
    assert told(outcome)["version"] == ROSA_DRAFT


def test_a_colleague_s_deployment_is_not_taken_for_a_lost_publication(polyai: Emulated) -> None:
    fault(polyai, PUBLISH)
    polyai.meanwhile(lambda: deploy(polyai, ROSA, SANDBOX, "e" * 32), operation=ACTIVE, nth=2)

    outcome = polyai.run(publish())
    polyai.server.emulator.faults.clear()
    retry = polyai.run(publish(), try_number=2)

    assert counts(outcome) == {"unknown": 1}
    assert isinstance(retry.error, GuardRefused)
    assert versions(polyai, ROSA, SANDBOX) == [ROSA_OLD, ROSA_NEW, "e" * 32]


def test_a_lost_publication_whose_message_is_not_shown_stays_unknown(polyai: Emulated) -> None:
    def forget_message() -> None:
        found = polyai.server.polyai.agents[ROSA]["deployments"]
        found[-1] = {**found[-1], "metadata": {"deployment_message": "changed by the platform"}}

    fault(polyai, PUBLISH, apply=True)
    polyai.meanwhile(forget_message, operation=ACTIVE, nth=2)

    outcome = polyai.run(publish())

    assert counts(outcome) == {"unknown": 1}
    assert polyai.requests()[PUBLISH] == 1
    assert versions(polyai, ROSA, SANDBOX) == [ROSA_OLD, ROSA_NEW, ROSA_DRAFT]


def test_a_retry_after_an_unreadable_publication_keeps_what_ran_before(polyai: Emulated) -> None:
    fault(polyai, PUBLISH, apply=True)
    fault(polyai, ACTIVE, "answer", status=500, nth=2, times=None)
    first = polyai.run(publish())
    polyai.server.emulator.faults.clear()

    second = polyai.run(publish(), try_number=2)

    assert (counts(first), counts(second)) == ({"unknown": 1}, {"unchanged": 1})
    assert told(second)["previous_version"] == ROSA_NEW
    assert versions(polyai, ROSA, SANDBOX) == [ROSA_OLD, ROSA_NEW, ROSA_DRAFT]


def test_a_lasting_server_error_publishes_nothing(polyai: Emulated) -> None:
    fault(polyai, PUBLISH, "answer", status=500, times=None)

    outcome = polyai.run(publish())

    assert isinstance(outcome.error, ItemsFailed)
    assert "did not show it" in reason(outcome)
    assert polyai.requests()[PUBLISH] == 1
    assert versions(polyai, ROSA, SANDBOX) == [ROSA_OLD, ROSA_NEW]


@pytest.mark.parametrize(
    ("code", "status"), [("FUNCTIONS_DEPLOYMENT_HAS_ERRORS", 400), ("RESOURCE_LIMIT", 409)]
)
def test_a_refused_publication_is_no_nothing_new(polyai: Emulated, code: str, status: int) -> None:
    body = {"success": False, "error": "no", "error_code": code, "error_message": "no", "data": None}
    fault(polyai, PUBLISH, "answer", status=status, body=body)

    outcome = polyai.run(publish())

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert code in reason(outcome)
    assert "It was not changed" in reason(outcome)
    assert "nothing new" not in reason(outcome)


def test_a_deployment_at_the_same_time_is_told_of(polyai: Emulated) -> None:
    polyai.meanwhile(lambda: deploy(polyai, ROSA, SANDBOX, "e" * 32), operation=ACTIVE, nth=2)

    outcome = polyai.run(publish())

    assert isinstance(outcome.error, ItemsFailed)
    assert "differs in: a newer write by somebody else" in reason(outcome)


def test_an_answer_that_cannot_be_read_back_is_unknown_and_a_retry_publishes_nothing(
    polyai: Emulated,
) -> None:
    fault(polyai, ACTIVE, "answer", status=500, nth=2, times=None)
    outcome = polyai.run(publish())
    polyai.server.emulator.faults.clear()

    retry = polyai.run(publish(), try_number=2)

    assert (counts(outcome), counts(retry)) == ({"unknown": 1}, {"unchanged": 1})
    assert "could not be read" in reason(outcome)
    assert told(retry) == told(outcome)
    assert polyai.requests()[PUBLISH] == 1


# ------------------------------------------------------------------------------------------ merging


@pytest.mark.parametrize("branch", [BRANCH, "christmas-menu"])
def test_a_merge_tells_what_it_deployed(polyai: Emulated, branch: str) -> None:
    outcome = polyai.run(merge(branch=branch))

    assert counts(outcome) == {"changed": 1}
    assert polyai.order() == [ACTIVE, BRANCHES, MERGE, ACTIVE]
    made = records(polyai, ROSA, SANDBOX)
    assert len(made) == 3
    assert told(outcome) == {
        "previous_version": ROSA_NEW,
        "version": made[-1]["version"],
        "deployment_id": made[-1]["id"],
        "test_run_ids": [],
    }
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == deployment_uri(ROSA, SANDBOX)


def test_a_second_merge_writes_nothing(polyai: Emulated) -> None:
    first = polyai.run(merge())
    second, requests = polyai.again(merge(), try_number=2)

    assert (counts(second), requests) == ({"unchanged": 1}, {BRANCHES: 1, ACTIVE: 1})
    assert told(second) == told(first)


def test_a_branch_that_is_not_there_is_an_error(polyai: Emulated) -> None:
    outcome = polyai.run(merge(branch="easter-menu"))

    assert isinstance(outcome.error, GuardRefused)
    assert "no branch of this id or name" in reason(outcome)
    assert polyai.writes() == 0


def test_an_ambiguous_name_is_an_error(polyai: Emulated) -> None:
    branches = polyai.server.polyai.agents[ROSA]["branches"]
    branches["BRANCH-2"] = dict(branches[BRANCH])

    outcome = polyai.run(merge(branch="christmas-menu"))

    assert isinstance(outcome.error, GuardRefused)
    assert f"{BRANCH}, BRANCH-2" in reason(outcome)
    assert polyai.writes() == 0


def test_conflicts_are_named_by_path_and_kind_only(polyai: Emulated) -> None:
    conflict(polyai)

    outcome = polyai.run(merge())

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "modify variants/VARIANT-" in reason(outcome)
    assert "settle them in Agent Studio" in reason(outcome)
    assert "secret" not in outcome.log
    assert len(records(polyai, ROSA, SANDBOX)) == 2


@pytest.mark.parametrize("apply", [True, False])
def test_a_lost_merge_leads_to_one_record(polyai: Emulated, apply: bool) -> None:
    fault(polyai, MERGE, apply=apply)

    outcome = polyai.run(merge())
    unsure = counts(outcome)
    polyai.server.emulator.faults.clear()
    sent = polyai.requests()[MERGE]
    outcome = outcome if apply else polyai.run(merge(), try_number=2)

    assert (unsure, sent) == ({"changed": 1} if apply else {"unknown": 1}, 1)
    assert counts(outcome) == {"changed": 1}
    assert len(records(polyai, ROSA, SANDBOX)) == 3
    assert told(outcome)["deployment_id"] == records(polyai, ROSA, SANDBOX)[-1]["id"]


def test_a_merge_that_arrives_late_is_not_taken_for_a_failure(polyai: Emulated) -> None:
    """The request is handled after the branches were read for the first time."""
    seen: list[int] = []

    def merge_late() -> None:
        seen.append(1)
        del polyai.server.polyai.agents[ROSA]["branches"][BRANCH]
        deploy(polyai, ROSA, SANDBOX, "e" * 32)

    fault(polyai, MERGE)
    polyai.meanwhile(merge_late, operation=BRANCHES, nth=3)

    outcome = polyai.run(merge())

    assert seen == [1]
    assert counts(outcome) == {"changed": 1}
    assert told(outcome)["version"] == "e" * 32


def test_a_retry_after_an_unreadable_merge_writes_nothing(polyai: Emulated) -> None:
    fault(polyai, MERGE, apply=True)
    fault(polyai, BRANCHES, "answer", status=500, nth=2, times=None)
    first = polyai.run(merge())
    polyai.server.emulator.faults.clear()

    second, requests = polyai.again(merge(), try_number=2)

    assert (counts(first), counts(second)) == ({"unknown": 1}, {"unchanged": 1})
    assert MERGE not in requests
    assert told(second)["previous_version"] == ROSA_NEW
    assert len(records(polyai, ROSA, SANDBOX)) == 3


def test_a_lasting_server_error_merges_nothing(polyai: Emulated) -> None:
    fault(polyai, MERGE, "answer", status=500, times=None)

    outcome = polyai.run(merge())

    assert isinstance(outcome.error, ItemsFailed)
    assert not outcome.error.permanent
    assert "did not show it" in reason(outcome)
    assert polyai.requests()[MERGE] == 1


def test_a_merge_in_the_branches_model_is_a_change_of_live(polyai: Emulated) -> None:
    polyai.server.state.switches.simplified = [ROSA]

    outcome = polyai.run(merge(deployment_model="branches", allow_unapproved=True, confirm_live=True))

    assert counts(outcome) == {"changed": 1}
    made = records(polyai, ROSA, LIVE)[-1]
    assert told(outcome)["deployment_id"] == made["id"]
    assert told(outcome)["previous_version"] == ROSA_OLD
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == deployment_uri(ROSA, LIVE)


def test_a_merge_that_went_live_unasked_is_told_loudly(polyai: Emulated) -> None:
    polyai.server.state.switches.simplified = [ROSA]

    outcome = polyai.run(merge())

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "a merge goes straight to live" in reason(outcome)
    assert "deployment_model='branches'" in reason(outcome)


def test_a_colleague_s_promotion_to_live_is_not_taken_for_the_merge(polyai: Emulated) -> None:
    polyai.meanwhile(lambda: deploy(polyai, ROSA, LIVE, ROSA_NEW), operation=MERGE)

    outcome = polyai.run(merge())

    assert counts(outcome) == {"changed": 1}
