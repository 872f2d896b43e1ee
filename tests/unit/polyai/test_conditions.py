"""Sensor conditions: strict arguments, no values, unchanged after serialization for the triggerer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given

from airflow_voice_agents.plans.canonical import digest, same
from airflow_voice_agents.plans.diff import ABSENT
from airflow_voice_agents.plans.selection import value_at
from airflow_voice_agents.polyai.conditions import ConfigCondition, NumbersCondition
from airflow_voice_agents.polyai.models import ConfigPage, PhoneNumber
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded, objects

HOTEL = "harbour-hotels"


def config(values: Any = None, digest: Any = None, equals: Any = None, env: str = "live") -> ConfigCondition:
    return ConfigCondition.parse(HOTEL, env, values, digest, equals)


def pages(**by_environment: dict[str, Any] | None) -> list[ConfigPage]:
    """An answer; ``pre_release`` stands for ``pre-release``."""
    return [
        ConfigPage.model_validate(
            {"clientEnv": env.replace("_", "-"), "variables": variables, "schema": None}
        )
        for env, variables in by_environment.items()
    ]


def holds(condition: ConfigCondition, *answers: list[ConfigPage]) -> bool:
    """Whether it holds, which must not change on its way through JSON."""
    again = ConfigCondition.deserialize(json.loads(json.dumps(condition.serialize())))
    assert again == condition
    held, found = condition.holds(answers)
    assert again.holds(answers) == (held, found)
    assert set(found) == {"agent_id", "environment", "digest"}
    return held


# -------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("given_arguments", "message"),
    [
        ({}, "exactly one of values, digest and equals"),
        ({"values": {"a": 1}, "digest": "a" * 12}, "exactly one"),
        ({"values": {}}, "values must be a mapping of at least one key"),
        ({"values": ["a"]}, "values must be a mapping"),
        ({"values": {"a": float("nan")}}, "values.a must be a JSON value"),
        ({"values": {"a": object()}}, "values.a must be a JSON value"),
        ({"digest": "abc"}, "digest must be a text of at least 12 hexadecimal digits"),
        ({"digest": "not a hex digest"}, "digest must be"),
        ({"digest": "A" * 12}, "digest must be"),
        ({"digest": 123456789012}, "digest must be"),
        ({"equals": "live"}, "equals must be a mapping"),
        ({"equals": {"agent_id": HOTEL}}, "equals.environment must be"),
        ({"equals": {"environment": "live"}}, "equals.agent_id must be"),
        ({"equals": {"agent_id": HOTEL, "environment": "live"}}, "names the page itself"),
    ],
)
def test_arguments_that_are_wrong_are_named(given_arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config(**given_arguments)


def test_the_place_is_checked_as_well() -> None:
    with pytest.raises(InputError, match="agent_id"):
        ConfigCondition.parse("", "live", {"a": 1}, None, None)
    with pytest.raises(InputError, match="environment must be"):
        ConfigCondition.parse(HOTEL, "prod", {"a": 1}, None, None)
    assert ConfigCondition.parse(HOTEL, "pre_release", {"a": 1}, None, None).environment == "pre-release"


def test_nothing_of_the_values_is_kept() -> None:
    condition = config({"greeting": "hunter2", "deep": {"list": ["hunter2"]}})
    assert "hunter2" not in json.dumps(condition.serialize()) + repr(condition)


# ------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
    [
        ({"a": 1}, {"a": 1, "more": 2}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": {"b": 1, "c": 3}}, {"a": {"b": 1, "c": 2}}, False),
        ({"a": {"b": 1}}, {"a": 1}, False),
        ({"a": {}}, {"a": {}}, True),
        ({"a": {}}, {"a": {"b": 1}}, False),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, False),
        ({"a.b": 1}, {"a": {"b": 1}}, False),
        ({"a": 1}, None, False),
    ],
)
def test_values_hold_when_the_page_shows_them_all(
    wanted: dict[str, Any], there: dict[str, Any] | None, expected: bool
) -> None:
    assert holds(config(wanted), pages(live=there, sandbox=wanted)) is expected


def test_a_missing_page_shows_nothing() -> None:
    assert holds(config({"a": 1}), pages(sandbox={"a": 1})) is False


@bounded(200)
@given(objects(), objects())
@example({"a": {}}, {"a": {"b": 1}})
def test_values_hold_exactly_when_every_leaf_is_there(wanted: dict[str, Any], there: dict[str, Any]) -> None:
    if not wanted:
        return
    expected = all(
        (shown := value_at(there, path)) is not ABSENT and same(shown, value)
        for path, value in _leaves(wanted, ())
    )
    assert holds(config(wanted), pages(live=there)) == expected


def _leaves(value: dict[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, below in value.items():
        found += (
            _leaves(below, (*path, key)) if isinstance(below, dict) and below else [((*path, key), below)]
        )
    return found


# -------------------------------------------------------------------------------- digest and equals


def test_a_digest_or_its_beginning_is_enough() -> None:
    digest = ConfigPageKind().digest(PageState(None, {"a": 1}))
    assert holds(config(digest=digest), pages(live={"a": 1}))
    assert holds(config(digest=digest[:12]), pages(live={"a": 1}))
    assert not holds(config(digest=digest), pages(live={"a": 2}))


def test_pages_of_one_agent_are_compared_with_one_read() -> None:
    condition = config(equals={"agent_id": HOTEL, "environment": "sandbox"})
    assert [call.path for call in condition.reads()] == [f"/v1/agents/{HOTEL}/real-time-configs"]
    assert holds(condition, pages(live={"a": 1}, sandbox={"a": 1}))
    assert not holds(condition, pages(live={"a": 1}, sandbox={"a": 1.0}))
    assert not holds(condition, pages(sandbox={"a": 1}))


def test_pages_of_two_agents_are_compared_with_two_reads() -> None:
    condition = config(equals={"agent_id": "template", "environment": "live"})
    assert [call.path for call in condition.reads()] == [
        f"/v1/agents/{HOTEL}/real-time-configs",
        "/v1/agents/template/real-time-configs",
    ]
    assert holds(condition, pages(live={"a": 1}), pages(live={"a": 1}))
    assert not holds(condition, pages(live={"a": 1}), pages(live={"a": 2}))


def test_other_conditions_need_one_read() -> None:
    assert len(config({"a": 1}).reads()) == len(config(digest="a" * 12).reads()) == 1


# ----------------------------------------------------------------------------------------- numbers

ONE, TWO = "+441632960001", "+441632960002"


def numbers(**wanted: Any) -> NumbersCondition:
    return NumbersCondition.parse(
        HOTEL,
        wanted.pop("phone_numbers", [ONE, TWO]),
        wanted.pop("client_env", None),
        wanted.pop("connector_id", None),
    )


def there(**by_number: tuple[str, str | None]) -> list[PhoneNumber]:
    known = {"one": ONE, "two": TWO}
    return [
        PhoneNumber.model_validate({"number": known[name], "clientEnv": env, "connectorId": connector})
        for name, (env, connector) in by_number.items()
    ]


@pytest.mark.parametrize("wrong", [[], ["0163"], None, 5, [ONE, 7], ""])
def test_numbers_that_are_wrong_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="phone_numbers"):
        numbers(phone_numbers=wrong)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({}, there(one=("live", None), two=("sandbox", "c")), True),
        ({}, there(one=("live", None)), False),
        ({"client_env": "live"}, there(one=("live", None), two=("live", "c")), True),
        ({"client_env": "live"}, there(one=("live", None), two=("sandbox", "c")), False),
        ({"connector_id": "c"}, there(one=("live", "c"), two=("sandbox", "c")), True),
        ({"connector_id": "c"}, there(one=("live", "c"), two=("live", None)), False),
        ({"phone_numbers": ONE}, there(one=("live", None)), True),
    ],
)
def test_every_number_must_be_as_it_shall_be(
    wanted: dict[str, Any], found: list[PhoneNumber], expected: bool
) -> None:
    condition = numbers(**wanted)
    assert condition.holds([found])[0] is expected
    again = NumbersCondition.deserialize(json.loads(json.dumps(condition.serialize())))
    assert again == condition


def test_numbers_are_read_with_one_list_of_the_connector_where_it_is_named() -> None:
    (call,) = numbers(connector_id="conn-1").reads()
    assert (call.path, call.query) == (
        f"/v1/agents/{HOTEL}/telephony/phone-numbers",
        (("connectorId", "conn-1"),),
    )
    (call,) = numbers().reads()
    assert call.query == ()


def test_what_is_left_as_xcom_counts_each_number_once() -> None:
    condition = numbers(phone_numbers=[ONE, ONE, TWO])
    assert condition.holds([[]]) == (False, {"agent_id": HOTEL, "phone_numbers": 2})


def test_a_condition_that_a_former_release_stored_still_holds() -> None:
    stored = {"agent_id": HOTEL, "environment": "live", "leaves": [[["pin"], digest("4711")]]}
    condition = ConfigCondition.deserialize(stored)
    answer = [ConfigPage.model_validate({"clientEnv": "live", "variables": {"pin": "4711"}, "schema": None})]
    assert condition.salt == ""
    assert condition.holds([answer])[0]
    assert not ConfigCondition.deserialize({**stored, "salt": "other"}).holds([answer])[0]


def test_digests_are_salted_for_each_sensor() -> None:
    first, second = (config({"pin": "4711"}).serialize() for _ in range(2))
    assert first["leaves"] != second["leaves"]
    assert digest("4711") not in str(first)
