"""Every SignalWire call against the contract: the project's own table, and the vendor's document if at hand.

``signalwire_contract.json`` states facts in a compact form. A shape is ``"string"``, ``"boolean"``,
``"integer"``, one with a format (``"string uuid"``) or limits (``"integer 1..1000"``), ``{"enum": […]}``,
``[shape]``, ``{"fields": {name: shape}}`` with ``*`` after required names, or the name of one of ``shapes``;
``?`` at its end, or ``"null": true``, also allows null.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from airflow_voice_agents.signalwire import api, models, routes
from airflow_voice_agents.signalwire.models import Page
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError

HERE = Path(__file__).resolve()
VENDOR_FILE = HERE.parents[2].parent / "shared" / "reference" / "signalwire-phone-numbers.openapi.json"
CONTRACT: dict[str, Any] = json.loads(HERE.with_name("signalwire_contract.json").read_text())
TABLE: dict[str, Any] = CONTRACT["calls"]

ID, ADDRESS = "5c3f2b1a-0d4e-4f6a-8b7c-9d8e7f6a5b4c", "0a1b2c3d-4e5f-4a6b-8c7d-8e9f0a1b2c3d"
NUMBER, URL = "+12025550123", "https://agents.example.com/swml"
EVERYTHING = {
    "name": "Front desk",
    "call_handler": "relay_script",
    "call_receive_mode": "voice",
    "call_request_url": URL,
    "call_request_method": "POST",
    "call_fallback_url": URL,
    "call_fallback_method": "GET",
    "call_status_callback_url": URL,
    "call_status_callback_method": "POST",
    "call_laml_application_id": ID,
    "call_dialogflow_agent_id": ID,
    "call_relay_topic": "front-desk",
    "call_relay_topic_status_callback_url": URL,
    "call_relay_script_url": URL,
    "call_relay_context": "front-desk",
    "call_relay_context_status_callback_url": URL,
    "call_relay_application": "desk",
    "call_relay_connector_id": ID,
    "call_sip_endpoint_id": ID,
    "call_verto_resource": "desk",
    "call_video_room_id": ID,
    "message_handler": "relay_topic",
    "message_request_url": URL,
    "message_request_method": "POST",
    "message_fallback_url": URL,
    "message_fallback_method": "POST",
    "message_laml_application_id": ID,
    "message_relay_topic": "front-desk",
    "message_relay_context": "front-desk",
    "message_relay_application": "desk",
}
BY_SPECIFICATION = [
    routes.ToSwml(URL),
    routes.ToCxmlWebhook(URL),
    routes.ToCxmlWebhook(URL, "GET", URL, "GET", URL, "POST"),
    routes.ToCxmlApplication(ID),
    routes.ToRelayApplication("desk"),
    routes.ToRelayTopic("desk"),
    routes.ToRelayTopic("desk", URL),
    routes.ToRelayConnector(ID),
    routes.ToSipEndpoint(ID),
    routes.ToVertoEndpoint("desk"),
    routes.ToDialogflow(ID),
    routes.ToVideoRoom(ID),
]

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "list_phone_numbers": [{}, {"filter_name": "desk & co", "filter_number": NUMBER, "page_size": 7}],
    "search_available": [
        {},
        {"areacode": "202", "number_type": "local", "starts_with": "555", "max_results": 100},
        {"contains": "5550", "region": "DC", "city": "Washington"},
        {"ends_with": "0123", "number_type": "toll-free"},
    ],
    "purchase_phone_number": [{"number": NUMBER}],
    "get_phone_number": [{"phone_number_id": ID}],
    "update_phone_number": [
        {"phone_number_id": ID, "changes": EVERYTHING},
        *({"phone_number_id": ID, "changes": route.changes()} for route in BY_SPECIFICATION),
    ],
    "release_phone_number": [{"phone_number_id": ID}],
    "assign_e911_address": [{"phone_number_id": ID, "e911_address_id": ADDRESS}],
    "remove_e911_address": [{"phone_number_id": ID}],
}
CASES = [(name, arguments) for name, examples in EXAMPLES.items() for arguments in examples]
PAGING = {"page_number", "page_token"}
"""Query parameters that only links carry: a page is never asked for by its number."""

every_call = pytest.mark.parametrize("name", sorted(TABLE))
every_example = pytest.mark.parametrize(("name", "arguments"), CASES)
with_vendor_file = pytest.mark.skipif(not VENDOR_FILE.exists(), reason="the vendor's document is not at hand")


def build(name: str, arguments: dict[str, Any]) -> ApiRequest[Any]:
    return getattr(api, name)(**arguments)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------ the table's shapes


def resolved(shape: Any) -> Any:
    """A shape with the names of other shapes replaced by these."""
    if isinstance(shape, str):
        return resolved(CONTRACT["shapes"][shape]) if shape in CONTRACT["shapes"] else shape
    if isinstance(shape, list):
        return [resolved(shape[0])]
    if isinstance(shape, dict) and "fields" in shape:
        return {"fields": {name: resolved(field) for name, field in shape["fields"].items()}}
    return shape


def json_schema(shape: Any) -> dict[str, Any]:
    """JSON Schema of a resolved shape that may be sent; no field of a request takes null."""
    if isinstance(shape, str):
        kind, _, form = shape.partition(" ")
        return {"type": kind, "format": form} if form == "uuid" else {"type": kind}
    if "enum" in shape:
        return {"type": "string", "enum": shape["enum"]}
    return {
        "type": "object",
        "properties": {name.rstrip("*"): json_schema(field) for name, field in shape["fields"].items()},
        "required": [name.rstrip("*") for name in shape["fields"] if name.endswith("*")],
        "additionalProperties": False,
    }


def sample(shape: Any, name: str = "value") -> Any:
    """A value of a resolved shape with every field present, each string telling its place."""
    if isinstance(shape, list):
        return [sample(shape[0], name)]
    if isinstance(shape, dict):
        if "fields" in shape:
            return {key.rstrip("*"): sample(field, key.rstrip("*")) for key, field in shape["fields"].items()}
        return shape["enum"][0]
    return True if shape == "boolean" else f"{name} text"


def fields(shape: Any, value: Any) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Every field inside a sample of a shape: its object, its name with or without ``*``, its shape."""
    if isinstance(shape, list):
        for item in value:
            yield from fields(shape[0], item)
    elif isinstance(shape, dict) and "fields" in shape:
        for key, field in shape["fields"].items():
            yield value, key, field
            yield from fields(field, value[key.rstrip("*")])


def plain(value: Any) -> Any:
    """What was read, as JSON."""
    if isinstance(value, Page):
        return {"data": plain(list(value.numbers)), "next": value.next_link}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    return [plain(item) for item in value]


def expected(answer: Any) -> Any:
    """What should have been read: the link to the next page, and flags of capabilities as their names."""
    if "data" not in answer:
        return answer
    if "call_handler" in answer["data"][0]:
        return {"data": answer["data"], "next": answer["links"]["next"]}
    return [item | {"capabilities": list(item["capabilities"])} for item in answer["data"]]


def identifies(key: str) -> bool:
    return key.rstrip("*") in ("id", "number", "links", "data")


# ------------------------------------------------------------------------------- calls against the table


def test_table_and_examples_cover_every_public_call() -> None:
    public = {
        name
        for name, function in inspect.getmembers(api, inspect.isfunction)
        if function.__module__ == api.__name__ and not name.startswith("_")
    }
    assert public - {"follow_link"} == set(TABLE) == set(EXAMPLES)
    assert public == {name for name in api.__all__ if name.islower()}
    assert len(TABLE) == 8


@every_example
def test_call_has_the_method_route_path_and_query_of_the_contract(
    name: str, arguments: dict[str, Any]
) -> None:
    call, row = build(name, arguments), TABLE[name]
    assert (call.method, call.route) == (row["method"], row["route"])
    assert call.path == row["route"].replace("{id}", ID)
    assert dict(call.query).keys() <= row.get("query", {}).keys()
    assert call.operation


@every_example
def test_body_is_what_the_contract_takes(name: str, arguments: dict[str, Any]) -> None:
    call, row = build(name, arguments), TABLE[name]
    if "body" not in row:
        assert call.body is None
        return
    Draft202012Validator(json_schema(resolved(row["body"]))).validate(call.body)


@every_example
def test_replay_class_is_the_one_of_the_table(name: str, arguments: dict[str, Any]) -> None:
    assert build(name, arguments).replay.value == TABLE[name]["replay"]
    assert TABLE[name]["replay"] == ("safe" if TABLE[name]["method"] == "GET" else "reconcile")


@every_call
def test_examples_together_send_every_field_and_query_of_the_contract(name: str) -> None:
    built = [build(*case) for case in CASES if case[0] == name]
    sent = {key for call in built for key in call.body or ()} | {
        key for call in built for key, _ in call.query
    }
    wanted = {key.rstrip("*") for key in TABLE[name].get("body", {"fields": {}})["fields"]}
    wanted |= TABLE[name].get("query", {}).keys() - PAGING
    assert sent == wanted


@every_call
def test_answer_is_read_with_every_field_that_the_contract_has(name: str) -> None:
    call = build(name, EXAMPLES[name][0])
    if "answer" not in TABLE[name]:
        assert call.read(None) is None
        return
    answer = sample(resolved(TABLE[name]["answer"]))
    assert plain(call.read(answer)) == expected(answer)


@every_call
def test_answer_is_read_with_unknown_fields_unknown_words_nulls_and_without_what_does_not_identify(
    name: str,
) -> None:
    call, shape = build(name, EXAMPLES[name][0]), resolved(TABLE[name].get("answer", "string"))
    answer = sample(shape)
    for index, (_, key, field) in enumerate(list(fields(shape, answer))):
        changed = copy.deepcopy(answer)
        owner = list(fields(shape, changed))[index][0]
        plainly = key.rstrip("*")
        owner["invented_field"] = {"deep": [1]}
        if isinstance(field, dict) and "enum" in field:
            owner[plainly] = "a word of tomorrow"
            call.read(changed)
        if not (identifies(key) and key.endswith("*")):
            owner[plainly] = None
            call.read(changed)
            del owner[plainly]
            call.read(changed)
        else:
            del owner[plainly]
            with pytest.raises(ValueError, match=plainly):
                call.read(changed)


@pytest.mark.parametrize("name", sorted(TABLE.keys() - {"release_phone_number"}))
@pytest.mark.parametrize("body", [None, "secret-value", 17, ["secret-value"], {"data": "secret-value"}])
def test_answer_of_another_kind_raises_value_error_that_shows_nothing(name: str, body: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        build(name, EXAMPLES[name][0]).read(body)
    assert "secret-value" not in str(caught.value)


def test_model_has_every_field_of_a_number_and_no_other() -> None:
    shape = CONTRACT["shapes"]["PhoneNumber"]["fields"]
    assert list(models.PhoneNumber.model_fields) == [name.rstrip("*") for name in shape]
    assert len(shape) == 41


def test_writable_fields_are_those_of_the_contract() -> None:
    assert set(TABLE["update_phone_number"]["body"]["fields"]) == models.WRITABLE
    assert len(models.WRITABLE) == 30
    assert not models.WRITABLE & models.SDK_ONLY
    assert {name for name in models.WRITABLE if name.startswith("call_")} - set(models.CALL_FIELDS) == {
        "call_handler",
        "call_receive_mode",
    }
    assert set(models.CALL_FIELDS) <= models.PhoneNumber.model_fields.keys()


def test_every_handler_is_either_writable_by_a_known_companion_or_set_elsewhere() -> None:
    shown = set(CONTRACT["shapes"]["PhoneNumber"]["fields"]["call_handler*"]["enum"])
    writable = set(TABLE["update_phone_number"]["body"]["fields"]["call_handler"]["enum"])
    assert writable == models.COMPANIONS.keys() - {"ai_agent", "call_flow"}
    assert shown - writable == models.FABRIC_ONLY
    assert {route.handler for route in BY_SPECIFICATION} == writable - {"relay_context"}


# ---------------------------------------------------------------------------------------- path parameters

WITH_ID = [name for name, row in TABLE.items() if "{id}" in row["route"]]
HOSTILE = ["search", NUMBER, "..", f"{ID}/", f" {ID}", ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", ""]


@settings(deadline=None)
@given(name=st.sampled_from(WITH_ID), value=st.text() | st.sampled_from(HOSTILE) | st.uuids().map(str))
def test_id_is_a_uuid_or_refused(name: str, value: str) -> None:
    try:
        call = build(name, EXAMPLES[name][0] | {"phone_number_id": value})
    except InputError as refusal:
        assert str(refusal).startswith("phone_number_id must be a UUID")  # noqa: PT017
        return
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
    assert unquote(call.path) == call.route.replace("{id}", value)


# --------------------------------------------------------------------------------- the vendor's document


@pytest.fixture(scope="module")
def vendor() -> dict[str, Any]:
    return json.loads(VENDOR_FILE.read_text())  # type: ignore[no-any-return]


def operation_of(name: str, vendor: dict[str, Any]) -> dict[str, Any]:
    return vendor["paths"][TABLE[name]["route"]][TABLE[name]["method"].lower()]  # type: ignore[no-any-return]


def content_schema(holder: dict[str, Any]) -> dict[str, Any] | None:
    content = holder.get("content", {})
    return content["application/json"]["schema"] if content else None


def compact(schema: dict[str, Any], vendor: dict[str, Any]) -> Any:
    """A schema of the vendor's document as a resolved shape of the table."""
    if "$ref" in schema:
        return compact(vendor["components"]["schemas"][schema["$ref"].rpartition("/")[2]], vendor)
    if "anyOf" in schema:
        one, null = schema["anyOf"]
        assert null == {"type": "null"}
        return compact(one, vendor) | {"null": True}
    if "enum" in schema:
        return {"enum": schema["enum"]}
    if schema["type"] == "array":
        return [compact(schema["items"], vendor)]
    return compact_object(schema, vendor) if schema["type"] == "object" else compact_scalar(schema)


def compact_object(schema: dict[str, Any], vendor: dict[str, Any]) -> Any:
    required = schema.get("required", [])
    members = schema["properties"].items()
    return {"fields": {name + "*" * (name in required): compact(field, vendor) for name, field in members}}


def compact_scalar(schema: dict[str, Any]) -> str:
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    form = schema.get("format", "int32")
    words = [kinds[0], *([form] if form != "int32" else [])]
    words += [f"{schema['minimum']}..{schema['maximum']}"] if "minimum" in schema else []
    return " ".join(words) + "?" * ("null" in kinds)


@with_vendor_file
@every_call
def test_table_states_what_the_vendor_states(name: str, vendor: dict[str, Any]) -> None:
    operation, row = operation_of(name, vendor), TABLE[name]
    parameters = [each for each in operation.get("parameters", []) if each["in"] == "query"]
    assert not any(each["required"] for each in parameters)
    assert {each["name"]: compact(each["schema"], vendor) for each in parameters} == row.get("query", {})
    body = content_schema(operation.get("requestBody", {}))
    assert (compact(body, vendor) if body else None) == resolved(row.get("body"))
    assert [status for status in operation["responses"] if status.startswith("2")] == [str(row["status"])]
    answer = content_schema(operation["responses"][str(row["status"])])
    assert (compact(answer, vendor) if answer else None) == resolved(row.get("answer"))


@with_vendor_file
def test_every_operation_of_the_vendor_has_a_call(vendor: dict[str, Any]) -> None:
    declared = {
        (method.upper(), route)
        for route, methods in vendor["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert {(row["method"], row["route"]) for row in TABLE.values()} == declared


@with_vendor_file
@every_example
def test_body_is_valid_by_the_vendors_schema(
    name: str, arguments: dict[str, Any], vendor: dict[str, Any]
) -> None:
    schema = content_schema(operation_of(name, vendor).get("requestBody", {}))
    body = build(name, arguments).body
    assert (schema is None) == (body is None)
    if schema is not None:
        Draft202012Validator(schema | {"components": vendor["components"]}).validate(body)
