"""Awkward JSON values in every argument of every operator and sensor.

Each is refused with a sentence that names the argument, or stays exactly what it is; nothing ends in another error.
"""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from hypothesis import given

from airflow_voice_agents.bases.argument_checks import RENAMED
from airflow_voice_agents.transport.errors import InputError
from support.airflow_runner import AirflowRunner
from support.json_values import AWKWARD, JSON, bounded
from support.operators import arguments_of, public_operators, right_arguments

OF_AIRFLOW = ("outlets", "retry_policy", "poke_interval")
"""Arguments that Airflow checks or changes itself."""

PAIRS = [(each, name) for each in public_operators() for name in arguments_of(each) if name not in OF_AIRFLOW]


def attribute(name: str) -> str:
    return RENAMED.get(name, name)


def refusal(make: Any) -> str | None:
    """The text of a refusal, or ``None`` where the operator was made."""
    try:
        make()
    except InputError as error:
        return str(error)
    return None


def test_every_argument_of_every_operator_is_walked() -> None:
    assert len(public_operators()) >= 45
    assert len(PAIRS) > 700


@pytest.mark.parametrize("operator", public_operators(), ids=lambda each: each.__name__)
def test_a_written_value_is_refused_by_name_or_kept(operator: type[BaseOperator]) -> None:
    for name in (name for each, name in PAIRS if each is operator):
        for value in AWKWARD:
            made: list[Any] = []
            said = refusal(
                lambda name=name, value=value, made=made: made.append(
                    operator(**{**right_arguments(operator), name: value})
                )
            )
            if said is not None:
                assert attribute(name) in said or name in said, (name, value, said)
            else:
                assert getattr(made[0], attribute(name)) is value, (name, value)


@bounded(20)
@given(JSON)
def test_any_json_value_is_refused_or_kept(value: Any) -> None:
    for operator in public_operators()[::9]:
        for name in (name for each, name in PAIRS if each is operator):
            made: list[Any] = []
            said = refusal(
                lambda name=name, made=made, operator=operator: made.append(
                    operator(**{**right_arguments(operator), name: value})
                )
            )
            assert said is not None or getattr(made[0], attribute(name)) is value


GIVEN_BY_OUTPUTS = {
    name: each
    for each, name in PAIRS
    if arguments_of(each)[name].default is None
    and attribute(name) in each.template_fields
    and attribute(name) not in each.may_be_empty  # type: ignore[attr-defined]
}
"""Argument whose default is ``None`` -> an operator that has it."""


@pytest.mark.parametrize(("name", "operator"), GIVEN_BY_OUTPUTS.items(), ids=list(GIVEN_BY_OUTPUTS))
def test_an_output_that_is_nothing_is_no_default_in_a_mapped_task(
    operator: type[BaseOperator], name: str
) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk.definitions.xcom_arg import PlainXComArg

    runner = AirflowRunner()
    runner.push("before", [None])
    with DAG("dag", schedule=None):
        before = EmptyOperator(task_id="before")
        usual = {key: each for key, each in right_arguments(operator).items() if key != name}
        task = operator.partial(**usual).expand(**{name: PlainXComArg(before)})

    outcome = runner.run(task, map_index=0)

    assert outcome.state == "failed"
    assert f"{name} rendered to nothing" in str(outcome.error)
