"""The agent that answers a phone number, as a resource kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import Number, NumberPage
from airflow_voice_agents.omnia_voice.paging import read_all
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
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, no_change, warning
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ResponseError
from airflow_voice_agents.transport.records import Record

KIND: Final = "agent number"
NOTHING: Known = {}
ELSEWHERE = (
    "It is registered elsewhere: not in this workspace. It was not sent again. Use a key of the workspace that has it, "
    "or leave it out."
)
FIELDS: Final = ("id", "agent_id", "friendly_name", "status")
"""Fields of a state in a snapshot."""


class AssignmentState(Record, frozen=True):
    """The record of a number in the workspace.

    :param id: the platform's id of it, or ``None`` where it has none yet; no part of equality.
    :param agent_id: the agent that answers it, or ``None``.
    :param friendly_name: name that is shown for it, or ``None``.
    :param status: an open word that the platform sets; no part of equality.
    :param list_pages: pages of the list that it was on; a read of so many records by id costs no more than the list.
    """

    not_shown = ("list_pages",)
    not_compared = ("id", "status", "list_pages")

    id: str | None
    agent_id: str | None
    friendly_name: str | None = None
    status: str | None = None
    list_pages: int = 1

    def settings(self) -> dict[str, str | None]:
        """Return agent and name, which an assignment can set."""
        return {"agent_id": self.agent_id, "friendly_name": self.friendly_name}


class Assignment(msgspec.Struct, frozen=True):
    """The desired assignment of a number.

    :param agent_id: the agent; ``None`` unassigns the number.
    :param friendly_name: name to show for it; ``None`` leaves it.
    :param reassign: whether the number may be taken from another agent.
    """

    agent_id: str | None
    friendly_name: str | None = None
    reassign: bool = False


@dataclass(frozen=True, slots=True)
class AssignmentKind(Kind[AssignmentState]):
    """Reads, plans and writes assignments: a listed number is updated, another one is created.

    :param verb: verb that updates are sent with.
    :param page_limit: records per page to ask for.
    """

    name: ClassVar[str] = KIND

    verb: UpdateVerb = UpdateVerb.PATCH
    page_limit: int = api.PAGE_LIMIT

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[AssignmentState]]:
        """Read by id while that takes no more requests than the list has pages, else the complete list once."""
        mine = tuple(resources)
        before = [state for each in mine if (state := known.get(each)) is not None and state.id is not None]
        if len(before) == len(mine) <= max((state.list_pages for state in before), default=0):
            for resource, state in zip(mine, before, strict=True):
                yield Observation(api.get_number(state.id), (resource,), _one(resource, state))
        elif mine:
            yield list_observation(mine, state_of, self.page_limit)

    def digest(self, state: AssignmentState | None) -> str:
        """Digest of agent and name."""
        return digest(state and state.settings())

    def diff(self, before: AssignmentState | None, after: AssignmentState | None) -> Iterator[Change]:
        """Changes of agent and name."""
        return diff(before.settings() if before else {}, after.settings() if after else {})

    def destination(self, state: AssignmentState) -> str | None:
        """Return the agent."""
        return f"agent {state.agent_id}" if state.agent_id else "no agent"

    def write_sequences(
        self, transitions: Sequence[Transition[AssignmentState]]
    ) -> Iterator[WriteSequence[AssignmentState]]:
        """One update per number that the workspace lists, one assignment per number that it does not."""
        for each in transitions:
            creates = each.before is None or each.before.id is None
            yield (
                Write(
                    request=self.request(each),
                    resources=(each.resource,),
                    judge=_judge(each),
                    not_taken=ELSEWHERE if creates else "",
                ),
            )

    def request(self, transition: Transition[AssignmentState]) -> ApiRequest[Number | None]:
        """Return the write of one number.

        :param transition: present and desired assignment.
        """
        before = transition.before
        if before is not None and before.id is not None:
            return api.update_number(before.id, changes=_changes(transition), verb=self.verb)
        return api.assign_number(
            phone_number=transition.resource.name,
            agent_id=transition.after.agent_id or "",
            friendly_name=transition.after.friendly_name,
        )

    def mismatches(
        self, transition: Transition[AssignmentState], observed: AssignmentState | None
    ) -> list[str]:
        """List what was sent and does not show, and what changed although it was not sent.

        The second shows an update that a platform takes for a replacement of the whole record.
        """
        if observed is None:
            return ["presence"]
        wanted, shown = _changes(transition), observed.settings()
        missing = [name for name, value in wanted.items() if shown[name] != value]
        kept = {} if transition.before is None else transition.before.settings()
        other = [name for name, value in kept.items() if name not in wanted and shown[name] != value]
        return [*missing, *(f"{name} (changed as well)" for name in other)]

    def plan(self, resource: Resource, desired: Assignment, now: AssignmentState | None) -> PlannedItem:
        """Plan that a number is answered by an agent, or by none.

        :param resource: the number.
        :param desired: the desired assignment.
        :param now: the present one; ``None`` where the workspace does not list the number.
        """
        if now is None and desired.agent_id is None:
            return no_change(self, resource, None)
        old = now or AssignmentState(None, None)
        name = desired.friendly_name or old.friendly_name
        after = replace(old, agent_id=desired.agent_id, friendly_name=name)
        return change(self, resource, now, after, findings=assignment_findings(resource, now, desired))

    def restore(
        self, resource: Resource, wanted: AssignmentState | None, now: AssignmentState | None
    ) -> PlannedItem:
        """Plan that a number is assigned as it was.

        A number that the workspace did not list is unassigned and stays listed: whether deleting it there
        releases it at the carrier is not known. A name that was not set cannot be unset.

        :param resource: the number.
        :param wanted: its former assignment; ``None`` where the workspace did not list it.
        :param now: the present one; ``None`` where the workspace does not list it.
        """
        if now is None and (wanted is None or wanted.agent_id is None):
            gone = warning(
                "not_listed", f"{resource.name} is not listed any more and had no agent; it is left so."
            )
            return no_change(self, resource, None, *(() if wanted is None else (gone,)))
        if wanted is None and now is not None:
            stays = warning(
                "stays_listed", f"{resource.name} was not listed before; it is unassigned, not deleted."
            )
            return change(self, resource, now, replace(now, agent_id=None), findings=(stays,))
        old, then = now or AssignmentState(None, None), wanted or AssignmentState(None, None)
        name = then.friendly_name or old.friendly_name
        return change(self, resource, now, replace(old, agent_id=then.agent_id, friendly_name=name))

    def to_json(self, state: AssignmentState) -> dict[str, str | None]:
        """Return a state as JSON."""
        return {name: getattr(state, name) for name in FIELDS}

    def from_json(self, value: Any) -> AssignmentState:
        """Return the state that :meth:`to_json` made JSON of.

        :param value: decoded JSON.
        :raises InputError: for anything else.
        """
        if not isinstance(value, Mapping) or value.keys() != set(FIELDS):
            raise InputError(f"a state of an {KIND} has the fields {', '.join(FIELDS)}")
        for name, text in value.items():
            if text is not None and not isinstance(text, str):
                raise InputError(f"{name} of an {KIND} must be a string or null")
        return AssignmentState(**value)


def agent_number(platform: str, number: str) -> Resource:
    """Return the address of a number.

    :param platform: :attr:`.ConnectionFields.platform` of the connection.
    :param number: E.164 number.
    """
    return Resource(KIND, platform, number)


def state_of(answer: Number, list_pages: int = 1) -> AssignmentState:
    """Return the state that an answer shows; the agent's id decides, not the status.

    :param answer: a record.
    :param list_pages: pages of the list that it was on.
    """
    return AssignmentState(
        answer.id, answer.assigned_to, answer.friendly_name, answer.status, list_pages=list_pages
    )


def by_e164(numbers: Iterable[Number]) -> dict[str, Number]:
    """Return numbers by their E.164 spelling, without records that show none.

    Of several records of one number, one that is assigned goes first, so that nothing is taken from its
    agent unnoticed.

    :param numbers: records in any order.
    """
    found: dict[str, Number] = {}
    for number in numbers:
        if number.e164 is not None:
            known = found.setdefault(number.e164, number)
            if known.assigned_to is None and number.assigned_to is not None:
                found[number.e164] = number
    return found


def list_observation(
    resources: tuple[Resource, ...], state: Callable[[Number, int], Any], page_limit: int = api.PAGE_LIMIT
) -> Observation[Any]:
    """Return the read of the workspace's complete list, for all resources at once.

    A number that a complete list does not hold is absent. One that is not on a list that ended early is unread.

    :param resources: the numbers.
    :param state: makes the state of a record; takes the record and the number of pages.
    :param page_limit: records per page to ask for.
    """
    request = api.list_numbers(limit=page_limit)

    def states(answer: NumberPage) -> Mapping[Resource, Any]:
        found, pages = by_e164(answer.numbers), max(1, -(-len(answer.numbers) // page_limit))
        listed = {each: state(found[each.name], pages) for each in resources if each.name in found}
        return listed if answer.has_more else {**dict.fromkeys(resources), **listed}

    return Observation(request, resources, states, fetch=lambda send: read_all(send, request))


def assignment_findings(
    resource: Resource, now: AssignmentState | None, desired: Assignment
) -> tuple[Finding, ...]:
    """Return the findings about an assignment: a number that is not listed, or that another agent answers.

    :param resource: the number.
    :param now: the present assignment.
    :param desired: the desired one.
    """
    if now is None:
        return (
            warning(
                "not_listed",
                f"The workspace does not list {resource.name}. It is assigned by a create, which may be refused until "
                "the number is imported in the dashboard.",
            ),
        )
    if desired.agent_id is None or now.agent_id in (None, desired.agent_id) or desired.reassign:
        return ()
    return (
        error(
            "other_agent",
            f"{resource.name} belongs to agent {now.agent_id}, and assigning it to {desired.agent_id} would take it "
            "away silently. Pass reassign=True if meant.",
        ),
    )


def _one(
    resource: Resource, known: AssignmentState
) -> Callable[[Number], Mapping[Resource, AssignmentState]]:
    def states(answer: Number) -> Mapping[Resource, AssignmentState]:
        if answer.id != known.id or answer.e164 not in (None, resource.name):
            return {}
        return {resource: state_of(answer, known.list_pages)}

    return states


def _judge(
    transition: Transition[AssignmentState],
) -> Callable[[Number | None], Mapping[Resource, WriteResult[AssignmentState]]]:
    resource, pages = transition.resource, transition.before.list_pages if transition.before else 1

    def judge(answer: Number | None) -> Mapping[Resource, WriteResult[AssignmentState]]:
        if answer is not None and answer.e164 not in (None, resource.name):
            return {}
        shown = answer is not None and answer.tells_agent
        return {resource: WriteResult(state_of(answer, pages) if answer is not None and shown else None)}

    return judge


def _changes(transition: Transition[AssignmentState]) -> dict[str, str | None]:
    """Return the fields to send: always the agent, and a name that differs."""
    before, after = transition.before, transition.after
    renamed = after.friendly_name is not None and after.friendly_name != (before and before.friendly_name)
    return {"agent_id": after.agent_id} | ({"friendly_name": after.friendly_name} if renamed else {})


def not_whole(missing: Sequence[str]) -> ResponseError:
    """Return the error for a list that ended early and does not hold what was looked for.

    :param missing: the numbers that are not on it.
    """
    named = ", ".join(missing[:3])
    call = api.list_numbers()
    return ResponseError(
        f"the list did not come whole, and {len(missing)} number(s) are not on it ({named}), so that nothing is "
        "known about them",
        operation=call.operation,
        method=call.method,
        route=call.route,
        advice="Nothing was concluded from it; read the list with more pages.",
    )
