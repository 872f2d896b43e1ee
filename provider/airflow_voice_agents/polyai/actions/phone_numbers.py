"""Import phone numbers and route them: read first, import only what is absent, move nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from airflow_voice_agents.engine.applier import Applier
from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.progress import NOTHING_APPLIED
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import check_live
from airflow_voice_agents.plans.kind import Observation, Resource, Transition
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status, in_order
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import Environment, parse_environment
from airflow_voice_agents.polyai.resources.phone_number import (
    NumberState,
    PresenceKind,
    RoutingKind,
    phone_number,
)
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from airflow_voice_agents.transport.validation import parse_count, parse_e164, parse_identifier

OPERATION = "import phone numbers"
MALFORMED_SHOWN = 10
LOOKED_AT = 500
"""About how many numbers, evenly spread, are looked up in the numbering plans: a wrong column shows in any of them."""


@dataclass(frozen=True, slots=True)
class ImportJob:
    """An import, checked and ready to run.

    :param agent_id: the agent.
    :param client_env: environment that the numbers are imported for.
    :param numbers: E.164 numbers without repeats, in order.
    :param connector_id: connector that shall answer them, or ``None`` to leave that to the platform.
    :param batch_size: most numbers per call.
    :param warnings: what to tell about the numbers given.
    """

    agent_id: str
    client_env: Environment
    numbers: tuple[str, ...]
    connector_id: str | None = None
    batch_size: int = 50
    warnings: tuple[str, ...] = field(default=())

    async def run(self, run: RunContext) -> Report:
        """Read the numbers, import the absent ones, assign the connector, and report on each.

        Vendor operations: batch get numbers, import numbers, get connector, assign number.

        :param run: what the run works with.
        :raises GuardRefused: before any write, when a guard refuses.
        """
        run.guard(OPERATION, check_live([self.client_env], run.guard_context))
        for warning in self.warnings:
            run.log(f"{OPERATION}: {warning}")
        await self._check_connector(run)
        asked = [phone_number(self.agent_id, number) for number in self.numbers]
        observed = await self._observe(run, asked)
        misplaced = [r for r, state in observed.items() if state.client_env != self.client_env]
        absent = [resource for resource in asked if resource not in observed]
        run.log(
            f"{OPERATION}: of {len(asked)} number(s), {len(absent)} are new to {self.agent_id}, "
            f"{len(observed) - len(misplaced)} are in {self.client_env} and {len(misplaced)} elsewhere"
        )
        imported = await self._import(run, absent, observed)
        items = {resource: ItemReport(resource, Status.UNCHANGED) for resource in observed}
        items |= {resource: self._misplaced(resource, observed[resource]) for resource in misplaced}
        items |= {item.resource: item for item in imported.items}
        waits = [imported.retry_after]
        if self.connector_id is not None:
            settled = [item.resource for item in items.values() if item.status not in TROUBLE]
            routed = await self._route(run, settled, observed)
            items |= {item.resource: _both(items[item.resource], item) for item in routed.items}
            waits.append(routed.retry_after)
        return Report(
            OPERATION,
            in_order(asked, items.values()),
            retry_after=max((wait for wait in waits if wait is not None), default=None),
        )

    async def _check_connector(self, run: RunContext) -> None:
        if self.connector_id is None:
            return
        found = await run.send(api.get_connector(self.agent_id, connector_id=self.connector_id))
        if found.client_env != self.client_env:
            raise GuardRefused(
                f"{OPERATION}: connector {self.connector_id} belongs to {found.client_env}, and the numbers are for "
                f"{self.client_env}. Nothing was written. Name a connector of {self.client_env}."
            )

    async def _observe(self, run: RunContext, asked: Sequence[Resource]) -> dict[Resource, NumberState]:
        observed: dict[Resource, NumberState] = {}

        async def read(observation: Observation[NumberState]) -> None:
            observed.update(observation.states(await run.send(observation.call)))

        kind = PresenceKind(batch_size=self.batch_size)
        await for_each_limited(kind.observe(asked), read, limit=run.concurrency)
        return observed

    async def _import(
        self, run: RunContext, absent: Sequence[Resource], observed: dict[Resource, NumberState]
    ) -> Report:
        wanted = NumberState(self.client_env)
        carrier = self._carrier(run, PresenceKind(batch_size=self.batch_size), OPERATION, len(absent))
        items = await carrier.apply([Transition(resource, None, wanted) for resource in absent])
        for resource in absent:
            state = carrier.seen(resource)
            if state is not None:
                observed[resource] = state
        return Report(OPERATION, tuple(items), retry_after=carrier.retry_after)

    async def _route(
        self, run: RunContext, resources: Sequence[Resource], observed: Mapping[Resource, NumberState]
    ) -> Report:
        wanted = NumberState(self.client_env, self.connector_id)
        transitions = [
            Transition(resource, observed.get(resource), wanted)
            for resource in resources
            if observed.get(resource) != wanted
        ]
        kind = RoutingKind(batch_size=self.batch_size)
        carrier = self._carrier(run, kind, "assign connector", len(transitions), verify=False)
        return Report(OPERATION, tuple(await carrier.apply(transitions)), retry_after=carrier.retry_after)

    def _carrier(
        self, run: RunContext, kind: PresenceKind | RoutingKind, what: str, total: int, *, verify: bool = True
    ) -> Applier[NumberState]:
        progress = run.progress(f"{what} for {self.agent_id}", total)
        return Applier(
            run.send,
            kind,
            limit=run.concurrency,
            progress=progress,
            verify=verify,
            clock=run.clock,
            redact=run.redact,
        )

    def _misplaced(self, resource: Resource, state: NumberState) -> ItemReport:
        reason = (
            f"it is in {state.client_env}, not {self.client_env}, and a number is never moved silently. It was not "
            "changed. Delete it there first if it shall move."
        )
        return ItemReport(resource, Status.FAILED, reason, permanent=True)


def job(
    agent_id: object,
    client_env: object,
    phone_numbers: object,
    connector_id: object,
    *,
    default_region: str | None = None,
    batch_size: int = 50,
) -> ImportJob:
    """Check the arguments of an import and return it ready to run.

    :param agent_id: the agent.
    :param client_env: environment that the numbers are imported for.
    :param phone_numbers: list of numbers, or a text with one per line or separated by commas.
    :param connector_id: connector that shall answer them, or ``None``.
    :param default_region: two-letter region for numbers in national form; needs the extra
        ``phonenumbers``.
    :param batch_size: most numbers per call.
    :raises InputError: naming the argument, and every number, that is wrong.
    """
    agent = parse_identifier(agent_id, name="agent_id")
    environment = parse_environment(client_env, name="client_env")
    connector = None if connector_id is None else parse_identifier(connector_id, name="connector_id")
    parse_count(batch_size, name="batch_size")
    given = _listed(phone_numbers)
    numbers = _parsed(given, default_region)
    unique = tuple(dict.fromkeys(numbers))
    warnings = (
        [f"{len(numbers) - len(unique)} repeated number(s) left out"] if len(unique) < len(numbers) else []
    )
    warnings += _implausible(unique)
    return ImportJob(agent, environment, unique, connector, batch_size, tuple(warnings))


def _listed(value: object) -> list[object]:
    if isinstance(value, str):
        value = [part.strip() for line in value.splitlines() for part in line.split(",") if part.strip()]
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise InputError(f"phone_numbers must be a list of numbers, not {type(value).__name__}")
    if not value:
        raise InputError("phone_numbers is empty; there is nothing to import")
    return list(value)


def _parsed(given: Sequence[object], default_region: str | None) -> list[str]:
    numbers, wrong = [], []
    for value in given:
        try:
            numbers.append(parse_e164(_international(value, default_region)))
        except InputError:
            wrong.append(repr(value)[:40])
    if wrong:
        more = f" and {len(wrong) - MALFORMED_SHOWN} more" if len(wrong) > MALFORMED_SHOWN else ""
        raise InputError(
            f"phone_numbers holds {len(wrong)} number(s) that are not E.164 ('+' and 7 to 15 digits): "
            f"{', '.join(wrong[:MALFORMED_SHOWN])}{more}. Nothing was sent."
        )
    return numbers


def _international(value: object, default_region: str | None) -> object:
    """Turn a number in national form into E.164, where a region is given."""
    if default_region is None or not isinstance(value, str) or value.startswith("+"):
        return value
    try:
        import phonenumbers
    except ImportError:
        raise ImportError(
            "default_region needs the extra: pip install 'airflow-provider-voice-agents[phonenumbers]'"
        ) from None
    try:
        parsed = phonenumbers.parse(value, default_region)
    except phonenumbers.NumberParseException:
        return value
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _implausible(numbers: Sequence[str]) -> list[str]:
    """Warn of numbers that no plan allocates; metadata ages, so it is no error."""
    try:
        import phonenumbers
    except ImportError:
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


def _both(presence: ItemReport, routing: ItemReport) -> ItemReport:
    """Join the reports of a number that was imported and then routed."""
    if routing.status in TROUBLE and presence.status is Status.CHANGED:
        assigned = "not assigned" if routing.status is Status.FAILED else "it is not known whether assigned"
        reason = routing.reason.removesuffix(NOTHING_APPLIED).rstrip()
        return replace(routing, reason=f"it was imported, but {assigned} to the connector: {reason}")
    return routing
