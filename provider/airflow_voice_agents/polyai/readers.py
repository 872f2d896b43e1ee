"""Convert decoded JSON bodies to values. An invalid body raises ``ValueError`` and is not shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_voice_agents.polyai.models import Answer, Deployment

A = TypeVar("A", bound=Answer)
R = TypeVar("R")


def list_of(model: type[A], member: str | None = None) -> Callable[[Any], list[A]]:
    """Make the reader of a list of records.

    :param model: type of the records.
    :param member: name of the answer's member that holds the list; ``None``: the answer is the list.
    """

    def read(body: Any) -> list[A]:
        return [model.model_validate(item) for item in _require(list, body, member)]

    return read


def texts(member: str) -> Callable[[Any], list[str]]:
    """Make the reader of a member that is a list of strings.

    :param member: its name.
    """

    def read(body: Any) -> list[str]:
        items = _require(list, body, member)
        if not all(isinstance(item, str) for item in items):
            raise ValueError(f"the answer's {member!r} holds something else than strings")
        return items

    return read


def text(member: str) -> Callable[[Any], str]:
    """Make the reader of a member that is a string.

    :param member: its name.
    """
    return lambda body: _require(str, body, member)


def active_deployments(body: Any) -> dict[str, Deployment | None]:
    """Read the active deployment of each environment; ``None`` where nothing is deployed.

    :param body: the answer.
    """
    active = _require(dict, body, "activeDeployments")
    return {
        environment: Deployment.model_validate(record) if record not in (None, "", {}) else None
        for environment, record in active.items()
    }


def nothing(_: Any) -> None:
    """Read an answer without a body."""


def _require(kind: type[R], body: Any, member: str | None) -> R:
    found = body if member is None else body.get(member) if isinstance(body, dict) else None
    if not isinstance(found, kind):
        where = "the answer" if member is None else f"the answer's {member!r}"
        raise ValueError(f"{where} is missing or not a {kind.__name__}")
    return found
