"""Omnia Voice operators survive DAG serialization, mapped or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, AssetAlias

from airflow_voice_agents.omnia_voice.operators.phone_numbers import (
    OmniaVoiceAssignNumbersOperator,
    OmniaVoiceDeleteNumbersOperator,
    OmniaVoiceListNumbersOperator,
    OmniaVoiceUpdateNumbersOperator,
)
from airflow_voice_agents.omnia_voice.operators.snapshots import (
    OmniaVoiceReleaseHoldOperator,
    OmniaVoiceRestoreAssignmentsOperator,
    OmniaVoiceSnapshotAssignmentsOperator,
)
from airflow_voice_agents.omnia_voice.sensors import OmniaVoiceNumberSensor
from support.airflow_versions import MAPPED_TASKS_HAVE_DEFAULTS, NATIVE, DagSerialization
from support.emulated_omnia import DESK, numbers

CASES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (OmniaVoiceListNumbersOperator, {"status": "ACTIVE"}, {"agent_id": ["a", "b"]}),
    (OmniaVoiceAssignNumbersOperator, {"agent_id": DESK}, {"phone_numbers": [numbers(2), numbers(1)]}),
    (OmniaVoiceUpdateNumbersOperator, {"changes": {"agent_id": None}}, {"phone_numbers": [numbers(2)]}),
    (OmniaVoiceDeleteNumbersOperator, {"expected": numbers(2)}, {"phone_numbers": [numbers(2)]}),
    (OmniaVoiceSnapshotAssignmentsOperator, {"folder": "file:///x"}, {"phone_numbers": [numbers(2)]}),
    (OmniaVoiceRestoreAssignmentsOperator, {"expected_agent_id": DESK}, {"snapshot": ["file:///x/y"]}),
    (OmniaVoiceReleaseHoldOperator, {"state_folder": "file:///x"}, {"targets": ["omnia"]}),
    (OmniaVoiceNumberSensor, {"agent_id": DESK}, {"phone_numbers": [numbers(2)]}),
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
    assert [outlet.name for outlet in again.outlets] == (
        [] if kind is OmniaVoiceNumberSensor else ["omniavoice"]
    )


@all_of_them
def test_a_mapped_operator_survives_serialisation(
    kind: Any, fixed: dict[str, Any], mapped: dict[str, Any]
) -> None:
    with DAG("stored", schedule=None) as dag:
        task = kind.partial(task_id="it", **fixed).expand(**mapped)

    again = stored(dag).get_task("it")

    assert (again.task_type, again.is_mapped) == (kind.__name__, True)
    assert task.outlets == (
        [] if kind is OmniaVoiceNumberSensor or not MAPPED_TASKS_HAVE_DEFAULTS else [AssetAlias("omniavoice")]
    )
