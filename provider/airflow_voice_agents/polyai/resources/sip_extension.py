"""The binding of a dialed number on a SIP trunk to an agent, as a resource kind (beta)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from msgspec.structs import replace

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
    by_owner,
)
from airflow_voice_agents.plans.plan import PlannedItem, change
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import SipExtension
from airflow_voice_agents.polyai.resources.plan_items import kept_fields, kept_text
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record

KIND: Final = "SIP extension"
TARGET: Final = "sip-trunks/"
"""Beginning of the name of a trunk as a target of locks, holds and reports."""
NOTHING: Known = {}
FIELDS: Final = ("agent_id", "client_env", "variant_id")
HIDDEN: Final = (
    "The trunk has this extension, although its list does not show it. It was not sent again. Look at the trunk in "
    "Agent Studio."
)


class ExtensionState(Record, frozen=True):
    """The agent that answers a dialled number.

    :param agent_id: the agent; ``None`` where the trunk does not have the extension.
    :param client_env: environment of the agent.
    :param variant_id: variant of the agent; ``None`` where none is shown.
    :param also: other spellings of the agent's id, which mean the same.
    """

    not_shown = ("also",)
    not_compared = ("also",)

    agent_id: str | None
    client_env: str | None = None
    variant_id: str | None = None
    also: tuple[str, ...] = ()

    def shown(self) -> dict[str, str | None]:
        """Return agent, environment and variant."""
        return {name: getattr(self, name) for name in FIELDS}


UNBOUND: Final = ExtensionState(None)
"""The desired state of an extension that goes away."""


@dataclass(frozen=True, slots=True)
class SipExtensionKind(Kind[ExtensionState]):
    """Reads, creates, rebinds and deletes extensions; a trunk is listed with one request."""

    name: ClassVar[str] = KIND

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[ExtensionState]]:
        """Return the list of each trunk; an extension that it does not hold is absent."""
        for owner, mine in by_owner(resources).items():
            account_id, trunk_id = trunk_of(owner)
            request = api.list_sip_extensions(account_id, trunk_id=trunk_id)
            yield Observation(request, tuple(mine), _listed(mine))

    def digest(self, state: ExtensionState | None) -> str:
        """Digest of agent, environment and variant."""
        return digest(_plain(state))

    def diff(self, before: ExtensionState | None, after: ExtensionState | None) -> Iterator[Change]:
        """Changes of agent, environment and variant."""
        return diff(_plain(before) or {}, _plain(after) or {})

    def destination(self, state: ExtensionState) -> str | None:
        """Return the agent and its environment."""
        return "/".join(filter(None, (state.agent_id, state.client_env))) or "no agent"

    def write_sequences(
        self, transitions: Sequence[Transition[ExtensionState]]
    ) -> Iterator[WriteSequence[ExtensionState]]:
        """One creation, update or deletion per extension."""
        for each in transitions:
            deletes = each.after.agent_id is None
            yield (
                Write(
                    request=_request(each),
                    resources=(each.resource,),
                    judge=_judge(each.resource, deletes=deletes),
                    deletes=deletes,
                    not_taken="" if each.before else HIDDEN,
                ),
            )

    def mismatches(
        self, transition: Transition[ExtensionState], observed: ExtensionState | None
    ) -> list[str]:
        """List agent, environment or variant, or the presence."""
        after = transition.after
        if after.agent_id is None or observed is None:
            return [] if (after.agent_id is None) == (observed is None) else ["presence"]
        wrong = [] if observed.agent_id in (after.agent_id, *after.also) else ["agent_id"]
        wrong += [] if observed.client_env == after.client_env else ["client_env"]
        return wrong + ([] if observed.variant_id == after.variant_id else ["variant_id"])

    def plan(self, resource: Resource, desired: ExtensionState, now: ExtensionState | None) -> PlannedItem:
        """Plan that an agent answers a dialled number.

        :param resource: the extension.
        :param desired: agent, environment and variant.
        :param now: the present binding; ``None`` where the trunk does not have the extension.
        """
        if same_agent(desired, now):
            also = (str(desired.agent_id), *desired.also)
            desired = replace(desired, agent_id=now.agent_id if now else None, also=also)
        return change(self, resource, now, desired, identifiers=True)

    def restore(
        self, resource: Resource, wanted: ExtensionState | None, now: ExtensionState | None
    ) -> PlannedItem:
        """Plan the way back to a former binding; an extension that was not there is deleted.

        :param resource: the extension.
        :param wanted: its former binding; ``None`` where the trunk did not have it.
        :param now: the present one; ``None`` where the trunk does not have it.
        """
        return change(self, resource, now, wanted or UNBOUND, identifiers=True)

    def to_json(self, state: ExtensionState) -> dict[str, str | None]:
        """Return a binding as JSON."""
        return state.shown()

    def from_json(self, value: Any) -> ExtensionState:
        """Return the binding that :meth:`to_json` made JSON of.

        :param value: decoded JSON.
        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        fields = kept_fields(value, FIELDS, what=KIND)
        agent_id, client_env, variant_id = (kept_text(fields, name, what=KIND) for name in FIELDS)
        return ExtensionState(agent_id, client_env, variant_id)


def same_agent(desired: ExtensionState, now: ExtensionState | None) -> bool:
    """Return whether an extension is answered by the desired agent already, in whatever spelling of its id.

    :param desired: the desired binding.
    :param now: the present one.
    """
    return now is not None and now.agent_id in (desired.agent_id, *desired.also)


def sip_extension(account_id: str, trunk_id: str, extension: str) -> Resource:
    """Return the address of an extension.

    :param account_id: the account, as the platform answers it.
    :param trunk_id: the trunk.
    :param extension: the dialled number.
    """
    return Resource(KIND, f"{account_id}/{trunk_id}", extension)


def trunk_of(owner: str) -> tuple[str, str]:
    """Return account and trunk of an owner of extensions.

    :param owner: owner of a resource.
    :raises InputError: for anything else.
    """
    account_id, _, trunk_id = owner.partition("/")
    if not account_id or not trunk_id:
        raise InputError(f"{owner!r} names no account and trunk")
    return account_id, trunk_id


def _plain(state: ExtensionState | None) -> dict[str, str | None] | None:
    return None if state is None or state.agent_id is None else state.shown()


def _listed(
    resources: Sequence[Resource],
) -> Callable[[Sequence[SipExtension]], Mapping[Resource, ExtensionState | None]]:
    def states(answer: Sequence[SipExtension]) -> Mapping[Resource, ExtensionState | None]:
        found = {each.extension: each for each in answer}
        return {each: state_of(found[each.name]) if each.name in found else None for each in resources}

    return states


def state_of(answer: SipExtension) -> ExtensionState:
    """Return the binding that an answer shows; an agent that it does not show is unknown, not absent.

    :param answer: a record.
    """
    return ExtensionState(answer.agent_id or "", answer.client_env, answer.variant_id)


def _request(transition: Transition[ExtensionState]) -> ApiRequest[Any]:
    account_id, trunk_id = trunk_of(transition.resource.owner)
    extension, after = transition.resource.name, transition.after
    if after.agent_id is None:
        return api.delete_sip_extension(account_id, trunk_id=trunk_id, extension=extension)
    write = api.update_sip_extension if transition.before else api.create_sip_extension
    return write(
        account_id,
        trunk_id=trunk_id,
        extension=extension,
        agent_id=after.agent_id,
        client_env=str(after.client_env),
        variant_id=after.variant_id,
    )


def _judge(
    resource: Resource, *, deletes: bool
) -> Callable[[SipExtension | None], Mapping[Resource, WriteResult[ExtensionState]]]:
    def judge(answer: SipExtension | None) -> Mapping[Resource, WriteResult[ExtensionState]]:
        if deletes or answer is None:
            return {resource: WriteResult()}
        return {resource: WriteResult(state_of(answer))} if answer.extension == resource.name else {}

    return judge
