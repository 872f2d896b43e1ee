"""Import and route phone numbers: read first, import only absent ones, and move none."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.progress import APPLIED
from airflow_voice_agents.engine.reads import read_all
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.kind import Kinds
from airflow_voice_agents.plans.plan import Finding, PlannedItem, TargetPlan, error, for_another, warning
from airflow_voice_agents.plans.report import TROUBLE, ItemReport
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import PolyAIAction, target_name
from airflow_voice_agents.polyai.actions.deployment_model import find_model, parse_model
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import Environment, parse_environment
from airflow_voice_agents.polyai.resources.deployment_model import Model
from airflow_voice_agents.polyai.resources.phone_number import (
    KIND,
    NumberState,
    PhoneNumberKind,
    phone_number,
)
from airflow_voice_agents.transport.errors import GuardRefused
from airflow_voice_agents.transport.phone_numbers import check_region, library
from airflow_voice_agents.transport.validation import (
    number_cells,
    parse_count,
    parse_identifier,
    read_numbers,
)

MALFORMED_SHOWN = 10
LOOKED_AT = 500
"""About how many numbers, evenly spread, are looked up in the numbering plans: a wrong column shows in any of them."""


@dataclass(frozen=True, kw_only=True)
class ImportPhoneNumbers(PolyAIAction):
    """An import of phone numbers with checked arguments.

    :param agent_id: the agent.
    :param client_env: environment that the numbers are imported for.
    :param numbers: E.164 numbers without repeats, in order.
    :param connector_id: connector that answers them, or ``None`` to leave that to the platform.
    :param kind: the kind of the numbers.
    :param warnings: warnings about the numbers given, for the log.
    :param deployment_model: how the project's content reaches its environments; ``None`` does not look.
    :param allow_sandbox_numbers: numbers may go to a sandbox that has no telephony.
    """

    operation: ClassVar[str] = "import phone numbers"
    counts_items: ClassVar[bool] = True

    agent_id: str
    client_env: Environment
    numbers: tuple[str, ...]
    connector_id: str | None = None
    kind: PhoneNumberKind = field(default_factory=PhoneNumberKind)
    warnings: tuple[str, ...] = ()
    deployment_model: Model | None = None
    allow_sandbox_numbers: bool = False

    @property
    def target(self) -> str:
        """The name that locks, blocks and reports use."""
        return target_name(self.agent_id, self.client_env)

    def scope(self) -> Scope:
        """Return the one environment."""
        return Scope((self.target,), live=self.client_env == LIVE)

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {KIND: self.kind}

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard live, and a sandbox without telephony."""
        yield from super().guards(given)
        if self.deployment_model is Model.BRANCHES:
            yield from self._without_telephony()

    def _without_telephony(self) -> Iterator[Finding]:
        if self.client_env == Environment.SANDBOX:
            said = (
                "In a project on the branches model sandbox holds branches and has no telephony, so nobody could call "
                "these numbers."
            )
            yield (
                warning("no_telephony", said)
                if self.allow_sandbox_numbers
                else error(
                    "no_telephony",
                    f"{said} Import them for live, or pass allow_sandbox_numbers=True if meant.",
                )
            )

    async def _about_model(self, run: RunContext) -> tuple[Finding, ...]:
        if self.deployment_model is not Model.AUTO:
            return ()
        known = await find_model(run, self.agent_id, self.deployment_model)
        told = known.findings(self.agent_id, stops=False)
        return (*told, *(self._without_telephony() if known.model is Model.BRANCHES else ()))

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Check the connector, read the numbers and plan each; numbers in another environment are refused.

        Vendor operations: get connector, batch get numbers.
        """
        for said in self.warnings:
            run.log(f"{self.operation}: {said}")
        await self._check_connector(run)
        resources = [phone_number(self.agent_id, number) for number in self.numbers]
        found = await read_all(run, self.kind, resources)
        wanted = NumberState(self.client_env, self.connector_id)
        planned: dict[NumberState | None, PlannedItem] = {}  # thousands of numbers share a few states
        for resource, now in found.items():
            if now not in planned:
                planned[now] = self.kind.plan(resource, wanted, now)
        items = tuple(for_another(planned[found[resource]], resource) for resource in resources)
        target = TargetPlan(self.target, items, live=self.client_env == LIVE)
        return [target.with_findings(*await self._about_model(run))]

    async def _check_connector(self, run: RunContext) -> None:
        if self.connector_id is None:
            return
        found = await run.send(api.get_connector(self.agent_id, connector_id=self.connector_id))
        if found.client_env != self.client_env:
            raise GuardRefused(
                f"{self.operation}: connector {self.connector_id} belongs to {found.client_env}, and the numbers are "
                f"for {self.client_env}. Nothing was written. Name a connector of {self.client_env}."
            )

    def keeps(self, item: PlannedItem) -> bool:
        """Return whether a number was there before: no request takes an import back."""
        return item.transition is not None and item.transition.before is not None

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Say of a number that did not end well if it was imported."""
        applied = item.details.get("applied")
        if item.status not in TROUBLE or not applied or APPLIED in item.reason:
            return item
        return replace(item, reason=f"{item.reason} {APPLIED}: {', '.join(applied)}.")


def parse_import(
    agent_id: object,
    client_env: object,
    phone_numbers: object,
    connector_id: object,
    *,
    default_region: str | None = None,
    batch_size: int = 50,
    places: Sequence[tuple[str, object]] | None = None,
    deployment_model: object = None,
    allow_sandbox_numbers: bool = False,
) -> ImportPhoneNumbers:
    """Check the arguments of an import.

    :param agent_id: the agent.
    :param client_env: environment that the numbers are imported for.
    :param phone_numbers: list of numbers, or a text with one per line or separated by commas.
    :param connector_id: connector that answers them, or ``None``.
    :param default_region: two-letter region for numbers in national form; needs the extra
        ``phonenumbers``.
    :param batch_size: maximum number of numbers per request.
    :param places: instead of ``phone_numbers``, the numbers of a file, each with its place there.
    :param deployment_model: how the project's content reaches its environments; ``None`` does not look.
    :param allow_sandbox_numbers: numbers may go to a sandbox that has no telephony.
    :raises InputError: naming the argument, and every number, that is wrong.
    """
    agent = parse_identifier(agent_id, name="agent_id")
    environment = parse_environment(client_env, name="client_env")
    connector = None if connector_id is None else parse_identifier(connector_id, name="connector_id")
    kind = PhoneNumberKind(batch_size=parse_count(batch_size, name="batch_size"))
    region = None if default_region is None else check_region(default_region)
    cells = number_cells(phone_numbers, name="phone_numbers") if places is None else list(places)
    numbers = read_numbers(cells, name="phone_numbers", region=region)
    unique = tuple(dict.fromkeys(numbers))
    warnings = (
        [f"{len(numbers) - len(unique)} repeated number(s) left out"] if len(unique) < len(numbers) else []
    )
    warnings += _implausible(unique)
    return ImportPhoneNumbers(
        agent_id=agent,
        client_env=environment,
        numbers=unique,
        connector_id=connector,
        kind=kind,
        warnings=tuple(warnings),
        deployment_model=parse_model(deployment_model),
        allow_sandbox_numbers=allow_sandbox_numbers,
    )


def _implausible(numbers: Sequence[str]) -> list[str]:
    """Warn of numbers that no plan allocates; metadata ages, so it is no error."""
    phonenumbers = library()
    if phonenumbers is None:
        return []

    def plausible(number: str) -> bool:
        try:
            return bool(phonenumbers.is_valid_number(phonenumbers.parse(number)))
        except phonenumbers.NumberParseException:  # no such country code
            return False

    looked_at = numbers[:: -(-len(numbers) // LOOKED_AT)]
    odd = [number for number in looked_at if not plausible(number)]
    if not odd:
        return []
    which = f"of {len(looked_at)} looked at, " if len(looked_at) < len(numbers) else ""
    return [
        f"{which}{len(odd)} number(s) do not look allocated, check them: {', '.join(odd[:MALFORMED_SHOWN])}"
    ]
