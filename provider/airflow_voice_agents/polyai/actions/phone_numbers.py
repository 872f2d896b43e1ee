"""Import and route phone numbers of one or many agents: read first, import only absent ones, and move none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.progress import APPLIED
from airflow_voice_agents.engine.reads import read_states
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import (
    Finding,
    Plan,
    PlannedItem,
    TargetPlan,
    error,
    for_another,
    no_change,
    refused,
    warning,
)
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status
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
from airflow_voice_agents.transport.errors import CallError, GuardRefused, InputError
from airflow_voice_agents.transport.phone_numbers import check_region, library
from airflow_voice_agents.transport.validation import (
    RECORD_KEYS,
    number_cells,
    parse_count,
    parse_identifier,
    read_numbers,
    summarize_list,
)

MALFORMED_SHOWN = 10
LOOKED_AT = 500
"""Most numbers that are all looked up in the numbering plans."""
LOOKED_AT_OF_MORE = 100
"""About how many of more numbers, evenly spread, are looked up: a wrong column shows in any of them."""
TARGET_KEYS = ("agent_id", "client_env", "connector_id", "phone_numbers")
_NO_TELEPHONY = (
    "In a project on the branches model sandbox holds branches and has no telephony, "
    "so nobody could call these numbers."
)
_DESPITE = "Import them for live, or pass allow_sandbox_numbers=True if meant."


class NumberGroup(msgspec.Struct, frozen=True, eq=False):
    """Numbers of one agent that go to one environment and one connector; compared by identity, for it may be large.

    :param agent_id: the agent.
    :param client_env: environment that the numbers are imported for.
    :param connector_id: connector that answers them, or ``None`` to leave that to the platform.
    :param numbers: E.164 numbers without repeats, in order.
    """

    agent_id: str
    client_env: Environment
    connector_id: str | None
    numbers: tuple[str, ...]

    @property
    def target(self) -> str:
        """The name that locks, blocks and reports use."""
        return target_name(self.agent_id, self.client_env)


@dataclass(frozen=True, kw_only=True)
class ImportPhoneNumbers(PolyAIAction):
    """An import of phone numbers with checked arguments.

    :param groups: the numbers, by agent, environment and connector; no number is in two of them.
    :param kind: the kind of the numbers.
    :param warnings: warnings about the numbers given, for the log.
    :param deployment_model: how the projects' content reaches their environments; ``None`` does not look.
    :param allow_sandbox_numbers: numbers may go to a sandbox that has no telephony.
    :param many: whether the numbers of a target that cannot be imported fail alone, and other targets go on.
    """

    operation: ClassVar[str] = "import phone numbers"
    counts_items: ClassVar[bool] = True

    groups: tuple[NumberGroup, ...]
    kind: PhoneNumberKind = field(default_factory=PhoneNumberKind)
    warnings: tuple[str, ...] = ()
    deployment_model: Model | None = None
    allow_sandbox_numbers: bool = False
    many: bool = False

    @property
    def numbers(self) -> tuple[str, ...]:
        """All numbers, in order."""
        return tuple(number for group in self.groups for number in group.numbers)

    def scope(self) -> Scope:
        """Return the environments."""
        names = dict.fromkeys(group.target for group in self.groups)
        return Scope(tuple(names), live=any(group.client_env == LIVE for group in self.groups))

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {KIND: self.kind}

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard live, and a sandbox without telephony."""
        yield from super().guards(given)
        known = self.deployment_model is Model.BRANCHES
        if known and any(group.client_env == Environment.SANDBOX for group in self.groups):
            if self.allow_sandbox_numbers:
                yield warning("no_telephony", _NO_TELEPHONY)
            else:
                yield error("no_telephony", f"{_NO_TELEPHONY} {_DESPITE}")

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Check the connectors, read the numbers and plan each; numbers in another environment are refused.

        Agents are read side by side. What is wrong with one of many targets is a refusal of its numbers.

        Vendor operations: get connector, batch get numbers, list deployments.
        """
        for said in self.warnings:
            run.log(f"{self.operation}: {said}")
        checks = _Checks(self, run)
        await checks.make()
        resources = {
            group: [phone_number(group.agent_id, number) for number in group.numbers] for group in self.groups
        }
        found: dict[Resource, NumberState | None] = {}
        unread: dict[Resource, Finding] = {}

        def failed(resource: Resource, failure: CallError) -> None:
            unread[resource] = self.unreadable(failure)

        asked = [each for group, mine in resources.items() if group not in checks.refused for each in mine]
        await read_states(run, self.kind, asked, seen=found.__setitem__, failed=failed)
        targets: dict[str, list[PlannedItem]] = {}
        for group, mine in resources.items():
            items, refusal = _Items(self.kind, group), checks.refused.get(group)
            targets.setdefault(group.target, []).extend(
                items.refused(each, finding)
                if (finding := refusal or unread.get(each))
                else items.of(each, found[each])
                for each in mine
            )
        live = {group.target: group.client_env == LIVE for group in self.groups}
        return [
            TargetPlan(name, tuple(planned), live=live[name]).with_findings(*checks.said.get(name, ()))
            for name, planned in targets.items()
        ]

    def unreadable(self, failure: CallError) -> Finding:
        """Return the refusal of what could not be read, or raise where no other target must go on.

        :param failure: the error.
        :raises CallError: the error, for a run on one target, and where it concerns all of them.
        """
        if not self.many:
            raise failure
        raise_if_for_all(failure)
        return unread_finding(failure)

    def keeps(self, item: PlannedItem) -> bool:
        """Return whether a number was there before: no request takes an import back."""
        return item.transition is not None and item.transition.before is not None

    def explain(self, planned: PlannedItem, item: ItemReport) -> ItemReport:
        """Say of a number that did not end well if it was imported."""
        item = with_permanence(planned, item)
        applied = item.details.get("applied")
        if item.status not in TROUBLE or not applied or APPLIED in item.reason:
            return item
        return replace(item, reason=f"{item.reason} {APPLIED}: {', '.join(applied)}.")

    def changed_by_target(self, report: Report) -> dict[str, int]:
        """Return how many numbers changed, by target; targets without changes are left out.

        :param report: the report of the import.
        """
        of = {(group.agent_id, number): group.target for group in self.groups for number in group.numbers}
        changed = report.having(Status.CHANGED)
        return dict(Counter(of[item.resource.owner, item.resource.name] for item in changed))

    async def finish(self, run: RunContext, plan: Plan, report: Report) -> Report:
        """Count the numbers of each agent, where there can be several."""
        return with_counts_by_owner(run, report) if self.many else report


class _Checks(msgspec.Struct):
    """What is looked at before the numbers are read, for all targets side by side.

    ``refused`` holds why the numbers of a group are not imported, ``said`` the findings about a target.
    """

    action: ImportPhoneNumbers
    run: RunContext
    refused: dict[NumberGroup, Finding] = msgspec.field(default_factory=dict)
    said: dict[str, tuple[Finding, ...]] = msgspec.field(default_factory=dict)

    async def make(self) -> None:
        groups = self.action.groups
        await for_each_limited(groups, self._connector, limit=self.run.concurrency)
        if self.action.deployment_model is Model.AUTO:
            by_target: dict[str, list[NumberGroup]] = {}
            for group in groups:
                by_target.setdefault(group.target, []).append(group)
            await for_each_limited(by_target.values(), self._model, limit=self.run.concurrency)

    async def _connector(self, group: NumberGroup) -> None:
        if group.connector_id is None:
            return
        try:
            found = await self.run.send(api.get_connector(group.agent_id, connector_id=group.connector_id))
        except CallError as failure:
            self.refused[group] = self.action.unreadable(failure)
            return
        if found.client_env == group.client_env:
            return
        wrong = (
            f"connector {group.connector_id} belongs to {found.client_env}, and the numbers are for "
            f"{group.client_env}."
        )
        advice = f"Name a connector of {group.client_env}."
        if not self.action.many:
            raise GuardRefused(f"{self.action.operation}: {wrong} Nothing was written. {advice}")
        self.refused[group] = refused("wrong_connector", f"{wrong} They were not imported. {advice}")

    async def _model(self, groups: Sequence[NumberGroup]) -> None:
        agent, name = groups[0].agent_id, groups[0].target
        try:
            known = await find_model(self.run, agent, self.action.deployment_model)
        except CallError as failure:
            self.refused |= dict.fromkeys(groups, self.action.unreadable(failure))
            return
        told = tuple(known.findings(agent, stops=False))
        if known.model is Model.BRANCHES and groups[0].client_env == Environment.SANDBOX:
            if self.action.allow_sandbox_numbers:
                told = (*told, warning("no_telephony", _NO_TELEPHONY))
            elif self.action.many:
                finding = refused("no_telephony", f"{_NO_TELEPHONY} They were not imported. {_DESPITE}")
                self.refused |= dict.fromkeys(groups, finding)
            else:
                told = (*told, error("no_telephony", f"{_NO_TELEPHONY} {_DESPITE}"))
        self.said[name] = told


class _Items:
    """Makes the planned items of a group; thousands of numbers share a few states, findings and their digests."""

    def __init__(self, kind: PhoneNumberKind, group: NumberGroup) -> None:
        self._kind = kind
        self._wanted = NumberState(group.client_env, group.connector_id)
        self._planned: dict[NumberState | None, PlannedItem] = {}
        self._refused: dict[Finding, PlannedItem] = {}

    def of(self, resource: Resource, now: NumberState | None) -> PlannedItem:
        """Return the item of a number that was read."""
        if now not in self._planned:
            self._planned[now] = self._kind.plan(resource, self._wanted, now)
        return for_another(self._planned[now], resource)

    def refused(self, resource: Resource, finding: Finding) -> PlannedItem:
        """Return the item of a number that is left out."""
        if finding not in self._refused:
            self._refused[finding] = no_change(self._kind, resource, None, finding)
        return for_another(self._refused[finding], resource)


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
    """Check the arguments of an import for one agent.

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
    owner = _owner(agent_id, client_env, connector_id)
    kind = PhoneNumberKind(batch_size=parse_count(batch_size, name="batch_size"))
    region = None if default_region is None else check_region(default_region)
    cells = number_cells(phone_numbers, name="phone_numbers") if places is None else list(places)
    read = [(owner, read_numbers(cells, name="phone_numbers", region=region))]
    return _import(read, kind, deployment_model, allow_sandbox_numbers, many=False)


def parse_imports(
    targets: object,
    *,
    client_env: object = None,
    connector_id: object = None,
    default_region: str | None = None,
    batch_size: int = 50,
    deployment_model: object = None,
    allow_sandbox_numbers: bool = False,
) -> ImportPhoneNumbers:
    """Check the arguments of an import for many agents.

    :param targets: sequence of mappings of ``agent_id``, ``client_env``, ``connector_id`` and ``phone_numbers``.
    :param client_env: environment of the targets that name none.
    :param connector_id: connector of the targets that name none, or ``None``.
    :param default_region: as for :func:`parse_import`.
    :param batch_size: maximum number of numbers per request.
    :param deployment_model: how the projects' content reaches their environments; ``None`` does not look.
    :param allow_sandbox_numbers: numbers may go to a sandbox that has no telephony.
    :raises InputError: naming the target, and every number, that is wrong.
    """
    kind = PhoneNumberKind(batch_size=parse_count(batch_size, name="batch_size"))
    region = None if default_region is None else check_region(default_region)
    usual = {"client_env": client_env, "connector_id": connector_id}
    read = []
    for name, target in named_targets(targets, TARGET_KEYS):
        given = {**usual, **target}
        owner = _owner(given.get("agent_id"), given["client_env"], given["connector_id"], prefix=f"{name}.")
        cells = number_cells(given.get("phone_numbers", ()), name=f"{name}.phone_numbers")
        read.append((owner, read_numbers(cells, name=f"{name}.phone_numbers", region=region)))
    return _import(read, kind, deployment_model, allow_sandbox_numbers, many=True)


def parse_rows(
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    columns: Sequence[str] = RECORD_KEYS,
    client_env: object = None,
    connector_id: object = None,
    default_region: str | None = None,
    batch_size: int = 50,
    deployment_model: object = None,
    allow_sandbox_numbers: bool = False,
) -> ImportPhoneNumbers:
    """Check the arguments of an import for many agents, which names them number by number.

    :param rows: place and record of each number, with ``agent_id``, and ``client_env`` and ``connector_id`` where no
        argument says them; a blank connector leaves the routing to the platform.
    :param columns: keys under which a record has its number, the first one first.
    :param client_env: the environment of all numbers, or ``None``; a record may not say another one.
    :param connector_id: the connector of all numbers, or ``None``; a record may not say another one.
    :param default_region: as for :func:`parse_import`.
    :param batch_size: maximum number of numbers per request.
    :param deployment_model: how the projects' content reaches their environments; ``None`` does not look.
    :param allow_sandbox_numbers: numbers may go to a sandbox that has no telephony.
    :raises InputError: naming every row that is wrong.
    """
    kind = PhoneNumberKind(batch_size=parse_count(batch_size, name="batch_size"))
    region = None if default_region is None else check_region(default_region)
    owners = _RowOwners({"client_env": client_env, "connector_id": connector_id})
    cells = [(place, next((row[column] for column in columns if column in row), None)) for place, row in rows]
    numbers = read_numbers(cells, name="phone_numbers", region=region)
    read = ((owners.of(place, row), (number,)) for (place, row), number in zip(rows, numbers, strict=True))
    return _import(read, kind, deployment_model, allow_sandbox_numbers, many=True)


class _RowOwners:
    """Reads who gets the number of a row; each spelling of an owner is checked once."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self._known: dict[tuple[object, ...], Owner] = {}

    def of(self, place: str, row: Mapping[str, Any]) -> Owner:
        """Return the owner; what an argument says and a row says differently is refused."""
        said = tuple(row.get(key) for key in ("agent_id", *self._given))
        if not all(each is None or isinstance(each, str) for each in said):
            raise InputError(
                f"{place}: agent_id, client_env and connector_id must be texts. Nothing was sent."
            )
        if said not in self._known:
            self._known[said] = self._read(place, dict(zip(("agent_id", *self._given), said, strict=True)))
        return self._known[said]

    def _read(self, place: str, said: dict[str, Any]) -> Owner:
        for key, argument in self._given.items():
            if argument is not None and said[key] not in (None, "", argument):
                raise InputError(
                    f"{place} says {key} {said[key]!r}, and the task says {argument!r}. Nothing was sent. Leave out "
                    f"the argument {key}, or correct the row."
                )
            said[key] = said[key] if argument is None else argument
        return _owner(said["agent_id"], said["client_env"], said["connector_id"], prefix=f"{place}, ")


Owner = tuple[str, Environment, str | None]


def _owner(agent_id: object, client_env: object, connector_id: object, *, prefix: str = "") -> Owner:
    agent = parse_identifier(agent_id, name=f"{prefix}agent_id")
    environment = parse_environment(client_env, name=f"{prefix}client_env")
    blank = connector_id in (None, "")
    connector = None if blank else parse_identifier(connector_id, name=f"{prefix}connector_id")
    return agent, environment, connector


def _import(
    read: Iterable[tuple[Owner, Sequence[str]]],
    kind: PhoneNumberKind,
    deployment_model: object,
    allow_sandbox_numbers: bool,
    *,
    many: bool,
) -> ImportPhoneNumbers:
    groups, warnings = _grouped(read)
    return ImportPhoneNumbers(
        groups=groups,
        kind=kind,
        warnings=warnings,
        deployment_model=parse_model(deployment_model),
        allow_sandbox_numbers=allow_sandbox_numbers,
        many=many,
    )


def _grouped(read: Iterable[tuple[Owner, Sequence[str]]]) -> tuple[tuple[NumberGroup, ...], tuple[str, ...]]:
    """Return the numbers of each owner without repeats, and warnings; a number has one owner."""
    owners: dict[str, Owner] = {}
    given, twice = 0, []
    for owner, numbers in read:
        given += len(numbers)
        for number in numbers:
            if owners.setdefault(number, owner) != owner:
                twice.append(number)
    if twice:
        raise InputError(
            f"{len(twice)} number(s) are given to two agents, environments or connectors: {summarize_list(twice)}. "
            "Nothing was sent. Keep one of each."
        )
    groups: dict[Owner, list[str]] = {}
    for number, owner in owners.items():
        groups.setdefault(owner, []).append(number)
    repeats = given - len(owners)
    warnings = [f"{repeats} repeated number(s) left out"] if repeats else []
    made = tuple(NumberGroup(*owner, tuple(mine)) for owner, mine in groups.items())
    return made, tuple(warnings + _implausible(list(owners)))


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

    most = LOOKED_AT if len(numbers) <= LOOKED_AT else LOOKED_AT_OF_MORE
    looked_at = numbers[:: -(-len(numbers) // most)]
    odd = [number for number in looked_at if not plausible(number)]
    if not odd:
        return []
    which = f"of {len(looked_at)} looked at, " if len(looked_at) < len(numbers) else ""
    return [
        f"{which}{len(odd)} number(s) do not look allocated, check them: {', '.join(odd[:MALFORMED_SHOWN])}"
    ]
