"""A connector's settings as a resource kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
    batches,
    by_owner,
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, for_another, no_change, refused
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import (
    BatchConnectors,
    Connector,
    ConnectorUpdate,
    ConnectorUpdateResult,
)
from airflow_voice_agents.polyai.resources.plan_items import cannot_undo, kept_fields, kept_text
from airflow_voice_agents.transport.records import Record

KIND = "connector"
SETTINGS = ("variant_id", "asr_lang_code", "voice_name")
"""The fields that can be set without moving a connector."""

SPEECH_LANGUAGE = "tts_lang_code"
"""The setting that the platform derives from the voice."""

FIELDS = (*SETTINGS, SPEECH_LANGUAGE, "client_env", "name")
_ERROR_SHOWN = 300
NOTHING: Known = {}


class ConnectorState(Record, frozen=True, gc=False):
    """A connector's settings, and what else an author selects connectors by.

    :param variant_id: assigned variant, or ``None``.
    :param asr_lang_code: speech recognition language.
    :param voice_name: text-to-speech voice.
    :param tts_lang_code: derived by the platform from the voice.
    :param client_env: environment; cannot be changed.
    :param name: name; cannot be changed.
    """

    not_compared = ("tts_lang_code", "client_env", "name")

    variant_id: str | None
    asr_lang_code: str | None
    voice_name: str | None
    tts_lang_code: str | None = None
    client_env: str | None = None
    name: str | None = None

    def settings(self) -> dict[str, str | None]:
        """Return what can be set."""
        return {
            "variant_id": self.variant_id,
            "asr_lang_code": self.asr_lang_code,
            "voice_name": self.voice_name,
        }

    def with_changes(self, update: ConnectorUpdate) -> ConnectorState:
        """Return the state that an update asks for; its absent fields stay."""
        return self.with_settings(update.changes())

    def with_settings(self, wanted: Mapping[str, str | None]) -> ConnectorState:
        """Return the state with other settings; those that are not given stay."""
        return ConnectorState(
            wanted.get("variant_id", self.variant_id),
            wanted.get("asr_lang_code", self.asr_lang_code),
            wanted.get("voice_name", self.voice_name),
            self.tts_lang_code,
            self.client_env,
            self.name,
        )


@dataclass(frozen=True, slots=True)
class ConnectorKind(Kind[ConnectorState]):
    """Reads, compares and writes connectors.

    :param batch_size: maximum number of connectors per request.
    """

    name: ClassVar[str] = KIND

    batch_size: int = 50

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[ConnectorState]]:
        """Return one read per agent: by id while the ids fit into a batch, the whole list otherwise."""
        for agent_id, mine in by_owner(resources).items():
            if len(mine) > self.batch_size:
                yield observe_all(agent_id, mine)
            else:
                request = api.get_connectors(agent_id, connector_ids=[resource.name for resource in mine])
                yield Observation(request, tuple(mine), _found(agent_id))

    def digest(self, state: ConnectorState | None) -> str:
        """Digest of what can be set."""
        return digest(state and state.settings())

    def diff(self, before: ConnectorState | None, after: ConnectorState | None) -> Iterator[Change]:
        """Changes by setting."""
        return diff(before.settings() if before else {}, after.settings() if after else {})

    def write_sequences(
        self, transitions: Sequence[Transition[ConnectorState]]
    ) -> Iterator[WriteSequence[ConnectorState]]:
        """Batches; a new voice, which the platform tries out, goes to one connector first."""
        for mine in _by_agent_and_voice(transitions):
            voice = _changes(mine[0]).get("voice_name")
            if voice is None or len(mine) == 1:
                yield from ((step,) for step in self._batches(mine))
            else:
                yield (_single(mine[0]), *self._batches(mine[1:]))

    def mismatches(
        self, transition: Transition[ConnectorState], observed: ConnectorState | None
    ) -> list[str]:
        """List the settings of the intent that a connector does not show."""
        return [
            name
            for name, value in _changes(transition).items()
            if observed is None or getattr(observed, name) != value
        ]

    def plan(self, resource: Resource, desired: ConnectorUpdate, now: ConnectorState | None) -> PlannedItem:
        """Plan the settings that an update asks for; a connector that the agent does not have is refused.

        :param resource: the connector.
        :param desired: the update; its absent fields stay.
        :param now: the present settings; ``None`` where the agent does not have it.
        """
        if now is None:
            finding = refused("connector_absent", "the agent has no connector of this id; it was not changed")
            return no_change(self, resource, None, finding)
        return change(self, resource, now, now.with_changes(desired), identifiers=True, writes=1)

    def to_json(self, state: ConnectorState) -> dict[str, str | None]:
        """Return a connector as JSON."""
        return {name: getattr(state, name) for name in FIELDS}

    def from_json(self, value: Any) -> ConnectorState:
        """Return the connector that :meth:`to_json` made JSON of.

        :param value: decoded JSON.
        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        fields = kept_fields(value, FIELDS, what=KIND)
        return ConnectorState(**{name: kept_text(fields, name, what=KIND) for name in FIELDS})

    def restore(
        self, resource: Resource, wanted: ConnectorState | None, now: ConnectorState | None
    ) -> PlannedItem:
        """Plan the way back to kept settings; the synthesis language follows the voice.

        No connector is created or deleted: the plan names those removed or added since, and leaves them.

        :param resource: the connector.
        :param wanted: what it was; ``None`` where the agent did not have it.
        :param now: what it is; ``None`` where the agent does not have it.
        """
        if wanted is None:
            return no_change(self, resource, now, *([_CAME_SINCE] if now else []))
        if now is None:
            return no_change(self, resource, now, _GONE_SINCE)
        lasting = [name for name, value in wanted.settings().items() if not may_become(name, value)]
        kept = {name: value for name, value in wanted.settings().items() if name not in lasting}
        stuck = [name for name in lasting if getattr(now, name) is not None]
        message = (
            f"{', '.join(stuck)} was not set when it was kept and stays, because no request can clear it."
        )
        findings = (cannot_undo(message),) if stuck else ()
        return change(self, resource, now, replace(now, **kept), findings=findings, identifiers=True)

    def _batches(self, transitions: Sequence[Transition[ConnectorState]]) -> Iterator[Write[ConnectorState]]:
        return (_batch(chunk) for chunk in batches(transitions, self.batch_size))


class ConnectorPlans:
    """Plans connectors; thousands of them share a few states, changes and their digests.

    :param kind: the kind of the connectors.
    """

    def __init__(self, kind: ConnectorKind) -> None:
        self._kind = kind
        self._planned: dict[tuple[ConnectorState, tuple[tuple[str, str | None], ...]], PlannedItem] = {}
        self._desired: ConnectorUpdate | None = None
        self._changes: Mapping[str, str | None] = {}

    def plan(self, resource: Resource, desired: ConnectorUpdate, now: ConnectorState | None) -> PlannedItem:
        """Plan as :meth:`ConnectorKind.plan` does.

        :param resource: the connector.
        :param desired: the update; its absent fields stay.
        :param now: the present settings; ``None`` where the agent does not have it.
        """
        if now is None:
            return self._kind.plan(resource, desired, now)
        if desired is not self._desired:  # a selector's connectors share one update
            self._desired, self._changes = desired, desired.changes()
        key = (now, tuple(self._changes.items()))
        if (planned := self._planned.get(key)) is None:
            planned = self._planned[key] = self._kind.plan(resource, desired, now)
        return for_another(planned, resource, (now, now.with_settings(self._changes)))


_CAME_SINCE: Finding = cannot_undo(
    "The agent did not have this connector when it was kept. It is not deleted, which would release its "
    "numbers; if it was moved here, move it back."
)
_GONE_SINCE: Finding = cannot_undo(
    "The agent does not have this connector any more, and no call creates one. If it was moved away, move it "
    "back first."
)


def may_become(setting: str, value: str | None) -> bool:
    """Tell whether a setting can be written: only a variant can be taken away.

    :param setting: one of ``SETTINGS``.
    :param value: the value to come.
    """
    return value is not None or setting == "variant_id"


def connector(agent_id: str, connector_id: str) -> Resource:
    """Return the address of a connector."""
    return Resource(KIND, agent_id, connector_id)


def observe_all(agent_id: str, resources: Sequence[Resource] = ()) -> Observation[ConnectorState]:
    """Return the read of all connectors of an agent; one that the list leaves out is absent.

    :param agent_id: the agent.
    :param resources: the connectors that the answer is expected to report.
    """

    def read(answer: Sequence[Connector]) -> Mapping[Resource, ConnectorState | None]:
        return {**dict.fromkeys(resources), **states(agent_id, answer)}

    return Observation(api.list_connectors(agent_id), tuple(resources), read)


def _found(agent_id: str) -> Callable[[BatchConnectors], Mapping[Resource, ConnectorState | None]]:
    def read(answer: BatchConnectors) -> Mapping[Resource, ConnectorState | None]:
        absent = dict.fromkeys(connector(agent_id, each) for each in answer.not_found)
        return {**absent, **states(agent_id, answer.found)}

    return read


def states(agent_id: str, found: Iterable[Connector]) -> dict[Resource, ConnectorState]:
    """Return the states that an answer shows."""
    return {connector(agent_id, each.connector_id): _state(each) for each in found}


def _state(answer: Connector) -> ConnectorState:
    return ConnectorState(
        variant_id=answer.variant_id,
        asr_lang_code=answer.asr_lang_code,
        voice_name=answer.voice_name,
        tts_lang_code=answer.tts_lang_code,
        client_env=answer.client_env,
        name=answer.name,
    )


def _changes(transition: Transition[ConnectorState]) -> dict[str, str | None]:
    """The settings that are to be sent: those that differ; all that can be, where nothing is known yet."""
    before, after = transition.before, transition.after
    if before is None:
        return {name: value for name, value in after.settings().items() if may_become(name, value)}
    return {name: value for name in SETTINGS if (value := getattr(after, name)) != getattr(before, name)}


def _by_agent_and_voice(
    transitions: Iterable[Transition[ConnectorState]],
) -> Iterable[list[Transition[ConnectorState]]]:
    groups: dict[tuple[str, Any], list[Transition[ConnectorState]]] = {}
    for transition in transitions:
        key = (transition.resource.owner, _changes(transition).get("voice_name"))
        groups.setdefault(key, []).append(transition)
    return groups.values()


def _updates(transitions: Sequence[Transition[ConnectorState]]) -> list[ConnectorUpdate]:
    """Return the updates to send; what many connectors get is checked once."""
    checked: dict[tuple[tuple[str, str | None], ...], ConnectorUpdate] = {}
    updates = []
    for transition in transitions:
        changes, name = _changes(transition), transition.resource.name
        key = tuple(changes.items())
        if key not in checked:
            checked[key] = ConnectorUpdate(connector_id=name, **changes)
        updates.append(checked[key].for_connector(name))
    return updates


def _single(transition: Transition[ConnectorState]) -> Write[ConnectorState]:
    """The canary: alone, because only a single update's refusal carries the platform's code."""
    resource = transition.resource
    return Write(
        request=api.update_connector(resource.owner, update=_updates([transition])[0]),
        resources=(resource,),
        judge=lambda answer: {
            each: WriteResult(state, facts=_side_effects(transition, state))
            for each, state in states(resource.owner, [answer]).items()
            if each == resource
        },
        vital=True,
    )


def _batch(transitions: Sequence[Transition[ConnectorState]]) -> Write[ConnectorState]:
    agent_id = transitions[0].resource.owner
    mine = {transition.resource: transition for transition in transitions}
    return Write(
        request=api.update_connectors(agent_id, updates=_updates(transitions)),
        resources=tuple(mine),
        judge=_judge(mine),
        split=None
        if len(transitions) == 1
        else lambda open_ones: _halves([mine[each] for each in open_ones]),
    )


def _halves(transitions: Sequence[Transition[ConnectorState]]) -> tuple[Write[ConnectorState], ...]:
    return tuple(_batch(half) for half in batches(transitions, max(1, (len(transitions) + 1) // 2)))


def _judge(
    mine: Mapping[Resource, Transition[ConnectorState]],
) -> Callable[[Sequence[ConnectorUpdateResult]], Mapping[Resource, WriteResult[ConnectorState]]]:
    owner = next(iter(mine)).owner

    def judge(results: Sequence[ConnectorUpdateResult]) -> Mapping[Resource, WriteResult[ConnectorState]]:
        named = ((connector(owner, each.connector_id), each) for each in results)
        return {resource: _result(mine.get(resource), each) for resource, each in named}

    return judge


def _result(
    transition: Transition[ConnectorState] | None, result: ConnectorUpdateResult
) -> WriteResult[ConnectorState]:
    if not result.success:
        return WriteResult(error=(result.error or "the platform gave no reason")[:_ERROR_SHOWN])
    if result.data is None or result.data.connector_id != result.connector_id:
        return WriteResult()
    state = _state(result.data)
    return WriteResult(state, facts=_side_effects(transition, state))


def _side_effects(transition: Transition[ConnectorState] | None, state: ConnectorState) -> dict[str, Any]:
    """Return the speech language where it followed a new voice."""
    before = transition.before if transition else None
    if before is None or state.tts_lang_code in (None, before.tts_lang_code):
        return {}
    return {SPEECH_LANGUAGE: state.tts_lang_code}
