"""Assets of PolyAI: what operators emit and other DAGs can be scheduled on."""

from __future__ import annotations

from urllib.parse import quote


def config_uri(agent_id: str, environment: str) -> str:
    """Return the asset URI of an environment's config page.

    :param agent_id: the agent.
    :param environment: ``sandbox``, ``pre-release`` or ``live``.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/environments/{environment}/config"


def phone_numbers_uri(agent_id: str, environment: str) -> str:
    """Return the asset URI of an environment's phone numbers.

    :param agent_id: the agent.
    :param environment: ``sandbox``, ``pre-release`` or ``live``.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/environments/{environment}/phone-numbers"


def connectors_uri(agent_id: str) -> str:
    """Return the asset URI of an agent's connectors.

    :param agent_id: the agent.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/connectors"
