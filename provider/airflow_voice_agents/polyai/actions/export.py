"""Read environments one by one, to export them as files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource, by_owner
from airflow_voice_agents.plans.report import ItemReport, Report, Status, in_order
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.configs import parse_target
from airflow_voice_agents.polyai.files import CONFIG, CONNECTORS, PARTS, ROUTING, EnvironmentFiles
from airflow_voice_agents.polyai.models import Connector, PhoneNumber, Variant
from airflow_voice_agents.polyai.resources import config_page, connector
from airflow_voice_agents.polyai.resources.config_page import UNSET, PageState
from airflow_voice_agents.polyai.resources.connector_matching import NamedSettings, named
from airflow_voice_agents.transport.errors import CallError, GuardRefused, InputError, VoiceAgentsError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.validation import (
    parse_batch,
    parse_choice,
    require_distinct,
    summarize_list,
)

OPERATION = "export"
KIND = "environment"
FILES = "files"
"""Key of a report item that lists the changed files."""

Keep = Callable[[Resource, EnvironmentFiles], Sequence[str]]
"""Writes the files of an environment and returns the names of those that changed."""


class Export(Record, frozen=True):
    """An export, checked and ready to run.

    :param environments: environments to export, each at most once.
    :param include: which parts of an environment.
    :param keep: writes each environment as soon as it is read; called in a thread, several at a time.
    """

    not_compared = ("keep",)

    environments: tuple[Resource, ...]
    include: frozenset[str]
    keep: Keep

    async def run(self, run: RunContext) -> Report:
        """Read every agent once and write its environments; a read or write that fails is a failed item.

        Vendor operations: list real-time configs, list connectors, list variants, list numbers.

        :param run: client, log and limits of the run.
        :raises Unauthorized: when the platform refuses the key.
        """
        items: list[ItemReport] = []
        waits: list[float] = []
        progress = run.progress(OPERATION, len(self.environments))

        async def export(agent: tuple[str, Sequence[Resource]]) -> None:
            agent_id, mine = agent
            try:
                state = await self._read(run, agent_id)
            except CallError as failure:
                if failure.concerns_all:
                    raise
                waits.extend([] if failure.retry_after is None else [failure.retry_after])
                done = [_failed(each, run.redact(str(failure)), failure.permanent) for each in mine]
            else:
                done = [await self._kept(each, state) for each in mine]
            for item in done:
                items.append(item)
                progress.add(item.status)

        await for_each_limited(by_owner(self.environments).items(), export, limit=run.concurrency)
        return Report(OPERATION, in_order(self.environments, items), retry_after=max(waits, default=None))

    async def _read(self, run: RunContext, agent_id: str) -> _Agent:
        """Read what is wanted of an agent, for all its environments at once."""
        agent = _Agent()
        if CONFIG in self.include:
            pages = await run.send(api.list_config_pages(agent_id))
            agent.pages = {each.client_env: config_page.state_of(each) for each in pages}
        if not {CONNECTORS, ROUTING}.isdisjoint(self.include):
            agent.connectors = await run.send(api.list_connectors(agent_id))
        if CONNECTORS in self.include:
            agent.variants = await run.send(api.list_variants(agent_id, branch_id="main"))
        if ROUTING in self.include:
            agent.numbers = await run.send(api.list_phone_numbers(agent_id))
        return agent

    async def _kept(self, environment: Resource, agent: _Agent) -> ItemReport:
        try:
            files = agent.files(environment.name, self.include)
            changed = await asyncio.to_thread(self.keep, environment, files)
        except VoiceAgentsError as error:
            return _failed(environment, f"{error} Nothing was written for it.", error.permanent)
        except OSError as error:
            reason = f"its files could not be written ({type(error).__name__}); some of them may have been"
            return _failed(environment, reason, permanent=False)
        if not changed:
            return ItemReport(environment, Status.UNCHANGED)
        return ItemReport(environment, Status.CHANGED, details={FILES: list(changed)})


class _Agent(msgspec.Struct):
    """What was read of an agent."""

    pages: Mapping[str, PageState] = msgspec.field(default_factory=dict)
    connectors: list[Connector] = msgspec.field(default_factory=list)
    variants: list[Variant] = msgspec.field(default_factory=list)
    numbers: list[PhoneNumber] = msgspec.field(default_factory=list)

    def files(self, environment: str, include: frozenset[str]) -> EnvironmentFiles:
        """Return one environment.

        :raises GuardRefused: when names do not tell its connectors apart.
        """
        mine = [each for each in self.connectors if each.client_env == environment]
        return EnvironmentFiles(
            page=self._page(environment) if CONFIG in include else None,
            connectors=self._settings(mine, environment) if CONNECTORS in include else None,
            numbers=self._routing(mine, environment) if ROUTING in include else None,
        )

    def _page(self, environment: str) -> PageState:
        page = self.pages.get(environment, UNSET)
        if page.flaw:
            raise InputError(f"Its config page {page.flaw}.")
        return page

    def _settings(self, mine: Sequence[Connector], environment: str) -> tuple[NamedSettings, ...]:
        for one in mine:
            _told_apart(one, mine, environment)
        return tuple(named(connector.states("", mine).values(), self._variant_names()))

    def _variant_names(self) -> dict[str, str]:
        """Names of variants, as far as they tell them apart."""
        names = [each.name for each in self.variants]
        return {each.id: each.name for each in self.variants if each.name and names.count(each.name) == 1}

    def _routing(self, mine: Sequence[Connector], environment: str) -> dict[str, str]:
        by_id = {each.connector_id: each for each in mine}
        routed = [each for each in self.numbers if each.client_env == environment and each.connector_id]
        if lost := [each.number for each in routed if each.connector_id not in by_id]:
            raise GuardRefused(
                f"{summarize_list(lost)} of {environment} lead to a connector that is not listed for "
                f"{environment}, so no name can tell which one."
            )
        return {each.number: _told_apart(by_id[str(each.connector_id)], mine, environment) for each in routed}


def parse_export(targets: Sequence[object], include: object, keep: Keep) -> Export:
    """Check the arguments of an export.

    :param targets: mappings of ``agent_id`` and ``environment``.
    :param include: some of ``config``, ``connectors`` and ``routing``.
    :param keep: writes each environment.
    :raises InputError: for an invalid argument; the message names it.
    """
    places = parse_batch(targets, parse_target, name="targets")
    environments = tuple(Resource(KIND, place.agent_id, place.environment.value) for place in places)
    require_distinct(map(str, environments), name="targets")
    parts = parse_batch(
        include, lambda part, name: parse_choice(part, name=name, choices=PARTS), name="include"
    )
    return Export(environments, frozenset(parts), keep)


def _told_apart(one: Connector, mine: Sequence[Connector], environment: str) -> str:
    """Return a connector's name, if it tells the connector from all others of its environment."""
    if not one.name:
        raise GuardRefused(
            f"Connector {one.connector_id} of {environment} has no name, and files tell connectors by their names. "
            "Name it in Agent Studio, or leave connectors and routing out."
        )
    alike = [each.connector_id for each in mine if each.name == one.name]
    if len(alike) > 1:
        raise GuardRefused(
            f"Connectors {summarize_list(alike)} of {environment} have the same name, and files tell connectors "
            "by their names. Rename them in Agent Studio, or leave connectors and routing out."
        )
    return one.name


def _failed(environment: Resource, reason: str, permanent: bool) -> ItemReport:
    return ItemReport(environment, Status.FAILED, reason, permanent=permanent)
