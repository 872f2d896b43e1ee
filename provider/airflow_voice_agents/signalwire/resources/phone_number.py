"""Where a number's calls go, as a resource kind.

A record shows the fields of every call handler that it ever had, and which of them SignalWire keeps is not
documented. So only what counts is compared: the handler, the fields that belong to it, and the receive mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import ABSENT, Absent, Change, diff
from airflow_voice_agents.plans.kind import (
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, error, warning
from airflow_voice_agents.plans.snapshot import PlainCodec
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.checks import holds_credentials, masked_url, parse_uuid
from airflow_voice_agents.signalwire.models import (
    BYSTANDERS,
    CALL_FIELDS,
    COMPANIONS,
    FABRIC_ONLY,
    OPTIONAL_COMPANIONS,
    SDK_ONLY,
    PhoneNumber,
)
from airflow_voice_agents.signalwire.routes import Route
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_e164, parse_text

KIND = "carrier number"

_HANDLER = "call_handler"
_RECEIVE_MODE = "call_receive_mode"
_RESOURCE_ID = "calling_handler_resource_id"
_SNAPSHOT_FIELDS = ("id", "number", _HANDLER, _RECEIVE_MODE, "companions", _RESOURCE_ID)


@dataclass(frozen=True, slots=True)
class RouteState:
    """Where a number's calls go.

    :param id: UUID of the number's record.
    :param number: E.164 number.
    :param call_handler: what takes the calls, or ``None``.
    :param call_receive_mode: ``voice`` or ``fax``.
    :param companions: every field of call routing that is set, for whichever handler; URLs may hold passwords.
    :param calling_handler_resource_id: what SignalWire derived the handler to.
    :param takes_calls: whether the number has the capability ``voice``.
    :param asked: in a desired state, the fields that the author asked for.
    :param bystanders: fields that are set and have nothing to do with calls, by name.
    """

    id: str
    number: str
    call_handler: str | None
    call_receive_mode: str | None
    companions: Mapping[str, str] = field(repr=False)
    calling_handler_resource_id: str | None = field(default=None, compare=False)
    takes_calls: bool = field(default=True, compare=False)
    asked: tuple[str, ...] = field(default=(), compare=False, repr=False)
    bystanders: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def value(self, name: str) -> str | None:
        """Return the value of a field by the API's name, ``None`` where it is not set."""
        if name in (_HANDLER, _RECEIVE_MODE):
            return self.call_handler if name == _HANDLER else self.call_receive_mode
        return self.companions.get(name)

    def routing(self) -> dict[str, str | None]:
        """Return what counts: handler, receive mode, and the fields that belong to the handler.

        Where a record does not show what the handler leads to, SignalWire's own id stands for it.
        """
        own = {
            name: self.companions[name] for name in _belonging(self.call_handler) if name in self.companions
        }
        derived = {_RESOURCE_ID: self.calling_handler_resource_id} if self.is_opaque else {}
        return {_HANDLER: self.call_handler, _RECEIVE_MODE: self.call_receive_mode, **own, **derived}

    @property
    def is_opaque(self) -> bool:
        """Whether the record does not show what its handler leads to."""
        return self.call_handler is not None and (
            self.call_handler in FABRIC_ONLY or self.call_handler not in COMPANIONS
        )

    @property
    def credentials_in(self) -> list[str]:
        """The fields whose URL has a user name or password inside."""
        return [name for name, url in self.companions.items() if _is_url(name) and holds_credentials(url)]

    def routed(self, route: Route) -> RouteState:
        """Return the state that a route asks for; fields that it does not name stay."""
        return self._with(route.changes())

    def restored(self, former: RouteState) -> RouteState:
        """Return the state that comes closest to a former one; what was not set then cannot be cleared."""
        wanted = {_HANDLER: former.call_handler, _RECEIVE_MODE: former.call_receive_mode, **former.companions}
        return self._with({name: value for name, value in wanted.items() if value is not None})

    def _with(self, changes: Mapping[str, str]) -> RouteState:
        companions = {name: value for name, value in changes.items() if name not in (_HANDLER, _RECEIVE_MODE)}
        return replace(
            self,
            call_handler=changes.get(_HANDLER, self.call_handler),
            call_receive_mode=changes.get(_RECEIVE_MODE, self.call_receive_mode),
            companions={**self.companions, **companions},
            asked=tuple(changes),
        )


class RoutingKind:
    """How the call routing of numbers is observed, compared and written.

    :param ids: number -> UUID of its record, as a list of the numbers showed it.
    """

    name = KIND

    def __init__(self, ids: Mapping[str, str]) -> None:
        self._ids = ids

    def observe(self, resources: Sequence[Resource]) -> Iterator[Observation[RouteState]]:
        """One read per number; whoever looks at many lists them first."""
        for resource in resources:
            call = api.get_phone_number(self._ids[resource.name])
            yield Observation(call, (resource,), _reader(resource, self._ids[resource.name]))

    def digest(self, state: RouteState | None) -> str:
        """Digest of what counts."""
        return digest(state and state.routing())

    def diff(self, before: RouteState | None, after: RouteState | None) -> Iterator[Change]:
        """Changes of what counts, with URLs masked."""
        for change in diff(before.routing() if before else {}, after.routing() if after else {}):
            name = str(change.path[0])
            yield replace(change, before=_shown(name, change.before), after=_shown(name, change.after))

    def write_sequences(
        self, transitions: Sequence[Transition[RouteState]]
    ) -> Iterator[WriteSequence[RouteState]]:
        """One write per number, of absolute values."""
        return ((_write(transition),) for transition in transitions)

    def mismatches(self, transition: Transition[RouteState], observed: RouteState | None) -> list[str]:
        """List what was asked for, counts, and is not shown, and what was cleared although nobody asked."""
        wanted = transition.after
        if observed is None:
            return ["presence"]
        cleared = transition.before.bystanders - observed.bystanders if transition.before else ()
        missing = [
            name
            for name in wanted.asked
            if name in _counting(wanted.call_handler)
            and name not in SDK_ONLY
            and observed.value(name) != wanted.value(name)
        ]
        return [*missing, *sorted(cleared)]


def carrier_number(space: str, number: str) -> Resource:
    """Return the address of a number's call routing.

    :param space: label of the space that the number lives in.
    :param number: E.164 number.
    """
    return Resource(KIND, space, number)


def state_of(answer: PhoneNumber) -> RouteState:
    """Return the call routing that a record shows."""
    return RouteState(
        id=answer.id,
        number=answer.number,
        call_handler=answer.call_handler or None,
        call_receive_mode=answer.call_receive_mode or None,
        companions={name: value for name in CALL_FIELDS if (value := getattr(answer, name))},
        calling_handler_resource_id=answer.calling_handler_resource_id,
        takes_calls=answer.takes_calls,
        bystanders=bystanders_of(answer),
    )


def bystanders_of(answer: PhoneNumber) -> frozenset[str]:
    """Return the fields of a record that are set and have nothing to do with calls, by name."""
    return frozenset(name for name in BYSTANDERS if getattr(answer, name))


def plan_route(kind: RoutingKind, resource: Resource, now: RouteState | None, route: Route) -> PlannedItem:
    """Plan a number whose calls shall go somewhere.

    :param kind: the kind.
    :param resource: the number.
    :param now: its routing now; ``None`` where the project does not have it.
    :param route: where its calls shall go.
    """
    if now is None:
        return _absent(kind, resource)
    item = _item(kind, resource, now, now.routed(route))
    if not now.takes_calls:
        finding = error("not_voice_capable", "The number's capabilities do not include voice.")
        return replace(item, findings=(finding,), writes=0, transition=None)
    if not item.changed:
        return item
    return replace(item, findings=tuple(_one_way(now)))


def plan_restore(
    kind: RoutingKind, resource: Resource, now: RouteState | None, former: RouteState
) -> PlannedItem:
    """Plan a number whose calls shall go again where they went.

    What cannot be restored carries an error; an operator may still restore the others, and say so.

    :param kind: the kind.
    :param resource: the number.
    :param now: its routing now; ``None`` where the project does not have it.
    :param former: its routing then.
    """
    if now is None:
        return _absent(kind, resource)
    if kind.digest(now) == kind.digest(former):
        return PlannedItem(resource, kind.digest(now), kind.digest(former))
    if reason := unrestorable(former):
        before, after = kind.digest(now), kind.digest(former)
        return PlannedItem(resource, before, after, findings=(error("unrestorable_route", reason),))
    item = _item(kind, resource, now, now.restored(former))
    own = _belonging(former.call_handler)
    if left := [name for name in own if name in now.companions and name not in former.companions]:
        message = f"{', '.join(left)} was not set then and stays, because no call can clear it."
        return replace(item, findings=(warning("stays_set", message),))
    return item


def unrestorable(state: RouteState) -> str:
    """Say why a routing could not be restored once it is changed; empty when it could.

    :param state: the routing.
    """
    if state.call_handler is None:
        return "It had no call handler, and no call of the API is documented to take one away."
    if state.is_opaque:
        target = state.calling_handler_resource_id or "that it led to"
        return (
            f"Its call handler was {state.call_handler}, which this API cannot set: assign resource {target} "
            "in the SignalWire dashboard."
        )
    missing = [name for name in COMPANIONS[state.call_handler] if name not in state.companions]
    return f"Its call handler {state.call_handler} had no {', '.join(missing)}." if missing else ""


def to_snapshot(state: RouteState) -> dict[str, Any]:
    """Return a routing as plain JSON, all that a restore needs; it holds URLs with what is inside them.

    :param state: the routing.
    """
    return {
        "id": state.id,
        "number": state.number,
        _HANDLER: state.call_handler,
        _RECEIVE_MODE: state.call_receive_mode,
        "companions": dict(state.companions),
        _RESOURCE_ID: state.calling_handler_resource_id,
    }


def from_snapshot(plain: object) -> RouteState:
    """Read a routing that :func:`to_snapshot` returned.

    :param plain: decoded JSON.
    :raises InputError: naming the field that is missing, unknown or wrong.
    """
    if not isinstance(plain, Mapping) or set(plain) != set(_SNAPSHOT_FIELDS):
        raise InputError(
            f"the routing of a number must have exactly the fields {', '.join(_SNAPSHOT_FIELDS)}"
        )
    companions = plain["companions"]
    if not isinstance(companions, Mapping) or not set(companions) <= set(CALL_FIELDS):
        raise InputError("companions must be a mapping of fields of call routing")
    handler, mode, derived = (
        None if plain[name] is None else parse_text(plain[name], name=name)
        for name in (_HANDLER, _RECEIVE_MODE, _RESOURCE_ID)
    )
    return RouteState(
        id=parse_uuid(plain["id"], name="id"),
        number=parse_e164(plain["number"], name="number"),
        call_handler=handler,
        call_receive_mode=mode,
        companions={name: parse_text(value, name=f"companions.{name}") for name, value in companions.items()},
        calling_handler_resource_id=derived,
    )


CODECS = {KIND: PlainCodec(to_snapshot, from_snapshot)}
"""How a snapshot holds the routing of numbers."""


def _belonging(handler: str | None) -> tuple[str, ...]:
    """The fields that a handler uses; none are known for one that only SignalWire's dashboard can set."""
    return COMPANIONS.get(handler or "", ()) + OPTIONAL_COMPANIONS.get(handler or "", ())


def _counting(handler: str | None) -> tuple[str, ...]:
    return (_HANDLER, _RECEIVE_MODE, *_belonging(handler))


def _write(transition: Transition[RouteState]) -> Write[RouteState]:
    resource, wanted = transition.resource, transition.after
    return Write(
        call=api.update_phone_number(wanted.id, _body(transition)),
        resources=(resource,),
        judge=_judge(resource, wanted.id),
    )


def _body(transition: Transition[RouteState]) -> dict[str, str]:
    """What was asked for: all that counts, and of the rest, which lies idle, what differs."""
    wanted, counting = transition.after, _counting(transition.after.call_handler)
    values = {name: wanted.value(name) for name in wanted.asked}
    return {
        name: value
        for name, value in values.items()
        if value is not None
        and (name in counting or transition.before is None or transition.before.value(name) != value)
    }


def _reader(resource: Resource, number_id: str) -> Callable[[PhoneNumber], Mapping[Resource, RouteState]]:
    return lambda answer: {resource: state_of(answer)} if _is_of(answer, resource, number_id) else {}


def _judge(
    resource: Resource, number_id: str
) -> Callable[[PhoneNumber], Mapping[Resource, WriteResult[RouteState]]]:
    return lambda answer: (
        {resource: WriteResult(state_of(answer))} if _is_of(answer, resource, number_id) else {}
    )


def _is_of(answer: PhoneNumber, resource: Resource, number_id: str) -> bool:
    return answer.number == resource.name and answer.id.lower() == number_id.lower()


def _item(kind: RoutingKind, resource: Resource, before: RouteState, after: RouteState) -> PlannedItem:
    digests = kind.digest(before), kind.digest(after)
    if digests[0] == digests[1]:
        return PlannedItem(resource, *digests)
    changes = tuple(kind.diff(before, after))
    return PlannedItem(
        resource, *digests, changes=changes, writes=1, transition=Transition(resource, before, after)
    )


def _absent(kind: RoutingKind, resource: Resource) -> PlannedItem:
    blank = kind.digest(None)
    finding = error("absent", f"The project in space {resource.owner} does not have {resource.name}.")
    return PlannedItem(resource, blank, blank, findings=(finding,))


def _one_way(now: RouteState) -> Iterator[Finding]:
    if reason := unrestorable(now):
        yield warning("one_way", f"The present routing cannot be restored afterwards. {reason}")


def _is_url(name: str) -> bool:
    return name.endswith("_url")


def _shown(name: str, value: str | Absent | None) -> str | Absent | None:
    if value is ABSENT or value is None or not _is_url(name):
        return value
    return masked_url(str(value))
