"""A filter that reaches no number is told, with what was likely meant."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.signalwire.operators.phone_numbers import SignalWireListPhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.snapshots import SignalWireSnapshotRoutingOperator
from support.carrier import LIST, SWML, EmulatedCarrier, routed

FILTERS = [
    ({"filter_name": "Lime +12065550001"}, "has filter_name 'Lime +12065550001'. Did you mean 'Line"),
    ({"filter_number": "+12065550020"}, "Did you mean '+12065550002'"),
    ({"country_code": "ca"}, "has country_code 'CA'. Its numbers are of US."),
    ({"filter_name": "Line", "country_code": "GB"}, "filter_name 'Line', country_code 'GB'"),
]


@pytest.mark.parametrize(("filters", "said"), FILTERS, ids=str)
@pytest.mark.parametrize(
    ("operator", "more"),
    [
        (SignalWireRoutePhoneNumbersOperator, {"route": SWML, "confirm_live": True}),
        (SignalWireSnapshotRoutingOperator, {"allow_unencrypted": True}),
    ],
    ids=["route", "snapshot"],
)
def test_a_filter_that_reaches_nothing_fails_and_names_the_nearest(
    carrier: EmulatedCarrier, operator: Any, more: dict[str, Any], filters: dict[str, Any], said: str
) -> None:
    carrier.start(routed(3))

    outcome = carrier.run(operator(task_id="it", **filters, **more))

    assert outcome.state == "failed"
    assert "None of the project's 3 number(s)" in str(outcome.error)
    assert said in str(outcome.error)
    assert carrier.requests() == {LIST: 2}
    assert carrier.writes() == 0


@pytest.mark.parametrize(("filters", "said"), FILTERS, ids=str)
def test_a_list_of_nothing_warns(carrier: EmulatedCarrier, filters: dict[str, Any], said: str) -> None:
    carrier.start(routed(3))

    outcome = carrier.run(SignalWireListPhoneNumbersOperator(task_id="it", **filters))

    assert outcome.result == []
    assert said in outcome.log


def test_a_project_without_numbers_is_said_to_have_none(carrier: EmulatedCarrier) -> None:
    carrier.start({})

    outcome = carrier.run(SignalWireListPhoneNumbersOperator(task_id="it", filter_name="Line"))

    assert "The project has no numbers." in outcome.log
