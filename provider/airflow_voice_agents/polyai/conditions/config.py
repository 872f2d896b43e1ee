"""Conditions on config pages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_voice_agents.plans.canonical import salted_digest
from airflow_voice_agents.plans.condition import Found
from airflow_voice_agents.plans.diff import ABSENT
from airflow_voice_agents.plans.selection import value_at
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import ConfigPage, parse_environment
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState, page
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ItemsFailedPermanently
from airflow_voice_agents.transport.validation import (
    parse_identifier,
    parse_json_object,
)

_DIGEST = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class ConfigCondition:
    """An environment's config page has given values, has a digest, or equals another page; one of the three.

    :param agent_id: the agent.
    :param environment: one of the three stages.
    :param leaves: paths, and the salted digests that their values must have.
    :param page_digest: digest of schema and variables together; the beginning is enough.
    :param equals: ``[agent_id, environment]`` of the page that it must equal.
    :param salt: salt of the digests in ``leaves``; empty in a condition that a former release has stored.
    """

    agent_id: str
    environment: str
    leaves: tuple[tuple[tuple[str, ...], str], ...] = ()
    page_digest: str | None = None
    equals: tuple[str, str] | None = None
    salt: str = field(default="", compare=False)

    @classmethod
    def parse(
        cls, agent_id: object, environment: object, values: object, page_digest: object, equals: object
    ) -> ConfigCondition:
        """Check a sensor's arguments; values are kept as salted digests only.

        :raises InputError: for an invalid argument; the message names it.
        """
        if sum(given is not None for given in (values, page_digest, equals)) != 1:
            raise InputError("give exactly one of values, digest and equals")
        place = _place(agent_id, environment, "")
        if values is not None:
            if not isinstance(values, Mapping) or not values:
                raise InputError("values must be a mapping of at least one key")
            checked = parse_json_object(values, name="values")
            salt = secrets.token_hex(16)
            return cls(*place, leaves=tuple(_leaves(checked, (), salt)), salt=salt)
        if page_digest is not None:
            if not isinstance(page_digest, str) or not _DIGEST.fullmatch(page_digest):
                raise InputError("digest must be a text of at least 12 hexadecimal digits in lower case")
            return cls(*place, page_digest=page_digest)
        if not isinstance(equals, Mapping):
            raise InputError("equals must be a mapping of agent_id and environment")
        other = _place(equals.get("agent_id"), equals.get("environment"), "equals.")
        if other == place:
            raise InputError("equals names the page itself; name another one")
        return cls(*place, equals=other)

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {
            "agent_id": self.agent_id,
            "environment": self.environment,
            "leaves": [[list(path), value] for path, value in self.leaves],
            "page_digest": self.page_digest,
            "equals": list(self.equals) if self.equals else None,
            "salt": self.salt,
        }

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> ConfigCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(
            agent_id=plain["agent_id"],
            environment=plain["environment"],
            leaves=tuple((tuple(path), value) for path, value in plain.get("leaves") or ()),
            page_digest=plain.get("page_digest"),
            equals=tuple(plain["equals"]) if plain.get("equals") else None,
            salt=plain.get("salt") or "",
        )

    def reads(self) -> list[ApiRequest[list[ConfigPage]]]:
        """Return the requests of the condition: one per agent."""
        agents = [self.agent_id, *([self.equals[0]] if self.equals else [])]
        return [api.list_config_pages(agent_id) for agent_id in dict.fromkeys(agents)]

    def holds(self, answers: Sequence[list[ConfigPage]]) -> Found:
        """Evaluate the condition, and return the page.

        :param answers: responses to the requests of :meth:`reads`, in order.
        """
        kind = ConfigPageKind()
        mine = _state(answers[0], self.agent_id, self.environment)
        digest_found = kind.digest(mine)
        found = {"agent_id": self.agent_id, "environment": self.environment, "digest": digest_found}
        if self.equals:
            other = _state(answers[-1], *self.equals)
            return mine is not None and digest_found == kind.digest(other), found
        if self.page_digest:
            return digest_found.startswith(self.page_digest), found
        values = mine.values if mine else {}
        shown = [(value_at(values, path), wanted) for path, wanted in self.leaves]
        return all(
            value is not ABSENT and salted_digest(value, self.salt) == wanted for value, wanted in shown
        ), found


def _state(pages: list[ConfigPage], agent_id: str, environment: str) -> PageState | None:
    resource = page(agent_id, environment)
    (observation,) = ConfigPageKind().observe([resource])
    state = observation.states(pages).get(resource)
    if state is not None and state.flaw:
        raise ItemsFailedPermanently(f"The config page of {resource} {state.flaw}, and it is not compared.")
    return state


def _place(agent_id: object, environment: object, prefix: str) -> tuple[str, str]:
    return (
        parse_identifier(agent_id, name=f"{prefix}agent_id"),
        str(parse_environment(environment, name=f"{prefix}environment")),
    )


def _leaves(values: Mapping[str, Any], path: tuple[str, ...], salt: str) -> list[tuple[tuple[str, ...], str]]:
    """Objects are compared member by member, so a condition can cover a part of one."""
    found = []
    for key, value in values.items():
        here = (*path, str(key))
        nested = isinstance(value, Mapping) and value
        found += _leaves(value, here, salt) if nested else [(here, salted_digest(value, salt))]
    return found
