"""Both deployment models: the guards of each, and what ``auto`` concludes and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.polyai.assets import deployment_uri
from airflow_voice_agents.polyai.operators.deployments import (
    PolyAIMergeBranchOperator,
    PolyAIPromoteDeploymentOperator,
    PolyAIPublishOperator,
    PolyAIRollbackDeploymentOperator,
)
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from airflow_voice_agents.polyai.operators.promotion import PolyAIPlanPromotionOperator
from airflow_voice_agents.transport.errors import GuardRefused
from support.airflow_runner import Outcome
from support.emulated import HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, counts, place
from support.no_pauses import no_pauses  # noqa: F401  a fixture

BRANCH, OTHER = "BRANCH-1F0C77D2", "BRANCH-OTHER"
NUMBER = "+442079460901"
PROMOTE, MERGE, PUBLISH = "promote deployment", "merge branch", "publish deployment"
QUESTION = "go straight to live?"
CONSENT = {"confirm_live": True, "allow_unapproved": True}


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hold of another test is in the way."""
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", str(tmp_path / "state"))


def promote(**arguments: Any) -> PolyAIPromoteDeploymentOperator:
    usual = {"agent_id": HOTELS, "source_environment": PRE_RELEASE, "target_environment": LIVE}
    return PolyAIPromoteDeploymentOperator(
        **{"task_id": "promote", "confirm_live": True, **usual, **arguments}
    )


def merge(**arguments: Any) -> PolyAIMergeBranchOperator:
    usual = {"task_id": "merge", "agent_id": ROSA, "branch": BRANCH, "deployment_model": "branches"}
    return PolyAIMergeBranchOperator(**{**usual, **arguments})


def roll_back(**arguments: Any) -> PolyAIRollbackDeploymentOperator:
    usual = {
        "agent_id": HOTELS,
        "environment": LIVE,
        "to": "previous",
        "allow_previous_live": True,
        "hold": False,
    }
    return PolyAIRollbackDeploymentOperator(**{"task_id": "back", "confirm_live": True, **usual, **arguments})


def publish(**arguments: Any) -> PolyAIPublishOperator:
    return PolyAIPublishOperator(**{"task_id": "publish", "agent_id": ROSA, **arguments})


def numbers(**arguments: Any) -> PolyAIImportPhoneNumbersOperator:
    usual = {"agent_id": ROSA, "client_env": SANDBOX, "phone_numbers": [NUMBER]}
    return PolyAIImportPhoneNumbersOperator(**{"task_id": "numbers", **usual, **arguments})


def plan(**deployment: Any) -> PolyAIPlanPromotionOperator:
    spec = {"source": place(HOTELS, PRE_RELEASE), "targets": [place(HOTELS, LIVE)], "deployment": deployment}
    return PolyAIPlanPromotionOperator(task_id="plan", spec=spec)


def on_branches(polyai: Emulated, *agents: str) -> None:
    polyai.server.state.switches.simplified = list(agents or (HOTELS, ROSA))


def deploy(polyai: Emulated, environment: str, version: str, way: str, agent: str = HOTELS) -> None:
    source = {"version": version, "artifactVersion": "2026-09-01T08:00:00"}
    with polyai.server.state.lock:
        polyai.server.polyai.deploy(agent, environment, source, "colleague", {"deployment_type": way})


def add_branch(polyai: Emulated) -> None:
    branches = polyai.server.polyai.agents[ROSA]["branches"]
    branches[OTHER] = branches[BRANCH] | {"name": "another"}


def main_moves_on(polyai: Emulated) -> None:
    branches = polyai.server.polyai.agents[ROSA]["branches"]
    branches["main"] = branches["main"] | {"sequenceId": "99"}
    polyai.server.state.switches.branch_divergence = "shown"


def refused(outcome: Outcome, message: str) -> str:
    assert isinstance(outcome.error, GuardRefused), outcome.error
    assert message in str(outcome.error)
    return str(outcome.error)


# -------------------------------------------------------------------------------------- branches


def test_nothing_is_promoted_in_the_branches_model(polyai: Emulated) -> None:
    refused(polyai.run(promote(deployment_model="branches")), "nothing is promoted")
    assert polyai.requests() == {}


def test_a_plan_promotes_nothing_in_the_branches_model(polyai: Emulated) -> None:
    refused(polyai.run(plan(deployment_model="branches")), "nothing is promoted")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("An A/B test is running", "An A/B test runs on this agent, as the platform says"),
        ("Experiment 7 holds live", "An A/B test runs on this agent, as the platform says"),
        ("Blocked", "the public API does not show whether one does"),
    ],
)
def test_a_merge_to_live_that_an_experiment_blocks_says_so(polyai: Emulated, said: str, advice: str) -> None:
    polyai.server.switches.simplified = [ROSA]
    polyai.server.emulator.faults.add(
        Fault("answer", status=409, body={"message": said}, operation="merge branch")
    )

    outcome = polyai.run(merge(confirm_live=True, allow_unapproved=True))

    (item,) = outcome.xcoms["report"]["items"]
    assert item["status"] == "failed"
    assert advice in item["reason"]
    assert "deploys the winner to live at once" in item["reason"]


def test_the_local_server_merges_nothing_into_a_live_with_an_experiment(polyai: Emulated) -> None:
    polyai.server.switches.simplified = polyai.server.switches.ab_test = [ROSA]

    outcome = polyai.run(merge(confirm_live=True, allow_unapproved=True))

    assert "as the platform says" in outcome.xcoms["report"]["items"][0]["reason"]
    assert BRANCH in polyai.server.polyai.agents[ROSA]["branches"]


def test_nothing_is_published_in_the_branches_model(polyai: Emulated) -> None:
    refused(polyai.run(publish(deployment_model="branches")), "nothing is published")
    assert polyai.requests() == {}


def test_only_live_is_rolled_back_in_the_branches_model(polyai: Emulated) -> None:
    task = roll_back(environment=SANDBOX, deployment_model="branches")
    refused(polyai.run(task), "only live can be rolled back")


def test_the_way_back_of_the_branches_model_is_no_promotion(polyai: Emulated) -> None:
    refused(polyai.run(roll_back(strategy="promote", deployment_model="branches")), "nothing is promoted")


def test_a_merge_to_live_needs_consent(polyai: Emulated) -> None:
    refused(polyai.run(merge(allow_unapproved=True)), "confirm_live=True")
    assert polyai.requests() == {}


def test_a_merge_to_live_needs_an_approval(polyai: Emulated) -> None:
    refused(polyai.run(merge(confirm_live=True)), "nobody approved it")
    assert polyai.requests() == {}


def test_a_merge_to_live_goes_on_with_the_approved_digest(polyai: Emulated) -> None:
    on_branches(polyai)
    digest = polyai.run(merge(dry_run=True)).result["plan_digest"]

    assert counts(polyai.run(merge(confirm_live=True, expected_digest=digest))) == {"changed": 1}


def test_a_merge_of_a_diverged_branch_to_live_is_refused(polyai: Emulated) -> None:
    on_branches(polyai)
    main_moves_on(polyai)

    refused(polyai.run(merge(**CONSENT)), "allow_diverged=True")
    assert polyai.writes() == 0
    assert counts(polyai.run(merge(**CONSENT, allow_diverged=True))) == {"changed": 1}


def test_a_merge_while_staging_holds_another_branch_is_refused(polyai: Emulated) -> None:
    on_branches(polyai)
    add_branch(polyai)
    polyai.server.polyai.give_staging(ROSA, OTHER)

    refused(polyai.run(merge(**CONSENT)), OTHER)
    assert polyai.writes() == 0
    assert counts(polyai.run(merge(**CONSENT, allow_staging_held=True))) == {"changed": 1}


def test_a_merge_of_the_branch_that_staging_holds_goes_on(polyai: Emulated) -> None:
    on_branches(polyai)
    polyai.server.polyai.give_staging(ROSA, BRANCH)

    assert counts(polyai.run(merge(**CONSENT))) == {"changed": 1}


def test_no_numbers_for_a_sandbox_without_telephony(polyai: Emulated) -> None:
    refused(polyai.run(numbers(deployment_model="branches")), "allow_sandbox_numbers=True")
    assert polyai.requests() == {}
    allowed = polyai.run(numbers(deployment_model="branches", allow_sandbox_numbers=True))
    assert counts(allowed) == {"changed": 1}
    assert "has no telephony" in polyai.runner.log


def test_the_former_spelling_still_works_and_warns(polyai: Emulated) -> None:
    on_branches(polyai)
    with pytest.warns(AirflowProviderDeprecationWarning, match="use deployment_model='branches'"):
        task = merge(deployment_model="simplified", confirm_live=True)

    with pytest.warns(AirflowProviderDeprecationWarning):
        assert counts(polyai.run(task)) == {"changed": 1}


# ---------------------------------------------------------------------------------------- ladder


def test_the_ladder_is_assumed_aloud(polyai: Emulated) -> None:
    polyai.run(promote())

    assert "the ladder is assumed" in polyai.runner.log


def test_a_plan_says_once_for_all_targets_that_the_ladder_is_assumed(polyai: Emulated) -> None:
    spec = {
        "targets": [
            {**place(agent, PRE_RELEASE), "source": place(agent, SANDBOX)} for agent in (HOTELS, ROSA)
        ],
        "deployment": {},
    }
    polyai.run(PolyAIPlanPromotionOperator(task_id="plan", spec=spec))

    assert polyai.runner.log.count("the ladder is assumed") == 1
    assert "2 target(s): no deployment_model was given" in polyai.runner.log


def test_the_former_spelling_in_a_plan_is_told_once(polyai: Emulated) -> None:
    refused(polyai.run(plan(deployment_model="simplified")), "nothing is promoted")

    assert polyai.runner.log.count("simplified is deprecated; write branches") == 1


def test_a_tag_in_the_history_contradicts_the_ladder(polyai: Emulated) -> None:
    polyai.server.polyai.give_staging(HOTELS, "BRANCH-X")

    refused(polyai.run(promote(deployment_model="ladder")), "this project is on the branches model")
    assert polyai.writes() == 0


# ------------------------------------------------------------------------------------------ auto


def test_auto_concludes_the_ladder_and_says_from_what(polyai: Emulated) -> None:
    outcome = polyai.run(promote(deployment_model="auto"))

    assert counts(outcome) == {"changed": 1}
    assert "concluded ladder: sandbox has version" in polyai.runner.log


def test_auto_concludes_branches_from_a_tag(polyai: Emulated) -> None:
    polyai.server.polyai.give_staging(HOTELS, "BRANCH-X")

    refused(polyai.run(promote(deployment_model="auto")), "carries the tag 'staging'")
    assert polyai.writes() == 0


@pytest.mark.parametrize("target", [LIVE, PRE_RELEASE])
def test_auto_without_a_conclusion_promotes_nothing(polyai: Emulated, target: str) -> None:
    deploy(polyai, LIVE, "f" * 32, "publish")
    source = SANDBOX if target == PRE_RELEASE else PRE_RELEASE

    task = promote(deployment_model="auto", source_environment=source, target_environment=target)
    refused(polyai.run(task), QUESTION)
    assert polyai.writes() == 0


def test_auto_without_a_conclusion_plans_nothing_for_live(polyai: Emulated) -> None:
    deploy(polyai, LIVE, "f" * 32, "publish")

    refused(polyai.run(plan(deployment_model="auto")), QUESTION)


def test_auto_in_a_plan_says_what_it_concluded(polyai: Emulated) -> None:
    outcome = polyai.run(plan(deployment_model="auto"))

    assert outcome.state == "success"
    assert "concluded" in outcome.xcoms["plan_markdown"]
    assert {finding["code"] for item in outcome.result["items"] for finding in item["findings"]} == {
        "deployment_model"
    }


def test_auto_merges_a_ladder_s_branch_into_sandbox_without_consent(polyai: Emulated) -> None:
    deploy(polyai, SANDBOX, "9" * 32, "publish", ROSA)

    assert counts(polyai.run(merge(deployment_model="auto"))) == {"changed": 1}


def test_auto_remembers_where_a_merge_went_for_a_retry(polyai: Emulated) -> None:
    deploy(polyai, SANDBOX, "9" * 32, "publish", ROSA)
    task = merge(deployment_model="auto")
    first = polyai.run(task)

    second = polyai.run(task, try_number=2)

    assert counts(second) == {"unchanged": 1}
    assert second.xcoms["deployment_id"] == first.xcoms["deployment_id"]


def test_auto_guards_a_merge_that_it_finds_to_go_live(polyai: Emulated) -> None:
    on_branches(polyai)
    polyai.server.polyai.give_staging(ROSA, BRANCH)

    said = refused(polyai.run(merge(deployment_model="auto")), "confirm_live=True")
    assert "nobody approved it" in said
    assert polyai.writes() == 0
    outcome = polyai.run(merge(deployment_model="auto", **CONSENT))
    assert counts(outcome) == {"changed": 1}
    (event,) = outcome.asset_events
    assert event["dest_asset_key"]["uri"] == deployment_uri(ROSA, LIVE)


def test_auto_without_a_conclusion_merges_nothing(polyai: Emulated) -> None:
    deploy(polyai, LIVE, "f" * 32, "publish", ROSA)

    refused(polyai.run(merge(deployment_model="auto", **CONSENT)), QUESTION)
    assert polyai.writes() == 0


def test_auto_without_a_conclusion_still_rolls_live_back(polyai: Emulated) -> None:
    """A rollback of live is the same request in both models, and no way back would be the worse risk."""
    deploy(polyai, LIVE, "f" * 32, "publish")

    assert counts(polyai.run(roll_back(deployment_model="auto"))) == {"changed": 1}
    assert QUESTION in polyai.runner.log


def test_auto_without_a_conclusion_rolls_no_sandbox_back(polyai: Emulated) -> None:
    deploy(polyai, LIVE, "f" * 32, "publish")

    refused(polyai.run(roll_back(deployment_model="auto", environment=SANDBOX)), QUESTION)


def test_auto_without_a_conclusion_goes_not_back_by_promotion(polyai: Emulated) -> None:
    deploy(polyai, LIVE, "f" * 32, "publish")

    task = roll_back(deployment_model="auto", strategy="promote", to="previous")
    refused(polyai.run(task), QUESTION)


def test_auto_publishes_to_sandbox_where_it_came_to_no_conclusion(polyai: Emulated) -> None:
    deploy(polyai, LIVE, "f" * 32, "publish", ROSA)

    assert counts(polyai.run(publish(deployment_model="auto"))) == {"changed": 1}
    assert QUESTION in polyai.runner.log


def test_auto_publishes_nothing_in_the_branches_model(polyai: Emulated) -> None:
    polyai.server.polyai.give_staging(ROSA, BRANCH)

    refused(polyai.run(publish(deployment_model="auto")), "nothing is published")
    assert polyai.writes() == 0


def test_auto_imports_no_numbers_for_a_sandbox_without_telephony(polyai: Emulated) -> None:
    polyai.server.polyai.give_staging(ROSA, BRANCH)

    refused(polyai.run(numbers(deployment_model="auto")), "has no telephony")
    assert polyai.writes() == 0
