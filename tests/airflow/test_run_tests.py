"""Tests that are started on a branch, and the evidence that they leave."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.polyai.operators.test_runs import PolyAIRunTestsOperator
from airflow_voice_agents.polyai.sensors.outcomes import PolyAITestRunsSensor
from airflow_voice_agents.transport.errors import GuardRefused, InputError, ItemsFailed
from support.emulated import HOTELS, Emulated, counts
from support.no_pauses import no_pauses  # noqa: F401  a fixture

TRIGGER = "trigger test run"
CASE = "CASE-OPENING"


def run_tests(**arguments: Any) -> PolyAIRunTestsOperator:
    usual = {"task_id": "tests", "agent_id": HOTELS, "branch": "main", "test_ids": [CASE]}
    return PolyAIRunTestsOperator(**{**usual, **arguments})


def runs(polyai: Emulated) -> list[str]:
    return list(polyai.server.polyai.agents[HOTELS]["testRuns"])


def edit_main(polyai: Emulated) -> None:
    branches = polyai.server.polyai.agents[HOTELS]["branches"]
    key, variant = next(iter(branches["main"]["variants"].items()))
    variants = {**branches["main"]["variants"], key: {**variant, "name": "Renamed"}}
    branches["main"] = {**branches["main"], "variants": variants}


def test_a_run_is_started_in_the_current_form_and_leaves_evidence(polyai: Emulated) -> None:
    polyai.server.switches.test_trigger = "select"

    outcome = polyai.run(run_tests())

    assert counts(outcome) == {"changed": 1}
    assert sum(polyai.requests().values()) == 8
    tested = outcome.xcoms["tested"]
    assert tested["test_run_ids"] == runs(polyai)[-1:] == outcome.xcoms["test_run_ids"]
    assert (tested["agent_id"], tested["branch_id"]) == (HOTELS, "main")
    assert tested["state"]
    assert tested["since"]


def test_the_deprecated_form_is_there_for_a_platform_that_knows_no_other(polyai: Emulated) -> None:
    polyai.server.switches.test_trigger = "flat"

    assert isinstance(polyai.run(run_tests()).error, ItemsFailed)
    assert counts(polyai.run(run_tests(form="flat"))) == {"changed": 1}


def test_the_state_changes_with_the_content(polyai: Emulated) -> None:
    first = polyai.run(run_tests()).xcoms["tested"]["state"]
    same = polyai.run(run_tests()).xcoms["tested"]["state"]
    edit_main(polyai)
    other = polyai.run(run_tests()).xcoms["tested"]["state"]

    assert first == same != other


def test_a_retry_starts_nothing_while_the_first_run_counts(polyai: Emulated) -> None:
    task = run_tests()
    first = polyai.run(task)

    second, requests = polyai.again(task, try_number=2)

    assert counts(second) == {"unchanged": 1}
    assert TRIGGER not in requests
    assert second.xcoms["tested"] == first.xcoms["tested"]


def test_a_cleared_task_tests_again_what_failed(polyai: Emulated) -> None:
    polyai.server.switches.update({"test_run_outcome": "failed", "test_run_reads": 0})
    task = run_tests()
    first = polyai.run(task)

    second = polyai.run(task, try_number=2)

    assert counts(second) == {"changed": 1}
    assert second.xcoms["test_run_ids"] != first.xcoms["test_run_ids"]


def test_a_cleared_task_tests_again_what_was_changed(polyai: Emulated) -> None:
    task = run_tests()
    first = polyai.run(task)
    edit_main(polyai)

    second = polyai.run(task, try_number=2)

    assert counts(second) == {"changed": 1}
    assert second.xcoms["tested"]["state"] != first.xcoms["tested"]["state"]


def test_a_run_whose_answer_was_lost_is_found(polyai: Emulated) -> None:
    before = len(runs(polyai))
    polyai.server.emulator.faults.add(Fault("reset", operation=TRIGGER, apply=True))

    outcome = polyai.run(run_tests())

    assert counts(outcome) == {"changed": 1}
    assert len(runs(polyai)) == before + 1
    assert outcome.xcoms["test_run_ids"] == runs(polyai)[-1:]


def test_without_tests_nothing_is_run(polyai: Emulated) -> None:
    outcome = polyai.run(run_tests(test_ids=[]))

    assert counts(outcome) == {"unchanged": 1}
    assert polyai.writes() == 0
    assert outcome.xcoms["tested"]["test_run_ids"] == []
    assert "skipped, which is not passed" in polyai.runner.log


def test_an_agent_without_tests_is_skipped(polyai: Emulated) -> None:
    polyai.server.polyai.agents[HOTELS]["testCases"] = {}

    outcome = polyai.run(run_tests())

    assert counts(outcome) == {"unchanged": 1}
    assert outcome.xcoms["tested"]["test_run_ids"] == []


def test_an_unknown_branch_is_refused(polyai: Emulated) -> None:
    outcome = polyai.run(run_tests(branch="nowhere"))

    assert isinstance(outcome.error, GuardRefused)
    assert "no branch of this id or name" in str(outcome.error)


@pytest.mark.parametrize("wrong", [{"test_ids": ["a/b"]}, {"run_name": " "}, {"branch": " "}])
def test_wrong_arguments_are_refused_before_any_request(polyai: Emulated, wrong: dict[str, Any]) -> None:
    assert isinstance(polyai.run(run_tests(**wrong)).error, InputError)
    assert polyai.requests() == {}


@pytest.mark.parametrize(("ids", "verdict"), [([], "skipped"), (None, "skipped")])
def test_the_sensor_calls_no_run_skipped(polyai: Emulated, ids: Any, verdict: str) -> None:
    outcome = polyai.run(PolyAITestRunsSensor(task_id="wait", agent_id=HOTELS, test_run_ids=ids))

    assert outcome.state == "success"
    assert outcome.result["verdict"] == verdict
