"""Update connectors of one or many agents in bulk: compare first, send only differences, check every result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.reads import read_all
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, TargetPlan, error, no_change, refused
from airflow_voice_agents.plans.report import ItemReport, Report, Status, in_order
from airflow_voice_agents.plans.selection import reached_names
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import (
    PolyAIAction,
    named_targets,
    raise_if_for_all,
    target_name,
    unread_finding,
    with_counts_by_owner,
    with_permanence,
)
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import ConnectorUpdate, parse_environment
from airflow_voice_agents.polyai.resources.connector import (
    KIND,
    SPEECH_LANGUAGE,
    ConnectorKind,
    ConnectorPlans,
    ConnectorState,
    connector,
    states,
)
from airflow_voice_agents.transport.errors import CallError, GuardRefused, InputError
from airflow_voice_agents.transport.suggestions import did_you_mean, hints
from airflow_voice_agents.transport.validation import parse_count, parse_identifier, summarize_list

ANY = "*"
SELECTOR_KEYS = ("client_env", "name", "variant_id", "asr_lang_code", "voice_name")
TARGET_KEYS = ("agent_id", "updates", "selector", "changes")
SELECTED_NOTE = "selected-connectors"
"""Key of the task state for the connectors that a task has selected by settings that it changes."""


class Selector(msgspec.Struct, frozen=True):
    """The connectors of an agent that fit every key given.

    :param criteria: ``client_env``, ``name`` (shell pattern), ``variant_id`` (``None``: unassigned),
        ``asr_lang_code``, ``voice_name``.
    """

    criteria: Mapping[str, Any]

    @classmethod
    def parse(cls, value: object) -> Selector:
        """Read a selector.

        :param value: mapping of criteria; an empty one selects every connector of the agent.
        :raises InputError: naming what is wrong.
        """
        if not isinstance(value, Mapping):
            raise InputError(f"selector must be a mapping, not {type(value).__name__}")
        if unknown := sorted(str(key) for key in value if key not in SELECTOR_KEYS):
            known = ", ".join(SELECTOR_KEYS)
            raise InputError(
                f"selector has unknown keys {', '.join(unknown)}; allowed are {known}{hints(unknown, SELECTOR_KEYS)}"
            )
        criteria = dict(value)
        if "client_env" in criteria:
            criteria["client_env"] = parse_environment(criteria["client_env"], name="selector.client_env")
        if "name" in criteria and not isinstance(criteria["name"], str):
            raise InputError("selector.name must be a text")
        return cls(criteria)

    def fitting(self, found: Mapping[Resource, ConnectorState]) -> set[Resource]:
        """Return the connectors that are selected; a name that is spelled like the pattern wins.

        :param found: all connectors of the agent.
        """
        pattern = str(self.criteria.get("name", ANY))
        names = reached_names([pattern], {state.name or "" for state in found.values()})[pattern]
        others = {key: wanted for key, wanted in self.criteria.items() if key != "name"}
        return {
            resource
            for resource, state in found.items()
            if (state.name or "") in names
            and all(getattr(state, key) == wanted for key, wanted in others.items())
        }

    def suggestion(self, found: Mapping[Resource, ConnectorState]) -> str:
        """Return what the criteria that fit no connector may have meant, or an empty text.

        :param found: all connectors of the agent.
        """
        said = []
        for key, wanted in self.criteria.items():
            known = {str(getattr(state, key)) for state in found.values() if getattr(state, key)}
            if known and wanted and not Selector({key: wanted}).fitting(found):
                said.append(f" No connector has {key} {wanted!r}.{did_you_mean(str(wanted), sorted(known))}")
        return "".join(said)


class AgentUpdate(msgspec.Struct, frozen=True, eq=False):
    """The desired settings of connectors of one agent.

    :param agent_id: the agent.
    :param updates: the desired settings, one per connector; empty with a selector.
    :param selector: selects the connectors, where they are not named.
    :param changes: the desired settings of each selected connector, without an id.
    """

    agent_id: str
    updates: tuple[ConnectorUpdate, ...] = ()
    selector: Selector | None = None
    changes: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @property
    def target(self) -> str:
        """The selected environment, or all of the agent: connectors are named by id alone."""
        environment = self.selector.criteria.get("client_env") if self.selector else None
        return target_name(self.agent_id, environment or ANY)

    @property
    def named(self) -> list[Resource]:
        """The connectors that are named; all of the agent stand for those that a selector may fit."""
        names = [ANY] if self.selector else [each.connector_id for each in self.updates]
        return [connector(self.agent_id, name) for name in names]

    def each(self) -> ConnectorUpdate:
        """Return the update of every selected connector, whose id is of no account."""
        return ConnectorUpdate.parse({"connector_id": "each", **self.changes})

    def selected(
        self, found: Mapping[Resource, ConnectorState], earlier: Collection[str]
    ) -> dict[Resource, ConnectorUpdate]:
        """Select connectors, and those of an earlier try that are done and fit no more because of that.

        :param found: all connectors of the agent.
        :param earlier: ids that an earlier try selected.
        """
        update = self.each()
        changes = update.changes()
        fitting = self.selector.fitting(found) if self.selector else set()
        return {
            resource: update
            for resource, state in found.items()
            if resource in fitting or (resource.name in earlier and state == state.with_settings(changes))
        }


@dataclass(frozen=True, kw_only=True)
class UpdateConnectors(PolyAIAction):
    """A bulk update of connectors with checked arguments.

    :param agents: what each agent's connectors become; every agent once.
    :param kind: the kind of the connectors.
    :param check_variants: whether variants to assign must exist on their agent's main branch.
    :param many: whether the connectors of an agent that cannot be read fail alone, and other agents go on.
    """

    operation: ClassVar[str] = "update connectors"
    counts_items: ClassVar[bool] = True

    agents: tuple[AgentUpdate, ...]
    kind: ConnectorKind = field(default_factory=ConnectorKind)
    check_variants: bool = True
    many: bool = False

    def scope(self) -> Scope:
        """Return the selected environments, or all of an agent: connectors are named by id alone."""
        return Scope(tuple(each.target for each in self.agents))

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {KIND: self.kind}

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read the connectors and plan each; unknown ids are refused, and the others go on.

        Agents are read side by side. What is wrong with one of many agents is a refusal of its connectors.

        Vendor operations: list connectors or batch get connectors, list variants.
        """
        planned: dict[AgentUpdate, list[TargetPlan]] = {}

        async def plan(agent: AgentUpdate) -> None:
            try:
                planned[agent] = await self._planned(run, agent)
            except CallError as failure:
                if not self.many:
                    raise
                raise_if_for_all(failure)
                planned[agent] = [self._refused(agent, unread_finding(failure))]

        await for_each_limited(self.agents, plan, limit=run.concurrency)
        return [target for agent in self.agents for target in planned[agent]]

    async def _planned(self, run: RunContext, agent: AgentUpdate) -> list[TargetPlan]:
        found: Mapping[Resource, ConnectorState | None]
        if agent.selector is None:
            wanted = {connector(agent.agent_id, each.connector_id): each for each in agent.updates}
            read = await read_all(run, self.kind, wanted)
            found = read
        else:
            connectors = await run.send(api.list_connectors(agent.agent_id))
            listed = states(agent.agent_id, connectors)
            found, wanted = dict(listed), agent.selected(listed, _selected_earlier(run, agent.agent_id))
            if not wanted:
                return [self._refused(agent, self._nothing_fits(agent.agent_id, agent.selector, listed))]
        plans = ConnectorPlans(self.kind)
        items = [plans.plan(resource, update, found[resource]) for resource, update in wanted.items()]
        return _targets(agent.agent_id, await self._with_variants_checked(run, agent.agent_id, items), found)

    def _nothing_fits(
        self, agent_id: str, selector: Selector, found: Mapping[Resource, ConnectorState]
    ) -> Finding:
        said = f"the selector fits none of the {len(found)} connector(s) of {agent_id}.{selector.suggestion(found)}"
        if not self.many:
            raise GuardRefused(f"{self.operation}: {said} Nothing was written.")
        return refused("nothing_selected", f"{said} None was changed.")

    def _refused(self, agent: AgentUpdate, finding: Finding) -> TargetPlan:
        items = [no_change(self.kind, resource, None, finding) for resource in agent.named]
        return TargetPlan(agent.target, tuple(items))

    async def _with_variants_checked(
        self, run: RunContext, agent_id: str, items: Sequence[PlannedItem]
    ) -> Sequence[PlannedItem]:
        """Refuse variants that the agent does not have; no request shows whether one is published."""
        assigned = {item.resource: variant for item in items if (variant := _assigned_variant(item))}
        if not (assigned and self.check_variants):
            return items
        listed = await run.send(api.list_variants(agent_id, branch_id="main"))
        unknown = set(assigned.values()) - {variant.id for variant in listed}
        return [
            replace(
                item,
                writes=0,
                findings=(*item.findings, self._unknown_variant(agent_id, assigned[item.resource])),
            )
            if assigned.get(item.resource) in unknown
            else item
            for item in items
        ]

    def _unknown_variant(self, agent_id: str, variant: str) -> Finding:
        make = refused if self.many else error
        return make(
            "unknown_variant",
            f"{agent_id} has no variant {variant} on its main branch. Check the id, or pass "
            "check_variants=False if the variant is known to be published.",
        )

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Remember what selectors whose own criteria are changed have selected."""
        selected: dict[str, list[str]] = {}
        changing = {each.agent_id for each in self.agents if _changes_criteria(each)}
        for item in (item for each in targets for item in each.items):
            if item.resource.owner in changing:
                selected.setdefault(item.resource.owner, []).append(item.resource.name)
        if selected:
            run.remember(SELECTED_NOTE, selected)

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Report the synthesis language that the platform derived from a new voice."""
        item = with_permanence(planned, item)
        if item.status is not Status.CHANGED or SPEECH_LANGUAGE not in item.details:
            return item
        before = planned.transition and planned.transition.before
        note = (
            f"{SPEECH_LANGUAGE} went from {before and before.tts_lang_code} to {item.details[SPEECH_LANGUAGE]} "
            "with the voice"
        )
        return replace(item, reason=f"{item.reason}; {note}" if item.reason else note)

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Report connectors that were named in the order in which they were named, and count those of each agent."""
        if all(agent.updates for agent in self.agents):
            named = [resource for agent in self.agents for resource in agent.named]
            report = replace(report, items=in_order(named, report.items))
        return with_counts_by_owner(run, report) if self.many else report


def parse_update(
    agent_id: object,
    updates: object,
    selector: object,
    changes: object,
    *,
    batch_size: int = 50,
    check_variants: bool = True,
) -> UpdateConnectors:
    """Check the arguments of a bulk update.

    :param agent_id: the agent.
    :param updates: sequence of mappings, each a connector and its wanted settings; or
    :param selector: which connectors, with
    :param changes: the wanted settings of each.
    :param batch_size: maximum number of connectors per request.
    :param check_variants: whether variants to assign must exist on the agent's main branch.
    :raises InputError: for an invalid argument; the message names it.
    """
    agent = parse_identifier(agent_id, name="agent_id")
    return UpdateConnectors(
        agents=(_agent_update(agent, updates, selector, changes),),
        kind=ConnectorKind(batch_size=parse_count(batch_size, name="batch_size")),
        check_variants=check_variants,
    )


def parse_updates(
    targets: object,
    updates: object = None,
    selector: object = None,
    changes: object = None,
    *,
    batch_size: int = 50,
    check_variants: bool = True,
) -> UpdateConnectors:
    """Check the arguments of a bulk update for many agents.

    :param targets: sequence of mappings of ``agent_id``, ``updates``, ``selector`` and ``changes``.
    :param updates: must be ``None``: ids of connectors belong to one agent.
    :param selector: which connectors, for the targets that do not say it.
    :param changes: the wanted settings of each, for the targets that do not say them.
    :param batch_size: maximum number of connectors per request.
    :param check_variants: whether variants to assign must exist on their agent's main branch.
    :raises InputError: naming the target that is wrong.
    """
    if updates is not None:
        raise InputError("updates name connectors of one agent; write them into each of targets")
    agents = []
    for name, target in named_targets(targets, TARGET_KEYS):
        agent = parse_identifier(target.get("agent_id"), name=f"{name}.agent_id")
        own = {key: target[key] for key in ("updates", "selector", "changes") if target.get(key) is not None}
        usual = {} if "updates" in own else {"selector": selector, "changes": changes}
        given = {"updates": None, "selector": None, "changes": None, **usual, **own}
        agents.append(_agent_update(agent, **given, prefix=f"{name}: "))
    repeated = [name for name, times in Counter(each.agent_id for each in agents).items() if times > 1]
    if repeated:
        raise InputError(
            f"targets names agents more than once: {summarize_list(repeated)}. Give each agent one entry, or a task "
            "of its own to each change."
        )
    return UpdateConnectors(
        agents=tuple(agents),
        kind=ConnectorKind(batch_size=parse_count(batch_size, name="batch_size")),
        check_variants=check_variants,
        many=True,
    )


def _agent_update(
    agent: str, updates: object, selector: object, changes: object, prefix: str = ""
) -> AgentUpdate:
    if (updates is None) == (selector is None) or (selector is None and changes is not None):
        raise InputError(f"{prefix}give either updates, or selector and changes")
    if selector is not None:
        return AgentUpdate(agent, selector=Selector.parse(selector), changes=_parse_changes(changes))
    if isinstance(updates, (str, Mapping)) or not isinstance(updates, Sequence) or not updates:
        raise InputError(
            f"{prefix}updates must be a list of at least one mapping with connector_id and settings"
        )
    parsed = tuple(_parse_one(each) for each in updates)
    repeated = [name for name, times in Counter(each.connector_id for each in parsed).items() if times > 1]
    if repeated:
        raise InputError(f"{prefix}updates names connectors more than once: {', '.join(repeated[:10])}")
    return AgentUpdate(agent, updates=parsed)


def _parse_changes(changes: object) -> Mapping[str, Any]:
    if not isinstance(changes, Mapping) or not changes:
        raise InputError("changes must be a mapping of at least one setting when a selector is given")
    if "connector_id" in changes:
        raise InputError("changes are for every connector that the selector fits, and must not name one")
    _parse_one({"connector_id": "each", **changes})
    return dict(changes)


def _parse_one(value: object) -> ConnectorUpdate:
    update = ConnectorUpdate.parse(value)
    if update.moves:
        raise InputError(
            f"update of connector {update.connector_id!r}: project_id moves a connector to another project, with "
            "its calls, and is not done in a bulk update. Move it by itself in Agent Studio."
        )
    if not update.changes():
        raise InputError(f"update of connector {update.connector_id!r} changes nothing")
    return update


def _assigned_variant(item: PlannedItem) -> str | None:
    """Return the variant that a connector newly gets, or ``None``."""
    if item.transition is None:
        return None
    before: ConnectorState = item.transition.before or item.transition.after
    after: ConnectorState = item.transition.after
    return None if after.variant_id == before.variant_id else after.variant_id


def _changes_criteria(agent: AgentUpdate) -> bool:
    """Return whether connectors that are done fit their selector no more."""
    return agent.selector is not None and not agent.selector.criteria.keys().isdisjoint(
        agent.each().changes()
    )


def _selected_earlier(run: RunContext, agent_id: str) -> set[str]:
    """Return the ids that an earlier try selected; the former release noted those of its one agent only."""
    noted = run.recall(SELECTED_NOTE) or {}
    return set(noted if isinstance(noted, list) else noted.get(agent_id, ()))


def _targets(
    agent_id: str, items: Sequence[PlannedItem], found: Mapping[Resource, ConnectorState | None]
) -> list[TargetPlan]:
    """Group items by environment; a connector of unknown environment may be live."""
    groups: dict[str | None, list[PlannedItem]] = {}
    for item in items:
        if (state := found[item.resource]) is not None:
            groups.setdefault(state.client_env, []).append(item)
    absent = [item for item in items if found[item.resource] is None]
    if absent:
        groups.setdefault(next(iter(groups), None), []).extend(absent)
    return [
        TargetPlan(target_name(agent_id, environment or ANY), tuple(mine), live=environment in (LIVE, None))
        for environment, mine in groups.items()
    ]
