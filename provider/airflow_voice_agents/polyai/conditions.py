"""What sensors wait for: one predicate for poking and for the trigger, free of values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from airflow_voice_agents.http.arguments import (
    parse_batch,
    parse_choice,
    parse_e164,
    parse_identifier,
    parse_json_object,
    some,
)
from airflow_voice_agents.http.call import Call
from airflow_voice_agents.http.errors import InputError, ItemsFailedPermanently
from airflow_voice_agents.polyai import calls
from airflow_voice_agents.polyai.models import ConfigPage, PhoneNumber, parse_environment
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState, page
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.promotion.canonical import digest
from airflow_voice_agents.promotion.diff import ABSENT
from airflow_voice_agents.promotion.drift import Drift, DriftReport, counts_sentence
from airflow_voice_agents.promotion.render import visible
from airflow_voice_agents.promotion.selection import value_at

_DIGEST = re.compile(r"[0-9a-f]{12,64}")

UNTIL_DRIFT, UNTIL_IN_SYNC = "drift", "in_sync"
UNTIL = (UNTIL_DRIFT, UNTIL_IN_SYNC)
TARGETS_NAMED = 20
"""Most targets that what a sensor found names; counts are always complete."""

Found = tuple[bool, dict[str, Any]]
"""Whether a condition holds, and what to leave as XCom."""


class Kept(Protocol):
    """A condition that a trigger can be given."""

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""


class Condition(Kept, Protocol):
    """What a sensor and its trigger ask for."""

    def reads(self) -> Sequence[Call[Any]]:
        """Return the read-only calls that tell."""

    def holds(self, answers: Sequence[Any]) -> Found:
        """Tell whether it holds.

        :param answers: what the reads returned, in order.
        """


@dataclass(frozen=True, slots=True)
class ConfigCondition:
    """What an environment's config page shall be. Exactly one of the three is given.

    :param agent_id: the agent.
    :param environment: one of the three stages.
    :param leaves: paths and the digests that their values shall have.
    :param page_digest: digest that schema and variables together shall have; the beginning is enough.
    :param equals: ``[agent_id, environment]`` of the page that it shall be equal to.
    """

    agent_id: str
    environment: str
    leaves: tuple[tuple[tuple[str, ...], str], ...] = ()
    page_digest: str | None = None
    equals: tuple[str, str] | None = None

    @classmethod
    def parse(
        cls, agent_id: object, environment: object, values: object, page_digest: object, equals: object
    ) -> ConfigCondition:
        """Check a sensor's arguments; values are kept as digests only.

        :raises InputError: naming the argument that is wrong.
        """
        if sum(given is not None for given in (values, page_digest, equals)) != 1:
            raise InputError("give exactly one of values, digest and equals")
        place = _place(agent_id, environment, "")
        if values is not None:
            if not isinstance(values, Mapping) or not values:
                raise InputError("values must be a mapping of at least one key")
            checked = parse_json_object(values, name="values")
            return cls(*place, leaves=tuple(_leaves(checked, ())))
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
        )

    def reads(self) -> list[Call[list[ConfigPage]]]:
        """Return the read-only calls that tell: one per agent."""
        agents = [self.agent_id, *([self.equals[0]] if self.equals else [])]
        return [calls.list_config_pages(agent_id) for agent_id in dict.fromkeys(agents)]

    def holds(self, answers: Sequence[list[ConfigPage]]) -> Found:
        """Tell whether the condition holds, and which page was found.

        :param answers: what :meth:`reads` returned, in order.
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
        return all(value is not ABSENT and digest(value) == wanted for value, wanted in shown), found


@dataclass(frozen=True, slots=True)
class NumbersCondition:
    """Which numbers an agent shall have, where, and who shall answer them.

    :param agent_id: the agent.
    :param numbers: E.164 numbers.
    :param client_env: environment that they shall be in, or ``None`` for any.
    :param connector_id: connector that shall answer them, or ``None`` for any.
    """

    agent_id: str
    numbers: tuple[str, ...]
    client_env: str | None = None
    connector_id: str | None = None

    @classmethod
    def parse(
        cls, agent_id: object, phone_numbers: object, client_env: object, connector_id: object
    ) -> NumbersCondition:
        """Check a sensor's arguments.

        :raises InputError: naming the argument that is wrong.
        """
        numbers = [phone_numbers] if isinstance(phone_numbers, str) else phone_numbers
        checked = parse_batch(
            numbers, lambda value, place: parse_e164(value, name=place), name="phone_numbers"
        )
        return cls(
            agent_id=parse_identifier(agent_id, name="agent_id"),
            numbers=tuple(dict.fromkeys(checked)),
            client_env=None if client_env is None else str(parse_environment(client_env, name="client_env")),
            connector_id=None
            if connector_id is None
            else parse_identifier(connector_id, name="connector_id"),
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {**asdict(self), "numbers": list(self.numbers)}

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> NumbersCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**{**plain, "numbers": tuple(plain["numbers"])})

    def reads(self) -> list[Call[list[PhoneNumber]]]:
        """Return the read-only call that tells: one list, only of the connector where it is named."""
        return [calls.list_phone_numbers(self.agent_id, connector_id=self.connector_id)]

    def holds(self, answers: Sequence[list[PhoneNumber]]) -> Found:
        """Tell whether every number is as it shall be.

        :param answers: what :meth:`reads` returned, in order.
        """
        there = {each.number for each in answers[0] if self._fits(each)}
        missing = [number for number in self.numbers if number not in there]
        return not missing, {"agent_id": self.agent_id, "phone_numbers": len(self.numbers)}

    def _fits(self, number: PhoneNumber) -> bool:
        return self.client_env in (None, number.client_env) and self.connector_id in (
            None,
            number.connector_id,
        )


@dataclass(frozen=True, slots=True)
class DriftCondition:
    """Which drift is waited for, and between what; what is compared is only named here, and read elsewhere.

    :param until: ``drift``, or ``in_sync`` for its end.
    :param spec: the promotion as JSON, or ``None``.
    :param spec_file: file that holds it, or ``None``.
    :param targets: targets instead of those of the promotion, or ``None``.
    :param baseline: name under which promotions have noted what they applied, or ``None``.
    :param state_folder: URL of the folder that it is in, or ``None`` for the configured one.
    """

    until: str
    spec: Any = field(default=None, repr=False)
    spec_file: str | None = None
    targets: Any = field(default=None, repr=False)
    baseline: str | None = None
    state_folder: str | None = None

    @classmethod
    def parse(
        cls,
        until: object,
        *,
        spec: Any = None,
        spec_file: str | None = None,
        targets: Any = None,
        baseline: str | None = None,
        state_folder: str | None = None,
    ) -> DriftCondition:
        """Check a sensor's arguments as far as that needs no file.

        :raises InputError: naming the argument that is wrong.
        """
        parse_choice(until, name="until", choices=UNTIL)
        if spec is not None and spec_file is None:
            given = {**spec, "targets": targets} if targets and isinstance(spec, Mapping) else spec
            spec, targets = PromotionSpec.parse(given).plain(), None
        return cls(str(until), spec, spec_file, targets, baseline, state_folder)

    @property
    def holds_values(self) -> bool:
        """Whether config values are written down in it."""
        if self.spec is not None and self.spec_file is None:
            return PromotionSpec.parse(self.spec).holds_values
        return any(isinstance(each, Mapping) and each.get("overrides") for each in self.targets or ())

    def request(self) -> dict[str, Any]:
        """Return what is compared, by the names of the fields."""
        return {name: value for name, value in asdict(self).items() if name != "until"}

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger.

        :raises InputError: when config values are written down in it, which a trigger must not hold.
        """
        if self.holds_values:
            raise InputError(
                "the spec gives config values (overrides), and Airflow would keep them in its database while the "
                "sensor is deferred. Put the spec into a file and pass spec_file, or wait with "
                "deferrable=False and mode='reschedule'"
            )
        return asdict(self)

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> DriftCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**plain)

    def holds(self, report: DriftReport) -> Found:
        """Tell whether what is waited for is there.

        :param report: what was found.
        :raises ItemsFailedPermanently: when that cannot be told, because something cannot be compared.
        """
        named = [name for name, drift in report.targets.items() if drift is not Drift.UNKNOWN]
        found = {
            "drifted": report.drifted,
            "counts": report.counts(),
            "targets": named[:TARGETS_NAMED],
            "targets_omitted": max(0, len(named) - TARGETS_NAMED),
        }
        if self.until == UNTIL_DRIFT and report.drifted:
            return True, found
        if unknown := report.having(Drift.UNKNOWN):
            told = some([f"{each.resource.kind} {each.resource}: {each.reason}" for each in unknown])
            raise ItemsFailedPermanently(
                f"{len(unknown)} resource(s) cannot be compared, so there is no telling whether they drift "
                f"({counts_sentence(report)}) {visible(told)}"
            )
        return report.settled and self.until == UNTIL_IN_SYNC, found


def _state(pages: list[ConfigPage], agent_id: str, environment: str) -> PageState | None:
    resource = page(agent_id, environment)
    (observation,) = ConfigPageKind().observe([resource])
    return observation.states(pages).get(resource)


def _place(agent_id: object, environment: object, prefix: str) -> tuple[str, str]:
    return (
        parse_identifier(agent_id, name=f"{prefix}agent_id"),
        str(parse_environment(environment, name=f"{prefix}environment")),
    )


def _leaves(values: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """Objects are compared member by member, so that a part of one may be waited for."""
    found = []
    for key, value in values.items():
        here = (*path, str(key))
        found += _leaves(value, here) if isinstance(value, Mapping) and value else [(here, digest(value))]
    return found
