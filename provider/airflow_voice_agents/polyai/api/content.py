"""Requests for agents, branches, attributes and variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_voice_agents.polyai import readers
from airflow_voice_agents.polyai.api.requests import AGENT, deployment_message, get, optional, own_body, send
from airflow_voice_agents.polyai.models import (
    Agent,
    Attribute,
    Branch,
    CreatedBranch,
    DeletedBranch,
    MergeResult,
    Topic,
    Variant,
)
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import hints
from airflow_voice_agents.transport.validation import (
    parse_batch,
    parse_json_object,
    parse_lines,
    parse_slug,
    parse_string_map,
    parse_text,
)

_ACCOUNT_AGENTS = "/v1/accounts/{accountId}/agents"
_BRANCHES = f"{AGENT}/branches"
_BRANCH = f"{_BRANCHES}/{{branchId}}"
_ATTRIBUTES = f"{_BRANCH}/attributes"
_ATTRIBUTE = f"{_ATTRIBUTES}/{{attributeId}}"
_VARIANTS = f"{_BRANCH}/variants"
_VARIANT = f"{_VARIANTS}/{{variantId}}"
_BEHAVIOR = f"{_BRANCH}/behavior"
_TOPICS = f"{_BRANCH}/knowledge-base/topics"

# -------------------------------------------------------------------------------------- branches


def list_branches(agent_id: str) -> ApiRequest[list[Branch]]:
    """Read the branches of an agent (``GET …/branches``)."""
    return get("list branches", _BRANCHES, readers.list_of(Branch, "branches"), agent_id=agent_id)


def create_branch(agent_id: str, *, branch_name: str) -> ApiRequest[CreatedBranch]:
    """Create a branch of ``main`` (``POST …/branches``).

    :param branch_name: 1 to 100 characters.
    """
    body = {"branchName": parse_text(branch_name, name="branch_name", max_length=100)}
    read = CreatedBranch.model_validate
    return send("create branch", "POST", _BRANCHES, read, body=body, agent_id=agent_id)


def delete_branch(agent_id: str, *, branch_id: str) -> ApiRequest[DeletedBranch]:
    """Delete a branch (``DELETE …/branches/{branchId}``)."""
    read = own_body(DeletedBranch)
    return send("delete branch", "DELETE", _BRANCH, read, agent_id=agent_id, branch_id=branch_id)


def merge_branch(
    agent_id: str,
    *,
    branch_id: str,
    message: str = "",
    conflict_resolutions: Sequence[Mapping[str, Any]] | None = None,
) -> ApiRequest[MergeResult]:
    """Merge a branch into ``main``, which deploys it as well (``POST …/merge``).

    :param message: kept with the deployment.
    :param conflict_resolutions: resolution of each conflict: ``path`` (list of names), ``strategy``
        (``ours``, ``theirs`` or ``base``) and optionally ``value``.
    """
    body = deployment_message(message)
    if conflict_resolutions is not None:
        body["conflictResolutions"] = parse_batch(
            conflict_resolutions, _resolution, name="conflict_resolutions"
        )
    return send(
        "merge branch",
        "POST",
        f"{_BRANCH}/merge",
        own_body(MergeResult),
        body=body,
        agent_id=agent_id,
        branch_id=branch_id,
    )


# ------------------------------------------------------------------ behavior and knowledge base


def get_behavior(agent_id: str, *, branch_id: str) -> ApiRequest[str]:
    """Read the behavior of a branch, which is a prompt (``GET …/behavior``)."""
    return get("get behavior", _BEHAVIOR, readers.text("behavior"), agent_id=agent_id, branch_id=branch_id)


def list_topics(agent_id: str, *, branch_id: str) -> ApiRequest[list[Topic]]:
    """Read the topics of a branch's knowledge base (``GET …/knowledge-base/topics``)."""
    return get("list topics", _TOPICS, readers.list_of(Topic), agent_id=agent_id, branch_id=branch_id)


# ----------------------------------------------------------------------- attributes and variants


def list_attributes(agent_id: str, *, branch_id: str) -> ApiRequest[list[Attribute]]:
    """Read the attributes that a branch's variants have (``GET …/attributes``)."""
    read = readers.list_of(Attribute, "attributes")
    return get("list attributes", _ATTRIBUTES, read, agent_id=agent_id, branch_id=branch_id)


def create_attribute(agent_id: str, *, branch_id: str, name: str) -> ApiRequest[Attribute]:
    """Add an attribute to a branch's variants (``POST …/attributes``)."""
    return send(
        "create attribute",
        "POST",
        _ATTRIBUTES,
        Attribute.model_validate,
        body={"name": parse_text(name, name="name")},
        agent_id=agent_id,
        branch_id=branch_id,
    )


def delete_attribute(agent_id: str, *, branch_id: str, attribute_id: str) -> ApiRequest[str]:
    """Delete an attribute; the answer is its id (``DELETE …/attributes/{attributeId}``)."""
    return send(
        "delete attribute",
        "DELETE",
        _ATTRIBUTE,
        readers.text("id"),
        agent_id=agent_id,
        branch_id=branch_id,
        attribute_id=attribute_id,
    )


def update_attribute(agent_id: str, *, branch_id: str, attribute_id: str, name: str) -> ApiRequest[Attribute]:
    """Rename an attribute (``PATCH …/attributes/{attributeId}``)."""
    return send(
        "update attribute",
        "PATCH",
        _ATTRIBUTE,
        Attribute.model_validate,
        body={"name": parse_text(name, name="name")},
        agent_id=agent_id,
        branch_id=branch_id,
        attribute_id=attribute_id,
    )


def list_variants(agent_id: str, *, branch_id: str) -> ApiRequest[list[Variant]]:
    """Read the variants of a branch (``GET …/variants``)."""
    read = readers.list_of(Variant, "variants")
    return get("list variants", _VARIANTS, read, agent_id=agent_id, branch_id=branch_id)


def create_variant(
    agent_id: str,
    *,
    branch_id: str,
    name: str,
    attribute_values: Mapping[str, str] | None = None,
    is_default: bool | None = None,
) -> ApiRequest[Variant]:
    """Add a variant to a branch (``POST …/variants``).

    :param attribute_values: attribute ids (not names) to texts.
    :param is_default: make it the default variant.
    """
    return send(
        "create variant",
        "POST",
        _VARIANTS,
        Variant.model_validate,
        body={"name": parse_text(name, name="name")} | _variant_settings(attribute_values, is_default),
        agent_id=agent_id,
        branch_id=branch_id,
    )


def delete_variant(agent_id: str, *, branch_id: str, variant_id: str) -> ApiRequest[str]:
    """Delete a variant; the answer is its id (``DELETE …/variants/{variantId}``)."""
    return send(
        "delete variant",
        "DELETE",
        _VARIANT,
        readers.text("id"),
        agent_id=agent_id,
        branch_id=branch_id,
        variant_id=variant_id,
    )


def update_variant(
    agent_id: str,
    *,
    branch_id: str,
    variant_id: str,
    name: str | None = None,
    attribute_values: Mapping[str, str] | None = None,
    is_default: bool | None = None,
) -> ApiRequest[Variant]:
    """Change a variant, in one setting at least (``PATCH …/variants/{variantId}``).

    :param attribute_values: attribute ids (not names) to texts.
    :param is_default: make it the default variant.
    """
    body = optional(name=name) | _variant_settings(attribute_values, is_default)
    if not body:
        raise InputError("update_variant needs name, attribute_values or is_default")
    return send(
        "update variant",
        "PATCH",
        _VARIANT,
        Variant.model_validate,
        body=body,
        agent_id=agent_id,
        branch_id=branch_id,
        variant_id=variant_id,
    )


# ---------------------------------------------------------------------------------------- agents


def list_agents(account_id: str) -> ApiRequest[list[Agent]]:
    """Read the agents of an account (``GET /v1/accounts/{accountId}/agents``).

    :param account_id: the account (workspace), by slug or ``ws-…`` id.
    """
    return get("list agents", _ACCOUNT_AGENTS, readers.list_of(Agent), account_id=account_id)


def create_agent(
    account_id: str,
    *,
    name: str,
    greeting: str,
    language_code: str | None = None,
    agent_id: str | None = None,
    voice_id: str | None = None,
    model_id: str | None = None,
    experimental_config: Mapping[str, Any] | None = None,
) -> ApiRequest[Agent]:
    """Create an agent (``POST /v1/accounts/{accountId}/agents``).

    :param account_id: the account (workspace), by slug or ``ws-…`` id.
    :param name: 1 to 100 characters.
    :param greeting: the first text of the agent.
    :param language_code: its language; the platform takes ``en-GB`` without one.
    :param agent_id: the id it is to have: letters, digits and hyphens.
    :param voice_id: its voice.
    :param model_id: its language model.
    :param experimental_config: passed on as it is.
    """
    body: dict[str, Any] = {
        "name": parse_text(name, name="name", max_length=100),
        "responseSettings": {"greeting": _greeting(greeting)} | optional(language_code=language_code),
        "voiceSettings": optional(voice_id=voice_id),
        "llmSettings": optional(model_id=model_id),
    } | optional(agent_id=agent_id, parse=parse_slug)
    if experimental_config is not None:
        body["experimentalConfig"] = parse_json_object(experimental_config, name="experimental_config")
    sent = {key: value for key, value in body.items() if value != {}}
    return send(
        "create agent", "POST", _ACCOUNT_AGENTS, Agent.model_validate, body=sent, account_id=account_id
    )


def delete_agent(agent_id: str) -> ApiRequest[None]:
    """Delete an agent (``DELETE /v1/agents/{agentId}``)."""
    return send("delete agent", "DELETE", AGENT, readers.nothing, agent_id=agent_id)


def duplicate_agent(
    agent_id: str, *, new_agent_name: str, new_agent_id: str | None = None
) -> ApiRequest[Agent]:
    """Create an agent of the same account from this one (``POST …/duplicate``).

    :param new_agent_name: 1 to 100 characters.
    :param new_agent_id: the id it is to have: letters, digits and hyphens.
    """
    name = parse_text(new_agent_name, name="new_agent_name", max_length=100)
    return send(
        "duplicate agent",
        "POST",
        f"{AGENT}/duplicate",
        Agent.model_validate,
        body={"newAgentName": name} | optional(new_agent_id=new_agent_id, parse=parse_slug),
        agent_id=agent_id,
    )


def _greeting(value: str) -> str:
    if not parse_lines(value, name="greeting").strip():
        raise InputError("greeting must not be empty")
    return value


def _variant_settings(values: Mapping[str, str] | None, is_default: bool | None) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if values is not None:
        settings["attributeValues"] = {"values": parse_string_map(values, name="attribute_values")}
    if is_default is not None:
        if not isinstance(is_default, bool):
            raise InputError(f"is_default must be True or False, not {type(is_default).__name__}")
        settings["isDefault"] = is_default
    return settings


def _resolution(value: object, name: str) -> dict[str, Any]:
    resolution = parse_json_object(value, name=name)
    known = ("path", "strategy", "value")
    unknown = sorted(resolution.keys() - set(known))
    if unknown:
        raise InputError(
            f"{name} takes path, strategy and value, not {', '.join(unknown)}{hints(unknown, known)}"
        )
    path = resolution.get("path")
    if not isinstance(path, list) or not path or not all(isinstance(part, str) for part in path):
        raise InputError(f"{name}.path must be a list of names")
    if resolution.get("strategy") not in ("ours", "theirs", "base"):
        raise InputError(f"{name}.strategy must be 'ours', 'theirs' or 'base'")
    return resolution
