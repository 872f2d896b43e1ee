"""Plans a promotion: reads what each target needs, and plans its items of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.concurrency import for_each_limited, free_loop, planning
from airflow_voice_agents.engine.reads import SharedReads
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, TargetPlan, error
from airflow_voice_agents.plans.selection import Selection
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import target_name
from airflow_voice_agents.polyai.actions.deployment_model import ASSUMED, find_model, parse_model
from airflow_voice_agents.polyai.actions.telephony import Telephony
from airflow_voice_agents.polyai.actions.tested import tested
from airflow_voice_agents.polyai.files import EnvironmentFiles, Shelf
from airflow_voice_agents.polyai.ladder import LIVE, SKIP_PRE_RELEASE, check_ladder
from airflow_voice_agents.polyai.models import ConfigPage, Deployment, Environment
from airflow_voice_agents.polyai.resources import (
    config_page,
    connector,
    connector_move,
    deployment,
    phone_number,
)
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState, page
from airflow_voice_agents.polyai.resources.config_plan import Rules, StaleKeys, plan_promotion
from airflow_voice_agents.polyai.resources.deployment import (
    DeploymentKind,
    DeploymentRules,
    needs_history,
    plan_deployment,
    version_facts,
)
from airflow_voice_agents.polyai.resources.deployment_model import SIMPLIFIED, KnownModel, Model
from airflow_voice_agents.polyai.resources.registry import ORDER, kinds
from airflow_voice_agents.polyai.spec import (
    ConfigSpec,
    DeploymentSpec,
    PromotionSpec,
    RoutingSpec,
    SourceSpec,
    TargetSpec,
)
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import CallError, InputError


def refuse_entangled(spec: PromotionSpec) -> None:
    """Refuse a promotion in which the writes for one target change what another one is planned from.

    A plan says what everything is before its first write. Once such a one was half applied it could not be held
    to any more, and a retry would be refused for what the run itself has done.

    :param spec: the promotion.
    :raises InputError: naming the first two targets, before any request.
    """
    for problem in (*_written_sources(spec), *_leaving_connectors(spec)):
        raise InputError(f"{problem}; promote them one after the other. Nothing was sent.")


def _written_sources(spec: PromotionSpec) -> Iterator[str]:
    written = {target.name for target in spec.targets}
    for target in spec.targets:
        origin = _origin(spec, target)
        takes = spec.config or spec.deployment_of(target) or spec.connectors_of(target)
        if takes is not None and origin in written:
            yield f"{target.name} takes from {origin}, which the same promotion writes"


def _leaving_connectors(spec: PromotionSpec) -> Iterator[str]:
    movers = {
        f"{move.from_agent_id}/{target.environment.value}": target.name
        for target in spec.targets
        for move in target.moves
    }
    for target in spec.targets if movers else ():
        settings = spec.connectors_of(target) is not None
        own = {target.name} if settings or spec.routing_of(target) is not None else set()
        taken = {_origin(spec, target)} if settings else set()
        for place in sorted(filter(None, own | taken)):
            mover = movers.get(place)
            if mover not in (None, target.name):
                yield f"{mover} takes a connector away from {place}, by whose connectors {target.name} is planned"


def _origin(spec: PromotionSpec, target: TargetSpec) -> str | None:
    """Return the environment of an agent that a target takes from; ``None`` for files, and without a source."""
    source = spec.source_of(target)
    if source is None or source.folder is not None or source.environment is None:
        return None
    return f"{source.agent_id}/{source.environment.value}"


Way = Callable[[], Awaitable[Sequence[PlannedItem]]]

OPERATION = "promote"
BLANK = digest(None)


class PromotionPlanner(msgspec.Struct, frozen=True, dict=True):
    """Plans the targets of a promotion.

    :param run: the run.
    :param spec: the promotion.
    :param shelf: reads files of an export, where the promotion takes from such.
    """

    run: RunContext
    spec: PromotionSpec
    shelf: Shelf

    @cached_property
    def kinds(self) -> Kinds:
        """The kinds of all resources that the plan can hold."""
        return promoted_kinds(self.spec)

    async def targets(self, *, done: Collection[str] = ()) -> list[TargetPlan]:
        """Read and plan every target; nothing is written.

        A resource that is missing or cannot be read becomes an item with an error, so that all are named.

        :param done: names of targets that stay unread.
        :raises Unauthorized: when the platform refuses the key.
        :raises CallError: when a read failed for a reason that a retry of the task may mend.
        :raises InputError: when two targets would write the same resource, or one what another takes from.
        """
        refuse_entangled(self.spec)
        targets = [target for target in self.spec.targets if target.name not in done]
        self._log_models(targets)
        reading = SharedReads(
            self.run.send,
            (agent for target in targets for agent in self._agents(target)),
            clock=self.run.clock,
        )
        progress = self.run.progress(f"{OPERATION}: plan", len(targets))
        planned: dict[str, TargetPlan] = {}

        async def plan(target: TargetSpec) -> None:
            planned[target.name] = await self._target(target, reading)
            reading.over(self._agents(target))
            progress.add("planned")

        async with planning(self.kinds.values()):
            await for_each_limited(targets, plan, limit=self.run.concurrency)
        return _distinct([planned[target.name] for target in targets])

    def _log_models(self, targets: Sequence[TargetSpec]) -> None:
        """Say once for all targets what is taken for granted about deployment models."""
        sections = [section for each in targets if (section := self.spec.deployment_of(each)) is not None]
        given = [section.deployment_model for section in sections]
        if None in given:
            self.run.log(f"{OPERATION}: {given.count(None)} target(s): {ASSUMED}")
        if SIMPLIFIED in given:
            self.run.log(f"{OPERATION}: deployment_model: simplified is deprecated; write branches")

    def _agents(self, target: TargetSpec) -> set[str]:
        source = self.spec.source_of(target)
        named = {target.agent_id, *(move.from_agent_id for move in target.moves)}
        return named if source is None or source.folder else {*named, str(source.agent_id)}

    async def _target(self, target: TargetSpec, reading: SharedReads) -> TargetPlan:
        one = _TargetPlanner(self, target, self.spec.source_of(target), reading)
        origin = _origin(self.spec, target)
        items = [replace(item, facts={"source": origin, **item.facts}) for item in await one.items()]
        guards = tuple(self._guards(target))
        if guards and items:
            items[0] = replace(items[0], findings=(*guards, *items[0].findings))
        ordered = sorted(items, key=lambda item: ORDER.index(item.resource.kind))
        return TargetPlan(
            target.name,
            tuple(ordered),
            reading.begun(target.agent_id),
            live=target.environment == LIVE,
            locks=touched_by(target),
        )

    def _guards(self, target: TargetSpec) -> Sequence[Finding]:
        source = self.spec.source_of(target)
        if source is None or source.environment is None or source.folder is not None:
            return ()
        allowed = frozenset({SKIP_PRE_RELEASE} if self.spec.allow_skip_pre_release else ())
        given = replace(
            self.run.guard_context, overrides=replace(self.run.guard_context.overrides, allowed=allowed)
        )
        return tuple(check_ladder(source.environment, target.environment, given))


class _TargetPlanner(msgspec.Struct, frozen=True):
    """Plans one target of a promotion.

    :param promotion: the planner of the whole promotion.
    :param target: the target.
    :param source: its source, or ``None``.
    :param reading: reads, each once for all targets.
    """

    promotion: PromotionPlanner
    target: TargetSpec
    source: SourceSpec | None
    reading: SharedReads

    async def items(self) -> list[PlannedItem]:
        """Plan every kind that is promoted."""
        return [item for kind, way in self._ways() for item in await self._guarded(kind, way)]

    def _ways(self) -> Iterator[tuple[str, Way]]:
        spec, target = self.promotion.spec, self.target
        if spec.config is not None:
            yield config_page.KIND, self._page
        if spec.deployment_of(target) is not None:
            yield deployment.KIND, self._deployment
        if target.moves:
            yield connector_move.KIND, self._moves
        if target.moves or spec.connectors_of(target) is not None:
            yield connector.KIND, self._connectors
        if spec.routing_of(target) is not None:
            yield phone_number.KIND, self._routing

    async def _guarded(self, kind: str, way: Way) -> Sequence[PlannedItem]:
        try:
            return await way()
        except InputError as problem:
            return [self._impossible(kind, error("unusable_source", str(problem)))]
        except CallError as failure:
            if failure.concerns_all or not failure.permanent:
                raise
            return [self._impossible(kind, error("unreadable", f"It could not be read: {failure}"))]

    def _impossible(self, kind: str, finding: Finding) -> PlannedItem:
        resource = Resource(kind, self.target.agent_id, self.target.environment.value)
        return PlannedItem(resource, BLANK, BLANK, findings=(finding,))

    async def _page(self) -> Sequence[PlannedItem]:
        now = await self._pages(self.target.agent_id)
        taken = await self._source_page()
        target = page(self.target.agent_id, self.target.environment)
        kind = ConfigPageKind(bridge_schema=self._config.bridge_schema)
        plan = partial(plan_promotion, kind, target, taken, now.get(self.target.environment), self._rules())
        return [await free_loop(plan)]

    async def _source_page(self) -> PageState | None:
        if (files := await self._files()) is not None:
            if files.page is None:
                raise InputError("The files that it takes from hold no config page.")
            return files.page
        agent_id, environment = self._origin()
        return (await self._pages(agent_id)).get(environment)

    async def _pages(self, agent_id: str) -> Mapping[str, PageState]:
        answer: list[ConfigPage] = await self.reading.read(agent_id, api.list_config_pages(agent_id))
        return {each.client_env: config_page.state_of(each) for each in answer}

    @property
    def _config(self) -> ConfigSpec:
        return self.promotion.spec.config or ConfigSpec()

    def _rules(self) -> Rules:
        spec, config = self.promotion.spec, self._config
        live = self.target.environment == LIVE
        return Rules(
            selection=Selection(config.include_keys, (*config.exclude_keys, *spec.never_promote)),
            overrides=spec.overrides_of(self.target),
            stale_keys=config.stale_keys or (StaleKeys.FAIL if live else StaleKeys.KEEP),
            promote_schema=config.promote_schema,
            allow_empty_source=config.allow_empty_source,
            never_promote=spec.never_promote,
            unmatched=spec.unmatched,
        )

    async def _deployment(self) -> Sequence[PlannedItem]:
        agent_id, environment = self._origin()
        asked = self.promotion.spec.deployment_of(self.target) or DeploymentSpec()
        rules = DeploymentRules(**asked.model_dump(exclude={"tests"}))
        kind = DeploymentKind()
        active = await self.reading.read(agent_id, api.get_active_deployments(agent_id))
        rules = replace(rules, known_model=await self._model(agent_id, rules.deployment_model))
        target = deployment.deployment(agent_id, self.target.environment)
        history: list[Deployment] = []
        if needs_history(kind, target, active, rules, environment):
            call = api.list_deployments(agent_id, environment=Environment.SANDBOX)
            history = await self.reading.read(agent_id, call)
        item = plan_deployment(kind, target, active, history, rules, environment)
        item = await tested(item, asked.tests, self._reader(agent_id))
        facts = version_facts(active, history, target=self.target.environment, source=environment)
        return [replace(item, facts=facts)]

    def _reader(self, agent_id: str) -> Callable[[ApiRequest[Any]], Awaitable[Any]]:
        async def read(request: ApiRequest[Any]) -> Any:
            return await self.reading.read(agent_id, request)

        return read

    async def _model(self, agent_id: str, given: str | None) -> KnownModel:
        if given is None:
            return KnownModel(Model.LADDER)  # which the planner says once for all targets
        return await find_model(self.promotion.run, agent_id, parse_model(given), self._reader(agent_id))

    async def _moves(self) -> Sequence[PlannedItem]:
        return await (await self._telephony()).moves()

    async def _connectors(self) -> Sequence[PlannedItem]:
        return await (await self._telephony()).settings(self.promotion.spec.connectors_of(self.target))

    async def _routing(self) -> Sequence[PlannedItem]:
        asked = self.promotion.spec.routing_of(self.target) or RoutingSpec()
        return await (await self._telephony()).routing(asked.numbers)

    async def _telephony(self) -> Telephony:
        files = await self._files()
        unmatched = self.promotion.spec.unmatched
        return Telephony(self.promotion.run, self.reading, self.target, self.source, files, unmatched)

    def _origin(self) -> tuple[str, str]:
        """Return the agent and the environment that are taken from."""
        if self.source is None or self.source.agent_id is None or self.source.environment is None:
            raise InputError("it has no source")
        return self.source.agent_id, self.source.environment.value

    async def _files(self) -> EnvironmentFiles | None:
        """Return the files that the target takes from, or ``None`` where it takes from the platform."""
        source = self.source
        if source is None or source.folder is None:
            return None
        place = (source.folder, str(source.agent_id), str(source.environment))
        return await asyncio.to_thread(self.promotion.shelf, *place)


def promoted_kinds(spec: PromotionSpec) -> Kinds:
    """Return the kinds of all resources that a promotion can hold.

    :param spec: the promotion.
    """
    return kinds(bridge_schema=spec.config is not None and spec.config.bridge_schema)


def touched_by(target: TargetSpec) -> tuple[str, ...]:
    """Return the names to lock for a target: its own, and those of the environments that connectors leave.

    :param target: one of the targets.
    """
    left = (target_name(move.from_agent_id, target.environment.value) for move in target.moves)
    return tuple(dict.fromkeys([target.name, *left]))


def _distinct(targets: list[TargetPlan]) -> list[TargetPlan]:
    """Return the targets, unless two of them would write the same resource: no order of them would be right."""
    owners: dict[Resource, str] = {}
    for target in targets:
        for item in target.items:
            other = owners.setdefault(item.resource, target.name)
            if other != target.name:
                raise InputError(
                    f"{other} and {target.name} would both write {item.resource.kind} {item.resource}; "
                    "promote them one after the other. Nothing was written."
                )
    return targets
