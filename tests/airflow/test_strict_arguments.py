"""Templates that render to nothing, to a wrong flag or to another type never become an instruction.

Every template field of every operator and sensor is walked, rendered by Airflow as a plain and as a mapped task.
"""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.bases.argument_checks import RENAMED, flags
from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.transport.errors import InputError
from support.airflow_runner import make
from support.emulated import HOTELS, LIVE, PRE_RELEASE, Emulated
from support.json_values import bounded
from support.operators import public_operators, right_arguments

ARGUMENTS = {attribute: name for name, attribute in RENAMED.items()}
FIELDS = [(each, field) for each in public_operators() for field in each.template_fields]
TEMPLATE = "{{ given }}"


def rendered(operator: type[BaseOperator], field: str, written: Any, value: Any, **options: Any) -> Any:
    """Return a field after Airflow has rendered what was written, with a value for the template."""
    with DAG("dag", schedule=None, **options):
        name = ARGUMENTS.get(field, field)
        made = operator(**{**right_arguments(operator, name), name: written})
    made.render_template_fields({"given": value})  # type: ignore[typeddict-unknown-key]
    return made.uncovered(field)  # type: ignore[attr-defined]


def ids(cases: list[tuple[type[BaseOperator], str]]) -> list[str]:
    return [f"{operator.__name__}-{field}" for operator, field in cases]


@pytest.mark.parametrize(("operator", "field"), FIELDS, ids=ids(FIELDS))
@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_a_field_that_renders_to_nothing_is_refused_by_name(
    operator: type[BaseOperator], field: str, native: bool
) -> None:
    nothing = [None, "None", "null", "", " "]
    if field in operator.may_be_empty:  # type: ignore[attr-defined]
        assert rendered(operator, field, TEMPLATE, "") == ""
        return
    for value in nothing:
        with pytest.raises(
            InputError, match=rf"\b{ARGUMENTS.get(field, field)} (rendered to nothing|must render)"
        ):
            rendered(operator, field, TEMPLATE, value, render_template_as_native_obj=native)


@pytest.mark.parametrize(("operator", "field"), FIELDS, ids=ids(FIELDS))
def test_an_empty_document_is_nothing_as_well(operator: type[BaseOperator], field: str) -> None:
    if field in operator.may_be_empty:  # type: ignore[attr-defined]
        return
    for value in ("[]", "{}", "[ ]"):
        with pytest.raises(InputError, match=ARGUMENTS.get(field, field)):
            rendered(operator, field, TEMPLATE, value)


FLAGS = [(each, field) for each, field in FIELDS if field in flags(each)]


def test_the_walk_covers_what_there_is() -> None:
    assert len(FIELDS) > 250
    assert len(FLAGS) > 40
    assert {ARGUMENTS.get(field, field) for _, field in FLAGS} == {
        *("dry_run", "confirm_live", "confirm_purchase", "force"),
    }


@pytest.mark.parametrize(("operator", "field"), FLAGS, ids=ids(FLAGS))
def test_only_true_is_a_yes(operator: type[BaseOperator], field: str) -> None:
    assert [rendered(operator, field, TEMPLATE, each) for each in (True, "true", "True")] == [True] * 3
    assert [rendered(operator, field, TEMPLATE, each) for each in (False, "false", "False")] == [False] * 3
    for value in ("yes", "no", "1", "0", 1, 0, "TRUE", "on", [True], {}, None):
        with pytest.raises(InputError, match=f"{ARGUMENTS.get(field, field)} must render to true or false"):
            rendered(operator, field, TEMPLATE, value)


TEXTS = ["3", "+441632960001", "1.0", "True", "None", "null", "[1]", "{'a': 1}", "2026-11-26", " x "]


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_a_text_without_a_template_stays_as_it_was_written(native: bool) -> None:
    written = {text: {"below": [text, (text,)]} for text in TEXTS}

    found = rendered(PolyAIUpdateConfigOperator, "values", written, "x", render_template_as_native_obj=native)

    assert found == written
    assert [type(each) for each in found["3"]["below"]] == [str, tuple]


@bounded(100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    ),
    st.booleans(),
)
def test_what_holds_no_template_is_never_changed(value: Any, native: bool) -> None:
    written = {"key": value}
    texts = repr(value)
    if any(mark in texts for mark in ("{{", "{%", "{#")):
        return
    assert (
        rendered(PolyAIUpdateConfigOperator, "values", written, "x", render_template_as_native_obj=native)
        == written
    )


@pytest.mark.parametrize("value", [None, "None", "null", "", "  "])
def test_a_key_that_renders_to_nothing_is_refused_by_its_path(value: Any) -> None:
    written = {"greeting": {"lines": ["Hello", TEMPLATE]}}

    with pytest.raises(InputError, match=r"values\.greeting\.lines\[1\] rendered to nothing"):
        rendered(PolyAIUpdateConfigOperator, "values", written, value)


def test_a_task_that_renders_to_nothing_fails_for_good_and_sends_nothing(polyai: Emulated) -> None:
    task = make(
        PolyAIUpdateConfigOperator,
        task_id="update",
        values={"greeting": "{{ ti.xcom_pull(task_ids='nobody') }}"},
        targets={"agent_id": HOTELS, "environment": PRE_RELEASE},
        retries=3,
    )

    outcome = polyai.run(task)

    assert (outcome.state, "values.greeting rendered to nothing" in str(outcome.error)) == ("failed", True)
    assert polyai.requests() == {}


@pytest.mark.parametrize("answer", ["False", "no", "0", ""])
def test_a_form_that_does_not_say_yes_writes_nothing_to_live(polyai: Emulated, answer: str) -> None:
    task = make(
        PolyAIPromoteConfigOperator,
        task_id="promote",
        source={"agent_id": HOTELS, "environment": PRE_RELEASE},
        targets={"agent_id": HOTELS, "environment": LIVE},
        confirm_live=f"{{{{ '{answer}' }}}}",
    )

    outcome = polyai.run(task)

    assert outcome.state == "failed"
    assert not {name for name in polyai.requests() if "update" in name}


@pytest.mark.parametrize("name", ["include_keys", "state_folder", "expected_digest"])
@pytest.mark.parametrize("empty", ["", [], {}, ()], ids=repr)
def test_an_argument_that_was_given_empty_is_not_left_out(name: str, empty: Any) -> None:
    with pytest.raises(InputError, match=f"{name} is empty"):
        PolyAIPromoteConfigOperator(
            **{
                "task_id": "promote",
                "source": {"agent_id": HOTELS, "environment": PRE_RELEASE},
                "targets": {"agent_id": HOTELS, "environment": LIVE},
                name: empty,
            }
        )
