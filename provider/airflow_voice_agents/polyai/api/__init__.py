"""The PolyAI Agents API as values: each function builds one request, and sends nothing.

Common arguments: ``agent_id`` is the agent (project), by slug or ``PROJECT-…`` id; ``client_env`` and
``environment`` are one of ``sandbox``, ``pre-release`` and ``live``, and never have a default; phone numbers
are E.164; ids are percent-encoded in the path. ``None`` for an optional argument leaves it out. Every
function raises ``InputError`` for an invalid argument and names it: an empty id or list, an id with a slash,
a malformed number, an unknown environment, a duplicate in a batch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.polyai.api.requests import RUNTIME_ROUTES

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.api.content import (
        create_agent,
        create_attribute,
        create_branch,
        create_variant,
        delete_agent,
        delete_attribute,
        delete_branch,
        delete_variant,
        duplicate_agent,
        get_behavior,
        list_agents,
        list_attributes,
        list_branches,
        list_topics,
        list_variants,
        merge_branch,
        update_attribute,
        update_variant,
    )
    from airflow_voice_agents.polyai.api.environments import (
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
    from airflow_voice_agents.polyai.api.observations import (
        CHAT_DEADLINE,
        CONCURRENCY_SPAN,
        CONVERSATIONS_AT_ONCE,
        create_debug_chat,
        get_alert_rule,
        get_concurrency,
        get_conversation,
        get_test_run,
        list_agent_conversations,
        list_alert_rules,
        list_alerts,
        list_conversations,
        list_test_runs,
        send_debug_chat_message,
        trigger_test_run,
    )
    from airflow_voice_agents.polyai.api.sip import (
        EXTENSION_LIMIT,
        create_sip_extension,
        delete_sip_extension,
        get_sip_extension,
        get_sip_trunk,
        list_sip_extensions,
        list_sip_trunks,
        update_sip_extension,
    )
    from airflow_voice_agents.polyai.api.telephony import (
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
    "CHAT_DEADLINE",
    "CONCURRENCY_SPAN",
    "CONVERSATIONS_AT_ONCE",
    "EXTENSION_LIMIT",
    "METADATA_LIMIT",
    "RUNTIME_ROUTES",
    "VOICE_DEADLINE",
    "assign_phone_number",
    "create_agent",
    "create_attribute",
    "create_branch",
    "create_debug_chat",
    "create_outbound_call",
    "create_sip_extension",
    "create_variant",
    "delete_agent",
    "delete_attribute",
    "delete_branch",
    "delete_connector",
    "delete_phone_number",
    "delete_phone_numbers",
    "delete_sip_extension",
    "delete_variant",
    "duplicate_agent",
    "get_active_deployments",
    "get_alert_rule",
    "get_behavior",
    "get_concurrency",
    "get_config_page",
    "get_connector",
    "get_connectors",
    "get_conversation",
    "get_outbound_call_status",
    "get_phone_number",
    "get_phone_numbers",
    "get_sip_extension",
    "get_sip_trunk",
    "get_test_run",
    "import_phone_number",
    "import_phone_numbers",
    "list_agent_conversations",
    "list_agents",
    "list_alert_rules",
    "list_alerts",
    "list_attributes",
    "list_branches",
    "list_config_pages",
    "list_connectors",
    "list_conversations",
    "list_deployments",
    "list_phone_numbers",
    "list_sip_extensions",
    "list_sip_trunks",
    "list_test_runs",
    "list_topics",
    "list_variants",
    "lookup_connector",
    "merge_branch",
    "patch_config_variables",
    "promote_deployment",
    "publish",
    "put_config_schema",
    "rollback_deployment",
    "send_debug_chat_message",
    "trigger_test_run",
    "update_attribute",
    "update_connector",
    "update_connectors",
    "update_sip_extension",
    "update_variant",
]

_MODULES = ("environments", "telephony", "content", "sip", "observations")
"""Modules that a task imports with the first function that it uses of them, those of most tasks first."""


def __getattr__(name: str) -> Any:
    """Import a function with its first use: a task uses few of the models that all modules together build."""
    for module in _MODULES if name in __all__ else ():
        found = getattr(import_module(f"{__name__}.{module}"), name, None)
        if found is not None:
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return all functions, also those that nobody has used yet."""
    return sorted({*globals(), *__all__})
