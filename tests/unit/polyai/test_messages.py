"""What a person wrote wrongly is told in our own words, for every field of the spec and of the checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core._pydantic_core import list_all_errors

from airflow_voice_agents.polyai.checks_spec import Check, parse_checks
from airflow_voice_agents.polyai.models import ConnectorUpdate
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.errors import InputError

SECRET = "hunter2-marker"
HERE = {"agent_id": "hotel", "environment": "live"}
SPEC: dict[str, Any] = {
    "source": {"agent_id": "hotel", "environment": "sandbox"},
    "targets": [
        {
            **HERE,
            "overrides": {},
            "connectors": {},
            "routing": {"numbers": {}},
            "moves": [{"connector_id": "c", "from_agent_id": "a"}],
            "deployment": {},
            "source": {"agent_id": "hotel", "environment": "sandbox"},
        }
    ],
    "config": {},
    "connectors": {},
    "routing": {},
    "deployment": {},
}
CHECKS: dict[str, dict[str, Any]] = {
    "read_back": {"pins": [{"kind": "k", "owner": "o", "resource": "r", "after": "d"}]},
    "test_runs": {"agent_id": "a"},
    "alerts": {"account_wide": True},
    "conversations": HERE,
    "smoke": {**HERE, "turns": [{"say": "hello"}]},
    "outbound": {**HERE, "to_number": "+447700900123", "confirm_call": True},
    "placed_call": {**HERE, "call_sid": "c"},
}
WRONG = (None, 7, 7.5, True, SECRET, [SECRET], {"key": SECRET}, [None], [[]], "", [], object(), float("nan"))
MODELS = {each.model_fields["check"].default: each for each in get_args(get_args(Check)[0])}


def _foreign() -> re.Pattern[str]:
    """The beginnings of pydantic's own messages, up to the first place that is filled in."""
    heads = {each["message_template_python"].split("{")[0].strip() for each in list_all_errors()}
    words = sorted((re.escape(each) for each in heads if len(each) > 8), key=len, reverse=True)
    return re.compile("|".join([*words, "Input should", "not permitted", "pydantic", "valid tuple"]))


FOREIGN = _foreign()


def own_words(said: str, *, hidden: bool = False) -> None:
    assert not FOREIGN.search(said), said
    assert "'str' object" not in said
    assert not (hidden and SECRET in said), said


def test_the_search_finds_pydantic() -> None:
    for said in ("Input should be a valid tuple", "Extra inputs are not permitted", "Field required"):
        assert FOREIGN.search(said)


def test_every_check_is_walked() -> None:
    assert set(CHECKS) == set(MODELS)
    for kind, fields in CHECKS.items():
        assert parse_checks([{"check": kind, **fields}])
    assert PromotionSpec.parse(SPEC)


def spec_fields() -> Iterator[tuple[str, ...]]:
    """The places of all fields, list members by their place."""

    def below(model: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        for name, field in model.model_fields.items():
            yield (*path, name)
            for kind in _models(field.annotation):
                step = (*path, name, 0) if name in ("targets", "moves") else (*path, name)
                yield from below(kind, step)

    yield from below(PromotionSpec, ())


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for inner in get_args(annotation) for each in _models(inner)]


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a place."""
    if not path:
        return new
    if isinstance(value, list):
        return [with_value(each, path[1:], new) if at == path[0] else each for at, each in enumerate(value)]
    return {**value, path[0]: with_value(value.get(path[0], {}), path[1:], new)}


@pytest.mark.parametrize("path", list(spec_fields()), ids=lambda path: ".".join(map(str, path)))
def test_every_wrong_value_of_a_spec_is_told_in_our_words(path: tuple[Any, ...]) -> None:
    for wrong in WRONG:
        try:
            PromotionSpec.parse(with_value(SPEC, path, wrong))
        except InputError as error:
            own_words(str(error), hidden=not isinstance(wrong, str))


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, model in MODELS.items() for name in model.model_fields]
)
def test_every_wrong_value_of_a_check_is_told_in_our_words(kind: str, name: str) -> None:
    for wrong in WRONG:
        try:
            parse_checks([{"check": kind, **CHECKS[kind], name: wrong}])
        except InputError as error:
            own_words(str(error), hidden=True)


@pytest.mark.parametrize("name", list(ConnectorUpdate.model_fields))
def test_every_wrong_value_of_an_update_is_told_in_our_words(name: str) -> None:
    for wrong in WRONG:
        try:
            ConnectorUpdate.parse({"connector_id": "c", name: wrong})
        except InputError as error:
            own_words(str(error))


@pytest.mark.parametrize(
    "path", [(), ("targets", 0), ("config",), ("connectors",), ("targets", 0, "moves", 0)]
)
def test_a_misspelled_key_is_told_where_it_was_written_with_the_nearest(path: tuple[Any, ...]) -> None:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    names = {(): "configs", ("config",): "ovverides", ("connectors",): "rename"}
    name = names.get(path, "agent_ids" if len(path) == 2 else "connector")
    with pytest.raises(InputError) as caught:
        PromotionSpec.parse(with_value(SPEC, (*path, name), 1))
    said = str(caught.value)
    assert f"{place}.{name}".lstrip(".") + ": there is no such key here. Did you mean '" in said


def said_of(value: Any) -> str:
    with pytest.raises(InputError) as caught:
        PromotionSpec.parse(value)
    return str(caught.value)


def test_a_key_at_the_wrong_place_names_the_right_ones() -> None:
    said = said_of({**SPEC, "overrides": {}})
    assert (
        "overrides: there is no such key here. Did you mean targets[].overrides or config.overrides?" in said
    )
    assert "targets[0].include_keys" in said_of(with_value(SPEC, ("targets", 0, "include_keys"), []))
    assert "Did you mean config.include_keys?" in said_of(
        with_value(SPEC, ("targets", 0, "include_keys"), [])
    )


def test_a_key_with_a_dot_is_quoted_as_a_plan_prints_it() -> None:
    assert '"a.b": there is no such key here' in said_of({**SPEC, "a.b": 1})


def test_a_check_is_named_without_the_marks_of_the_reader() -> None:
    with pytest.raises(InputError) as caught:
        parse_checks([{"check": "conversations", **HERE, "min_conversation": 3}])
    assert "checks[0].min_conversation: there is no such key here. Did you mean 'min_conversations'" in str(
        caught.value
    )
    with pytest.raises(InputError, match=r"checks\[0\]: 'check' must be .*Did you mean 'conversations'\?"):
        parse_checks([{"check": "conversation", **HERE}])
    with pytest.raises(InputError, match=r"checks\[0\]: it must say its kind under 'check'"):
        parse_checks([HERE])
