"""The agent that answers a phone number, as a resource kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.omnia_voice.models import Number, NumberPage
from airflow_voice_agents.omnia_voice.paging import goes_on
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
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, error, warning
from airflow_voice_agents.plans.snapshot import PlainCodec
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ResponseError

KIND: Final = "agent number"
LANE_SIZE: Final = 50
"""Numbers that are written one after the other and, where their answers show no state, read together."""


@dataclass(frozen=True, slots=True)
class AssignmentState:
    """What the workspace says about a number.

    :param id: the platform's id of it, or ``None`` where it has none yet; no part of equality.
    :param agent_id: the agent that answers it, or ``None``.
    :param friendly_name: name that is shown for it, or ``None``.
    :param status: an open word that the platform sets; no part of equality.
    """

    id: str | None = field(compare=False)
    agent_id: str | None
    friendly_name: str | None = None
    status: str | None = field(default=None, compare=False)

    def settings(self) -> dict[str, str | None]:
        """Return what can be set."""
        return {"agent_id": self.agent_id, "friendly_name": self.friendly_name}


class AssignmentKind:
    """How assignments are observed, compared and written.

    The call of a list must be answered with all its pages (:func:`.sending.whole_lists`).

    :param ids: the platform's ids of the numbers that are known to it, as far as they were listed.
    :param verb: verb that updates are sent with.
    :param page_limit: records per page to ask for.
    :param lane_size: numbers per lane.
    """

    name = KIND

    def __init__(
        self,
        ids: Mapping[str, str] | None = None,
        *,
        verb: UpdateVerb = UpdateVerb.PATCH,
        page_limit: int = api.PAGE_LIMIT,
        lane_size: int = LANE_SIZE,
    ) -> None:
        self._ids = dict(ids or {})
        self._verb = verb
        self._page_limit = page_limit
        self._lane_size = lane_size

    def observe(self, resources: Sequence[Resource]) -> Iterator[Observation[AssignmentState]]:
        """By id while that takes no more calls than the list has pages; else the list, once."""
        mine = tuple(resources)
        pages = max(1, -(-len(self._ids) // self._page_limit))
        if len(mine) <= pages and all(resource.name in self._ids for resource in mine):
            for resource in mine:
                yield Observation(api.get_number(self._ids[resource.name]), (resource,), self._read(mine))
        elif mine:
            yield Observation(api.list_numbers(limit=self._page_limit), mine, self._read_list(mine))

    def digest(self, state: AssignmentState | None) -> str:
        """Digest of what can be set."""
        return digest(state and state.settings())

    def diff(self, before: AssignmentState | None, after: AssignmentState | None) -> Iterator[Change]:
        """Changes of agent and name."""
        return diff(before.settings() if before else {}, after.settings() if after else {})

    def write_sequences(
        self, transitions: Sequence[Transition[AssignmentState]]
    ) -> Iterator[WriteSequence[AssignmentState]]:
        """One update per number that the workspace lists, one assignment per number that it does not.

        Some go one after the other, so that one read can tell about all whose answers are empty.
        """
        return (
            tuple(self._step(transition) for transition in chunk)
            for chunk in batches(transitions, self._lane_size)
        )

    def mismatches(
        self, transition: Transition[AssignmentState], observed: AssignmentState | None
    ) -> list[str]:
        """What of agent and, where it was sent, name is not as it shall be."""
        if observed is None:
            return ["presence"]
        wanted, shown = _changes(transition), observed.settings()
        return [name for name, value in wanted.items() if shown[name] != value]

    def _step(self, transition: Transition[AssignmentState]) -> Write[AssignmentState]:
        resource = transition.resource
        return Write(call=self._write(transition), resources=(resource,), judge=self._judge(resource))

    def _write(self, transition: Transition[AssignmentState]) -> ApiRequest[Number | None]:
        before = transition.before
        if before is not None and before.id is not None:
            return api.update_number(before.id, changes=_changes(transition), verb=self._verb)
        return api.assign_number(
            phone_number=transition.resource.name,
            agent_id=transition.after.agent_id or "",
            friendly_name=transition.after.friendly_name,
        )

    def _judge(
        self, resource: Resource
    ) -> Callable[[Number | None], Mapping[Resource, WriteResult[AssignmentState]]]:
        def judge(answer: Number | None) -> Mapping[Resource, WriteResult[AssignmentState]]:
            if answer is None:
                return {resource: WriteResult()}
            if answer.e164 not in (None, resource.name):
                return {}
            state = self._state(resource.name, answer)
            return {resource: WriteResult(state if answer.tells_agent else None)}

        return judge

    def _read(self, resources: Iterable[Resource]) -> Callable[[Number], Mapping[Resource, AssignmentState]]:
        of_id = {self._ids[resource.name]: resource for resource in resources}

        def read(answer: Number) -> Mapping[Resource, AssignmentState]:
            resource = of_id.get(answer.id)
            if resource is None or answer.e164 not in (None, resource.name):
                return {}
            return {resource: self._state(resource.name, answer)}

        return read

    def _read_list(
        self, resources: Sequence[Resource]
    ) -> Callable[[NumberPage], Mapping[Resource, AssignmentState]]:
        def read(answer: NumberPage) -> Mapping[Resource, AssignmentState]:
            found = by_e164(answer.numbers)
            missing = [resource for resource in resources if resource.name not in found]
            seen = len(answer.numbers)
            if missing and goes_on(answer, page=1, limit=self._page_limit, seen=seen):
                raise not_whole([resource.name for resource in missing])
            return {
                resource: self._state(resource.name, found[resource.name])
                for resource in resources
                if resource.name in found
            }

        return read

    def _state(self, number: str, answer: Number) -> AssignmentState:
        self._ids[number] = answer.id
        return state_of(answer)


def agent_number(platform: str, number: str) -> Resource:
    """Return the address of a number.

    :param platform: what :attr:`.ConnectionFields.platform` says.
    :param number: E.164 number.
    """
    return Resource(KIND, platform, number)


def state_of(answer: Number) -> AssignmentState:
    """Return the state that an answer shows; which agent it is says the agent's id, not the status."""
    return AssignmentState(answer.id, answer.assigned_to, answer.friendly_name, answer.status)


def by_e164(numbers: Iterable[Number]) -> dict[str, Number]:
    """Return numbers by their E.164 spelling, left out what shows none.

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


# ----------------------------------------------------------------------------------- what is planned


def plan_assignment(
    kind: AssignmentKind,
    target: Resource,
    now: AssignmentState | None,
    *,
    agent_id: str | None,
    friendly_name: str | None = None,
    reassign: bool = False,
) -> PlannedItem:
    """Plan that a number is answered by an agent, or by none.

    :param kind: the kind of the number.
    :param target: the number.
    :param now: what the workspace says; ``None`` where it does not list the number.
    :param agent_id: the agent; ``None`` unassigns the number.
    :param friendly_name: name to show for it; ``None`` leaves it.
    :param reassign: whether the number may be taken from another agent.
    """
    if now is None and agent_id is None:
        return _item(kind, target, None, None)
    old = now or AssignmentState(None, None)
    after = replace(old, agent_id=agent_id, friendly_name=friendly_name or old.friendly_name)
    return _item(kind, target, now, after, _findings(target, now, agent_id, reassign=reassign))


def plan_restore(
    kind: AssignmentKind, target: Resource, then: AssignmentState | None, now: AssignmentState | None
) -> PlannedItem:
    """Plan that a number is assigned as it was.

    A number that the workspace did not list is unassigned and stays listed: whether deleting it there
    releases it at the carrier is not known. A name that was not set cannot be unset.

    :param kind: the kind of the number.
    :param target: the number.
    :param then: what it was; ``None`` where the workspace did not list it.
    :param now: what it is; ``None`` where the workspace does not list it.
    """
    if now is None and (then is None or then.agent_id is None):
        gone = warning("not_listed", f"{target.name} is not listed any more and had no agent; it is left so.")
        return _item(kind, target, None, None, () if then is None else (gone,))
    if then is None:
        stays = warning(
            "stays_listed", f"{target.name} was not listed before; it is unassigned, not deleted."
        )
        return _item(kind, target, now, now and replace(now, agent_id=None), (stays,))
    old = now or AssignmentState(None, None)
    name = then.friendly_name or old.friendly_name
    return _item(kind, target, now, replace(old, agent_id=then.agent_id, friendly_name=name))


def state_document(state: AssignmentState) -> dict[str, Any]:
    """Return a state as JSON, for a snapshot."""
    return asdict(state)


def state_from_document(document: Any) -> AssignmentState:
    """Read a state that :func:`state_document` returned.

    :param document: decoded JSON.
    :raises InputError: for anything else.
    """
    names = AssignmentState.__dataclass_fields__.keys()
    if not isinstance(document, Mapping) or document.keys() != names:
        raise InputError(f"a state of an {KIND} has the fields {', '.join(names)}")
    for name, value in document.items():
        if value is not None and not isinstance(value, str):
            raise InputError(f"{name} of an {KIND} must be a string or null")
    return AssignmentState(**document)


CODECS = {KIND: PlainCodec(state_document, state_from_document)}
"""How a snapshot holds assignments."""


def _findings(
    target: Resource, now: AssignmentState | None, agent_id: str | None, *, reassign: bool
) -> tuple[Finding, ...]:
    if now is None:
        return (
            warning(
                "not_listed",
                f"The workspace does not list {target.name}. It is assigned by a create, which may be refused until "
                "the number is imported in the dashboard.",
            ),
        )
    if agent_id is None or now.agent_id in (None, agent_id) or reassign:
        return ()
    return (
        error(
            "other_agent",
            f"{target.name} belongs to agent {now.agent_id}, and assigning it to {agent_id} would take it away "
            "silently. Pass reassign=True if meant.",
        ),
    )


def _item(
    kind: AssignmentKind,
    target: Resource,
    now: AssignmentState | None,
    after: AssignmentState | None,
    findings: tuple[Finding, ...] = (),
) -> PlannedItem:
    digests = kind.digest(now), kind.digest(after)
    if after is None or digests[0] == digests[1]:
        return PlannedItem(target, *digests, findings=findings)
    return PlannedItem(
        target,
        *digests,
        changes=tuple(kind.diff(now, after)),
        findings=findings,
        writes=1,
        transition=Transition(target, now, after),
    )


def _changes(transition: Transition[AssignmentState]) -> dict[str, str | None]:
    """What is sent: the agent always, the name where it is set anew."""
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
