"""Helpers that build API requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, alias_generators

from airflow_voice_agents.transport.api_request import ApiRequest, Replay, fill
from airflow_voice_agents.transport.validation import parse_identifier, parse_lines, parse_text

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
to_camel = lru_cache(maxsize=None)(alias_generators.to_camel)  # the names of arguments are few

IDENTIFIERS: Final = frozenset(
    {
        "asrLangCode",
        "clientEnv",
        "connectorId",
        "connectorIds",
        "environment",
        "phoneNumber",
        "phoneNumbers",
        "projectId",
        "targetEnvironment",
        "variantId",
        "voiceName",
    }
)
"""Fields that an error may quote; only for bodies that hold nothing of an author's own making."""

AGENT: Final = "/v1/agents/{agentId}"
"""Route of an agent, with which most routes begin."""
CONVERSATIONS: Final = "/v3/{accountId}/{projectId}/conversations"
CONCURRENCY: Final = "/v1/{accountId}/{projectId}/conversations/concurrency"
RUNTIME_ROUTES: Final = frozenset({CONVERSATIONS, CONCURRENCY})
"""Routes of the calls that only the runtime host answers."""


def get(
    operation: str,
    route: str,
    read: Callable[[Any], T],
    *,
    query: Mapping[str, str] | None = None,
    people: bool = False,
    **ids: str,
) -> ApiRequest[T]:
    """Build a read.

    :param operation: the operation, in words.
    :param route: path template with the API's names.
    :param read: reader of the answer.
    :param query: query parameters by the API's names.
    :param people: whether the response is about calls to or from people.
    :param ids: values for the template, by argument name (``agent_id`` fills ``{agentId}``).
    :raises InputError: for an id that cannot be a segment of a path.
    """
    parameters = tuple((query or {}).items())
    return ApiRequest(
        operation, "GET", route, _path(route, ids), read, Replay.SAFE, query=parameters, people=people
    )


def send(
    operation: str,
    method: str,
    route: str,
    read: Callable[[Any], T],
    *,
    replay: Replay = Replay.RECONCILE,
    body: Mapping[str, Any] | None = None,
    deadline: float | None = None,
    shown: frozenset[str] = frozenset(),
    **ids: str,
) -> ApiRequest[T]:
    """Build a write, or a read with a body.

    :param operation: the operation, in words.
    :param method: HTTP verb.
    :param route: path template with the API's names.
    :param read: reader of the answer.
    :param replay: rule for an unknown outcome; ``SAFE`` only for a POST that reads.
    :param body: JSON body.
    :param deadline: time limit in seconds, if the client's is too short.
    :param shown: fields of the body that an error can quote.
    :param ids: values for the template, by argument name (``agent_id`` fills ``{agentId}``).
    :raises InputError: for an id that cannot be a segment of a path.
    """
    path = _path(route, ids)
    return ApiRequest(operation, method, route, path, read, replay, body=body, deadline=deadline, shown=shown)


def own_body(model: type[M]) -> Callable[[Any], M]:
    """Return the reader of a write's answer whose fields are all optional.

    An object that holds none of the model's fields comes from somewhere else and proves nothing.

    :param model: type of the answer.
    """
    names = {name for key, field in model.model_fields.items() for name in (key, field.alias) if name}

    def read(body: Any) -> M:
        if isinstance(body, dict) and names.isdisjoint(body):
            raise ValueError("the answer holds no field of the operation")
        return model.model_validate(body)

    return read


def optional(*, parse: Callable[..., str] = parse_text, **arguments: str | None) -> dict[str, Any]:
    """Give the arguments that are not ``None``, checked, by the API's names.

    :param parse: the check; takes the value, and the argument's name as ``name``.
    :param arguments: values by argument name.
    :raises InputError: as ``parse`` does.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    return {to_camel(name): parse(value, name=name) for name, value in given.items()}


def deployment_message(message: str) -> dict[str, Any]:
    """Return the part of a body with the message of a deployment.

    :param message: text of any number of lines; can be empty.
    :raises InputError: if the value is not a string.
    """
    return {"deploymentMessage": parse_lines(message, name="message")}


def _path(route: str, ids: Mapping[str, str]) -> str:
    checked = {to_camel(name): parse_identifier(value, name=name) for name, value in ids.items()}
    return fill(route, **checked)
