"""Base of PolyAI's actions: targets are environments of agents, and an agent has two spellings of its id."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from msgspec.structs import replace

from airflow_voice_agents.engine.action import Action
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.plan import Finding, PlannedItem, refused
from airflow_voice_agents.plans.report import ItemReport, Report
from airflow_voice_agents.polyai import api
from airflow_voice_agents.transport.errors import CallError, GuardRefused, InputError, RateLimited
from airflow_voice_agents.transport.suggestions import hints

PROJECT = "PROJECT-"
"""Beginning of the second spelling of an agent's id; the other one is a slug."""


def target_name(agent_id: str, environment: str) -> str:
    """Return the name of a target.

    :param agent_id: the agent, in either spelling.
    :param environment: ``sandbox``, ``pre-release`` or ``live``; ``*`` for all.
    """
    return f"{agent_id}/{environment}"


@dataclass(frozen=True, kw_only=True)
class PolyAIAction(Action):
    """Base of PolyAI's actions."""

    def may_be_same(self, one: str, other: str) -> bool:
        """Return whether two names are one environment of a slug and of a project id."""
        return may_be_same(one, other)

    def possible_aliases(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield the pairs of a slug's name and a project id's name that may be one environment."""
        ids = [name for name in names if name.startswith(PROJECT)]
        slugs = [name for name in names if not name.startswith(PROJECT)] if ids else ()
        return (pair for pair in product(slugs, ids) if may_be_same(*pair))

    async def is_same(self, run: RunContext, one: str, other: str) -> bool:
        """Compare the ids under which the platform answers for both agents."""
        return await is_same(run, one, other, self.operation)


UNREAD, UNREAD_FOR_NOW = "unread", "unread_for_now"
"""Codes of refusals of what could not be read, for good or for the moment."""


def named_targets(targets: object, keys: Collection[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the targets of an operator for many agents, each with its name in errors.

    :param targets: sequence of mappings.
    :param keys: the keys that a target can have.
    :raises InputError: for anything else, and for an empty list.
    """
    if isinstance(targets, (str, bytes, Mapping)) or not isinstance(targets, Sequence) or not targets:
        raise InputError("targets must be a list of at least one mapping with agent_id. Nothing was sent.")
    named = [(f"targets[{place}]", each) for place, each in enumerate(targets)]
    for name, each in named:
        if not isinstance(each, Mapping):
            raise InputError(f"{name} must be a mapping, not {type(each).__name__}. Nothing was sent.")
        if unknown := sorted(str(key) for key in each if key not in keys):
            raise InputError(
                f"{name} has unknown keys {', '.join(unknown)}; allowed are {', '.join(keys)}{hints(unknown, keys)}"
            )
    return named


def raise_if_for_all(failure: CallError) -> None:
    """Raise an error that every other request of the key would meet as well.

    :param failure: the error of one request.
    :raises CallError: that error.
    """
    if failure.concerns_all or isinstance(failure, RateLimited):
        raise failure


def unread_finding(failure: CallError) -> Finding:
    """Return the refusal of items that could not be read, while other targets go on.

    :param failure: the error.
    """
    code = UNREAD if failure.permanent else UNREAD_FOR_NOW
    return refused(code, f"it could not be read: {failure} It was not changed.")


def with_permanence(planned: PlannedItem, item: ItemReport) -> ItemReport:
    """Return an item's report; what could not be read for the moment is worth a retry of the task.

    :param planned: the item as planned.
    :param item: the item's outcome.
    """
    for_now = any(finding.code == UNREAD_FOR_NOW for finding in planned.findings)
    return replace(item, permanent=False) if for_now and item.permanent else item


def with_counts_by_owner(run: RunContext, report: Report) -> Report:
    """Return a report that counts the items of each agent, and log these counts.

    :param run: the run.
    :param report: the report.
    """
    counted = replace(report, by_owner=True)
    run.log("\n".join(counted.owner_lines()))
    return counted


def may_be_same(one: str, other: str) -> bool:
    """Return whether two target names are one environment of a slug and of a project id.

    :param one: name of a target.
    :param other: another name.
    """
    if one.startswith(PROJECT) == other.startswith(PROJECT):
        return False  # every pair of a thousand targets comes here
    (agent, _, stage), (second, _, second_stage) = one.rpartition("/"), other.rpartition("/")
    if "*" not in (stage, second_stage) and stage != second_stage:
        return False
    return bool(agent and second)


async def is_same(run: RunContext, one: str, other: str, operation: str) -> bool:
    """Compare the ids under which the platform answers for the agents of two target names.

    Vendor operations: get active deployments, list connectors.

    :param run: the run.
    :param one: name of a target.
    :param other: another name.
    :param operation: the operation's name, for the error.
    :raises GuardRefused: when the responses do not tell.
    """
    agents = one.rpartition("/")[0], other.rpartition("/")[0]
    first, second = [await canonical_agent(run, agent) for agent in agents]
    if first is None or second is None:
        raise GuardRefused(
            f"{operation}: {agents[0]} and {agents[1]} may be two names of one agent, and the platform's "
            "responses do not tell. Nothing was written. Use one spelling everywhere, or release what is locked or "
            "on hold under the other one."
        )
    return first == second


async def canonical_agent(run: RunContext, agent_id: str) -> str | None:
    """Return the id under which the platform answers for an agent, or ``None`` where no answer shows one.

    Vendor operations: get active deployments, list connectors.

    :param run: the run.
    :param agent_id: the agent, in either spelling.
    """
    try:
        active = await run.send(api.get_active_deployments(agent_id))
        shown = next((record.agent_id for record in active.values() if record and record.agent_id), None)
        if shown is None:
            connectors = await run.send(api.list_connectors(agent_id))
            shown = next((each.project_id for each in connectors if each.project_id), None)
    except CallError as failure:
        if failure.concerns_all or not failure.permanent:
            raise
        return None
    return shown
