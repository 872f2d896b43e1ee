"""SignalWire operators and sensors survive DAG serialization, mapped or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, AssetAlias

from airflow_voice_agents.signalwire.operators.e911 import SignalWireAssignE911Operator
from airflow_voice_agents.signalwire.operators.phone_numbers import (
    SignalWireListPhoneNumbersOperator,
    SignalWireReleasePhoneNumbersOperator,
    SignalWireSearchAndPurchaseOperator,
)
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.snapshots import (
    SignalWireReleaseHoldOperator,
    SignalWireRestoreRoutingOperator,
    SignalWireSnapshotRoutingOperator,
)
from airflow_voice_agents.signalwire.routes import ToSwml
from airflow_voice_agents.signalwire.sensors import (
    SignalWireE911Sensor,
    SignalWireNumberSensor,
    SignalWireRouteSensor,
    SignalWireSensor,
)
from support.airflow_versions import MAPPED_TASKS_HAVE_DEFAULTS, NATIVE, DagSerialization
from support.carrier import ADDRESS, MARKER, SECRET_URL, SWML, numbers

NUMBERS = {"phone_numbers": [numbers(2), "{{ ti.xcom_pull('numbers') }}"]}
CASES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (SignalWireListPhoneNumbersOperator, {"voice_only": False}, {"filter_name": ["a", "b"]}),
    (SignalWireRoutePhoneNumbersOperator, {"route": SWML}, NUMBERS),
    (SignalWireSnapshotRoutingOperator, {"folder": "file:///x"}, NUMBERS),
    (SignalWireRestoreRoutingOperator, {"expected_route": SWML}, {"snapshot": ["file:///a", "file:///b"]}),
    (SignalWireReleaseHoldOperator, {"state_folder": "file:///x"}, {"targets": ["acme", ["a", "b"]]}),
    (SignalWireSearchAndPurchaseOperator, {"max_numbers": 2}, {"count": [1, 2]}),
    (SignalWireReleasePhoneNumbersOperator, {"expected": numbers(2)}, NUMBERS),
    (SignalWireAssignE911Operator, {"e911_address_id": ADDRESS}, NUMBERS),
    (SignalWireNumberSensor, {}, NUMBERS),
    (SignalWireRouteSensor, {"route": SWML}, NUMBERS),
    (SignalWireE911Sensor, {"e911_address_id": ADDRESS}, NUMBERS),
]
all_of_them = pytest.mark.parametrize(
    ("kind", "fixed", "mapped"), CASES, ids=lambda case: getattr(case, "__name__", "")
)


def stored(dag: DAG) -> Any:
    """A DAG as the scheduler has it."""
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


@all_of_them
def test_an_operator_survives_serialisation(kind: Any, fixed: dict[str, Any], mapped: dict[str, Any]) -> None:
    arguments = {**fixed, **{name: values[0] for name, values in mapped.items()}}
    with DAG("stored", schedule=None) as dag:
        kind(task_id="it", **arguments)

    again = stored(dag).get_task("it")

    assert again.task_type == kind.__name__
    assert tuple(again.template_fields) == tuple(kind.template_fields)
    templated = set(arguments) & set(kind.template_fields)
    assert {name: getattr(again, name) for name in templated} == {name: arguments[name] for name in templated}
    assert not NATIVE or again.has_retry_policy
    own = [] if issubclass(kind, SignalWireSensor) else ["signalwire"]
    assert [outlet.name for outlet in again.outlets] == own


@all_of_them
def test_a_mapped_operator_survives_serialisation(
    kind: Any, fixed: dict[str, Any], mapped: dict[str, Any]
) -> None:
    with DAG("stored", schedule=None) as dag:
        task = kind.partial(task_id="it", **fixed).expand(**mapped)

    again = stored(dag).get_task("it")

    assert again.task_type == kind.__name__
    assert again.is_mapped
    assert task.outlets == (
        []
        if issubclass(kind, SignalWireSensor) or not MAPPED_TASKS_HAVE_DEFAULTS
        else [AssetAlias("signalwire")]
    )


@all_of_them
def test_an_operator_does_nothing_when_it_is_made(
    kind: Any, fixed: dict[str, Any], mapped: dict[str, Any]
) -> None:
    arguments = {**fixed, **{name: values[0] for name, values in mapped.items()}}

    task = kind(task_id="it", **arguments)

    assert all(getattr(task, name) is value for name, value in arguments.items())


def test_a_route_that_is_a_value_is_stored_without_its_secret() -> None:
    with DAG("stored", schedule=None) as dag:
        SignalWireRoutePhoneNumbersOperator(task_id="it", phone_numbers=numbers(1), route=ToSwml(SECRET_URL))

    text = json.dumps(DagSerialization.to_dict(dag))

    assert "ToSwml" in text
    assert MARKER not in text
