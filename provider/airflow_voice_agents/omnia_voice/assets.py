"""Assets of Omnia Voice, on which other DAGs can be scheduled."""

from __future__ import annotations

from urllib.parse import quote


def agent_numbers_uri(agent_id: str) -> str:
    """Return the asset URI of the numbers that an agent answers.

    :param agent_id: the agent.
    """
    return f"omniavoice://agents/{quote(agent_id, safe='')}/numbers"
