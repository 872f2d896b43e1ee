"""Promotions that ask for tests: passed on exactly the version that is promoted, after a moment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.transport.errors import GuardRefused, InputError, StateMoved
from support.emulated import HOTELS, PRE_RELEASE, SANDBOX, Emulated, counts, place
from support.no_pauses import no_pauses  # noqa: F401  a fixture

VERSION, OTHER = "d0704f7170916a87e9f87beb2b992129", "1aa8f7a4ab4d125dfe2c25957c03030c"
"""The version that sandbox runs, and another one."""
RUN = "get test run"


@pytest.fixture(autouse=True)
def runs_end_at_once(polyai: Emulated) -> None:
    polyai.server.switches.test_run_reads = 0


def run_of(polyai: Emulated) -> str:
    with polyai.server.state.lock:
        return polyai.server.polyai.start_run(HOTELS, "main", ["CASE-OPENING", "CASE-BOOKING"])


def promote(tests: Any) -> PolyAIPromoteDeploymentOperator:
    return PolyAIPromoteDeploymentOperator(
        task_id="promote",
        agent_id=HOTELS,
        source_environment=SANDBOX,
        target_environment=PRE_RELEASE,
        tests=tests,
    )


def plan(tests: Any) -> PolyAIPlanPromotionOperator:
    spec = {
        "source": place(HOTELS, SANDBOX),
        "targets": [place(HOTELS, PRE_RELEASE)],
        "deployment": {"tests": tests},
    }
    return PolyAIPlanPromotionOperator(task_id="plan", spec=spec)


WAYS = pytest.mark.parametrize("way", [promote, plan])


@WAYS
@pytest.mark.parametrize("form", [list, json.dumps, ",".join], ids=["list", "json", "text"])
def test_a_version_whose_tests_passed_goes_on(polyai: Emulated, way: Any, form: Any) -> None:
    outcome = polyai.run(way({"test_run_ids": form([run_of(polyai)]), "version": VERSION}))

    assert outcome.state == "success", outcome.error
    assert f"passed on version {VERSION}" in polyai.runner.log


@WAYS
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": OTHER}, f"The tests ran on version {OTHER}"),
        ({"version": None}, "does not say what was tested"),
        ({"test_run_ids": []}, "skipped, which is not passed"),
        ({"after": "2099-01-01T00:00:00+00:00"}, "only runs after 2099"),
        ({"branch_id": "BRANCH-X"}, "ran on branch main"),
    ],
)
def test_tests_that_do_not_count_stop_a_promotion(
    polyai: Emulated, way: Any, change: dict[str, Any], message: str
) -> None:
    outcome = polyai.run(way({"test_run_ids": [run_of(polyai)], "version": VERSION, **change}))

    assert isinstance(outcome.error, GuardRefused), outcome.error
    assert message in str(outcome.error)
    assert polyai.writes() == 0


@WAYS
def test_tests_that_failed_stop_a_promotion(polyai: Emulated, way: Any) -> None:
    polyai.server.switches.test_run_outcome = "failed"

    outcome = polyai.run(way({"test_run_ids": [run_of(polyai)], "version": VERSION}))

    assert isinstance(outcome.error, GuardRefused)
    assert "did not pass" in str(outcome.error)


@WAYS
def test_no_test_run_is_skipped_where_none_is_required(polyai: Emulated, way: Any) -> None:
    outcome = polyai.run(way({"test_run_ids": [], "version": VERSION, "required": False}))

    assert outcome.state == "success", outcome.error
    assert "skipped, which is not passed" in polyai.runner.log


def test_a_promotion_that_changes_nothing_asks_for_no_tests(polyai: Emulated) -> None:
    tests = {"test_run_ids": [run_of(polyai)], "version": VERSION}
    polyai.run(promote(tests))

    again, requests = polyai.again(promote(tests))

    assert counts(again) == {"unchanged": 1}
    assert RUN not in requests


def test_tests_are_looked_at_again_when_a_plan_is_applied(polyai: Emulated) -> None:
    planned = polyai.run(plan({"test_run_ids": [run_of(polyai)], "version": VERSION}))
    polyai.server.switches.test_run_outcome = "failed"

    outcome = polyai.run(PolyAIApplyPromotionOperator(task_id="apply", plan=planned.result))

    assert isinstance(outcome.error, GuardRefused | StateMoved), outcome.error
    assert "did not pass" in str(outcome.error)
    assert polyai.writes() == 0


def test_a_wrong_gate_is_refused_before_any_request(polyai: Emulated) -> None:
    with pytest.raises(InputError, match="tests has unknown keys runs"):
        promote({"runs": []})

    assert polyai.requests() == {}
