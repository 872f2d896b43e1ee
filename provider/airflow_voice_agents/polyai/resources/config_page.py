"""The real-time config page of one environment as a resource kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from airflow_voice_agents.plans.canonical import digest, same
from airflow_voice_agents.plans.diff import Change, diff
from airflow_voice_agents.plans.kind import (
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
    by_owner,
)
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import ConfigPage
from airflow_voice_agents.polyai.resources.config_restore import page_fields, page_json, plan_restore
from airflow_voice_agents.polyai.resources.page_schema import value_problems
from airflow_voice_agents.transport.api_request import ApiRequest

KIND = "config page"
SCHEMA = "$schema"
"""First part of a path inside the page's schema; all other paths are variables."""


@dataclass(frozen=True, slots=True)
class PageState:
    """What a config page holds.

    :param schema: JSON Schema Draft 7, or ``None`` when unset.
    :param variables: top-level keys and values, or ``None`` when unset.
    :param last_updated: the platform's stamp, opaque and no part of equality.
    """

    schema: Mapping[str, Any] | None = None
    variables: Mapping[str, Any] | None = None
    last_updated: str | None = field(default=None, compare=False)

    @property
    def values(self) -> Mapping[str, Any]:
        """The variables, with an unset page read as one without keys."""
        return self.variables or {}


UNSET = PageState()


class Order(Enum):
    """Orders of the two writes in which every state between is valid."""

    SCHEMA_FIRST = auto()
    VALUES_FIRST = auto()
    BRIDGED = auto()
    """A permissive schema, then the values, then the schema."""


BRIDGE: dict[str, Any] = {"type": "object"}


class ConfigPageKind:
    """How config pages are observed, compared and written.

    :param bridge_schema: whether a permissive schema may stand between when no plain order is valid.
    """

    name = KIND

    def __init__(self, *, bridge_schema: bool = False) -> None:
        self._bridge_schema = bridge_schema
        # A plan asks for each a few times in a row.
        self._digests: deque[tuple[PageState, str]] = deque(maxlen=6)

    def observe(self, resources: Sequence[Resource]) -> Iterator[Observation[PageState]]:
        """One GET per agent returns the pages of all its environments."""
        for agent_id, mine in by_owner(resources).items():
            yield Observation(api.list_config_pages(agent_id), tuple(mine), _reader(mine))

    def digest(self, state: PageState | None) -> str:
        """Digest of schema and variables; a missing page, an unset one and one without keys are the same."""
        state = state or UNSET
        for known, found in self._digests:
            if known is state:
                return found
        found = digest([state.schema, state.values])
        self._digests.append((state, found))
        return found

    def diff(self, before: PageState | None, after: PageState | None) -> Iterator[Change]:
        """Changes of the schema under ``$schema``, then those of the variables."""
        old, new = before or UNSET, after or UNSET
        yield from diff(old.schema or {}, new.schema or {}, (SCHEMA,))
        yield from diff(dict(old.values), dict(new.values))

    def order(self, before: PageState | None, after: PageState) -> Order | None:
        """Choose the order of writes, or ``None`` when no order keeps the page valid in between.

        :param before: the page now.
        :param after: the page to come.
        """
        old = before or UNSET
        if same(old.schema, after.schema) or not changed_values(old, after):
            return Order.SCHEMA_FIRST
        if not value_problems(after.schema, old.values):
            return Order.SCHEMA_FIRST
        if not value_problems(old.schema, after.values):
            return Order.VALUES_FIRST
        return Order.BRIDGED if self._bridge_schema else None

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

    def to_json(self, state: PageState) -> dict[str, Any]:
        """Return a page as JSON. It holds the values."""
        return page_json(state)

    def from_json(self, value: Any) -> PageState:
        """Return the page that :meth:`to_json` made JSON of.

        :param value: decoded JSON.
        :raises InputError: naming the field that is missing, unknown or wrong.
        """
        return PageState(**page_fields(value))

    def restore(self, resource: Resource, wanted: PageState | None, now: PageState | None) -> PlannedItem:
        """Plan the way back to a kept page; keys added since stay, and so does a schema where there was none.

        :param resource: the page.
        :param wanted: what it was; ``None`` where it did not exist.
        :param now: what it is; ``None`` where it does not exist.
        """
        return plan_restore(self, resource, wanted or UNSET, now or UNSET)

    def _lane(self, transition: Transition[PageState]) -> WriteSequence[PageState]:
        before, after = transition.before or UNSET, transition.after
        patch = changed_values(before, after)
        schema = [] if same(before.schema, after.schema) else [_schema_write(after.schema or {})]
        values = [_values_write(patch)] if patch else []
        match self.order(before, after):
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
                call=write.call(resource.owner, resource.name),
                resources=(resource,),
                judge=_judge(resource),
                waypoint=self.digest(state) if place < len(writes) else None,
                vital=True,
            )


@dataclass(frozen=True, slots=True)
class _Write:
    call: Callable[[str, str], ApiRequest[ConfigPage]]
    then: Callable[[PageState], PageState]


def page(agent_id: str, client_env: str) -> Resource:
    """Return the address of an environment's config page."""
    return Resource(KIND, agent_id, client_env)


def state_of(answer: ConfigPage) -> PageState:
    """Return the state that an answer shows."""
    return PageState(answer.json_schema, answer.variables, answer.last_updated)


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
