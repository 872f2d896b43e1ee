"""Assets of SignalWire, on which other DAGs can be scheduled."""

from __future__ import annotations

from urllib.parse import quote


def phone_numbers_uri(space: str) -> str:
    """Return the asset URI of the numbers that are owned: bought, released, given an emergency address.

    :param space: label or host of the space.
    """
    return f"{_space(space)}/phone-numbers"


def routing_uri(space: str) -> str:
    """Return the asset URI of where calls to the numbers go.

    :param space: label or host of the space.
    """
    return f"{_space(space)}/call-routing"


def _space(space: str) -> str:
    return f"signalwire://spaces/{quote(space, safe='')}"
