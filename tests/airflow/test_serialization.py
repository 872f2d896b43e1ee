"""PolyAI operators survive DAG serialization, mapped or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, AssetAlias

from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from airflow_voice_agents.polyai.sensors import PolyAIConfigSensor
from support.airflow_versions import MAPPED_TASKS_HAVE_DEFAULTS, NATIVE, DagSerialization

PLACE = {"agent_id": "harbour-hotels", "environment": "sandbox"}
OTHER = {"agent_id": "harbour-hotels", "environment": "pre-release"}
CASES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (PolyAIPromoteConfigOperator, {"source": PLACE}, {"targets": [OTHER, [OTHER]]}),
    (PolyAIUpdateConfigOperator, {"targets": PLACE}, {"values": [{"a": 1}, {"a": 2}]}),
    (PolyAIBatchUpdateConnectorsOperator, {"agent_id": "a"}, {"updates": [[{"connector_id": "c"}]]}),
    (
        PolyAIImportPhoneNumbersOperator,
        {"agent_id": "a", "client_env": "sandbox"},
        {"phone_numbers": [["+442079460000"], "{{ ti.xcom_pull('numbers') }}"]},
    ),
    (PolyAIConfigSensor, PLACE, {"values": [{"a": 1}]}),
]
all_of_them = pytest.mark.parametrize(
    ("kind", "fixed", "mapped"), CASES, ids=lambda case: getattr(case, "__name__", "")
)


def stored(dag: DAG) -> Any:
    """A DAG as the scheduler has it."""
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


@all_of_them
def test_an_operator_survives_serialisation(kind: Any, fixed: dict[str, Any], mapped: dict[str, Any]) -> None:
    with DAG("stored", schedule=None) as dag:
        task = kind(task_id="it", **fixed, **{name: values[0] for name, values in mapped.items()})

    again = stored(dag).get_task("it")

    assert again.task_type == kind.__name__
    assert tuple(again.template_fields) == tuple(kind.template_fields)
    for name in (*fixed, *mapped):
        assert getattr(again, name) == getattr(task, name)
    assert not NATIVE or again.has_retry_policy
    assert [outlet.name for outlet in again.outlets] == [] if kind is PolyAIConfigSensor else ["polyai"]


@all_of_them
def test_a_mapped_operator_survives_serialisation(
    kind: Any, fixed: dict[str, Any], mapped: dict[str, Any]
) -> None:
    with DAG("stored", schedule=None) as dag:
        task = kind.partial(task_id="it", **fixed).expand(**mapped)

    again = stored(dag).get_task("it")

    assert again.task_type == kind.__name__
    assert again.is_mapped
    own = [] if kind is PolyAIConfigSensor or not MAPPED_TASKS_HAVE_DEFAULTS else [AssetAlias("polyai")]
    assert task.outlets == own
    assert ("polyai" in str(again.outlets)) is bool(own)


@all_of_them
def test_an_operator_does_nothing_when_it_is_made(
    kind: Any, fixed: dict[str, Any], mapped: dict[str, Any]
) -> None:
    arguments = {**fixed, **{name: values[0] for name, values in mapped.items()}}

    task = kind(task_id="it", **arguments)

    assert {name: getattr(task, name) for name in arguments} == arguments
    assert all(getattr(task, name) is value for name, value in arguments.items())
