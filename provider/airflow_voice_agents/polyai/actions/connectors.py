"""Update connectors in bulk: compare first, send only differences, look at every result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from airflow_voice_agents.engine.applier import Applier
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import check_live
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.report import ItemReport, Report, Status, in_order
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import ConnectorUpdate, parse_environment
from airflow_voice_agents.polyai.resources.connector import (
    ConnectorKind,
    ConnectorState,
    connector,
    observe_all,
)
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from airflow_voice_agents.transport.validation import parse_count, parse_identifier

OPERATION = "update connectors"
SELECTOR_KEYS = ("client_env", "name", "variant_id", "asr_lang_code", "voice_name")


@dataclass(frozen=True, slots=True)
class Selector:
    """Which connectors of an agent are meant: all that fit every key given.

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
            raise InputError(f"selector has unknown keys {', '.join(unknown)}; allowed are {known}")
        criteria = dict(value)
        if "client_env" in criteria:
            criteria["client_env"] = parse_environment(criteria["client_env"], name="selector.client_env")
        if "name" in criteria and not isinstance(criteria["name"], str):
            raise InputError("selector.name must be a text")
        return cls(criteria)

    def fits(self, state: ConnectorState) -> bool:
        """Tell whether a connector is meant."""
        return all(
            fnmatchcase(state.name or "", wanted) if key == "name" else getattr(state, key) == wanted
            for key, wanted in self.criteria.items()
        )


@dataclass(frozen=True, slots=True)
class ConnectorJob:
    """A bulk update, checked and ready to run.

    :param agent_id: the agent.
    :param updates: the wanted settings, one per connector; empty with a selector.
    :param selector: which connectors, where they are not named.
    :param changes: the wanted settings of each selected connector, without an id.
    :param batch_size: most connectors per call.
    :param check_variants: whether variants to assign must exist on the agent's main branch.
    :param verify: whether an independent read follows the writes; their answers are checked in any case.
    """

    agent_id: str
    updates: tuple[ConnectorUpdate, ...] = ()
    selector: Selector | None = None
    changes: Mapping[str, Any] | None = None
    batch_size: int = 50
    check_variants: bool = True
    verify: bool = False

    async def run(self, run: RunContext) -> Report:
        """Read the connectors, write what differs and report on each.

        Vendor operations: list connectors or batch get, list variants, update and batch update.

        :param run: what the run works with.
        :raises GuardRefused: before any write, when a guard refuses.
        """
        kind = ConnectorKind(batch_size=self.batch_size)
        observed = await self._observe(run, kind)
        updates = self._updates(observed)
        asked = [connector(self.agent_id, update.connector_id) for update in updates]
        transitions = _intents(zip(asked, updates, strict=True), observed)
        self._guard(run, [transition for transition in transitions if transition.before])
        await self._check_variants(run, transitions)
        run.log(f"{OPERATION}: {len(transitions)} of {len(asked)} connector(s) of {self.agent_id} differ")
        carrier = Applier(
            run.send,
            kind,
            limit=run.concurrency,
            progress=run.progress(f"{OPERATION} of {self.agent_id}", len(transitions)),
            verify=self.verify,
            clock=run.clock,
            redact=run.redact,
        )
        written = await carrier.apply(transitions)
        items = [
            *(_with_side_effects(item, observed[item.resource], carrier) for item in written),
            *_untouched(asked, observed, {item.resource for item in written}),
        ]
        return Report(OPERATION, in_order(asked, items), retry_after=carrier.retry_after)

    async def _observe(self, run: RunContext, kind: ConnectorKind) -> Mapping[Resource, ConnectorState]:
        if self.selector is not None:
            reads = [observe_all(self.agent_id)]
        else:
            reads = list(kind.observe([connector(self.agent_id, each.connector_id) for each in self.updates]))
        return {
            resource: state
            for read in reads
            for resource, state in read.states(await run.send(read.call)).items()
        }

    def _updates(self, observed: Mapping[Resource, ConnectorState]) -> Sequence[ConnectorUpdate]:
        if self.selector is None:
            return self.updates
        found = [resource for resource, state in observed.items() if self.selector.fits(state)]
        if not found:
            raise GuardRefused(
                f"{OPERATION}: the selector fits none of the {len(observed)} connector(s) of {self.agent_id}. "
                "Nothing was written."
            )
        return [ConnectorUpdate.parse({"connector_id": each.name, **(self.changes or {})}) for each in found]

    def _guard(self, run: RunContext, transitions: Sequence[Transition[ConnectorState]]) -> None:
        environments = {str(transition.before.client_env) for transition in transitions if transition.before}
        findings = list(check_live(sorted(environments), run.guard_context))
        if findings:
            live = [
                str(each.resource) for each in transitions if each.before and each.before.client_env == "live"
            ]
            raise GuardRefused(
                f"{OPERATION}: {' '.join(each.message for each in findings)} Live connectors that would change: "
                f"{', '.join(live[:10])}. Nothing was written."
            )

    async def _check_variants(
        self, run: RunContext, transitions: Iterable[Transition[ConnectorState]]
    ) -> None:
        """Refuse variants that the agent does not have; whether one is published cannot be read."""
        wanted = {
            transition.after.variant_id
            for transition in transitions
            if transition.before and transition.after.variant_id not in (None, transition.before.variant_id)
        }
        if not (wanted and self.check_variants):
            return
        known = {variant.id for variant in await run.send(api.list_variants(self.agent_id, branch_id="main"))}
        if unknown := sorted(str(each) for each in wanted - known):
            raise GuardRefused(
                f"{OPERATION}: {self.agent_id} has no variant {', '.join(unknown)} on its main branch. Nothing was "
                "written. Check the ids, or pass check_variants=False if the variant is known to be published."
            )


def job(agent_id: object, updates: object, selector: object, changes: object, **options: Any) -> ConnectorJob:
    """Check the arguments of a bulk update and return it ready to run.

    :param agent_id: the agent.
    :param updates: sequence of mappings, each a connector and its wanted settings; or
    :param selector: which connectors, with
    :param changes: the wanted settings of each.
    :param options: further fields of :class:`ConnectorJob`.
    :raises InputError: naming the argument that is wrong.
    """
    agent = parse_identifier(agent_id, name="agent_id")
    parse_count(options.get("batch_size", 1), name="batch_size")
    if (updates is None) == (selector is None) or (selector is None and changes is not None):
        raise InputError("give either updates, or selector and changes")
    if selector is not None:
        _check_changes(changes)
        return ConnectorJob(agent, selector=Selector.parse(selector), changes=changes, **options)  # type: ignore[arg-type]
    if isinstance(updates, (str, Mapping)) or not isinstance(updates, Sequence) or not updates:
        raise InputError("updates must be a list of at least one mapping with connector_id and settings")
    parsed = tuple(_parse_update(each) for each in updates)
    repeated = [name for name, times in Counter(each.connector_id for each in parsed).items() if times > 1]
    if repeated:
        raise InputError(f"updates names connectors more than once: {', '.join(repeated[:10])}")
    return ConnectorJob(agent, updates=parsed, **options)


def _check_changes(changes: object) -> None:
    if not isinstance(changes, Mapping) or not changes:
        raise InputError("changes must be a mapping of at least one setting when a selector is given")
    if "connector_id" in changes:
        raise InputError("changes are for every connector that the selector fits, and must not name one")
    _parse_update({"connector_id": "each", **changes})


def _parse_update(value: object) -> ConnectorUpdate:
    update = ConnectorUpdate.parse(value)
    if update.moves:
        raise InputError(
            f"update of connector {update.connector_id!r}: project_id moves a connector to another project, with "
            "its calls, and is not done in a bulk update. Move it by itself in Agent Studio."
        )
    if not update.changes():
        raise InputError(f"update of connector {update.connector_id!r} changes nothing")
    return update


def _intents(
    wanted: Iterable[tuple[Resource, ConnectorUpdate]], observed: Mapping[Resource, ConnectorState]
) -> list[Transition[ConnectorState]]:
    pairs = (
        Transition(resource, observed[resource], observed[resource].with_changes(update))
        for resource, update in wanted
        if resource in observed
    )
    return [transition for transition in pairs if transition.before != transition.after]


def _untouched(
    asked: Sequence[Resource], observed: Mapping[Resource, ConnectorState], written: set[Resource]
) -> Iterable[ItemReport]:
    for resource in asked:
        if resource not in observed:
            reason = "the agent has no connector of this id; it was not changed"
            yield ItemReport(resource, Status.FAILED, reason, permanent=True)
        elif resource not in written:
            yield ItemReport(resource, Status.UNCHANGED)


def _with_side_effects(
    item: ItemReport, before: ConnectorState, carrier: Applier[ConnectorState]
) -> ItemReport:
    """Tell of the synthesis language, which the platform derives from the voice."""
    after = carrier.seen(item.resource)
    if item.status is not Status.CHANGED or after is None or after.tts_lang_code == before.tts_lang_code:
        return item
    note = f"tts_lang_code went from {before.tts_lang_code} to {after.tts_lang_code} with the voice"
    return replace(item, reason=note)
