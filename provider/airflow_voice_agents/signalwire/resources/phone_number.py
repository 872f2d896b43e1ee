"""The call routing of a number, as a resource kind.

A record shows the fields of every call handler that it ever had, and which of them SignalWire keeps is not
documented. So only what counts is compared: the handler, the fields that belong to it, and the receive mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import ABSENT, Absent, Change, diff
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
from airflow_voice_agents.signalwire.resources.inventory import (
    NOTHING,
    absent,
    is_record_of,
    not_kept,
    observe_numbers,
    released,
)
from airflow_voice_agents.signalwire.routes import Route
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.validation import parse_e164, parse_text

KIND = "carrier number"

_HANDLER = "call_handler"
_RECEIVE_MODE = "call_receive_mode"
_RESOURCE_ID = "calling_handler_resource_id"
_SNAPSHOT_FIELDS = ("id", "number", _HANDLER, _RECEIVE_MODE, "companions", _RESOURCE_ID)


class RouteState(Record, frozen=True):
    """The call routing of a number.

    :param id: UUID of the number's record.
    :param number: E.164 number.
    :param call_handler: the kind of target that takes the calls, or ``None``.
    :param call_receive_mode: ``voice`` or ``fax``.
    :param companions: every field of call routing that is set, for whichever handler; URLs may hold passwords.
    :param calling_handler_resource_id: id of the resource that SignalWire made for the handler.
    :param takes_calls: whether the number has the capability ``voice``.
    :param asked: in a desired state, the fields that the author asked for.
    :param bystanders: fields that are set and have nothing to do with calls, by name.
    """

    not_shown = ("companions", "asked", "bystanders")
    not_compared = (
        "calling_handler_resource_id",
        "takes_calls",
        "asked",
        "bystanders",
    )

    id: str
    number: str
    call_handler: str | None
    call_receive_mode: str | None
    companions: Mapping[str, str]
    calling_handler_resource_id: str | None = None
    takes_calls: bool = True
    asked: tuple[str, ...] = ()
    bystanders: frozenset[str] = frozenset()

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


@dataclass(frozen=True)
class RoutingKind(Kind[RouteState]):
    """Call routing of numbers: observed, compared, planned, written and restored.

    :param base_url: the URL that requests go to.
    """

    name: ClassVar[str] = KIND

    base_url: str | None = None

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[RouteState]]:
        """Return the reads of the numbers' records."""
        ids = {resource: state.id for resource, state in known.items() if state is not None}
        return observe_numbers(resources, ids, state_of, self.base_url)

    def digest(self, state: RouteState | None) -> str:
        """Return the digest of what counts."""
        return digest(state and state.routing())

    def diff(self, before: RouteState | None, after: RouteState | None) -> Iterator[Change]:
        """Return the changes of what counts, with URLs masked."""
        for each in diff(before.routing() if before else {}, after.routing() if after else {}):
            name = str(each.path[0])
            yield replace(each, before=_shown(name, each.before), after=_shown(name, each.after))

    def destination(self, state: RouteState) -> str | None:
        """Return the call handler and what it leads to; of a URL the host alone."""
        own = ((name, state.companions.get(name)) for name in COMPANIONS.get(state.call_handler or "", ()))
        named = [_host(value) if _is_url(name) else value for name, value in own if value]
        shown = named[0] if named else state.calling_handler_resource_id
        return " ".join(filter(None, (state.call_handler, shown))) or "no call handler"

    def write_sequences(
        self, transitions: Sequence[Transition[RouteState]]
    ) -> Iterator[WriteSequence[RouteState]]:
        """Return one write per number, of absolute values."""
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

    def plan(self, resource: Resource, desired: Route, now: RouteState | None) -> PlannedItem:
        """Plan the route of a number.

        :param resource: the number.
        :param desired: the route that its calls must take.
        :param now: its present routing; ``None`` where the project does not have it.
        """
        if now is None:
            return no_change(self, resource, None, absent(resource))
        findings: tuple[Finding, ...] = ()
        after = now.routed(desired)
        if not now.takes_calls:
            findings = (error("not_voice_capable", "The number's capabilities do not include voice."),)
        elif self.digest(now) != self.digest(after) and (reason := unrestorable(now)):
            said = f"The present routing cannot be restored afterwards. {reason}"
            findings = (warning("one_way", said),)
        return change(self, resource, now, after, findings=findings)

    def restore(self, resource: Resource, wanted: RouteState | None, now: RouteState | None) -> PlannedItem:
        """Plan the way back to a former routing; a number that cannot get there carries an error."""
        if now is None:
            return no_change(self, resource, None, released(resource))
        if wanted is None:
            return no_change(self, resource, now, not_kept(resource))
        if self.digest(now) == self.digest(wanted):
            return no_change(self, resource, now)
        if reason := unrestorable(wanted):
            return change(self, resource, now, wanted, findings=(error("unrestorable_route", reason),))
        own = _belonging(wanted.call_handler)
        left = [name for name in own if name in now.companions and name not in wanted.companions]
        said = f"{', '.join(left)} was not set then and stays, because no request can clear it."
        findings = (warning("stays_set", said),) if left else ()
        return change(self, resource, now, now.restored(wanted), findings=findings)

    def to_json(self, state: RouteState) -> dict[str, Any]:
        """Return a routing as JSON with everything that a restore needs; URLs hold their passwords."""
        return {
            "id": state.id,
            "number": state.number,
            _HANDLER: state.call_handler,
            _RECEIVE_MODE: state.call_receive_mode,
            "companions": dict(state.companions),
            _RESOURCE_ID: state.calling_handler_resource_id,
        }

    def from_json(self, value: Any) -> RouteState:
        """Return the routing that :meth:`to_json` made JSON of.

        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        if not isinstance(value, Mapping) or set(value) != set(_SNAPSHOT_FIELDS):
            raise InputError(
                f"the routing of a number must have exactly the fields {', '.join(_SNAPSHOT_FIELDS)}"
            )
        companions = value["companions"]
        if not isinstance(companions, Mapping) or not set(companions) <= set(CALL_FIELDS):
            raise InputError("companions must be a mapping of fields of call routing")
        handler, mode, derived = (
            None if value[name] is None else parse_text(value[name], name=name)
            for name in (_HANDLER, _RECEIVE_MODE, _RESOURCE_ID)
        )
        return RouteState(
            id=parse_uuid(value["id"], name="id"),
            number=parse_e164(value["number"], name="number"),
            call_handler=handler,
            call_receive_mode=mode,
            companions={
                name: parse_text(text, name=f"companions.{name}") for name, text in companions.items()
            },
            calling_handler_resource_id=derived,
        )


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


def _belonging(handler: str | None) -> tuple[str, ...]:
    """The fields that a handler uses; none are known for one that only SignalWire's dashboard can set."""
    return COMPANIONS.get(handler or "", ()) + OPTIONAL_COMPANIONS.get(handler or "", ())


def _counting(handler: str | None) -> tuple[str, ...]:
    return (_HANDLER, _RECEIVE_MODE, *_belonging(handler))


def _write(transition: Transition[RouteState]) -> Write[RouteState]:
    resource, wanted = transition.resource, transition.after
    request = api.update_phone_number(wanted.id, _body(transition))
    return Write(request, (resource,), _judge(resource, wanted.id))


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


def _judge(
    resource: Resource, number_id: str
) -> Callable[[PhoneNumber], Mapping[Resource, WriteResult[RouteState]]]:
    def judge(answer: PhoneNumber) -> Mapping[Resource, WriteResult[RouteState]]:
        mine = is_record_of(answer, resource, number_id)
        return {resource: WriteResult(state_of(answer))} if mine else {}

    return judge


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "URL"
    except ValueError:
        return "URL"


def _is_url(name: str) -> bool:
    return name.endswith("_url")


def _shown(name: str, value: str | Absent | None) -> str | Absent | None:
    if value is ABSENT or value is None or not _is_url(name):
        return value
    return masked_url(str(value))
