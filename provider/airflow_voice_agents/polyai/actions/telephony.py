"""Plans the telephony of a target: connector moves, connector settings, number routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from airflow_voice_agents.engine.reads import SharedReads
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.selection import Unmatched
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.files import EnvironmentFiles
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.resources.connector import (
    ConnectorKind,
    ConnectorState,
    connector,
    states,
)
from airflow_voice_agents.polyai.resources.connector_matching import (
    ConnectorRules,
    NamedSettings,
    PendingMoves,
    named,
    plan_connectors,
)
from airflow_voice_agents.polyai.resources.connector_move import (
    ConnectorMoveKind,
    Move,
    PlaceState,
    plan_move,
)
from airflow_voice_agents.polyai.resources.phone_number import PhoneNumberKind, phone_number, plan_routing
from airflow_voice_agents.polyai.resources.registry import BATCH_SIZE
from airflow_voice_agents.polyai.spec import ConnectorsSpec, MoveSpec, SourceSpec, TargetSpec

MAIN = "main"
Found = Mapping[Resource, ConnectorState]


class Telephony(msgspec.Struct, frozen=True):
    """The telephony of one target.

    :param run: what the run works with.
    :param reading: reads, each once for all targets.
    :param target: the target.
    :param source: where it takes from, or ``None``.
    :param files: what it takes from, where that is files.
    :param unmatched: what to do about names that reach nothing; ``None`` is ``fail`` for live and ``warn``
        elsewhere.
    """

    run: RunContext
    reading: SharedReads
    target: TargetSpec
    source: SourceSpec | None
    files: EnvironmentFiles | None
    unmatched: Unmatched | None = None

    async def moves(self) -> list[PlannedItem]:
        """Plan the connectors that move to the target; each has an item on either side."""
        return [item for move in self.target.moves for item in await self._move(move)]

    async def settings(self, asked: ConnectorsSpec | None) -> Sequence[PlannedItem]:
        """Plan the settings of the target's connectors, and of those that move there.

        :param asked: how they are promoted; ``None`` sets only those that move.
        """
        agent = self.target.agent_id
        wanted = [] if asked is None else await self._wanted()
        if asked is None and not self.target.moves:
            return ()
        return plan_connectors(
            ConnectorKind(batch_size=BATCH_SIZE),
            agent,
            wanted,
            present=await self._present(),
            variants={name: each for each, name in (await self._variants(agent)).items()},
            rules=self._rules(asked),
            moving=PendingMoves(
                {self._moved(move): move.variant for move in self.target.moves}, await self._arriving()
            ),
        )

    def _rules(self, asked: ConnectorsSpec | None) -> ConnectorRules:
        by_default = Unmatched.by_default(live=self.target.environment == LIVE)
        policy = Unmatched.IGNORE if asked is None else self.unmatched or by_default
        return ConnectorRules(**(asked or ConnectorsSpec()).model_dump(), unmatched=policy)

    async def routing(self, numbers: Mapping[str, str]) -> Sequence[PlannedItem]:
        """Plan which connectors answer the target's numbers.

        :param numbers: E.164 number -> connector's name or id, laid over those of the files.
        """
        numbers = {**((self.files and self.files.numbers) or {}), **numbers}
        if not numbers:
            return ()
        agent, kind = self.target.agent_id, PhoneNumberKind(batch_size=BATCH_SIZE)
        observed: dict[Resource, Any] = {}
        for observation in kind.observe([phone_number(agent, number) for number in numbers]):
            observed |= observation.states(await self.run.send(observation.request))
        ids: dict[str, list[str]] = {}
        for each, state in {**await self._arriving(), **await self._present()}.items():
            ids.setdefault(state.name or "", []).append(each.name)
        return plan_routing(
            kind, agent, numbers, client_env=self.target.environment.value, states=observed, connectors=ids
        )

    async def _move(self, asked: MoveSpec) -> Sequence[PlannedItem]:
        move = Move(asked.connector_id, asked.from_agent_id, self.target.agent_id)
        theirs = await self._connectors(move.source)
        found = {**theirs, **await self._connectors(move.target)}
        places = {
            place: PlaceState(True, found[connector(place.owner, place.name)])
            for place in (move.arrival, move.departure)
            if connector(place.owner, place.name) in found
        }
        leaving = {each.connector_id for each in self.target.moves if each.from_agent_id == move.source}
        return plan_move(
            ConnectorMoveKind(batch_size=BATCH_SIZE),
            move,
            places,
            environment=self.target.environment.value,
            numbers=await self._numbers_on(move) if move.departure in places else (),
            staying=[state for each, state in theirs.items() if each.name not in leaving],
            allow_live=asked.allow_live,
        )

    async def _numbers_on(self, move: Move) -> Sequence[str]:
        call = api.list_phone_numbers(move.source, connector_id=move.connector_id)
        return [each.number for each in await self.reading.read(move.source, call)]

    async def _wanted(self) -> list[NamedSettings]:
        if self.files is not None:
            return list(self.files.connectors or ())
        if self.source is None:
            return []
        agent = str(self.source.agent_id)
        found = await self._connectors(agent)
        mine = [state for state in found.values() if state.client_env == self.source.environment]
        return named(mine, await self._variants(agent)) if mine else []

    async def _present(self) -> Found:
        found = await self._connectors(self.target.agent_id)
        return {each: state for each, state in found.items() if state.client_env == self.target.environment}

    async def _arriving(self) -> Found:
        """Return what has yet to move here, under its address here, as it is where it comes from."""
        here = await self._connectors(self.target.agent_id)
        arriving: dict[Resource, ConnectorState] = {}
        for move in self.target.moves:
            theirs = await self._connectors(move.from_agent_id)
            state = theirs.get(connector(move.from_agent_id, move.connector_id))
            if state is not None and self._moved(move) not in here:
                arriving[self._moved(move)] = state
        return arriving

    def _moved(self, move: MoveSpec) -> Resource:
        return connector(self.target.agent_id, move.connector_id)

    async def _connectors(self, agent_id: str) -> Found:
        answer = await self.reading.read(agent_id, api.list_connectors(agent_id))
        return states(agent_id, answer)

    async def _variants(self, agent_id: str) -> dict[str, str]:
        answer = await self.reading.read(agent_id, api.list_variants(agent_id, branch_id=MAIN))
        return {each.id: each.name or each.id for each in answer}
