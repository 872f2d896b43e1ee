"""Request bodies and queries, as far as operations share how they are read."""

from __future__ import annotations

import re

from airflow_voice_agents.emulator.request import EmulatorRequest, Record, decode
from airflow_voice_agents.emulator.signalwire.errors import plain

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)


def read_object(exchange: EmulatorRequest) -> Record:
    """The JSON object in the body.

    :raises Problem: 400 for anything else.
    """
    try:
        document = decode(exchange.body)
    except ValueError:
        raise plain(400) from None
    if not isinstance(document, dict):
        raise plain(400)
    return document


def whole_number(text: str) -> int | None:
    """The number that a query parameter holds, or ``None`` when it is not a number."""
    return int(text) if _WHOLE.fullmatch(text) else None
