"""Promote and update config pages: two front doors to one engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from airflow_voice_agents.engine.planning import Target, plan_targets
from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, execute
from airflow_voice_agents.plans.guards import GuardContext, check_live
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, Plan, PlannedItem
from airflow_voice_agents.plans.report import Report, explain
from airflow_voice_agents.plans.selection import Selection, deep_merge
from airflow_voice_agents.polyai.ladder import LIVE, check_ladder
from airflow_voice_agents.polyai.models import Environment, parse_environment
from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, page
from airflow_voice_agents.polyai.resources.config_plan import (
    Merge,
    Rules,
    StaleKeys,
    plan_promotion,
    plan_values,
)
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_identifier, parse_json_object

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class ConfigTarget:
    """An environment of an agent, and values meant for it alone.

    :param agent_id: the agent.
    :param environment: one of the three stages.
    :param values: values for this place alone, laid over those for all.
    """

    agent_id: str
    environment: Environment
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resource(self) -> Resource:
        """The config page there."""
        return page(self.agent_id, self.environment)


@dataclass(frozen=True, slots=True)
class ConfigJob:
    """A promotion or an update of config pages, checked and ready to run.

    :param operation: what it is, for plan and report.
    :param targets: what to plan.
    :param guards: what the guards say before anything is read.
    :param kind: how pages are written.
    :param manner: how the plan is carried out.
    """

    operation: str
    targets: tuple[Target, ...]
    guards: tuple[Finding, ...] = ()
    kind: ConfigPageKind = field(default_factory=ConfigPageKind)
    manner: ApplyOptions = field(default_factory=ApplyOptions)

    async def run(self, run: RunContext) -> Report:
        """Plan every target, then write what differs; nothing is written before every plan is valid.

        :param run: what the run works with.
        :raises GuardRefused: when a guard refuses before anything was read.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in any plan, one in which nothing was written.
        """
        run.guard(self.operation, self.guards, dry_run=self.manner.dry_run)
        planned_at = run.clock()
        plan = await self._plan(run)
        manner = replace(self.manner, explain=explain)
        return await execute(run, self.kind, plan, manner, planned_at=planned_at)

    async def _plan(self, run: RunContext) -> Plan:
        return await plan_targets(
            run.send,
            self.kind,
            self.operation,
            self.targets,
            limit=run.concurrency,
            progress=run.progress(f"{self.operation}: plan", len(self.targets)),
            clock=run.clock,
        )


def promotion(
    source: object, targets: Sequence[object], rules: Rules, given: GuardContext, **options: Any
) -> ConfigJob:
    """Check the arguments of a promotion and return it ready to run.

    :param source: mapping of ``agent_id`` and ``environment``.
    :param targets: one such mapping per target, each with ``overrides`` of its own if wanted.
    :param rules: what is taken, overridden, kept.
    :param given: what the guards judge by.
    :param options: further fields of :class:`ConfigJob`, and ``bridge_schema``.
    :raises InputError: naming the argument that is wrong.
    """
    origin = parse_target(source, "source")
    places = _places(targets, own="overrides")
    if any(place.resource == origin.resource for place in places):
        raise InputError(f"targets names the source itself, {origin.resource}")
    kind = ConfigPageKind(bridge_schema=options.pop("bridge_schema", False))
    jobs = [
        Target(
            place.resource,
            origin.resource,
            partial(plan_promotion, kind, place.resource, rules=_with_own(rules, place)),
        )
        for place in places
    ]
    return ConfigJob(
        "promote config",
        tuple(jobs),
        guards=tuple(_guards(places, given, origin)),
        kind=kind,
        **options,
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
) -> Rules:
    """Check how pages are made from a source.

    :param include_keys: selectors, or ``None`` for everything not excluded.
    :param exclude_keys: selectors of what each target keeps.
    :param never_promote: selectors of test switches, which each target keeps as well.
    :param overrides: values laid over what is taken, or ``None``.
    :param stale_keys: ``fail``, ``keep`` or ``null``; ``None`` is ``fail`` if a target is live, else ``keep``.
    :param promote_schema: whether targets take the source's schema.
    :param allow_empty_source: whether an unset or empty source is meant.
    :param targets: the targets, to see whether one is live.
    :raises InputError: naming the argument that is wrong.
    """
    if stale_keys is None:
        to_live = any(isinstance(each, Mapping) and each.get("environment") == LIVE for each in targets)
        stale_keys = StaleKeys.FAIL if to_live else StaleKeys.KEEP
    return Rules(
        selection=Selection(
            None if include_keys is None else _selectors(include_keys, "include_keys"),
            (*_selectors(exclude_keys, "exclude_keys"), *_selectors(never_promote, "never_promote")),
        ),
        overrides=_values(overrides or {}, "overrides"),
        stale_keys=_choice(StaleKeys, stale_keys, "stale_keys"),
        promote_schema=promote_schema,
        allow_empty_source=allow_empty_source,
    )


def update(places: Sequence[ConfigTarget], merge: str, given: GuardContext, **options: Any) -> ConfigJob:
    """Return an update ready to run: each place takes its values and keeps everything else.

    :param places: where, each with its values.
    :param merge: how a given object meets one that is there.
    :param given: what the guards judge by.
    :param options: further fields of :class:`ConfigJob`.
    :raises InputError: when a place is named twice or has no values.
    """
    _refuse_repeats(places)
    way = _choice(Merge, merge, "merge")
    empty = [str(place.resource) for place in places if not place.values]
    if empty:
        raise InputError(f"values are missing for {', '.join(empty[:10])}")
    kind = ConfigPageKind()
    jobs = [Target(place.resource, None, partial(_plan_given, kind, place, way)) for place in places]
    return ConfigJob("update config", tuple(jobs), guards=tuple(_guards(places, given)), kind=kind, **options)


def places_with(values: object, targets: Sequence[object] | None) -> list[ConfigTarget]:
    """Return where an update goes and with which values.

    :param values: with targets, one mapping for all of them; without, a mapping of
        ``"agent_id/environment"`` to values.
    :param targets: mappings of ``agent_id``, ``environment`` and optionally ``values`` of their own; or
        ``None``.
    :raises InputError: naming the argument that is wrong.
    """
    given = _values(values if values is not None else {}, "values")
    if targets is not None:
        return [
            replace(place, values=deep_merge(given, place.values)) for place in _places(targets, own="values")
        ]
    if not given:
        raise InputError("values is empty and targets is not given: there is nothing to update")
    return [_place_from_key(key, own) for key, own in given.items()]


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
            f"{name} has unknown keys {', '.join(unknown)}; allowed are {', '.join(sorted(allowed))}"
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
            f"{key!r} is no such key"
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
    if not all(isinstance(each, str) and all(each.split(".")) for each in value):
        raise InputError(f"{name} holds something that is no dotted path")
    return tuple(value)


def _choice(kind: type[Choice], value: object, name: str) -> Choice:
    try:
        return kind(str(value))
    except ValueError:
        raise InputError(f"{name} must be one of {', '.join(kind)}") from None


def _refuse_repeats(places: Sequence[ConfigTarget]) -> None:
    seen: set[Resource] = set()
    for place in places:
        if place.resource in seen:
            raise InputError(f"targets names {place.resource} twice")
        seen.add(place.resource)


def _with_own(rules: Rules, place: ConfigTarget) -> Rules:
    return replace(rules, overrides=deep_merge(rules.overrides, place.values)) if place.values else rules


def _guards(
    places: Sequence[ConfigTarget], given: GuardContext, origin: ConfigTarget | None = None
) -> Iterator[Finding]:
    yield from check_live([place.environment for place in places], given)
    if origin:
        for stage in dict.fromkeys(place.environment for place in places):
            yield from check_ladder(origin.environment, stage, given)


def _plan_given(kind: ConfigPageKind, place: ConfigTarget, merge: Merge, _: None, now: Any) -> PlannedItem:
    return plan_values(kind, place.resource, place.values, now, merge)
