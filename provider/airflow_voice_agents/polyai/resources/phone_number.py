"""A phone number's presence in an environment, and its routing to a connector, as resource kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import msgspec
from msgspec.structs import asdict, replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import (
    Kind,
    Known,
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
    batches,
    by_owner,
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, no_change, refused
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import BatchPhoneNumbers, PhoneNumber
from airflow_voice_agents.polyai.resources.connector_matching import shown
from airflow_voice_agents.polyai.resources.plan_items import cannot_undo, kept_fields, kept_text
from airflow_voice_agents.transport.suggestions import did_you_mean

KIND = "phone number"
NOTHING: Known = {}
ELSEWHERE = (
    "It is registered elsewhere: not in this agent. Sending it again does not help. Find the agent that has it, or "
    "leave it out."
)
FIELDS = ("client_env", "connector_id")
STATES_KEPT = 10_000
"""States that numbers share: thousands of numbers have few."""


class NumberState(msgspec.Struct, frozen=True, gc=False):
    """Where a number is.

    :param client_env: environment that it is registered for.
    :param connector_id: connector that answers it, or ``None``.
    """

    client_env: str | None
    connector_id: str | None = None


@dataclass(frozen=True, slots=True)
class PhoneNumberKind(Kind[NumberState]):
    """Reads, imports and routes phone numbers; absent ones are imported, and none is moved.

    The platform routes an imported number by itself, so a number that it left elsewhere is assigned afterwards.

    :param batch_size: maximum number of numbers per request.
    """

    name: ClassVar[str] = KIND

    batch_size: int = 50

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[NumberState]]:
        """Return batch reads; a number that the agent does not have is reported as not found."""
        for agent_id, mine in by_owner(resources).items():
            for chunk in batches(mine, self.batch_size):
                request = api.get_phone_numbers(agent_id, phone_numbers=[each.name for each in chunk])
                yield Observation(request, chunk, _found(agent_id, chunk))

    def digest(self, state: NumberState | None) -> str:
        """Digest of environment and connector."""
        return digest(state and asdict(state))

    def diff(self, before: NumberState | None, after: NumberState | None) -> Iterator[Change]:
        """Changes of environment and connector."""
        return diff(asdict(before) if before else {}, asdict(after) if after else {})

    def destination(self, state: NumberState) -> str | None:
        """Return environment and connector."""
        return f"{state.client_env or 'no environment'}, {state.connector_id or 'no connector'}"

    def write_sequences(
        self, transitions: Sequence[Transition[NumberState]]
    ) -> Iterator[WriteSequence[NumberState]]:
        """Imports in batches that never mix agents or environments; one assignment per present number."""
        groups: dict[tuple[str, str], list[Resource]] = {}
        for each in transitions:
            if each.before is None:
                key = (each.resource.owner, str(each.after.client_env))
                groups.setdefault(key, []).append(each.resource)
            else:
                yield (_assignment(each),)
        for (agent_id, client_env), resources in groups.items():
            for chunk in batches(resources, self.batch_size):
                yield (_import(agent_id, client_env, chunk),)

    def mismatches(self, transition: Transition[NumberState], observed: NumberState | None) -> list[str]:
        """List presence, environment or connector; a connector of ``None`` is left to the platform."""
        if observed is None:
            return ["presence"]
        wrong = ["client_env"] if observed.client_env != transition.after.client_env else []
        wanted = transition.after.connector_id
        return [*wrong, "connector_id"] if wanted not in (None, observed.connector_id) else wrong

    def continues(self, transition: Transition[NumberState], observed: NumberState | None) -> bool:
        """Return whether an imported number still has to be assigned."""
        return transition.before is None and self.mismatches(transition, observed) == ["connector_id"]

    def plan(self, resource: Resource, desired: NumberState, now: NumberState | None) -> PlannedItem:
        """Plan that a number is in an environment and answered by a connector.

        :param resource: the number.
        :param desired: environment and connector; a connector of ``None`` is left to the platform.
        :param now: the present state; ``None`` where the agent does not have it.
        """
        if now is not None and now.client_env != desired.client_env:
            finding = refused(
                "wrong_environment",
                f"it is in {now.client_env}, not {desired.client_env}, and a number is never moved silently. It was "
                "not changed. Delete it there first if it is to move.",
            )
            return no_change(self, resource, now, finding)
        if now is not None and desired.connector_id is None:
            return no_change(self, resource, desired)  # its connector is no part of the plan
        return change(self, resource, now, desired, identifiers=True)

    def to_json(self, state: NumberState) -> dict[str, str | None]:
        """Return a number as JSON."""
        return asdict(state)

    def from_json(self, value: Any) -> NumberState:
        """Return the number that :meth:`to_json` made JSON of.

        :param value: decoded JSON.
        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        fields = kept_fields(value, FIELDS, what=KIND)
        return NumberState(**{name: kept_text(fields, name, what=KIND) for name in FIELDS})

    def restore(self, resource: Resource, wanted: NumberState | None, now: NumberState | None) -> PlannedItem:
        """Plan the way back to the connector that answered a number.

        A number is never imported, deleted or moved to another environment; the plan names what stays different.

        :param resource: the number.
        :param wanted: where it was; ``None`` where the agent did not have it.
        :param now: where it is; ``None`` where the agent does not have it.
        """
        if loss := _loss(wanted, now):
            return no_change(self, resource, now, loss)
        if wanted is None or now is None:
            return no_change(self, resource, now)
        return change(self, resource, now, replace(now, connector_id=wanted.connector_id), identifiers=True)


def _loss(wanted: NumberState | None, now: NumberState | None) -> Finding | None:
    """Say why a number cannot become what it was, where it cannot."""
    if wanted is None:
        if now is None:
            return None
        return cannot_undo("The agent did not have this number when it was kept. It is not deleted.")
    if now is None:
        return cannot_undo(
            "The agent does not have this number any more. Import it with PolyAIImportPhoneNumbersOperator, and "
            "route it again."
        )
    if wanted.client_env != now.client_env:
        return cannot_undo(
            f"It was in {wanted.client_env} and is in {now.client_env}, and no call is documented to take a number "
            "to another environment. It stays."
        )
    if wanted.connector_id is None and now.connector_id is not None:
        return cannot_undo(
            "No connector answered it when it was kept, and no call is documented to take one away. It stays on "
            f"{now.connector_id}."
        )
    return None


def plan_routing(
    kind: PhoneNumberKind,
    agent_id: str,
    numbers: Mapping[str, str],
    *,
    client_env: str,
    states: Mapping[Resource, NumberState],
    connectors: Mapping[str, Sequence[str]],
) -> tuple[PlannedItem, ...]:
    """Plan that numbers ring connectors of their own environment.

    :param kind: the kind of the numbers.
    :param agent_id: the agent that has them.
    :param numbers: E.164 number -> name or id of a connector.
    :param client_env: the environment of numbers and connectors.
    :param states: the numbers as they are; those that the agent does not have are missing.
    :param connectors: name -> ids of the agent's connectors of that environment, with those that a move brings.
    """
    return tuple(
        _routed(kind, phone_number(agent_id, number), states, client_env, (wanted, connectors))
        for number, wanted in numbers.items()
    )


def _routed(
    kind: PhoneNumberKind,
    resource: Resource,
    states: Mapping[Resource, NumberState],
    client_env: str,
    choice: tuple[str, Mapping[str, Sequence[str]]],
) -> PlannedItem:
    now, ids = states.get(resource), _ids(*choice)
    if now is None or now.client_env != client_env:
        return no_change(kind, resource, now, _misplaced(resource, client_env, now))
    if len(ids) != 1:
        return no_change(kind, resource, now, _unclear(resource, client_env, ids, choice))
    return change(kind, resource, now, replace(now, connector_id=ids[0]), identifiers=True)


def _ids(wanted: str, called: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Ids that a name or an id means; an id wins, because it is the platform's own."""
    known = {each for ids in called.values() for each in ids}
    return [wanted] if wanted in known else called.get(wanted, ())


def _misplaced(resource: Resource, client_env: str, now: NumberState | None) -> Finding:
    if now is None:
        return error(
            "number_absent",
            f"{resource.owner} does not have {resource.name}. Import it for {client_env} with "
            "PolyAIImportPhoneNumbersOperator first.",
        )
    return error(
        "wrong_environment",
        f"{resource.name} is in {now.client_env}, not in {client_env}, and no number is taken to another "
        "environment. Name it in the target that it belongs to.",
    )


def _unclear(
    resource: Resource, client_env: str, ids: Sequence[str], choice: tuple[str, Mapping[str, Sequence[str]]]
) -> Finding:
    wanted, called = choice
    if ids:
        return error(
            "ambiguous_connector",
            f"{resource.owner} has {len(ids)} connectors named {wanted!r} in {client_env}: {', '.join(ids)}. "
            "Write the id of one of them.",
        )
    return error(
        "unmatched_connector",
        f"{resource.owner} has no connector {wanted!r} in {client_env} (it has: {shown(called)})."
        f"{did_you_mean(wanted, called)} Write the name "
        "or the id of one of them.",
    )


def phone_number(agent_id: str, number: str) -> Resource:
    """Return the address of a number."""
    return Resource(KIND, agent_id, number)


def _found(
    agent_id: str, asked: Sequence[Resource]
) -> Callable[[BatchPhoneNumbers], Mapping[Resource, NumberState | None]]:
    known = {resource.name: resource for resource in asked}

    def read(answer: BatchPhoneNumbers) -> Mapping[Resource, NumberState | None]:
        read: dict[Resource, NumberState | None] = {}
        for number in answer.not_found:
            read[known.get(number) or phone_number(agent_id, number)] = None
        for each in answer.found:
            read[known.get(each.number) or phone_number(agent_id, each.number)] = _state(each)
        return read

    return read


def _states(agent_id: str, found: Iterable[PhoneNumber]) -> dict[Resource, NumberState]:
    return {phone_number(agent_id, each.number): _state(each) for each in found}


def _state(answer: PhoneNumber) -> NumberState:
    return _shared_state(answer.client_env, answer.connector_id)


@lru_cache(maxsize=STATES_KEPT)
def _shared_state(client_env: str | None, connector_id: str | None) -> NumberState:
    """Return one object for equal states."""
    return NumberState(client_env, connector_id)


def _import(agent_id: str, client_env: str, resources: Sequence[Resource]) -> Write[NumberState]:
    def split(open_ones: Sequence[Resource]) -> tuple[Write[NumberState], ...]:
        halves = batches(open_ones, max(1, (len(open_ones) + 1) // 2))
        return tuple(_import(agent_id, client_env, half) for half in halves)

    return Write(
        request=api.import_phone_numbers(
            agent_id, phone_numbers=[resource.name for resource in resources], client_env=client_env
        ),
        resources=tuple(resources),
        judge=_imported(agent_id, resources),
        split=split,  # also of one: the number may have come to be there meanwhile
        not_taken=ELSEWHERE,
    )


def _imported(
    agent_id: str, asked: Sequence[Resource]
) -> Callable[[Sequence[str]], Mapping[Resource, WriteResult[NumberState]]]:
    """The answer lists numbers only; their state has to be read, and a number left out is unknown."""
    known = {resource.name: resource for resource in asked}
    accepted: WriteResult[NumberState] = WriteResult()
    return lambda imported: {
        known.get(number) or phone_number(agent_id, number): accepted for number in imported
    }


def _assignment(transition: Transition[NumberState]) -> Write[NumberState]:
    resource = transition.resource
    return Write(
        request=api.assign_phone_number(
            resource.owner, phone_number=resource.name, connector_id=str(transition.after.connector_id)
        ),
        resources=(resource,),
        judge=lambda answer: {
            each: WriteResult(state)
            for each, state in _states(resource.owner, [answer]).items()
            if each == resource
        },
    )
