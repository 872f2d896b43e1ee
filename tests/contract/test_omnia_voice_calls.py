"""Every Omnia Voice call against the project's own table; the vendor publishes no proven document.

The table states what is sent: ``*`` stands after fields that every call has. Answers of all shapes that
the vendor's pages show, and some that they do not, are read.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.transport.api_request import ApiRequest

TABLE: dict[str, dict[str, Any]] = {
    "list_numbers": {
        "method": "GET",
        "route": "/numbers",
        "query": {"page*", "limit*", "status"},
        "replay": "safe",
    },
    "assign_number": {
        "method": "POST",
        "route": "/numbers",
        "body": {"phoneNumber*", "agentId*", "friendlyName"},
        "replay": "reconcile",
    },
    "get_number": {"method": "GET", "route": "/numbers/{id}", "replay": "safe"},
    "update_number": {
        "method": "PATCH",
        "route": "/numbers/{id}",
        "body": {"friendlyName", "agentId", "status"},
        "replay": "reconcile",
    },
    "delete_number": {"method": "DELETE", "route": "/numbers/{id}", "replay": "reconcile"},
    "list_agent_numbers": {"method": "GET", "route": "/agents/{id}/numbers", "replay": "safe"},
}

NUMBER = "+12025550123"
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "list_numbers": [{}, {"page": 3, "limit": 50, "status": "unassigned"}],
    "assign_number": [
        {"phone_number": NUMBER, "agent_id": "agent 1"},
        {"phone_number": NUMBER, "agent_id": "agent 1", "friendly_name": "Reception"},
    ],
    "get_number": [{"number_id": "n?1"}],
    "update_number": [
        {"number_id": "n1", "changes": {"agent_id": None}},
        {"number_id": "n1", "changes": {"friendlyName": "Bar", "agent_id": "a2", "status": "ACTIVE"}},
    ],
    "delete_number": [{"number_id": "n1"}],
    "list_agent_numbers": [{"agent_id": "a 1"}],
}
PATHS = {
    "list_numbers": "/numbers",
    "assign_number": "/numbers",
    "get_number": "/numbers/n%3F1",
    "update_number": "/numbers/n1",
    "delete_number": "/numbers/n1",
    "list_agent_numbers": "/agents/a%201/numbers",
}
HELPERS = {"fallback_verb", "is_list", "is_update"}
CASES = [(name, arguments) for name, examples in EXAMPLES.items() for arguments in examples]

RECORD: dict[str, Any] = {
    "id": "n1",
    "phoneNumber": NUMBER,
    "friendlyName": "Reception",
    "agentId": "a1",
    "status": "ACTIVE",
    "createdAt": "2025-05-01T10:00:00.000Z",
    "agent": {
        "id": "a1",
        "name": "Concierge",
        "description": "d",
        "status": "ACTIVE",
        "type": "standard",
        "workspaceId": "w1",
        "createdAt": "2025-05-01T10:00:00.000Z",
        "updatedAt": "2025-05-01T10:00:00.000Z",
        "standardConfig": {"systemPrompt": "secret prompt"},
    },
}
SPARSE = [
    {"id": "n1"},
    {"id": "n1", "agentId": None, "agent": None, "newField": [1]},
    dict.fromkeys(RECORD) | {"id": 7},
]


def build(name: str, arguments: dict[str, Any]) -> ApiRequest[Any]:
    given = dict(arguments)
    first = [given.pop("number_id")] if "number_id" in given else []
    if name == "list_agent_numbers":
        first = [given.pop("agent_id")]
    return getattr(api, name)(*first, **given)  # type: ignore[no-any-return]


def required(names: set[str]) -> set[str]:
    return {name.rstrip("*") for name in names if name.endswith("*")}


def known(names: set[str]) -> set[str]:
    return {name.rstrip("*") for name in names}


def test_table_and_examples_cover_every_public_call() -> None:
    own = {
        name
        for name, function in inspect.getmembers(api, inspect.isfunction)
        if function.__module__ == api.__name__ and not name.startswith("_")
    }
    assert own - HELPERS == set(TABLE) == set(EXAMPLES)
    assert own == {name for name in api.__all__ if name.islower()}


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_call_is_what_the_table_says(name: str, arguments: dict[str, Any]) -> None:
    call, row = build(name, arguments), TABLE[name]
    assert (call.method, call.route, call.replay.value) == (row["method"], row["route"], row["replay"])
    assert row["replay"] == ("safe" if row["method"] == "GET" else "reconcile")
    assert call.path == PATHS[name]
    query = row.get("query", set())
    assert required(query) <= dict(call.query).keys() <= known(query)
    assert call.operation


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_body_holds_the_fields_of_the_table_and_no_other(name: str, arguments: dict[str, Any]) -> None:
    call, row = build(name, arguments), TABLE[name]
    if "body" not in row:
        assert call.body is None
        return
    assert call.body is not None
    assert required(row["body"]) <= call.body.keys() <= known(row["body"])
    assert json.loads(json.dumps(call.body, allow_nan=False)) == call.body


@pytest.mark.parametrize("name", sorted(TABLE))
def test_examples_together_send_every_field_of_the_table(name: str) -> None:
    built = [build(name, arguments) for arguments in EXAMPLES[name]]
    sent = {key for call in built for key in [*(call.body or {}), *dict(call.query)]}
    assert sent == known(TABLE[name].get("body", set()) | TABLE[name].get("query", set()))


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_update_has_the_verb_that_the_setting_gives(verb: str) -> None:
    assert api.update_number("n1", changes={"status": "x"}, verb=verb).method == verb


@pytest.mark.parametrize("record", [RECORD, *SPARSE])
@pytest.mark.parametrize("name", ["get_number", "assign_number", "update_number"])
def test_a_number_is_read_whatever_it_lacks(name: str, record: dict[str, Any]) -> None:
    assert build(name, EXAMPLES[name][0]).read(record).id == str(record["id"])


@pytest.mark.parametrize("name", ["assign_number", "update_number", "delete_number"])
def test_a_write_may_be_answered_without_a_body(name: str) -> None:
    assert build(name, EXAMPLES[name][0]).read(None) is None


@pytest.mark.parametrize("body", [None, {}, {"deleted": True}, [], {"id": "n1"}])
def test_what_a_deletion_answers_does_not_matter(body: Any) -> None:
    assert api.delete_number("n1").read(body) is None


@pytest.mark.parametrize(
    "body",
    [
        [RECORD],
        {"data": [RECORD]},
        {"data": [RECORD], "pagination": None},
        {"data": [RECORD], "pagination": {"page": 1, "limit": 50, "total": 1, "totalPages": 1}},
        {"data": [RECORD], "pagination": {"page": 1, "limit": 50, "total": 1, "hasMore": False}},
    ],
)
def test_lists_are_read_in_every_form(body: Any) -> None:
    assert [number.id for number in api.list_numbers().read(body).numbers] == ["n1"]
    assert [number.id for number in api.list_agent_numbers("a1").read(body)] == ["n1"]


@pytest.mark.parametrize(
    "body", [None, {}, {"data": None}, {"data": {}}, {"numbers": [RECORD]}, ["secret"], [{}]]
)
def test_what_is_no_list_of_numbers_raises_value_error_that_shows_nothing(body: Any) -> None:
    for call in (api.list_numbers(), api.list_agent_numbers("a1")):
        with pytest.raises(ValueError, match=r".") as caught:
            call.read(body)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("body", [None, [], {}, {"id": None}, {"id": ""}, {"id": " "}, {"id": {"secret": 1}}])
def test_what_is_no_number_raises_value_error_that_shows_nothing(body: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        api.get_number("n1").read(body)
    assert "secret" not in str(caught.value)
