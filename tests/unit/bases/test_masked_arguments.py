"""Of a confidential argument Airflow keeps keys and identifiers, and never a value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.bases.masked_arguments import (
    HIDDEN,
    ITEMS_SHOWN,
    MaskedArgument,
    MaskedArguments,
)
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded

OPEN = ("agent_id", "environment")


def outline(value: Any, open_keys: tuple[str, ...] = OPEN) -> Any:
    return MaskedArgument(value, open_keys).serialize()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("hunter2", HIDDEN),
        (7, HIDDEN),
        (True, HIDDEN),
        (None, None),
        ({}, {}),
        ([], []),
        ({"pin": "hunter2", "none": None}, {"pin": HIDDEN, "none": None}),
        (
            [{"agent_id": "rosa", "environment": "live", "overrides": {"pin": "hunter2"}}],
            [{"agent_id": "rosa", "environment": "live", "overrides": {"pin": HIDDEN}}],
        ),
        ({"agent_id": ["rosa", "bank"]}, {"agent_id": ["rosa", "bank"]}),
        ({"agent_id": {"pin": "hunter2"}}, {"agent_id": {"pin": HIDDEN}}),
        ({"pin": {"agent_id": "rosa"}}, {"pin": {"agent_id": "rosa"}}),
        (("hunter2", 1), [HIDDEN, HIDDEN]),
        (b"hunter2", HIDDEN),
        ({"pin": {"hunter2"}}, {"pin": HIDDEN}),
    ],
)
def test_the_outline_of_an_argument(value: Any, kept: Any) -> None:
    assert outline(value) == kept


def test_a_long_list_is_outlined_in_part_and_counted() -> None:
    kept = outline(list(range(1000)))
    assert kept == [HIDDEN] * ITEMS_SHOWN + ["… 1000 in all"]
    assert outline(["x"] * ITEMS_SHOWN) == [HIDDEN] * ITEMS_SHOWN


SECRETS = st.recursive(
    st.sampled_from(["hunter2", 73, 7.3, None]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["pin", "settings", "list"]), below, max_size=3)
    ),
)


@bounded(150)
@given(SECRETS)
def test_no_value_survives_in_what_airflow_keeps(value: Any) -> None:
    covered = MaskedArgument(value, OPEN)
    text = json.dumps(covered.serialize()) + repr(covered) + str(covered) + f"{covered}"
    assert "hunter2" not in text
    assert "73" not in text
    assert "7.3" not in text
    assert covered.value is value


# --------------------------------------------------------------------------------------- the mixin


class Task:
    """Stands for Airflow's operator: rendering doubles every field."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Render, by way of the method that mapped tasks use as well."""
        self._do_render_template_fields(self, self.template_fields, context, jinja_env, set())

    def _do_render_template_fields(
        self, parent: Any, fields: Any, context: Any, jinja_env: Any, seen: Any
    ) -> None:
        self.rendered = (context, list(fields))

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen: Any = None) -> Any:
        """Return the template."""
        return content


class Covered(MaskedArguments, Task):
    template_fields = ("values", "targets", "agent_id")
    agent_id = None
    confidential_fields = ("values", "targets")
    open_keys = OPEN


def test_fields_are_covered_after_rendering_and_uncovered_for_use() -> None:
    task = Covered(values={"pin": "hunter2"}, targets=None, agent_id="rosa")
    task.render_template_fields({"ti": 1})  # type: ignore[arg-type,typeddict-item]
    assert task.rendered == ({"ti": 1}, ["agent_id"])
    assert isinstance(task.values, MaskedArgument)
    assert repr(task.values) == HIDDEN
    assert task.targets is None
    assert task.agent_id == "rosa"
    assert task.argument("values") == {"pin": "hunter2"}
    assert task.argument("targets") is None


def test_a_rendered_text_is_read_as_json() -> None:
    task = Covered(values='{"pin": 1.0}', targets="hunter2", agent_id="rosa")
    assert task.argument("values") == {"pin": 1.0}
    task.render_template_fields({})  # type: ignore[arg-type,typeddict-item]
    assert task.values.serialize() == HIDDEN
    assert task.argument("values") == {"pin": 1.0}
    with pytest.raises(InputError, match="targets is a text that is not JSON") as caught:
        task.argument("targets")
    assert "hunter2" not in str(caught.value)


def test_a_field_that_was_never_rendered_can_be_used_as_well() -> None:
    assert Covered(values={"a": 1}).argument("values") == {"a": 1}


def test_a_field_is_uncovered_as_it_was_rendered_whatever_it_is() -> None:
    task = Covered(values="source: {agent_id: rosa}", targets=[{"agent_id": "rosa"}])
    assert task.uncovered("values") == "source: {agent_id: rosa}"
    task.render_template_fields({})  # type: ignore[arg-type,typeddict-item]
    assert isinstance(task.values, MaskedArgument)
    assert task.uncovered("values") == "source: {agent_id: rosa}"
    assert task.uncovered("targets") == [{"agent_id": "rosa"}]
    assert Covered(values=None).uncovered("values") is None
