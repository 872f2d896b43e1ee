"""A phone number's presence in an environment, and its routing to a connector, as resource kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import (
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
    batches,
    by_owner,
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, no_change
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import BatchPhoneNumbers, PhoneNumber
from airflow_voice_agents.polyai.resources.plan_items import cannot_undo, kept_fields, kept_text

KIND = "phone number"
FIELDS = ("client_env", "connector_id")


@dataclass(frozen=True, slots=True)
class NumberState:
    """Where a number is.

    :param client_env: environment that it is registered for.
    :param connector_id: connector that answers it, or ``None``.
    """

    client_env: str | None
    connector_id: str | None = None


class _PhoneNumberKind:
    """What both kinds share: how numbers are read and compared.

    :param batch_size: most numbers per call.
    """

    name = KIND

    def __init__(self, *, batch_size: int) -> None:
        self._batch_size = batch_size

    def observe(self, resources: Sequence[Resource]) -> Iterator[Observation[NumberState]]:
        """Batch reads; a number that the agent does not have is absent."""
        for agent_id, mine in by_owner(resources).items():
            for chunk in batches(mine, self._batch_size):
                call = api.get_phone_numbers(agent_id, phone_numbers=[resource.name for resource in chunk])
                yield Observation(call, chunk, _found(agent_id))

    def digest(self, state: NumberState | None) -> str:
        """Digest of environment and connector."""
        return digest(state and asdict(state))

    def diff(self, before: NumberState | None, after: NumberState | None) -> Iterator[Change]:
        """Changes of environment and connector."""
        return diff(asdict(before) if before else {}, asdict(after) if after else {})


class PresenceKind(_PhoneNumberKind):
    """Numbers that an agent shall have in an environment; absent ones are imported, none is moved."""

    def write_sequences(
        self, transitions: Sequence[Transition[NumberState]]
    ) -> Iterator[WriteSequence[NumberState]]:
        """Imports in batches that never mix agents or environments."""
        groups: dict[tuple[str, str], list[Resource]] = {}
        for transition in transitions:
            key = (transition.resource.owner, str(transition.after.client_env))
            groups.setdefault(key, []).append(transition.resource)
        for (agent_id, client_env), resources in groups.items():
            for chunk in batches(resources, self._batch_size):
                yield (_import(agent_id, client_env, chunk),)

    def mismatches(self, transition: Transition[NumberState], observed: NumberState | None) -> list[str]:
        """Whether the number is absent, or in another environment."""
        if observed is None:
            return ["presence"]
        return [] if observed.client_env == transition.after.client_env else ["client_env"]


class RoutingKind(_PhoneNumberKind):
    """Numbers that shall be answered by a connector."""

    def write_sequences(
        self, transitions: Sequence[Transition[NumberState]]
    ) -> Iterator[WriteSequence[NumberState]]:
        """One assignment per number; the platform has no call for several."""
        return ((_assignment(transition),) for transition in transitions)

    def mismatches(self, transition: Transition[NumberState], observed: NumberState | None) -> list[str]:
        """What of connector and environment is not as it shall be."""
        wanted, shown = asdict(transition.after), asdict(observed) if observed else {}
        return [name for name, value in wanted.items() if shown.get(name) != value]

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

        A number is never imported, deleted or taken to another environment; what that leaves is told.

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


def phone_number(agent_id: str, number: str) -> Resource:
    """Return the address of a number."""
    return Resource(KIND, agent_id, number)


def _found(agent_id: str) -> Callable[[BatchPhoneNumbers], Mapping[Resource, NumberState]]:
    return lambda answer: _states(agent_id, answer.found)


def _states(agent_id: str, found: Iterable[PhoneNumber]) -> dict[Resource, NumberState]:
    return {phone_number(agent_id, each.number): _state(each) for each in found}


def _state(answer: PhoneNumber) -> NumberState:
    return NumberState(answer.client_env, answer.connector_id)


def _import(agent_id: str, client_env: str, resources: Sequence[Resource]) -> Write[NumberState]:
    def split(open_ones: Sequence[Resource]) -> tuple[Write[NumberState], ...]:
        halves = batches(open_ones, max(1, (len(open_ones) + 1) // 2))
        return tuple(_import(agent_id, client_env, half) for half in halves)

    return Write(
        call=api.import_phone_numbers(
            agent_id, phone_numbers=[resource.name for resource in resources], client_env=client_env
        ),
        resources=tuple(resources),
        judge=_imported(agent_id),
        split=split,  # also of one: the number may have come to be there meanwhile
    )


def _imported(agent_id: str) -> Callable[[Sequence[str]], Mapping[Resource, WriteResult[NumberState]]]:
    """The answer lists numbers only; their state has to be read, and a number left out is unknown."""
    return lambda imported: {phone_number(agent_id, number): WriteResult() for number in imported}


def _assignment(transition: Transition[NumberState]) -> Write[NumberState]:
    resource = transition.resource
    return Write(
        call=api.assign_phone_number(
            resource.owner, phone_number=resource.name, connector_id=str(transition.after.connector_id)
        ),
        resources=(resource,),
        judge=lambda answer: {
            each: WriteResult(state)
            for each, state in _states(resource.owner, [answer]).items()
            if each == resource
        },
    )
