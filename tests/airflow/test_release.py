"""A release by merge: its plan, the approval that is bound to it, the merge, and the way back."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.polyai.actions import release as release_action
from airflow_voice_agents.polyai.assets import deployment_uri
from airflow_voice_agents.polyai.operators.releases import (
    PolyAIPlanReleaseOperator,
    PolyAIReleaseBranchOperator,
    PolyAIWatchReleaseOperator,
)
from airflow_voice_agents.polyai.operators.test_runs import PolyAIRunTestsOperator
from airflow_voice_agents.polyai.task_groups import ReleaseOptions, release
from airflow_voice_agents.transport.errors import (
    ChecksFailed,
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    StateMoved,
)
from support.airflow_runner import Outcome
from support.airflow_versions import DagSerialization
from support.emulated import LIVE, ROSA, SANDBOX, Emulated, counts, items, kept_text
from support.no_pauses import no_pauses  # noqa: F401  a fixture

BRANCH, OTHER = "BRANCH-1F0C77D2", "BRANCH-OTHER"
MERGE, BACK, ACTIVE = "merge branch", "roll back deployment", "get active deployments"
TESTS = ["CASE-ALLERGENS", "CASE-TABLE"]
RULE = "ar_0EverySlowTurn"


@pytest.fixture(autouse=True)
def branches_model(polyai: Emulated) -> None:
    polyai.server.switches.update({"simplified": [ROSA], "branch_divergence": "shown", "test_run_reads": 0})


def plan_task(**arguments: Any) -> PolyAIPlanReleaseOperator:
    usual = {"task_id": "plan", "agent_id": ROSA, "branch": "christmas-menu", "message": "Release it"}
    return PolyAIPlanReleaseOperator(**{**usual, **arguments})


def planned(polyai: Emulated, **arguments: Any) -> dict[str, Any]:
    outcome = polyai.run(plan_task(**arguments))
    assert outcome.state == "success", outcome.error
    return dict(outcome.result)


def apply_task(plan: Any, **arguments: Any) -> PolyAIReleaseBranchOperator:
    usual = {"approved_digest": plan["digest"], "confirm_live": True}
    return PolyAIReleaseBranchOperator(**{"task_id": "apply", "plan": plan, **usual, **arguments})


def run_tests(polyai: Emulated) -> dict[str, Any]:
    task = PolyAIRunTestsOperator(task_id="tests", agent_id=ROSA, branch=BRANCH, test_ids=TESTS)
    return dict(polyai.run(task).xcoms["tested"])


def versions(polyai: Emulated, environment: str = LIVE) -> list[str]:
    found = polyai.server.state.read("polyai", "agents", ROSA)["deployments"]
    return [record["version"] for record in found if record["environment"] == environment]


def rename(polyai: Emulated, branch: str) -> None:
    """Edit a variant of a branch, as a colleague does."""
    with polyai.server.state.lock:
        branches = polyai.server.polyai.agents[ROSA]["branches"]
        key, variant = next(iter(branches[branch]["variants"].items()))
        variants = {**branches[branch]["variants"], key: {**variant, "name": "Renamed"}}
        branches[branch] = {**branches[branch], "variants": variants}


def deploy(polyai: Emulated, version: str) -> None:
    source = {"version": version, "artifactVersion": "2026-09-01T08:00:00"}
    with polyai.server.state.lock:
        polyai.server.polyai.deploy(ROSA, LIVE, source, "colleague", {"deployment_type": "publish"})


def refused(outcome: Outcome, *messages: str) -> None:
    assert isinstance(outcome.error, GuardRefused), outcome.error
    for message in messages:
        assert message in str(outcome.error)


def codes(plan: dict[str, Any]) -> set[str]:
    return {finding["code"] for item in plan["items"] for finding in item["findings"]}


# ---------------------------------------------------------------------------------------- the plan


def test_the_plan_says_what_the_release_is_decided_by(polyai: Emulated) -> None:
    rename(polyai, BRANCH)
    tested = run_tests(polyai)
    polyai.server.journal.clear()

    outcome = polyai.run(plan_task(tests=tested))

    assert outcome.state == "success"
    text = outcome.xcoms["plan_markdown"]
    assert "Renamed" in text
    assert f"Live runs version {versions(polyai)[-1]} now" in text
    assert "passed on exactly this branch state" in text
    always = {"cannot_undo", "live_now", "content_not_listed", "content_not_read"}
    assert codes(outcome.result) == {*always, "tests_passed"}
    assert polyai.writes() == 0
    assert sum(polyai.requests().values()) == 11


PROMPT, SPOKEN = "Xyzzy-marker of a prompt", "Xyzzy-marker of a topic"


def write_content(polyai: Emulated, branch: str, behavior: str, **topics: str) -> None:
    """Set behavior and topics of a branch, as a colleague does in Agent Studio."""
    with polyai.server.state.lock:
        branches = polyai.server.polyai.agents[ROSA]["branches"]
        found = {f"TOPIC-{name}": {"name": name, "content": text} for name, text in topics.items()}
        branches[branch] = {**branches[branch], "behavior": {"text": behavior}, "topics": found}


def test_the_plan_shows_topics_and_behavior_and_none_of_their_texts(polyai: Emulated) -> None:
    write_content(polyai, "main", PROMPT, hours=SPOKEN)
    before = run_tests(polyai)["state"]
    write_content(polyai, BRANCH, f"{PROMPT}, changed", hours=SPOKEN, parking=SPOKEN)

    outcome = polyai.run(plan_task())

    assert outcome.state == "success", outcome.error
    text = outcome.xcoms["plan_markdown"]
    assert "parking" in text
    assert f"{len(PROMPT)} characters" in text
    assert "hours" not in text
    assert "content_not_read" not in codes(outcome.result)
    assert "content_not_listed" in codes(outcome.result)
    assert "Xyzzy" not in kept_text(outcome)
    assert run_tests(polyai)["state"] != before


def test_content_that_a_key_cannot_read_is_told(polyai: Emulated) -> None:
    for operation in ("get behavior", "list topics"):
        polyai.server.emulator.faults.add(
            Fault("answer", operation=operation, status=403, times=None, body={})
        )

    outcome = polyai.run(plan_task())

    assert outcome.state == "success", outcome.error
    assert "content_not_read" in codes(outcome.result)
    assert "Not compared: behavior and topics" in outcome.xcoms["plan_markdown"]


def test_a_release_without_tests_says_so(polyai: Emulated) -> None:
    assert "no_tests_asked_for" in codes(planned(polyai))


def test_a_branch_that_is_behind_is_told(polyai: Emulated) -> None:
    polyai.server.switches.branch_divergence = "absent"
    branches = polyai.server.polyai.agents[ROSA]["branches"]
    branches["main"] = branches["main"] | {"sequenceId": "99"}

    assert {"behind", "divergence_unknown"} <= codes(planned(polyai))


def test_a_branch_that_has_diverged_is_refused(polyai: Emulated) -> None:
    branches = polyai.server.polyai.agents[ROSA]["branches"]
    branches["main"] = branches["main"] | {"sequenceId": "99"}

    refused(polyai.run(plan_task()), "allow_diverged=True")
    assert "diverged" in codes(planned(polyai, allow_diverged=True))


def test_a_release_while_staging_holds_another_branch_is_refused(polyai: Emulated) -> None:
    branches = polyai.server.polyai.agents[ROSA]["branches"]
    branches[OTHER] = branches[BRANCH] | {"name": "another"}
    polyai.server.polyai.give_staging(ROSA, OTHER)

    refused(polyai.run(plan_task()), OTHER)
    assert "staging_held" in codes(planned(polyai, allow_staging_held=True))


def test_a_release_of_what_auto_finds_on_the_ladder_is_refused(polyai: Emulated) -> None:
    polyai.server.polyai.deploy(ROSA, SANDBOX, {"version": "9" * 32, "artifactVersion": "x"}, "c", {})

    refused(polyai.run(plan_task(deployment_model="auto")), "is on the ladder")


def test_a_release_that_auto_cannot_conclude_asks(polyai: Emulated) -> None:
    deploy(polyai, "f" * 32)

    refused(polyai.run(plan_task(deployment_model="auto")), "go straight to live?")


@pytest.mark.parametrize(
    ("outcome", "message"),
    [("failed", "did not pass"), ("never", "has not ended"), ("errored", "did not pass")],
)
def test_tests_that_did_not_pass_stop_the_plan(polyai: Emulated, outcome: str, message: str) -> None:
    polyai.server.switches.test_run_outcome = outcome  # type: ignore[assignment]

    refused(polyai.run(plan_task(tests=run_tests(polyai))), message)


def test_tests_of_another_state_of_the_branch_stop_the_plan(polyai: Emulated) -> None:
    tested = run_tests(polyai)
    rename(polyai, BRANCH)

    refused(polyai.run(plan_task(tests=tested)), "changed after the tests were started")


def test_tests_that_did_not_run_stop_the_plan(polyai: Emulated) -> None:
    refused(polyai.run(plan_task(tests={"state": "s", "test_run_ids": []})), "skipped, which is not passed")


def test_main_is_refused_before_any_request(polyai: Emulated) -> None:
    assert isinstance(polyai.run(plan_task(branch="main")).error, InputError)
    assert polyai.requests() == {}


# --------------------------------------------------------------------------------------- the merge


def test_an_approved_release_is_merged_and_live_runs_it(polyai: Emulated) -> None:
    before = versions(polyai)
    plan = planned(polyai, tests=run_tests(polyai))

    outcome, requests = polyai.again(apply_task(plan))

    assert sum(requests.values()) == 14
    assert counts(outcome) == {"changed": 1}
    assert versions(polyai)[:-1] == before
    assert outcome.xcoms["version"] == versions(polyai)[-1]
    assert outcome.xcoms["previous_version"] == before[-1]
    records = polyai.server.polyai.agents[ROSA]["deployments"]
    assert outcome.xcoms["previous_deployment_id"] in {each["id"] for each in records}
    assert outcome.xcoms["merged_at"]
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == deployment_uri(ROSA, LIVE)


@pytest.mark.parametrize("digest", [None, ""])
def test_nothing_is_merged_that_nobody_approved(polyai: Emulated, digest: Any) -> None:
    refused(polyai.run(apply_task(planned(polyai), approved_digest=digest)), "nobody approved it")
    assert polyai.writes() == 0


def test_the_approval_of_another_plan_counts_for_nothing(polyai: Emulated) -> None:
    refused(polyai.run(apply_task(planned(polyai), approved_digest="0" * 64)), "is not this plan")
    assert polyai.writes() == 0


def test_nothing_is_merged_without_consent(polyai: Emulated) -> None:
    refused(polyai.run(apply_task(planned(polyai), confirm_live=False)), "confirm_live=True")
    assert polyai.writes() == 0


@pytest.mark.parametrize("moved", ["branch", "main", "live", "tests"])
def test_what_moved_since_the_approval_stops_the_merge(polyai: Emulated, moved: str) -> None:
    plan = planned(polyai, tests=run_tests(polyai))
    if moved == "live":
        deploy(polyai, "f" * 32)
    elif moved == "tests":
        polyai.server.switches.test_run_outcome = "failed"
    else:
        rename(polyai, BRANCH if moved == "branch" else "main")

    outcome = polyai.run(apply_task(plan))

    assert isinstance(outcome.error, StateMoved), outcome.error
    assert MERGE not in polyai.requests()


def test_another_plan_is_no_release(polyai: Emulated) -> None:
    plan = planned(polyai)

    assert isinstance(polyai.run(apply_task({**plan, "request": {}})).error, InputError)


def test_a_merge_that_did_not_reach_live_fails(polyai: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_action, "FIRST_PAUSE", 0.0)
    plan = planned(polyai)
    polyai.server.switches.simplified = []

    outcome = polyai.run(apply_task(plan))

    assert isinstance(outcome.error, ItemsFailedPermanently)
    (item,) = items(outcome).values()
    assert "live shows no new deployment" in item["reason"]


def test_a_retry_after_a_read_that_failed_finds_what_was_merged(polyai: Emulated) -> None:
    plan = planned(polyai)
    task = apply_task(plan)
    polyai.server.emulator.faults.add(Fault("answer", operation=ACTIVE, status=500, nth=2, times=None))
    first = polyai.run(task)
    polyai.server.emulator.faults.clear()

    second, requests = polyai.again(task, try_number=2)

    assert isinstance(first.error, ItemsFailed)
    assert second.state == "success", second.error
    assert MERGE not in requests
    assert second.xcoms["version"] == versions(polyai)[-1]
    assert second.xcoms["previous_version"] == versions(polyai)[-2]


# ------------------------------------------------------------------------------------ the way back


def watch_task(released: Outcome, **arguments: Any) -> PolyAIWatchReleaseOperator:
    usual = {
        "task_id": "watch",
        "agent_id": ROSA,
        "version": released.xcoms["version"],
        "previous_deployment_id": released.xcoms["previous_deployment_id"],
        "since": released.xcoms["merged_at"],
        "checks": [
            {"check": "smoke", "agent_id": ROSA, "environment": LIVE, "turns": [{"expect": ["never said"]}]}
        ],
        "confirmations": 1,
        "confirm_live": True,
        "hold": False,
    }
    return PolyAIWatchReleaseOperator(**{**usual, **arguments})


def test_a_release_that_does_not_hold_goes_back(polyai: Emulated) -> None:
    before = versions(polyai)
    released = polyai.run(apply_task(planned(polyai)))

    outcome = polyai.run(watch_task(released))

    assert isinstance(outcome.error, ChecksFailed), outcome.error
    assert f"Rolled back: {ROSA}/{LIVE}" in str(outcome.error)
    assert versions(polyai)[-1] == before[-1]
    assert polyai.requests()[BACK] == 1


def test_newer_work_in_live_is_not_rolled_back(polyai: Emulated) -> None:
    released = polyai.run(apply_task(planned(polyai)))
    deploy(polyai, "f" * 32)

    outcome = polyai.run(watch_task(released))

    assert isinstance(outcome.error, GuardRefused | ItemsFailed), outcome.error
    assert str(outcome.error).startswith(
        f"Still promoted: {ROSA}/{LIVE} (deployment replaced since). Nothing was"
    )
    assert BACK not in polyai.requests()
    assert versions(polyai)[-1] == "f" * 32


def test_a_watch_without_consent_is_refused_at_once(polyai: Emulated) -> None:
    released = polyai.run(apply_task(planned(polyai)))

    refused(polyai.run(watch_task(released, confirm_live=False)), "A rollback would be refused")


def test_a_first_release_has_no_way_back(polyai: Emulated) -> None:
    released = polyai.run(apply_task(planned(polyai)))

    outcome = polyai.run(watch_task(released, previous_deployment_id=""))

    assert isinstance(outcome.error, ChecksFailed)
    assert "Nothing was rolled back" in str(outcome.error)


# ----------------------------------------------------------------------------------- the task group


def group_of(**arguments: Any) -> Any:
    with DAG("x", schedule=None):
        return release(**{"agent_id": ROSA, "branch": "b", "confirm_live": True, **arguments})


WATCH: dict[str, Any] = {"checks": [{"check": "alerts", "account_wide": True}], "watch_minutes": 5}


def test_the_tasks_of_the_group_run_one_after_another() -> None:
    group = group_of(test_ids=TESTS, watch=WATCH)

    names = ["tests", "tested", "plan", "approval", "apply", "verify", "watch"]
    assert list(group.children) == [f"release.{each}" for each in names]
    assert group["tested"].upstream_task_ids == {"release.tests"}
    assert group["plan"].upstream_task_ids == {"release.tests", "release.tested"}
    assert group["apply"].upstream_task_ids == {"release.plan", "release.approval"}
    assert group["verify"].upstream_task_ids == {"release.apply"}
    assert group["watch"].upstream_task_ids == {"release.apply", "release.verify"}


def test_the_group_without_an_approval_is_the_explicit_consent() -> None:
    group = group_of(approval=False)

    assert "release.approval" not in group.children
    assert (group["apply"].approved_digest, group["apply"].allow_unapproved) == (None, True)
    assert group_of()["apply"].allow_unapproved is False


def test_the_group_takes_tests_or_their_evidence() -> None:
    assert group_of(tests={"state": "s"})["plan"].tests == {"state": "s"}
    with pytest.raises(ValueError, match="test_ids or tests"):
        group_of(tests={"state": "s"}, test_ids=TESTS)


def test_every_option_of_the_group_reaches_the_tasks_that_know_it() -> None:
    options: dict[str, Any] = {
        "polyai_conn_id": "other",
        "concurrency": 7,
        "show_values": True,
        "sensitive_keys": ("a",),
        "deployment_model": "auto",
        "allow_diverged": True,
        "allow_staging_held": True,
        "state_folder": "/state",
        "stop_variable": None,
        "freeze": [{"start": "2026-12-24", "duration": "P1D", "timezone": "UTC"}],
        "override_freeze": "why",
        "lock_wait": 5.0,
        "confirm_live": True,
        "allow_backfill": True,
    }
    assert options.keys() == ReleaseOptions.__optional_keys__
    plan_alone = {"show_values", "sensitive_keys", "deployment_model", "allow_diverged", "allow_staging_held"}

    group = group_of(**options, test_ids=TESTS, watch=WATCH)

    for name, value in options.items():
        assert getattr(group["plan" if name in plan_alone else "apply"], name) == value
    assert {each.polyai_conn_id for each in group.children.values() if hasattr(each, "polyai_conn_id")} == {
        "other"
    }
    assert (group["watch"].confirm_live, group["watch"].watch_minutes) == (True, 5)
    assert group["plan"].state_folder == group["watch"].state_folder == "/state"


def test_the_group_survives_serialization() -> None:
    with DAG("x", schedule=None) as dag:
        release(agent_id=ROSA, branch="b", test_ids=TESTS, watch=WATCH)  # type: ignore[typeddict-item]

    read = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))

    assert len(read.task_dict) == 7
