"""Of a confidential argument Airflow keeps keys and identifiers, and never a value."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, UndefinedError

from airflow_voice_agents.bases.masked_arguments import (
    HIDDEN,
    ITEMS_SHOWN,
    MaskedArgument,
    MaskedArguments,
)
from airflow_voice_agents.transport.errors import InputError, VoiceAgentsError
from support.airflow_versions import AirflowFailException, AirflowSkipException
from support.json_values import bounded

OPEN = ("agent_id", "environment")
NO_ENVIRONMENT: Any = Environment()  # noqa: S701  nothing is rendered to HTML


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
    """Stands for Airflow's operator, as far as rendering goes: every text is rendered in upper case."""

    template_ext = ()
    template_fields = ("values", "targets", "agent_id")

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update({"values": None, "targets": None, "agent_id": None, **fields})

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Render, as a plain task does."""
        self._do_render_template_fields(self, self.template_fields, context, jinja_env, set())

    def _do_render_template_fields(
        self, parent: Any, template_fields: Any, context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        self.rendered = (list(template_fields), context, jinja_env)

    def render_template(self, content: Any, context: Any, jinja_env: Any, seen_oids: Any) -> Any:
        """Render one text, or fail."""
        if content == "{{ fails }}":
            raise context["error"](f"rendering {content} with canary")
        return content.replace("{{ pin }}", "hunter2") if isinstance(content, str) else content


class Covered(MaskedArguments, Task):
    confidential_fields = ("values", "targets")
    open_keys = OPEN


def render(task: Any, context: Any = None) -> None:
    task.render_template_fields(context or {}, None)


def test_fields_are_covered_after_rendering_and_uncovered_for_use() -> None:
    task = Covered(values={"pin": "hunter2"}, targets=None, agent_id="rosa")
    render(task, {"ti": 1})
    assert task.rendered == (["agent_id"], {"ti": 1}, None)
    assert isinstance(task.values, MaskedArgument)
    assert repr(task.values) == HIDDEN
    assert task.targets is None
    assert task.agent_id == "rosa"
    assert task.argument("values") == {"pin": "hunter2"}
    assert task.argument("targets") is None


def test_a_rendered_text_is_read_as_json() -> None:
    task = Covered(values='{"pin": 1.0}', targets="hunter2")
    assert task.argument("values") == {"pin": 1.0}
    render(task)
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
    render(task)
    assert isinstance(task.values, MaskedArgument)
    assert task.uncovered("values") == "source: {agent_id: rosa}"
    assert task.uncovered("targets") == [{"agent_id": "rosa"}]
    assert Covered(values=None).uncovered("values") is None


def test_every_part_is_rendered_and_values_of_a_mapped_task_are_left_alone() -> None:
    mapped = {"pin": "{{ pin }}"}
    task = Covered(values={"a": ["{{ pin }}", ("{{ pin }}", 1)], "b": {}, 7: "{{ pin }}"}, targets=mapped)
    task._do_render_template_fields(task, task.template_fields, {}, NO_ENVIRONMENT, {id(mapped)})
    assert task.argument("values") == {"a": ["hunter2", ("hunter2", 1)], "b": {}, 7: "hunter2"}
    assert task.argument("targets") is mapped


def test_a_field_that_is_covered_already_is_left_alone() -> None:
    task = Covered(values={"a": 1})
    render(task)
    covered = task.values
    render(task)
    assert task.values is covered


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UndefinedError, InputError),
        (KeyError, VoiceAgentsError),
        (AirflowSkipException, AirflowSkipException),
        (AirflowFailException, AirflowFailException),
    ],
)
def test_a_template_that_fails_names_field_and_key_only(
    error: type[Exception], kind: type[Exception]
) -> None:
    task = Covered(values={"a": [{"the pin": "{{ fails }}"}], "b": "hunter2"})
    with pytest.raises(kind, match=r'argument values\.a\[0\]\."the pin" could not be rendered') as caught:
        render(task, {"error": error})
    assert type(caught.value) is kind
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert error.__name__ in str(caught.value)
    assert "canary" not in str(caught.value)
    _, *frames = [frame.f_locals for frame, _ in traceback.walk_tb(caught.tb)]  # the first is this test's own
    assert frames
    assert "hunter2" not in repr([{k: v for k, v in f.items() if k != "task"} for f in frames])


# ---------------------------------------------------------------------------------------- locals


class Runs(Task):
    """Stands for Airflow's operator, as far as running goes."""

    def resume_execution(self, method: str) -> Any:
        """Go on, as after a deferral."""
        return getattr(self, method)()


class Failing(MaskedArguments, Runs):
    def execute(self) -> Any:
        """Fail while a value is at hand, with an error that another one led to."""
        value = "hunter2"
        try:
            return self.deeper(value)
        except KeyError as error:
            raise ExceptionGroup("both", [error]) from ValueError("no")

    def deeper(self, value: str) -> Any:
        """Fail below."""
        raise KeyError(len(value))


@pytest.mark.parametrize("run", [Failing.execute, lambda task: task.resume_execution("execute")])
def test_an_error_that_leaves_a_task_holds_no_variables(run: Any) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        run(Failing())
    errors = [caught.value, *caught.value.exceptions]
    frames = [frame for error in errors for frame, _ in traceback.walk_tb(error.__traceback__)]
    named = {frame.f_code.co_name: dict(frame.f_locals) for frame in frames}
    assert named["execute"] == named["deeper"] == {}
