"""The real-time config page of one environment as a resource kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import canonical, digest_of_spelling, same
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
    by_owner,
)
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, no_change, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import ConfigPage
from airflow_voice_agents.polyai.resources import schema_process
from airflow_voice_agents.polyai.resources.page_schema import (
    schema_problems,
    sensitive_patterns,
    unchecked_patterns,
    value_problems,
)
from airflow_voice_agents.polyai.resources.plan_items import cannot_undo, kept_fields, kept_text
from airflow_voice_agents.polyai.resources.schema_process import NotEvaluated
from airflow_voice_agents.polyai.resources.shared_schemas import facts_of, share
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.strict_json import LIMITS, is_deeper

KIND = "config page"
FIELDS = ("schema", "variables", "last_updated")
NOTHING: Known = {}
SCHEMA = "$schema"
"""First part of a path inside the page's schema; all other paths are variables."""


class PageState(Record, frozen=True, dict=True):
    """What a config page holds.

    :param schema: JSON Schema Draft 7, or ``None`` when unset.
    :param variables: top-level keys and values, or ``None`` when unset.
    :param last_updated: the platform's stamp, opaque and no part of equality.
    :param flaw: why schema and variables are left out; such a page is neither compared nor written.
    """

    not_compared = ("last_updated",)

    schema: Mapping[str, Any] | None = None
    variables: Mapping[str, Any] | None = None
    last_updated: str | None = None
    flaw: str = ""

    def __repr__(self) -> str:
        """Name the keys' number and the digest, never a value: tracebacks may show locals."""
        try:
            shown = self.digest[:12]
        except ValueError:
            shown = "none"
        return f"{type(self).__name__}({len(self.values)} keys, digest {shown})"

    @property
    def values(self) -> Mapping[str, Any]:
        """The variables, with an unset page read as one without keys."""
        return self.variables or {}

    @cached_property
    def digest(self) -> str:
        """Digest of schema and variables."""
        parts = [facts_of(self.schema).canonical, canonical(self.values)]
        parts += [canonical(self.flaw)] if self.flaw else []
        return digest_of_spelling(f"[{','.join(parts)}]")


UNSET = PageState()


class Order(Enum):
    """Orders of the two writes in which every state between is valid."""

    SCHEMA_FIRST = auto()
    VALUES_FIRST = auto()
    BRIDGED = auto()
    """A permissive schema, then the values, then the schema."""


BRIDGE: dict[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class ConfigPageKind(Kind[PageState]):
    """Reads, compares and writes config pages.

    :param bridge_schema: whether a permissive schema may stand between when no plain order is valid.
    """

    name: ClassVar[str] = KIND
    blocking: ClassVar[bool] = True

    bridge_schema: bool = False

    def release(self) -> None:
        """End the process that evaluates schemas."""
        schema_process.PROCESS.close()

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[PageState]]:
        """Return one GET per agent, which reports the pages of all its environments."""
        for agent_id, mine in by_owner(resources).items():
            yield Observation(api.list_config_pages(agent_id), tuple(mine), _reader(mine))

    def digest(self, state: PageState | None) -> str:
        """Digest of schema and variables; a missing page, an unset one and one without keys are the same."""
        return (state or UNSET).digest

    def diff(self, before: PageState | None, after: PageState | None) -> Iterator[Change]:
        """Changes of the schema under ``$schema``, then those of the variables."""
        old, new = before or UNSET, after or UNSET
        yield from diff(old.schema or {}, new.schema or {}, (SCHEMA,))
        yield from diff(dict(old.values), dict(new.values))

    def order(self, before: PageState | None, after: PageState) -> Order | None:
        """Choose the order of writes, or ``None`` when no order keeps the page valid in between.

        :param before: the page now.
        :param after: the page to come.
        :raises NotEvaluated: when a schema cannot be evaluated within limits of time and memory.
        """
        old = before or UNSET
        if old.schema is None and old.variables is None:
            return Order.SCHEMA_FIRST  # an unset page has no values to refuse, and values need a schema
        if same(old.schema, after.schema) or not changed_values(old, after):
            return Order.SCHEMA_FIRST
        if not value_problems(after.schema, old.values):
            return Order.SCHEMA_FIRST
        if not value_problems(old.schema, after.values):
            return Order.VALUES_FIRST
        return Order.BRIDGED if self.bridge_schema else None

    def write_sequences(
        self, transitions: Sequence[Transition[PageState]]
    ) -> Iterator[WriteSequence[PageState]]:
        """One lane per page: its one to three writes in a valid order."""
        return (self._lane(transition) for transition in transitions)

    def mismatches(self, transition: Transition[PageState], observed: PageState | None) -> list[str]:
        """List the keys of the intent that a page does not hold; keys of others do not count."""
        page, old = observed or UNSET, transition.before or UNSET
        missing = [
            key
            for key, value in changed_values(old, transition.after).items()
            if not _holds(page, key, value)
        ]
        schema_differs = not same(old.schema, transition.after.schema) and not same(
            page.schema, transition.after.schema
        )
        return [SCHEMA, *missing] if schema_differs else missing

    def plan(self, resource: Resource, desired: Any, now: PageState | None) -> PlannedItem:
        """Plan the page that a desired state makes of the present one.

        :param resource: the page.
        :param desired: an object with ``item(kind, resource, now)``: a promotion or given values.
        :param now: the present page; ``None`` where it does not exist.
        """
        if now is not None and now.flaw:
            return self.unusable(resource, now, f"{resource} {now.flaw}")
        item: PlannedItem = desired.item(self, resource, now)
        return item

    def unusable(self, resource: Resource, now: PageState | None, problem: str) -> PlannedItem:
        """Return the item of a page that stays as it is, because it or its source cannot be worked on.

        :param resource: the page.
        :param now: the present page.
        :param problem: which page, and why.
        """
        said = error(
            "unusable_page", f"The config page of {problem}. It is not compared, and nothing was changed."
        )
        return no_change(self, resource, now, said)

    def to_json(self, state: PageState) -> dict[str, Any]:
        """Return a page as JSON. It holds the values."""
        return {name: getattr(state, name) for name in FIELDS}

    def from_json(self, value: Any) -> PageState:
        """Return the page that :meth:`to_json` made JSON of.

        :param value: decoded JSON.
        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        fields = kept_fields(value, FIELDS, what=KIND)
        return PageState(
            schema=_object(fields, "schema"),
            variables=_object(fields, "variables"),
            last_updated=kept_text(fields, "last_updated", what=KIND),
        )

    def restore(self, resource: Resource, wanted: PageState | None, now: PageState | None) -> PlannedItem:
        """Plan the way back to a kept page; keys added since stay, and so does a schema where there was none.

        :param resource: the page.
        :param wanted: the kept page; ``None`` where it did not exist.
        :param now: the present page; ``None`` where it does not exist.
        """
        kept, now = wanted or UNSET, now or UNSET
        if now.flaw:
            return self.unusable(resource, now, f"{resource} {now.flaw}")
        added = [key for key, value in now.values.items() if key not in kept.values and value is not None]
        after = replace(
            now, schema=kept.schema or now.schema, variables={**now.values, **kept.values} or now.variables
        )
        item, losses = self.item(resource, now, after), list(_losses(kept, now, added))
        if item.errors:
            rather = self.item(resource, now, replace(after, schema=now.schema))
            if not rather.errors:
                item = rather
                losses.append(_SCHEMA_STAYS)
        return replace(item, stale_keys=tuple(added), findings=(*losses, *item.findings))

    def item(self, resource: Resource, before: PageState, after: PageState) -> PlannedItem:
        """Return the item of a page that becomes another; a page that stays is not validated.

        :param resource: the page.
        :param before: the present page.
        :param after: the desired page.
        """
        if self.digest(before) == self.digest(after):
            return change(self, resource, before, after)
        item = change(self, resource, before, after, findings=tuple(_validity_findings(self, before, after)))
        patterns = {*sensitive_patterns(before.schema), *sensitive_patterns(after.schema)}
        return replace(item, sensitive=tuple(sorted(patterns)))

    def _lane(self, transition: Transition[PageState]) -> WriteSequence[PageState]:
        before, after = transition.before or UNSET, transition.after
        patch = changed_values(before, after)
        schema = [] if same(before.schema, after.schema) else [_schema_write(after.schema or {})]
        values = [_values_write(patch)] if patch else []
        try:
            order = self.order(before, after)
        except NotEvaluated:
            order = None
        match order:
            case Order.VALUES_FIRST:
                writes = [*values, *schema]
            case Order.BRIDGED:
                writes = [_schema_write(BRIDGE), *values, *schema]
            case _:  # without a valid order, which a plan refuses, the platform refuses the first write
                writes = [*schema, *values]
        return tuple(self._steps(transition.resource, before, writes))

    def _steps(
        self, resource: Resource, state: PageState, writes: Sequence[_Write]
    ) -> Iterator[Write[PageState]]:
        for place, write in enumerate(writes, start=1):
            state = write.then(state)
            yield Write(
                request=write.request(resource.owner, resource.name),
                resources=(resource,),
                judge=_judge(resource),
                waypoint=self.digest(state) if place < len(writes) else None,
                vital=True,
            )


class _Write(msgspec.Struct, frozen=True):
    request: Callable[[str, str], ApiRequest[ConfigPage]]
    then: Callable[[PageState], PageState]


def page(agent_id: str, client_env: str) -> Resource:
    """Return the address of an environment's config page."""
    return Resource(KIND, agent_id, client_env)


def state_of(answer: ConfigPage) -> PageState:
    """Return the state that an answer shows; of a page that is nested too deeply only that it is."""
    schema = share(answer.json_schema)
    if facts_of(schema).too_deep or is_deeper([answer.variables]):
        return PageState(
            last_updated=answer.last_updated, flaw=f"is nested deeper than {LIMITS.depth} levels"
        )
    return PageState(schema, answer.variables, answer.last_updated)


def changed_values(before: PageState, after: PageState) -> dict[str, Any]:
    """Return the top-level keys to send: those that are new or differ, each with its whole value."""
    old = before.values
    return {key: value for key, value in after.values.items() if key not in old or not same(old[key], value)}


def _holds(page_state: PageState, key: str, value: Any) -> bool:
    """Whether a page shows a value; writing ``null`` may store it or delete the key."""
    if value is None:
        return page_state.values.get(key) is None
    return key in page_state.values and same(page_state.values[key], value)


def _schema_write(schema: Mapping[str, Any]) -> _Write:
    return _Write(
        lambda agent_id, env: api.put_config_schema(agent_id, client_env=env, schema=dict(schema)),
        lambda state: PageState(schema, state.variables),
    )


def _values_write(patch: dict[str, Any]) -> _Write:
    return _Write(
        lambda agent_id, env: api.patch_config_variables(agent_id, client_env=env, variables=patch),
        lambda state: PageState(state.schema, {**state.values, **patch}),
    )


def _judge(resource: Resource) -> Callable[[ConfigPage], Mapping[Resource, WriteResult[PageState]]]:
    def judge(answer: ConfigPage) -> Mapping[Resource, WriteResult[PageState]]:
        if answer.client_env != resource.name:
            return {}
        return {resource: WriteResult(state_of(answer))}

    return judge


def _reader(resources: Iterable[Resource]) -> Callable[[Sequence[ConfigPage]], Mapping[Resource, PageState]]:
    wanted = {resource.name: resource for resource in resources}

    def read(pages: Sequence[ConfigPage]) -> Mapping[Resource, PageState]:
        return {wanted[each.client_env]: state_of(each) for each in pages if each.client_env in wanted}

    return read


_SCHEMA_STAYS = cannot_undo(
    "With its former schema the page would not be valid, because of what cannot be removed: the present schema stays."
)


def _losses(kept: PageState, now: PageState, added: list[str]) -> Iterator[Finding]:
    if added:
        yield cannot_undo(
            f"The page had no {', '.join(added)} when it was kept, and no request can remove a key: each stays with "
            "the value that it has."
        )
    if now.schema and not kept.schema:
        yield cannot_undo(
            "The page had no schema when it was kept, and no call is documented to take one away: the present "
            "schema stays."
        )


def _object(fields: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = fields[name]
    if value is not None and not isinstance(value, Mapping):
        raise InputError(f"{name} in the kept state of a {KIND} must be an object or null")
    return value


def _validity_findings(kind: ConfigPageKind, before: PageState, after: PageState) -> Iterator[Finding]:
    try:
        yield from _evaluated_findings(kind, before, after)
    except NotEvaluated as problem:
        yield error(
            "schema_not_evaluated",
            f"Nobody can tell whether the page would be valid: {problem}. Nothing was changed. Simplify the schema of "
            "this page or of the one that it is taken from.",
        )


def _evaluated_findings(kind: ConfigPageKind, before: PageState, after: PageState) -> Iterator[Finding]:
    if not same(before.schema, after.schema) and (problems := schema_problems(after.schema)):
        yield error("invalid_schema", f"The schema to come is not valid: {'; '.join(problems)}")
    elif problems := value_problems(after.schema, after.values):
        yield error(
            "invalid_values",
            "The values to come would break the schema, and an invalid page blocks publishing the agent: "
            + "; ".join(problems),
        )
    elif kind.order(before, after) is None:
        yield error(
            "no_valid_order",
            "Neither order of writes keeps the page valid: the present values break the new schema, and the "
            "new values break the present one. Change one side first, or pass bridge_schema=True to put a "
            "permissive schema in between.",
        )
    if unchecked := unchecked_patterns(after.schema):
        yield warning(
            "unchecked_pattern", f"Not checked here: {', '.join(unchecked)}. The platform may refuse a value."
        )
