"""Omnia Voice requests: exact contents, when they can be resent, and invalid arguments."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import number_key
from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.errors import InputError

NUMBER = "+12025550123"


def test_absent_and_null_agent_are_two_updates() -> None:
    assert api.update_number("n1", changes={"agent_id": None}).body == {"agentId": None}
    assert api.update_number("n1", changes={"friendly_name": "Bar"}).body == {"friendlyName": "Bar"}


def test_a_list_asks_for_the_largest_pages_and_leaves_the_status_open() -> None:
    assert api.list_numbers().query == (("page", "1"), ("limit", "100"))
    assert api.list_numbers(page=2, limit=1, status="whatever they say").query == (
        ("page", "2"),
        ("limit", "1"),
        ("status", "whatever they say"),
    )


def test_no_write_is_repeated_blind() -> None:
    update = api.update_number("n1", changes={"agent_id": "a"})
    reads = [api.list_numbers(), api.get_number("n1"), api.list_agent_numbers("a")]
    writes = [api.assign_number(phone_number=NUMBER, agent_id="a"), api.delete_number("n1")]
    assert {call.replay for call in reads} == {Replay.SAFE}
    assert {call.replay for call in [update, *writes]} == {Replay.RECONCILE}


def test_identifiers_may_be_quoted_by_an_error_and_names_may_not() -> None:
    call = api.assign_number(phone_number=NUMBER, agent_id="a", friendly_name="Front desk")
    assert call.body is not None
    assert call.body.keys() - call.shown == {"friendlyName"}


@pytest.mark.parametrize(("verb", "other"), [("PUT", "PATCH"), ("PATCH", "PUT")])
def test_fallback_is_the_same_update_with_the_other_verb(verb: str, other: str) -> None:
    call = api.update_number("n1", changes={"agent_id": None}, verb=verb)
    fallback = api.fallback_verb(call)
    assert fallback.method == other
    assert (fallback.path, fallback.body, fallback.replay) == (call.path, call.body, call.replay)
    assert api.fallback_verb(fallback) == call
    assert UpdateVerb(verb).other == other


@pytest.mark.parametrize(
    "call",
    [api.get_number("n1"), api.delete_number("n1"), api.list_numbers(), api.list_agent_numbers("a")],
    ids=lambda call: call.operation,
)
def test_nothing_but_an_update_has_another_verb(call: Any) -> None:
    with pytest.raises(InputError, match="has no other verb"):
        api.fallback_verb(call)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: api.get_number(""), "number_id must not be empty"),
        (lambda: api.get_number("a/b"), "number_id must not hold a slash"),
        (lambda: api.delete_number(".."), "number_id must not be empty, only dots"),
        (lambda: api.list_agent_numbers(7), "agent_id must be a string, not int"),
        (lambda: api.list_numbers(page=0), "page must be a whole number of at least 1"),
        (lambda: api.list_numbers(limit=True), "limit must be a whole number of at least 1"),
        (lambda: api.list_numbers(status=""), "status must not be empty"),
        (
            lambda: api.assign_number(phone_number="020", agent_id="a"),
            "phone_number must be an E.164 number",
        ),
        (lambda: api.assign_number(phone_number=NUMBER, agent_id=""), "agent_id must not be empty"),
        (
            lambda: api.assign_number(phone_number=NUMBER, agent_id="a", friendly_name="a\nb"),
            "friendly_name must not hold control characters",
        ),
        (lambda: api.update_number("n1", changes={}), "changes must not be empty"),
        (lambda: api.update_number("n1", changes=["agent_id"]), "changes must be a mapping of field names"),
        (lambda: api.update_number("n1", changes={"agent": "a"}), "unknown or repeated field 'agent'"),
        (
            lambda: api.update_number("n1", changes={"agent_id": "a", "agentId": "b"}),
            "unknown or repeated field 'agentId'",
        ),
        (lambda: api.update_number("n1", changes={"agent_id": ""}), "changes.agent_id must not be empty"),
        (lambda: api.update_number("n1", changes={"status": None}), "changes.status must be a string"),
        (
            lambda: api.update_number("n1", changes={"friendly_name": None}),
            "changes.friendly_name must be a string",
        ),
        (
            lambda: api.update_number("n1", changes={"agent_id": "a"}, verb="POST"),
            "verb must be 'PUT' or 'PATCH'",
        ),
    ],
)
def test_what_could_not_be_right_is_refused_by_name(build: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("shown", "key"),
    [
        (NUMBER, NUMBER),
        ("12025550123", NUMBER),
        ("0012025550123", NUMBER),
        ("+1 (202) 555-0123", NUMBER),
        ("+1.202.555\u20110123", NUMBER),
        ("02025550123", None),
        ("sip:front@example.com", None),
        ("+1202555012345678", None),
        ("+1202555０123", None),
        ("++12025550123", None),
        ("", None),
        (None, None),
    ],
)
def test_a_number_is_known_in_the_forms_in_which_platforms_show_it(
    shown: str | None, key: str | None
) -> None:
    assert number_key(shown) == key
