"""Every PolyAI call against the contract: the project's own table, and the vendor's document if at hand.

``polyai_contract.json`` states facts in a compact form. A shape is ``"string"``, ``"number"``,
``"integer"``, ``"boolean"``, ``"object"`` (any object), ``"any"``, a string with limits
(``"string 1..100"``, ``"string 1.."``, ``"string /pattern/"``), ``{"enum": […]}``, ``{"map": shape}``,
``[shape]``, ``[shape, "+"]`` (not empty), ``{"fields": {name: shape}}`` with ``*`` after required names
and ``"closed": true`` where others are refused, or the name of one of ``shapes``.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.api import content, environments, observations, sip, telephony
from airflow_voice_agents.polyai.models import ConnectorUpdate
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError

HERE = Path(__file__).resolve()
VENDOR_FILE = HERE.parents[2].parent / "shared" / "reference" / "polyai-agents.openapi.json"
CONTRACT: dict[str, Any] = json.loads(HERE.with_name("polyai_contract.json").read_text())
TABLE: dict[str, Any] = CONTRACT["calls"]

NULLED = {"variantId", "version", "schema", "variables", "metadata", "testRunIds", "notFound", "live"}
"""Fields that the platform sends as null although its contract requires a value."""
OUTSIDE = ("/voice-library", "/audio-cache", "/behavior", "/knowledge-base")
"""Areas of the vendor's document that this provider leaves alone, but for reads that a plan of a merge needs."""

READS_ANY_OBJECT = {
    "delete_branch",
    "merge_branch",
    "create_outbound_call",
    "get_outbound_call_status",
}
"""Calls whose answer has no field that identifies it."""

READ_ONLY_POSTS = {"get_connectors", "get_phone_numbers", "lookup_connector"}
"""Calls that send a body and change nothing."""

AGENT, BRANCH, NUMBER = "PROJECT-1A2B3C4D", "BRANCH-1A2B3C4D", "+441632960001"
ON_BRANCH = {"agent_id": AGENT, "branch_id": BRANCH}
VALUES = {"settings": {"open": 1, "rate": 1.0, "on": True}, "greeting": "Grüezi", "empty": None}
UPDATE = ConnectorUpdate(connector_id="conn_1", asr_lang_code="en-GB")
EVERYTHING = ConnectorUpdate(
    connector_id="conn_2",
    variant_id="VARIANT-1",
    asr_lang_code="en-GB",
    voice_name="en-GB-Neural2-A",
    project_id="target",
)
EXPERIMENT = {
    "id": "e1",
    "features": {},
    "createdAt": "2026-01-01",
    "createdBy": "a",
    "updatedAt": "2026-01-01",
    "updatedBy": "a",
    "active": True,
}
UNASSIGN = ConnectorUpdate(connector_id="conn_3", variant_id=None)

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "list_config_pages": [{"agent_id": AGENT}],
    "get_config_page": [{"agent_id": AGENT, "client_env": "live"}],
    "put_config_schema": [
        {"agent_id": AGENT, "client_env": "sandbox", "schema": {}},
        {"agent_id": AGENT, "client_env": "pre_release", "schema": {"type": "object", "default": 1.5}},
    ],
    "patch_config_variables": [{"agent_id": AGENT, "client_env": "live", "variables": VALUES}],
    "list_connectors": [{"agent_id": AGENT}],
    "get_connectors": [{"agent_id": AGENT, "connector_ids": ["conn_1", "conn_2"]}],
    "update_connectors": [{"agent_id": AGENT, "updates": [UPDATE, UNASSIGN]}],
    "lookup_connector": [{"agent_id": AGENT, "phone_number": NUMBER}],
    "get_connector": [{"agent_id": AGENT, "connector_id": "conn_1"}],
    "delete_connector": [{"agent_id": AGENT, "connector_id": "conn_1"}],
    "update_connector": [{"agent_id": AGENT, "update": UPDATE}, {"agent_id": AGENT, "update": UNASSIGN}],
    "list_phone_numbers": [{"agent_id": AGENT}, {"agent_id": AGENT, "connector_id": "conn_1"}],
    "import_phone_numbers": [
        {"agent_id": AGENT, "phone_numbers": [NUMBER, "+12025550123"], "client_env": "live"}
    ],
    "delete_phone_numbers": [{"agent_id": AGENT, "phone_numbers": [NUMBER]}],
    "get_phone_numbers": [{"agent_id": AGENT, "phone_numbers": [NUMBER]}],
    "get_phone_number": [{"agent_id": AGENT, "phone_number": NUMBER}],
    "import_phone_number": [{"agent_id": AGENT, "phone_number": NUMBER, "client_env": "sandbox"}],
    "delete_phone_number": [{"agent_id": AGENT, "phone_number": NUMBER}],
    "assign_phone_number": [{"agent_id": AGENT, "phone_number": NUMBER, "connector_id": "conn_1"}],
    "list_deployments": [
        {"agent_id": AGENT, "environment": "live"},
        {"agent_id": AGENT, "environment": "live", "limit": 20},
    ],
    "get_active_deployments": [{"agent_id": AGENT}],
    "publish": [{"agent_id": AGENT, "environment": "sandbox", "message": "Weekly"}],
    "promote_deployment": [{"agent_id": AGENT, "deployment_id": "d1", "target_environment": "live"}],
    "rollback_deployment": [{"agent_id": AGENT, "deployment_id": "d1", "message": "Two\nlines"}],
    "list_branches": [{"agent_id": AGENT}],
    "create_branch": [{"agent_id": AGENT, "branch_name": "Opening hours"}],
    "delete_branch": [ON_BRANCH],
    "merge_branch": [
        ON_BRANCH,
        ON_BRANCH
        | {
            "message": "Merge",
            "conflict_resolutions": [
                {"path": ["a", "b"], "strategy": "ours"},
                {"path": ["c"], "strategy": "base", "value": 1.5},
            ],
        },
    ],
    "get_behavior": [ON_BRANCH],
    "list_topics": [ON_BRANCH],
    "list_attributes": [ON_BRANCH],
    "create_attribute": [ON_BRANCH | {"name": "site_name"}],
    "delete_attribute": [ON_BRANCH | {"attribute_id": "ATTRIBUTE-1"}],
    "update_attribute": [ON_BRANCH | {"attribute_id": "ATTRIBUTE-1", "name": "site"}],
    "list_variants": [ON_BRANCH],
    "create_variant": [
        ON_BRANCH | {"name": "Leeds"},
        ON_BRANCH | {"name": "Leeds", "attribute_values": {"ATTRIBUTE-1": "a\nb"}, "is_default": False},
    ],
    "delete_variant": [ON_BRANCH | {"variant_id": "VARIANT-1"}],
    "update_variant": [
        ON_BRANCH | {"variant_id": "VARIANT-1", "is_default": True},
        ON_BRANCH | {"variant_id": "VARIANT-1", "name": "York", "attribute_values": {}},
    ],
    "list_agents": [{"account_id": "acme-uk"}],
    "create_agent": [
        {"account_id": "acme-uk", "name": "Agent", "greeting": "Hello"},
        {
            "account_id": "acme-uk",
            "name": "Agent",
            "greeting": "Hello",
            "language_code": "de-DE",
            "agent_id": "my-agent",
            "voice_id": "v",
            "model_id": "m",
            "experimental_config": {"configs": [EXPERIMENT]},
        },
    ],
    "delete_agent": [{"agent_id": AGENT}],
    "duplicate_agent": [
        {"agent_id": AGENT, "new_agent_name": "Copy"},
        {"agent_id": AGENT, "new_agent_name": "Copy", "new_agent_id": "copy-1"},
    ],
    "create_outbound_call": [
        {"agent_id": AGENT, "to_number": NUMBER, "environment": "sandbox"},
        {
            "agent_id": AGENT,
            "to_number": NUMBER,
            "environment": "live",
            "country_code": "GB",
            "variant_id": "VARIANT-1",
            "encryption": "tls_srtp",
            "metadata": {"order": "42"},
        },
    ],
    "get_outbound_call_status": [{"agent_id": AGENT, "call_sid": "OUT-1", "environment": "live"}],
}
CASES = [(name, arguments) for name, examples in EXAMPLES.items() for arguments in examples]
MOVES = [
    ("update_connectors", {"agent_id": AGENT, "updates": [EVERYTHING]}),
    ("update_connector", {"agent_id": AGENT, "update": EVERYTHING}),
]
every_call = pytest.mark.parametrize("name", sorted(TABLE))
every_example = pytest.mark.parametrize(("name", "arguments"), CASES)
with_vendor_file = pytest.mark.skipif(not VENDOR_FILE.exists(), reason="the vendor's document is not at hand")


def public_calls() -> set[str]:
    return {
        name
        for module in (content, environments, telephony)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def build(name: str, arguments: dict[str, Any]) -> ApiRequest[Any]:
    first, *rest = arguments.items()
    return getattr(api, name)(first[1], **dict(rest))  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------ the table's shapes


def resolved(shape: Any) -> Any:
    """A shape with the names of other shapes replaced by these."""
    if isinstance(shape, str):
        return resolved(CONTRACT["shapes"][shape]) if shape in CONTRACT["shapes"] else shape
    if isinstance(shape, list):
        return [resolved(shape[0]), *shape[1:]]
    if isinstance(shape, dict) and "fields" in shape:
        return shape | {"fields": {name: resolved(field) for name, field in shape["fields"].items()}}
    return {"map": resolved(shape["map"])} if isinstance(shape, dict) and "map" in shape else shape


def string_schema(limits: str) -> dict[str, Any]:
    if limits.startswith("/"):
        return {"type": "string", "pattern": limits.strip("/")}
    low, _, high = limits.partition("..")
    return {"type": "string", "minLength": int(low or 0)} | ({"maxLength": int(high)} if high else {})


def json_schema(shape: Any) -> dict[str, Any]:
    """JSON Schema of a resolved shape."""
    if isinstance(shape, str):
        kind, _, limits = shape.partition(" ")
        return string_schema(limits) if limits else {} if kind == "any" else {"type": kind}
    if isinstance(shape, list):
        return {"type": "array", "items": json_schema(shape[0]), "minItems": len(shape) - 1}
    if "enum" in shape:
        return {"type": "string", "enum": shape["enum"]}
    if "map" in shape:
        return {"type": "object", "additionalProperties": json_schema(shape["map"])}
    return {
        "type": "object",
        "properties": {name.rstrip("*"): json_schema(field) for name, field in shape["fields"].items()},
        "required": [name.rstrip("*") for name in shape["fields"] if name.endswith("*")],
        "additionalProperties": not shape.get("closed", False),
    }


def sample(shape: Any, name: str = "value") -> Any:
    """A value of a resolved shape with every field present, each string telling its place."""
    if isinstance(shape, list):
        return [sample(shape[0], name)]
    if isinstance(shape, dict):
        if "fields" in shape:
            return {key.rstrip("*"): sample(field, key) for key, field in shape["fields"].items()}
        return shape["enum"][0] if "enum" in shape else {"live": sample(shape["map"], name)}
    fixed = {"number": 3, "integer": 3, "boolean": True, "object": {"one": 1, "float": 1.0}, "any": [None]}
    return fixed.get(shape, f"{name} text")


def places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every object member inside a JSON value, as its object and its name."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from places(item)
    if isinstance(value, dict):
        yield from ((value, name) for name in value)


def fields(shape: Any, value: Any) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """Every field inside a sample of a shape: its object, its name, and whether it is required."""
    if isinstance(shape, list):
        for item in value:
            yield from fields(shape[0], item)
    elif isinstance(shape, dict) and "enum" not in shape:
        members = {f"{key}*": shape["map"] for key in value} if "map" in shape else shape["fields"]
        for key, field in members.items():
            yield value, key.rstrip("*"), key.endswith("*")
            yield from fields(field, value[key.rstrip("*")])


def plain(value: Any) -> Any:
    """What was read, as JSON with the API's names."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def unwrapped(answer: Any, read: Any) -> Any:
    """What should have been read: the one member of an envelope, attribute values and queries without theirs."""
    if isinstance(answer, dict) and not isinstance(read, BaseModel):
        (answer,) = answer.values()
    flat = copy.deepcopy(answer)
    for owner, name in list(places(flat)):
        if name in ("attributeValues", "exampleQueries"):
            (owner[name],) = owner[name].values()
    return flat


def without_documented_nulls(body: Any) -> Any:
    """``variantId: null`` unassigns: the vendor documents it in words, and its schema does not know it."""
    cleaned = copy.deepcopy(body)
    for owner, name in list(places(cleaned)):
        if name == "variantId" and owner[name] is None:
            del owner[name]
    return cleaned


# ------------------------------------------------------------------------------- calls against the table


def test_table_and_examples_cover_every_public_call() -> None:
    assert public_calls() == set(TABLE) == set(EXAMPLES)
    neighbours = {name for module in (observations, sip) for name in vars(module) if name in api.__all__}
    assert public_calls() == {name for name in api.__all__ if name.islower()} - neighbours
    assert len(TABLE) == 44


@pytest.mark.parametrize(("name", "arguments"), CASES + MOVES)
def test_call_has_the_method_route_path_and_query_of_the_contract(
    name: str, arguments: dict[str, Any]
) -> None:
    call, row = build(name, arguments), TABLE[name]
    assert (call.method, call.route) == (row["method"], row["route"])
    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/{}]+", row["route"]), call.path)
    allowed = {key.rstrip("*") for key in row.get("query", {})}
    required = {key.rstrip("*") for key in row.get("query", {}) if key.endswith("*")}
    assert required <= dict(call.query).keys() <= allowed
    assert call.operation
    assert AGENT not in call.operation


@pytest.mark.parametrize(("name", "arguments"), CASES + MOVES)
def test_body_is_what_the_contract_takes(name: str, arguments: dict[str, Any]) -> None:
    call, row = build(name, arguments), TABLE[name]
    if "body" not in row:
        assert call.body is None
        return
    assert json.loads(json.dumps(call.body, allow_nan=False)) == call.body
    known = {key.rstrip("*") for key in resolved(row["body"])["fields"]}
    assert call.body.keys() <= known
    Draft202012Validator(json_schema(resolved(row["body"]))).validate(without_documented_nulls(call.body))


@every_example
def test_replay_class_is_the_one_of_the_table(name: str, arguments: dict[str, Any]) -> None:
    assert build(name, arguments).replay.value == TABLE[name]["replay"]


@every_call
def test_table_has_replay_safe_for_reads_only(name: str) -> None:
    row = TABLE[name]
    if name == "create_outbound_call":
        assert row["replay"] == "never"
    else:
        reads = row["method"] == "GET" or name in READ_ONLY_POSTS
        assert row["replay"] == ("safe" if reads else "reconcile")


@pytest.mark.parametrize(("name", "arguments"), MOVES)
def test_a_move_has_the_replay_class_of_the_table(name: str, arguments: dict[str, Any]) -> None:
    assert build(name, arguments).replay.value == TABLE[name]["replay"]


@every_call
def test_examples_together_send_every_field_and_query_of_the_contract(name: str) -> None:
    built = [build(*case) for case in CASES + MOVES if case[0] == name]
    sent = {key for call in built for _, key in places(call.body)}
    sent |= {key for call in built for key, _ in call.query}
    shape = resolved(TABLE[name].get("body", {"fields": {}}))
    expected = {key for _, key in places(sample(shape)) if key not in {"one", "float", "live"}}
    expected |= {key.rstrip("*") for key in TABLE[name].get("query", {})}
    assert expected - sent == set()


@every_call
def test_answer_is_read_with_every_field_that_the_contract_has(name: str) -> None:
    call = build(name, EXAMPLES[name][0])
    if "answer" not in TABLE[name]:
        assert call.read(None) is None
        return
    answer = sample(resolved(TABLE[name]["answer"]))
    read = call.read(answer)
    assert plain(read) == unwrapped(answer, read)


@every_call
def test_answer_is_read_with_unknown_fields_nulls_and_without_optional_fields(name: str) -> None:
    call, shape = build(name, EXAMPLES[name][0]), resolved(TABLE[name].get("answer", "any"))
    answer = sample(shape)
    for index in range(len(list(fields(shape, answer)))):
        changed = copy.deepcopy(answer)
        owner, key, required = list(fields(shape, changed))[index]
        if key != "live":
            owner["inventedField"] = {"deep": [1]} if isinstance(owner.get(key), dict) else "text"
            call.read(changed)
        if not required or key in NULLED:
            owner[key] = None
            call.read(changed)
        if not required:
            del owner[key]
            call.read(changed)


WRONG_BODIES = [None, "secret-value", 17, ["secret-value"], {"secret-value": 1}]
WRONG_ANSWERS = [
    (name, body)
    for name, row in TABLE.items()
    for body in WRONG_BODIES
    if "answer" in row and not (isinstance(body, dict) and name in READS_ANY_OBJECT)
]


@pytest.mark.parametrize(("name", "body"), WRONG_ANSWERS)
def test_answer_of_another_kind_raises_value_error_that_shows_nothing(name: str, body: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        build(name, EXAMPLES[name][0]).read(body)
    assert "secret-value" not in str(caught.value)


# ---------------------------------------------------------------------------------------- path parameters

PATH_PARAMETERS = [
    (name, arguments, re.sub(r"([A-Z])", r"_\1", placeholder).lower())
    for name, (arguments, *_) in EXAMPLES.items()
    for placeholder in re.findall(r"\{(\w+)\}", TABLE[name]["route"])
    if (name, placeholder) != ("update_connector", "connectorId")
]
HOSTILE = ["/", "..", "%2F", "?a=b", "#x", "a\0b", " ", "{agentId}", "\ud800", "+441632960001", "ä/ö", "live"]


@settings(deadline=None)
@given(
    place=st.sampled_from(PATH_PARAMETERS),
    value=st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(HOSTILE),
)
def test_path_parameter_is_refused_or_becomes_one_segment_that_decodes_back(
    place: tuple[str, dict[str, Any], str], value: str
) -> None:
    name, arguments, parameter = place
    try:
        call = build(name, arguments | {parameter: value})
    except InputError as refusal:
        assert str(refusal).startswith(f"{parameter} must ")  # noqa: PT017
        return
    filled = {"connector_id": UPDATE.connector_id} | arguments | {parameter: value}
    template = re.sub(r"([A-Z])", r"_\1", call.route).lower()
    assert call.path == re.sub(r"\{(\w+)\}", lambda found: quote(filled[found[1]], safe=""), template)
    assert call.path.count("/") == call.route.count("/")
    assert value in unquote(call.path).split("/")
    assert call.path.isascii()


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
    if "allOf" in schema:
        (only,) = schema["allOf"]
        return compact(only, vendor)
    if "enum" in schema:
        return {"enum": schema["enum"]}
    kind = schema.get("type", "any")
    if kind == "array":
        return [compact(schema["items"], vendor), *["+"] * schema.get("minItems", 0)]
    return compact_object(schema, vendor) if kind == "object" else compact_string(schema, kind)


def compact_string(schema: dict[str, Any], kind: str) -> str:
    if "pattern" in schema:
        return f"{kind} /{schema['pattern']}/"
    length = f" {schema['minLength']}..{schema.get('maxLength', '')}" if "minLength" in schema else ""
    return kind + length


def compact_object(schema: dict[str, Any], vendor: dict[str, Any]) -> Any:
    more = schema.get("additionalProperties")
    if "properties" not in schema:
        return {"map": compact(more, vendor)} if more else "object"
    required = schema.get("required", [])
    shapes = {
        name + "*" * (name in required): compact(field, vendor)
        for name, field in schema["properties"].items()
    }
    return {"fields": shapes} | ({"closed": True} if more is False else {})


@with_vendor_file
@every_call
def test_table_states_what_the_vendor_states(name: str, vendor: dict[str, Any]) -> None:
    operation, row = operation_of(name, vendor), TABLE[name]
    query = {
        parameter["name"] + "*" * parameter.get("required", False): compact(parameter["schema"], vendor)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    }
    assert query == {key: resolved(shape) for key, shape in row.get("query", {}).items()}
    body = content_schema(operation.get("requestBody", {}))
    assert (compact(body, vendor) if body else None) == resolved(row.get("body"))
    assert [status for status in operation["responses"] if status.startswith("2")] == [str(row["status"])]
    answer = content_schema(operation["responses"][str(row["status"])])
    assert (compact(answer, vendor) if answer else None) == resolved(row.get("answer"))


@with_vendor_file
def test_every_operation_of_the_covered_areas_has_a_call(vendor: dict[str, Any]) -> None:
    declared = {
        (method.upper(), route)
        for route, methods in vendor["paths"].items()
        for method in methods
        if method != "parameters"
    }
    called = {(row["method"], row["route"]) for row in TABLE.values()}
    outside = {(method, route) for method, route in declared if any(area in route for area in OUTSIDE)}

    assert called <= declared
    assert declared - called <= outside
    assert {method for method, _ in called & outside} == {"GET"}


@with_vendor_file
@pytest.mark.parametrize(("name", "arguments"), CASES + MOVES)
def test_body_is_valid_by_the_vendors_schema(
    name: str, arguments: dict[str, Any], vendor: dict[str, Any]
) -> None:
    schema = content_schema(operation_of(name, vendor).get("requestBody", {}))
    body = build(name, arguments).body
    assert (schema is None) == (body is None)
    if schema is not None:
        whole = schema | {"components": vendor["components"]}
        Draft202012Validator(whole).validate(without_documented_nulls(body))
