"""Update connectors in bulk: compare first, send only differences, check every result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.reads import read_all
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem, TargetPlan, error
from airflow_voice_agents.plans.report import ItemReport, Report, Status, in_order
from airflow_voice_agents.plans.selection import reached_names
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import PolyAIAction, target_name
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import ConnectorUpdate, parse_environment
from airflow_voice_agents.polyai.resources.connector import (
    KIND,
    SPEECH_LANGUAGE,
    ConnectorKind,
    ConnectorState,
    connector,
    states,
)
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from airflow_voice_agents.transport.suggestions import did_you_mean, hints
from airflow_voice_agents.transport.validation import parse_count, parse_identifier

ANY = "*"
SELECTOR_KEYS = ("client_env", "name", "variant_id", "asr_lang_code", "voice_name")
SELECTED_NOTE = "selected-connectors"
"""Key of the task state for the connectors that a task has selected by settings that it changes."""


@dataclass(frozen=True, slots=True)
class Selector:
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


@dataclass(frozen=True, kw_only=True)
class UpdateConnectors(PolyAIAction):
    """A bulk update of connectors with checked arguments.

    :param agent_id: the agent.
    :param updates: the desired settings, one per connector; empty with a selector.
    :param selector: selects the connectors, where they are not named.
    :param changes: the desired settings of each selected connector, without an id.
    :param kind: the kind of the connectors.
    :param check_variants: whether variants to assign must exist on the agent's main branch.
    """

    operation: ClassVar[str] = "update connectors"
    counts_items: ClassVar[bool] = True

    agent_id: str
    updates: tuple[ConnectorUpdate, ...] = ()
    selector: Selector | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    kind: ConnectorKind = field(default_factory=ConnectorKind)
    check_variants: bool = True

    def scope(self) -> Scope:
        """Return the selected environment, or all of the agent: connectors are named by id alone."""
        environment = self.selector.criteria.get("client_env") if self.selector else None
        return Scope((target_name(self.agent_id, environment or ANY),))

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {KIND: self.kind}

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read the connectors and plan each; unknown ids are refused, and the others go on.

        Vendor operations: list connectors or batch get connectors, list variants.
        """
        found: Mapping[Resource, ConnectorState | None]
        if self.selector is None:
            wanted = {connector(self.agent_id, each.connector_id): each for each in self.updates}
            read = await read_all(run, self.kind, wanted)
            found = read
        else:
            connectors = await run.send(api.list_connectors(self.agent_id))
            listed = states(self.agent_id, connectors)
            found = dict(listed)
            wanted = self._selected(run, listed)
        items = [self.kind.plan(resource, update, found[resource]) for resource, update in wanted.items()]
        return self._targets(await self._with_variants_checked(run, items), found)

    def _selected(
        self, run: RunContext, found: Mapping[Resource, ConnectorState]
    ) -> dict[Resource, ConnectorUpdate]:
        """Select connectors, and those of an earlier try that are done and fit no more because of that."""
        earlier = set(run.recall(SELECTED_NOTE) or ())
        wanted = {}
        fitting = self.selector.fitting(found) if self.selector else set()
        for resource, state in found.items():
            update = ConnectorUpdate.parse({"connector_id": resource.name, **self.changes})
            is_done = resource.name in earlier and state == state.with_changes(update)
            if is_done or resource in fitting:
                wanted[resource] = update
        if not wanted:
            hint = self.selector.suggestion(found) if self.selector else ""
            raise GuardRefused(
                f"{self.operation}: the selector fits none of the {len(found)} connector(s) of "
                f"{self.agent_id}.{hint} Nothing was written."
            )
        return wanted

    async def _with_variants_checked(
        self, run: RunContext, items: Sequence[PlannedItem]
    ) -> Sequence[PlannedItem]:
        """Refuse variants that the agent does not have; no request shows whether one is published."""
        assigned = {item.resource: variant for item in items if (variant := _assigned_variant(item))}
        if not (assigned and self.check_variants):
            return items
        listed = await run.send(api.list_variants(self.agent_id, branch_id="main"))
        unknown = set(assigned.values()) - {variant.id for variant in listed}
        return [
            replace(item, writes=0, findings=(*item.findings, self._unknown_variant(assigned[item.resource])))
            if assigned.get(item.resource) in unknown
            else item
            for item in items
        ]

    def _unknown_variant(self, variant: str) -> Finding:
        return error(
            "unknown_variant",
            f"{self.agent_id} has no variant {variant} on its main branch. Check the id, or pass "
            "check_variants=False if the variant is known to be published.",
        )

    def _targets(
        self, items: Sequence[PlannedItem], found: Mapping[Resource, ConnectorState | None]
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
            TargetPlan(
                target_name(self.agent_id, environment or ANY),
                tuple(mine),
                live=environment in (LIVE, None),
            )
            for environment, mine in groups.items()
        ]

    def before_writes(self, run: RunContext, targets: Sequence[TargetPlan]) -> None:
        """Remember the selection of a selector whose own criteria are changed."""
        keys = self.selector.criteria if self.selector else ()
        changed = ConnectorUpdate.parse({"connector_id": "each", **self.changes}).changes() if keys else {}
        if any(key in changed for key in keys):
            run.remember(SELECTED_NOTE, [item.resource.name for each in targets for item in each.items])

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Report the synthesis language that the platform derived from a new voice."""
        if item.status is not Status.CHANGED or SPEECH_LANGUAGE not in item.details:
            return item
        before = planned.transition and planned.transition.before
        note = (
            f"{SPEECH_LANGUAGE} went from {before and before.tts_lang_code} to {item.details[SPEECH_LANGUAGE]} "
            "with the voice"
        )
        return replace(item, reason=f"{item.reason}; {note}" if item.reason else note)

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Report connectors that were named in the order in which they were named."""
        if not self.updates:
            return report
        named = [connector(self.agent_id, each.connector_id) for each in self.updates]
        return replace(report, items=in_order(named, report.items))


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
    kind = ConnectorKind(batch_size=parse_count(batch_size, name="batch_size"))
    if (updates is None) == (selector is None) or (selector is None and changes is not None):
        raise InputError("give either updates, or selector and changes")
    if selector is not None:
        return UpdateConnectors(
            agent_id=agent,
            selector=Selector.parse(selector),
            changes=_parse_changes(changes),
            kind=kind,
            check_variants=check_variants,
        )
    if isinstance(updates, (str, Mapping)) or not isinstance(updates, Sequence) or not updates:
        raise InputError("updates must be a list of at least one mapping with connector_id and settings")
    parsed = tuple(_parse_one(each) for each in updates)
    repeated = [name for name, times in Counter(each.connector_id for each in parsed).items() if times > 1]
    if repeated:
        raise InputError(f"updates names connectors more than once: {', '.join(repeated[:10])}")
    return UpdateConnectors(agent_id=agent, updates=parsed, kind=kind, check_variants=check_variants)


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
