"""Variants with their attributes, behavior and topics, which live on branches."""

from __future__ import annotations

from airflow_voice_agents.emulator.polyai.bodies import NAME, TEXT, closed_body, closed_object
from airflow_voice_agents.emulator.polyai.branches import find_branch
from airflow_voice_agents.emulator.polyai.operation import node_operation
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_BRANCH = "/v1/agents/{agentId}/branches/{branchId}"
_ATTRIBUTES = f"{_BRANCH}/attributes"
_ATTRIBUTE = f"{_ATTRIBUTES}/{{attributeId}}"
_VARIANTS = f"{_BRANCH}/variants"
_VARIANT = f"{_VARIANTS}/{{variantId}}"


def list_attributes(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Attributes of a branch."""
    attributes = find_branch(store, exchange)["attributes"]
    return Reply(200, {"attributes": [{"id": each, "name": attributes[each]["name"]} for each in attributes]})


def create_attribute(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Add an attribute."""
    branch, name = find_branch(store, exchange, to_write=True), exchange.content["name"]
    _require_free_name(branch["attributes"], name)
    attribute_id = store.new_id("ATTRIBUTE")
    branch["attributes"][attribute_id] = {"name": name}
    store.state.touch()
    return Reply(201, {"id": attribute_id, "name": name})


def update_attribute(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Rename an attribute."""
    branch, name = find_branch(store, exchange, to_write=True), exchange.content["name"]
    attribute_id = _require(branch["attributes"], exchange.params["attributeId"], "Attribute")
    _require_free_name(branch["attributes"], name, besides=attribute_id)
    branch["attributes"][attribute_id] = {"name": name}
    store.state.touch()
    return Reply(200, {"id": attribute_id, "name": name})


def delete_attribute(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Remove an attribute and its values."""
    branch = find_branch(store, exchange, to_write=True)
    attribute_id = _require(branch["attributes"], exchange.params["attributeId"], "Attribute")
    del branch["attributes"][attribute_id]
    for variant_id, variant in branch["variants"].items():
        values = {key: value for key, value in variant["values"].items() if key != attribute_id}
        branch["variants"][variant_id] = {**variant, "values": values}
    store.state.touch()
    return Reply(200, {"id": attribute_id})


def list_variants(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Variants of a branch."""
    variants = find_branch(store, exchange)["variants"]
    return Reply(200, {"variants": [_show(each, variants[each]) for each in variants]})


def create_variant(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Add a variant; the first one is the default."""
    branch, body = find_branch(store, exchange, to_write=True), exchange.content
    _require_free_name(branch["variants"], body["name"])
    variant_id = store.new_id("VARIANT")
    _write(store, branch, variant_id, {"name": body["name"], "isDefault": False, "values": {}}, body)
    return Reply(201, _show(variant_id, branch["variants"][variant_id]))


def update_variant(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Change a variant; its attribute values are replaced whole when given."""
    branch, body = find_branch(store, exchange, to_write=True), exchange.content
    variant_id = _require(branch["variants"], exchange.params["variantId"], "Variant")
    if "name" in body:
        _require_free_name(branch["variants"], body["name"], besides=variant_id)
    variant = branch["variants"][variant_id]
    if variant["isDefault"] and body.get("isDefault") is False:
        raise Problem(400, "There must be a default variant", "VARIANTS_REMOVE_DEFAULT_ERROR")
    _write(store, branch, variant_id, variant, body)
    return Reply(200, _show(variant_id, branch["variants"][variant_id]))


def delete_variant(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Remove a variant; the next one becomes the default if it was."""
    branch = find_branch(store, exchange, to_write=True)
    variants = branch["variants"]
    variant_id = _require(variants, exchange.params["variantId"], "Variant")
    if len(variants) == 1:
        raise Problem(400, "The last variant cannot be removed", "VARIANTS_REMOVE_DEFAULT_ERROR")
    removed = variants.pop(variant_id)
    if removed["isDefault"]:
        first = next(iter(variants))
        variants[first] = {**variants[first], "isDefault": True}
    store.state.touch()
    return Reply(200, {"id": variant_id})


def _write(store: PolyAIStore, branch: Record, variant_id: str, variant: Record, body: Record) -> None:
    values = body.get("attributeValues", {}).get("values", variant["values"])
    unknown = [key for key in values if key not in branch["attributes"]]
    if unknown:
        fields = [(f"attributeValues.values.{key}", "unknown attribute") for key in unknown]
        raise Problem(400, f"Unknown attribute {unknown[0]}", "VARIANTS_BAD_ATTRIBUTES_ERROR", fields)
    variants = branch["variants"]
    is_default = body.get("isDefault", variant["isDefault"]) or not variants
    if is_default:
        variants.update({key: {**each, "isDefault": False} for key, each in variants.items()})
    variants[variant_id] = {
        "name": body.get("name", variant["name"]),
        "isDefault": is_default,
        "values": values,
    }
    store.state.touch()


def _show(variant_id: str, variant: Record) -> Record:
    return {
        "id": variant_id,
        "name": variant["name"],
        "isDefault": variant["isDefault"],
        "attributeValues": {"values": variant["values"]},
    }


def _require(records: Record, wanted: str, kind: str) -> str:
    if wanted not in records:
        raise Problem(404, f"{kind} {wanted} not found")
    return wanted


def _require_free_name(records: Record, name: str, besides: str | None = None) -> None:
    if any(record["name"] == name for key, record in records.items() if key != besides):
        text = f"The name '{name}' is taken"
        raise Problem(409, text, "VARIANTS_DUPLICATE_NAME_ERROR", [("name", "already exists")])


_VALUES = closed_object(properties={"values": {"type": "object", "additionalProperties": TEXT}})
_SETTINGS: dict[str, Record] = {"name": NAME, "attributeValues": _VALUES, "isDefault": {"type": "boolean"}}
_NAME_ONLY = closed_body("name", properties={"name": NAME})


def get_behavior(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Return the behavior of a branch; an agent may have none."""
    behavior = find_branch(store, exchange)["behavior"]
    if "text" not in behavior:
        raise Problem(404, "Behavior not found")
    return Reply(200, {"behavior": behavior["text"]})


def list_topics(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Topics of a branch."""
    topics = find_branch(store, exchange)["topics"]
    shown = [
        {
            "id": topic_id,
            "name": topic["name"],
            "content": topic["content"],
            "actions": topic.get("actions", ""),
            "exampleQueries": {"queries": list(topic.get("queries", ()))},
            "isActive": topic.get("isActive", True),
        }
        for topic_id, topic in topics.items()
    ]
    return Reply(200, shown)


OPERATIONS = (
    node_operation("get behavior", "GET", f"{_BRANCH}/behavior", get_behavior, writes=False),
    node_operation("list topics", "GET", f"{_BRANCH}/knowledge-base/topics", list_topics, writes=False),
    node_operation("list attributes", "GET", _ATTRIBUTES, list_attributes, writes=False),
    node_operation(
        "create attribute",
        "POST",
        _ATTRIBUTES,
        create_attribute,
        writes=True,
        body=_NAME_ONLY,
    ),
    node_operation(
        "update attribute",
        "PATCH",
        _ATTRIBUTE,
        update_attribute,
        writes=True,
        body=_NAME_ONLY,
    ),
    node_operation("delete attribute", "DELETE", _ATTRIBUTE, delete_attribute, writes=True),
    node_operation("list variants", "GET", _VARIANTS, list_variants, writes=False),
    node_operation(
        "create variant",
        "POST",
        _VARIANTS,
        create_variant,
        writes=True,
        body=closed_body("name", properties=_SETTINGS),
    ),
    node_operation(
        "update variant",
        "PATCH",
        _VARIANT,
        update_variant,
        writes=True,
        body=closed_body(properties=_SETTINGS),
    ),
    node_operation("delete variant", "DELETE", _VARIANT, delete_variant, writes=True),
)
