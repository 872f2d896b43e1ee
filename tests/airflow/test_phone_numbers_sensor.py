"""The sensor for phone numbers, poking and deferred, against the local server."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from airflow_voice_agents.polyai.sensors import PolyAIPhoneNumbersSensor
from support.airflow_runner import make
from support.emulated import HOTELS, SANDBOX, Emulated

LIST = "list phone numbers"
CONNECTOR = "conn_hh_sandbox"
NEW = "+442071838750"


def wait(**arguments: Any) -> PolyAIPhoneNumbersSensor:
    with DAG("numbers", schedule=None):
        return make(
            PolyAIPhoneNumbersSensor,
            task_id="wait",
            agent_id=HOTELS,
            **{"poke_interval": 0, "timeout": 0, **arguments},
        )


def numbers_on(polyai: Emulated, connector_id: str) -> list[str]:
    numbers = polyai.server.polyai.agents[HOTELS]["numbers"]
    return [number for number, record in numbers.items() if record["connectorId"] == connector_id]


def import_it(polyai: Emulated) -> None:
    with DAG("import", schedule=None):
        task = PolyAIImportPhoneNumbersOperator(
            task_id="import", agent_id=HOTELS, client_env=SANDBOX, phone_numbers=[NEW], connector_id=CONNECTOR
        )
    assert polyai.run(task).state == "success"


def test_numbers_that_are_there_cost_one_question(polyai: Emulated) -> None:
    there = numbers_on(polyai, CONNECTOR)

    outcome = polyai.run(wait(phone_numbers=there, client_env=SANDBOX, connector_id=CONNECTOR))

    assert there
    assert outcome.state == "success"
    assert outcome.result == {"agent_id": HOTELS, "phone_numbers": len(there)}
    assert polyai.requests() == {LIST: 1}


@pytest.mark.parametrize(
    "wanted",
    [{"phone_numbers": [NEW]}, {"client_env": "live"}, {"connector_id": "conn_hh_live_groups"}],
    ids=["absent", "elsewhere", "answered by another"],
)
def test_what_is_not_there_is_waited_for_until_the_time_is_up(
    polyai: Emulated, wanted: dict[str, Any]
) -> None:
    outcome = polyai.run(wait(**{"phone_numbers": numbers_on(polyai, CONNECTOR), **wanted}))

    assert outcome.state == "failed"
    assert "timed out" in str(outcome.error)
    assert set(polyai.requests()) == {LIST}


def test_deferred_it_ends_once_the_numbers_are_there(polyai: Emulated) -> None:
    sensor = wait(phone_numbers=NEW, client_env=SANDBOX, connector_id=CONNECTOR, deferrable=True, timeout=60)
    waiting = polyai.run(sensor)
    import_it(polyai)

    outcome = polyai.runner.resume(sensor, waiting)

    assert waiting.state == "deferred"
    assert (outcome.state, outcome.result) == ("success", {"agent_id": HOTELS, "phone_numbers": 1})


def test_deferred_it_ends_when_the_time_is_up(polyai: Emulated) -> None:
    sensor = wait(phone_numbers=NEW, deferrable=True)

    outcome = polyai.runner.resume(sensor, polyai.run(sensor))

    assert outcome.state == "failed"
    assert polyai.writes() == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"phone_numbers": []}, "phone_numbers"),
        ({"phone_numbers": [NEW, "0123"]}, "phone_numbers[1]"),
        ({"phone_numbers": [NEW], "client_env": "production"}, "client_env"),
        ({"phone_numbers": [NEW], "connector_id": "a/b"}, "connector_id"),
    ],
)
def test_wrong_arguments_are_refused_before_any_request(
    polyai: Emulated, arguments: dict[str, Any], named: str
) -> None:
    outcome = polyai.run(wait(**arguments))

    assert outcome.state == "failed"
    assert named in str(outcome.error)
    assert polyai.requests() == {}
