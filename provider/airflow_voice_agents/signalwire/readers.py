"""Convert decoded JSON bodies to values. An invalid body raises ``ValueError`` and is not shown."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.signalwire.models import AvailableNumber, Page, PhoneNumber


def page(body: Any) -> Page:
    """Read one page of numbers; without ``links`` nobody could tell whether it is the last one.

    :param body: the answer.
    """
    data, links = _member(body, "data"), _member(body, "links")
    if not isinstance(data, list):
        raise ValueError("the answer's 'data' is missing or not a list")
    if not isinstance(links, dict):
        raise ValueError("the answer's 'links' is missing or not an object")
    following = links.get("next") or None
    if following is not None and not isinstance(following, str):
        raise ValueError("the answer's 'links.next' is not a string")
    return Page(tuple(PhoneNumber.model_validate(item) for item in data), following)


def available(body: Any) -> list[AvailableNumber]:
    """Read the numbers that a search found; an answer without any may leave the list out.

    :param body: the answer.
    """
    data = _member(body, "data")
    if data is None:
        return []
    if not isinstance(data, list):
        raise ValueError("the answer's 'data' is not a list")
    return [AvailableNumber.model_validate(item) for item in data]


def nothing(_: Any) -> None:
    """Read an answer without a body."""


def _member(body: Any, name: str) -> Any:
    if not isinstance(body, dict):
        raise ValueError("the answer is not an object")
    return body.get(name)
