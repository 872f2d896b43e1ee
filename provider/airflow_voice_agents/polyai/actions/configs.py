"""Promote and update config pages: two actions on one kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.planning import PlanRequest, plan_resources
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Finding, TargetPlan
from airflow_voice_agents.plans.selection import Selection, Unmatched, deep_merge, parse_selector
from airflow_voice_agents.polyai.actions.base import PolyAIAction, target_name
from airflow_voice_agents.polyai.ladder import LIVE, check_ladder
from airflow_voice_agents.polyai.models import Environment, parse_environment
from airflow_voice_agents.polyai.resources.config_page import KIND, ConfigPageKind, page
from airflow_voice_agents.polyai.resources.config_plan import (
    GivenValues,
    Merge,
    PromotedPage,
    Rules,
    StaleKeys,
)
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.suggestions import hints
from airflow_voice_agents.transport.validation import parse_choice, parse_identifier, parse_json_object

Choice = TypeVar("Choice", bound=StrEnum)


class ConfigTarget(Record, frozen=True):
    """An environment of an agent, and values meant for it alone.

    :param agent_id: the agent.
    :param environment: one of the three stages.
    :param values: values for this place alone, laid over those for all.
    """

    not_shown = ("values",)

    agent_id: str
    environment: Environment
    values: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that locks, blocks and reports use."""
        return target_name(self.agent_id, self.environment)

    @property
    def resource(self) -> Resource:
        """The config page there."""
        return page(self.agent_id, self.environment)


class ConfigSource(msgspec.Struct, frozen=True):
    """The environment that pages are taken from.

    :param agent_id: the agent; ``None`` is each target's own.
    :param environment: one of the three stages.
    """

    agent_id: str | None
    environment: Environment

    def of(self, target: ConfigTarget) -> Resource:
        """Return the page that a target takes from.

        :param target: one of the targets.
        """
        return page(self.agent_id or target.agent_id, self.environment)


@dataclass(frozen=True, kw_only=True)
class ConfigAction(PolyAIAction):
    """A change of config pages with checked arguments.

    :param targets: the environments.
    :param kind: the kind of the pages.
    """

    targets: tuple[ConfigTarget, ...]
    kind: ConfigPageKind = field(default_factory=ConfigPageKind)

    def scope(self) -> Scope:
        """Return the environments."""
        live = any(target.environment == LIVE for target in self.targets)
        return Scope(tuple(target.name for target in self.targets), live=live)

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {KIND: self.kind}

    def order(self) -> list[str]:
        """Return the targets as they were given."""
        return [target.name for target in self.targets]

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read every agent once and plan every page.

        Vendor operation: list real-time configs.
        """
        requests = [self.request(target) for target in self.targets if target.name not in done]
        items = await plan_resources(run, self.kind, self.operation, requests)
        return [
            TargetPlan(
                target_name(item.resource.owner, item.resource.name),
                (item,),
                read_at=item.transition.read_at if item.transition else None,
                live=item.resource.name == LIVE,
            )
            for item in items
        ]

    @abstractmethod
    def request(self, target: ConfigTarget) -> PlanRequest:
        """Return what is needed to plan one page.

        :param target: the environment.
        """


@dataclass(frozen=True, kw_only=True)
class PromoteConfig(ConfigAction):
    """A promotion of config pages.

    :param source: the environment that is taken from; each target takes from its own agent where that names none.
    :param rules: what is taken, overridden and kept.
    """

    operation: ClassVar[str] = "promote config"

    source: ConfigSource
    rules: Rules

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard live, and the order of the environments."""
        yield from super().guards(given)
        for stage in dict.fromkeys(target.environment for target in self.targets):
            yield from check_ladder(self.source.environment, stage, given)

    def sources(self) -> list[Resource]:
        """Return the pages that are taken from, each once."""
        return list(dict.fromkeys(map(self.source.of, self.targets)))

    def request(self, target: ConfigTarget) -> PlanRequest:
        """Return source and target of one page."""
        rules = _with_own(self.rules, target)
        return PlanRequest(
            target.resource,
            self.source.of(target),
            lambda source, now: self.kind.plan(target.resource, PromotedPage(source, rules), now),
        )


@dataclass(frozen=True, kw_only=True)
class UpdateConfig(ConfigAction):
    """An update of config pages with given values.

    :param merge: how a given object meets a present one.
    """

    operation: ClassVar[str] = "update config"

    merge: Merge

    def request(self, target: ConfigTarget) -> PlanRequest:
        """Return one page with its values."""
        desired = GivenValues(target.values, self.merge)
        return PlanRequest(
            target.resource, None, lambda _, now: self.kind.plan(target.resource, desired, now)
        )


def parse_promotion(
    source: object, targets: Sequence[object], rules: Rules, *, bridge_schema: bool = False
) -> PromoteConfig:
    """Check the arguments of a promotion.

    :param source: mapping of ``agent_id`` and ``environment``; without ``agent_id``, each target's own agent.
    :param targets: one such mapping per target, each with ``overrides`` of its own if wanted.
    :param rules: what is taken, overridden and kept.
    :param bridge_schema: whether a permissive schema may stand between.
    :raises InputError: for an invalid argument; the message names it.
    """
    origin = _source(source)
    places = _places(targets, own="overrides")
    taken = set(map(origin.of, places))
    if itself := next((place.resource for place in places if place.resource in taken), None):
        raise InputError(f"targets names the source itself, {itself}")
    return PromoteConfig(
        targets=tuple(places), source=origin, rules=rules, kind=ConfigPageKind(bridge_schema=bridge_schema)
    )


def rules(
    *,
    include_keys: object,
    exclude_keys: object,
    never_promote: object = (),
    overrides: object,
    stale_keys: object,
    promote_schema: bool,
    allow_empty_source: bool,
    targets: Sequence[object],
    unmatched: object = None,
) -> Rules:
    """Check how pages are made from a source.

    :param include_keys: selectors, or ``None`` for everything not excluded.
    :param exclude_keys: selectors of what each target keeps.
    :param never_promote: selectors of test switches, which each target keeps as well.
    :param overrides: values laid over what is taken, or ``None``.
    :param stale_keys: ``fail``, ``keep`` or ``null``; ``None`` is ``fail`` if a target is live, else ``keep``.
    :param promote_schema: promote the schema of the source as well.
    :param allow_empty_source: whether an unset or empty source is meant.
    :param targets: the targets, to see whether one is live.
    :param unmatched: ``fail``, ``warn`` or ``ignore`` for selectors that reach nothing; ``None`` is ``fail`` for
        live targets and ``warn`` for others.
    :raises InputError: for an invalid argument; the message names it.
    """
    if stale_keys is None:
        to_live = any(isinstance(each, Mapping) and each.get("environment") == LIVE for each in targets)
        stale_keys = StaleKeys.FAIL if to_live else StaleKeys.KEEP
    switches = _selectors(never_promote, "never_promote")
    return Rules(
        selection=Selection(
            None if include_keys is None else _selectors(include_keys, "include_keys"),
            (*_selectors(exclude_keys, "exclude_keys"), *switches),
        ),
        never_promote=switches,
        unmatched=None if unmatched is None else _choice(Unmatched, unmatched, "unmatched"),
        overrides=_values(overrides or {}, "overrides"),
        stale_keys=_choice(StaleKeys, stale_keys, "stale_keys"),
        promote_schema=promote_schema,
        allow_empty_source=allow_empty_source,
    )


def parse_update(places: Sequence[ConfigTarget], merge: str) -> UpdateConfig:
    """Check the arguments of an update: each target takes its values and keeps everything else.

    :param places: the targets, each with its values.
    :param merge: how a given object meets a present one.
    :raises InputError: when a target is named twice or has no values.
    """
    _refuse_repeats(places)
    way = _choice(Merge, merge, "merge")
    empty = [str(place.resource) for place in places if not place.values]
    if empty:
        raise InputError(f"values are missing for {', '.join(empty[:10])}")
    return UpdateConfig(targets=tuple(places), merge=way)


def places_with(values: object, targets: Sequence[object] | None) -> list[ConfigTarget]:
    """Return where an update goes and with which values.

    :param values: with targets, one mapping for all of them; without, a mapping of
        ``"agent_id/environment"`` to values.
    :param targets: mappings of ``agent_id``, ``environment`` and optionally ``values`` of their own; or
        ``None``.
    :raises InputError: for an invalid argument; the message names it.
    """
    given = _values(values if values is not None else {}, "values")
    if targets is not None:
        return [
            replace(place, values=deep_merge(given, place.values)) for place in _places(targets, own="values")
        ]
    if not given:
        raise InputError("values is empty and targets is not given: there is nothing to update")
    return [_place_from_key(key, own) for key, own in given.items()]


def _source(value: object) -> ConfigSource:
    if isinstance(value, Mapping) and "environment" in value and "agent_id" not in value:
        found = parse_target({"agent_id": "own", **value}, "source")
        return ConfigSource(None, found.environment)
    found = parse_target(value, "source")
    return ConfigSource(found.agent_id, found.environment)


def parse_target(value: object, name: str, *, own: str | None = None) -> ConfigTarget:
    """Read an environment of an agent.

    :param value: mapping of ``agent_id`` and ``environment``.
    :param name: what to call the argument in the error.
    :param own: key of the values meant for this place alone, where they are allowed.
    :raises InputError: naming what is wrong.
    """
    allowed = {"agent_id", "environment", *([own] if own else [])}
    if not isinstance(value, Mapping):
        raise InputError(f"{name} must be a mapping of agent_id and environment, not {type(value).__name__}")
    if unknown := sorted(str(key) for key in value if key not in allowed):
        raise InputError(
            f"{name} has unknown keys {', '.join(unknown)}; allowed are {', '.join(sorted(allowed))}."
            f"{hints(unknown, allowed)}"
        )
    return ConfigTarget(
        agent_id=parse_identifier(value.get("agent_id"), name=f"{name}.agent_id"),
        environment=parse_environment(value.get("environment"), name=f"{name}.environment"),
        values=_values(value.get(own) or {}, f"{name}.{own}") if own else {},
    )


def _places(values: Sequence[object], *, own: str) -> list[ConfigTarget]:
    if not values:
        raise InputError("targets is empty; name at least one agent_id and environment")
    places = [parse_target(value, f"targets[{place}]", own=own) for place, value in enumerate(values)]
    _refuse_repeats(places)
    return places


def _place_from_key(key: str, values: object) -> ConfigTarget:
    agent_id, slash, environment = key.rpartition("/")
    if not slash:
        raise InputError(
            "values must map 'agent_id/environment' to values when targets is not given; "
            f"{key!r} is not a key of that form"
        )
    name = f"values[{key!r}]"
    return ConfigTarget(
        parse_identifier(agent_id, name=name),
        parse_environment(environment, name=name),
        _values(values, name),
    )


def _values(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{name} must be a mapping of keys to values, not {type(value).__name__}")
    return parse_json_object(value, name=name)


def _selectors(value: object, name: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{name} must be a list of selectors")
    return tuple(parse_selector(each, name=f"{name}[{place}]") for place, each in enumerate(value))


def _choice(kind: type[Choice], value: object, name: str) -> Choice:
    return kind(parse_choice(value, name=name, choices=list(kind)))


def _refuse_repeats(places: Sequence[ConfigTarget]) -> None:
    seen: set[Resource] = set()
    for place in places:
        if place.resource in seen:
            raise InputError(f"targets names {place.resource} twice")
        seen.add(place.resource)


def _with_own(rules: Rules, place: ConfigTarget) -> Rules:
    return replace(rules, overrides=deep_merge(rules.overrides, place.values)) if place.values else rules
