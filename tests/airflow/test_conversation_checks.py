"""Conversations since a promotion, as both hosts of the local server tell them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_voice_agents.polyai.operators.verification import PolyAICheckPromotionOperator
from airflow_voice_agents.transport.errors import ChecksFailed, ChecksUnclear
from support.airflow_runner import Outcome
from support.emulated import HOTELS, LIVE, Emulated, kept_text

RUNTIME_KEY = "demo-runtime-key-uk"
LISTED, DETAIL, RUNTIME = "list agent conversations", "get conversation", "list conversations"
NEEDED = 20


@pytest.fixture(autouse=True, params=["agent", "runtime"])
def host(request: pytest.FixtureRequest, polyai: Emulated) -> str:
    """Each test asks each host."""
    polyai.connect(runtime_api_key=RUNTIME_KEY, runtime_host=polyai.server.url)
    return str(request.param)


def talk(polyai: Emulated, times: int, **fields: Any) -> None:
    for _ in range(times):
        polyai.server.polyai.add_conversation(HOTELS, LIVE, **fields)


def look(polyai: Emulated, host: str, **fields: Any) -> Outcome:
    """Look ten minutes after the promotion; before it were 40 conversations, two of them handed over."""
    talk(polyai, 38, startedAt=-7200)
    talk(polyai, 2, startedAt=-7200, handoff=True, handoffReason="asked for a person")
    polyai.server.journal.clear()
    wanted = {
        "check": "conversations",
        "agent_id": HOTELS,
        "environment": LIVE,
        "host": host,
        "account_id": "demo-uk",
        **fields,
    }
    since = polyai.server.polyai.clock.present() - timedelta(minutes=10)
    task = PolyAICheckPromotionOperator(task_id="check", checks=[wanted], since=since.isoformat())
    return polyai.run(task)


def facts(outcome: Outcome) -> dict[str, Any]:
    return dict(outcome.xcoms["verdict"]["checks"][0]["facts"])


def test_as_many_handoffs_as_before_pass(polyai: Emulated, host: str) -> None:
    talk(polyai, NEEDED - 1)
    talk(polyai, 1, handoff=True)

    outcome = look(polyai, host)

    assert outcome.state == "success", outcome.error
    assert (facts(outcome)["conversations"], facts(outcome)["handoff_rate"]) == (NEEDED, 0.05)
    assert facts(outcome)["baseline_conversations"] >= 40
    assert polyai.requests()[DETAIL] == NEEDED
    assert "asked for a person" not in kept_text(outcome)


def test_twice_as_many_handoffs_fail(polyai: Emulated, host: str) -> None:
    talk(polyai, NEEDED - 4)
    talk(polyai, 4, handoff=True)

    assert isinstance(look(polyai, host).error, ChecksFailed)


def test_failing_functions_fail(polyai: Emulated, host: str) -> None:
    talk(polyai, NEEDED - 3)
    talk(polyai, 3, failures=["find_booking"])

    outcome = look(polyai, host)

    assert isinstance(outcome.error, ChecksFailed)
    assert facts(outcome)["error_rate"] == 0.15


def test_one_failure_of_a_critical_function_fails(polyai: Emulated, host: str) -> None:
    talk(polyai, NEEDED)
    talk(polyai, 1, failures=["pay"])

    assert isinstance(look(polyai, host, critical_functions=["pay"]).error, ChecksFailed)


def test_too_little_traffic_does_not_tell(polyai: Emulated, host: str) -> None:
    talk(polyai, NEEDED - 1, handoff=True)
    talk(polyai, 5, inProgress=True)

    outcome = look(polyai, host)

    assert isinstance(outcome.error, ChecksUnclear)
    assert outcome.xcoms["verdict"]["verdict"] == "inconclusive"


def test_other_environments_do_not_count(polyai: Emulated, host: str) -> None:
    for _ in range(NEEDED):
        polyai.server.polyai.add_conversation(HOTELS, "sandbox")

    assert facts(look(polyai, host))["conversations"] == 0


@pytest.mark.parametrize("host", ["agent"], indirect=True)
@pytest.mark.parametrize(("told", "counted"), [("shown", NEEDED), ("absent", NEEDED + 7)])
def test_a_deployment_is_told_apart_where_conversations_tell_theirs(
    polyai: Emulated, host: str, told: Any, counted: int
) -> None:
    polyai.server.state.switches.conversation_deployments = told
    talk(polyai, NEEDED, deploymentId="new")
    talk(polyai, 7, deploymentId="old")

    assert facts(look(polyai, host, deployment_id="new"))["conversations"] == counted


@pytest.mark.parametrize("host", ["runtime"], indirect=True)
def test_a_missing_runtime_key_is_an_error(polyai: Emulated, host: str) -> None:
    polyai.connect()

    outcome = look(polyai, host)

    assert isinstance(outcome.error, ChecksUnclear)
    assert outcome.xcoms["verdict"]["verdict"] == "error"
    assert polyai.requests() == {}
