"""The PolyAI Agents API as values: each function builds one request, and sends nothing.

What recurs is described here once. ``agent_id`` is the agent (project), by slug or ``PROJECT-…``
id; ``client_env`` and ``environment`` are one of ``sandbox``, ``pre-release`` and ``live``, and
never have a default; phone numbers are E.164; ids go into the path percent-encoded, whatever they
hold. ``None`` for an optional argument leaves it out. Every function raises ``InputError``, naming
the argument, for what could not be right: an empty id or list, an id with a slash, a malformed
number, an unknown environment, something named twice in a batch.
"""

from __future__ import annotations

from airflow_voice_agents.polyai.calls.content import (
    create_agent,
    create_attribute,
    create_branch,
    create_variant,
    delete_agent,
    delete_attribute,
    delete_branch,
    delete_variant,
    duplicate_agent,
    list_agents,
    list_attributes,
    list_branches,
    list_variants,
    merge_branch,
    update_attribute,
    update_variant,
)
from airflow_voice_agents.polyai.calls.environments import (
    get_active_deployments,
    get_config_page,
    list_config_pages,
    list_deployments,
    patch_config_variables,
    promote_deployment,
    publish,
    put_config_schema,
    rollback_deployment,
)
from airflow_voice_agents.polyai.calls.telephony import (
    METADATA_LIMIT,
    VOICE_DEADLINE,
    assign_phone_number,
    create_outbound_call,
    delete_connector,
    delete_phone_number,
    delete_phone_numbers,
    get_connector,
    get_connectors,
    get_outbound_call_status,
    get_phone_number,
    get_phone_numbers,
    import_phone_number,
    import_phone_numbers,
    list_connectors,
    list_phone_numbers,
    lookup_connector,
    update_connector,
    update_connectors,
)

__all__ = [
    "METADATA_LIMIT",
    "VOICE_DEADLINE",
    "assign_phone_number",
    "create_agent",
    "create_attribute",
    "create_branch",
    "create_outbound_call",
    "create_variant",
    "delete_agent",
    "delete_attribute",
    "delete_branch",
    "delete_connector",
    "delete_phone_number",
    "delete_phone_numbers",
    "delete_variant",
    "duplicate_agent",
    "get_active_deployments",
    "get_config_page",
    "get_connector",
    "get_connectors",
    "get_outbound_call_status",
    "get_phone_number",
    "get_phone_numbers",
    "import_phone_number",
    "import_phone_numbers",
    "list_agents",
    "list_attributes",
    "list_branches",
    "list_config_pages",
    "list_connectors",
    "list_deployments",
    "list_phone_numbers",
    "list_variants",
    "lookup_connector",
    "merge_branch",
    "patch_config_variables",
    "promote_deployment",
    "publish",
    "put_config_schema",
    "rollback_deployment",
    "update_attribute",
    "update_connector",
    "update_connectors",
    "update_variant",
]
