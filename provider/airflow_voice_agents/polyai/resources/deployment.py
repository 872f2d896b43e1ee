"""The deployment of an environment as a resource kind: a version of the agent's content.

Every promotion and rollback adds a record to the environment's history, also for a version that is there
already, so nothing is written unless the version differs. The version alone counts; records come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import ABSENT, Change, Op
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
from airflow_voice_agents.plans.versions import KNOWN
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.ladder import LADDER
from airflow_voice_agents.polyai.models import Deployment, DeploymentResult, Environment
from airflow_voice_agents.polyai.resources.deployment_model import (
    SIMPLIFIED,
    KnownModel,
    Model,
    contradiction,
)
from airflow_voice_agents.polyai.resources.deployment_records import overtakes, versions_between
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.text import one_line

KIND = "deployment"
NONE = "(none)"
LABEL_LENGTH = 120
"""Most characters of a deployment's message and author that are kept."""
NOTHING: Known = {}


class Way(StrEnum):
    """Which write makes an environment run a version."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"


class Via(Record, frozen=True):
    """The write that leads to a state.

    :param way: which one.
    :param deployment_id: record whose version is taken; for a rollback one of the same environment.
    :param message: kept with the new record; the platform has been seen to drop it in a rollback.
    """

    not_shown = ("message",)

    way: Way
    deployment_id: str
    message: str = ""


class DeploymentState(Record, frozen=True):
    """What an environment runs; two states are equal when their versions are.

    :param version: hash of the content, the same in every environment; ``None`` where the record has none.
    :param deployment_id: the record.
    :param created_at: when it was made, as the platform spells it.
    :param environment: the environment that an answer to a write names.
    :param via: how to come to this state, where it is a desired one.
    :param label: message of the record.
    :param author: who made the record.
    """

    not_shown = ("label", "author")
    not_compared = (
        "deployment_id",
        "created_at",
        "environment",
        "via",
        "label",
        "author",
    )

    version: str | None
    deployment_id: str | None = None
    created_at: str | None = None
    environment: str | None = None
    via: Via | None = None
    label: str = ""
    author: str = ""

    def known(self) -> dict[str, str | None]:
        """Return what people know the version by."""
        return {
            "version": self.version,
            "label": self.label,
            "author": self.author,
            "created_at": self.created_at,
        }


class DeploymentRules(Record, frozen=True):
    """What a promotion must meet.

    :param expected_version: version that the source must run, from the run that tested it; ``None`` takes any.
    :param expected_target_version: version that the target must run now; ``None`` takes any.
    :param allow_downgrade: allow an older version than the target's, or one of unknown age.
    :param deployment_model: how the project's content reaches its environments; ``None`` assumes the ladder.
    :param known_model: what ``auto`` came to.
    :param message: kept with the new deployment.
    """

    not_shown = ("message",)
    not_compared = ("known_model",)

    expected_version: str | None = None
    expected_target_version: str | None = None
    allow_downgrade: bool = False
    deployment_model: str | None = None
    known_model: KnownModel | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentKind(Kind[DeploymentState]):
    """Reads, compares and changes what environments run.

    Every write adds a record, so a write of unknown outcome is polled for and never sent again.
    """

    name: ClassVar[str] = KIND
    repeatable: ClassVar[bool] = False

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[DeploymentState]]:
        """Return one read per agent: what each of its environments runs."""
        for agent_id, mine in by_owner(resources).items():
            yield Observation(api.get_active_deployments(agent_id), tuple(mine), states_of(agent_id))

    def revision(self, state: DeploymentState | None) -> str | None:
        """Return the id of the record, which changes with every promotion and rollback."""
        return None if state is None else state.deployment_id

    def digest(self, state: DeploymentState | None) -> str:
        """Digest of the version."""
        return digest(None if state is None else {"version": state.version})

    def diff(self, before: DeploymentState | None, after: DeploymentState | None) -> Iterator[Change]:
        """Say which version comes; for one version in two records, that somebody deployed it again.

        The version is part of the path, so that a third one is not taken for a part of what was asked for.
        """
        old, new = _version(before), _version(after)
        ids = before and before.deployment_id, after and after.deployment_id
        if old != new:
            yield Change(Op.CHANGE, (f"version {new}",), old, new)
        elif all(ids) and ids[0] != ids[1]:
            yield Change(Op.CHANGE, ("deployment_id",), *ids)

    def write_sequences(
        self, transitions: Sequence[Transition[DeploymentState]]
    ) -> Iterator[WriteSequence[DeploymentState]]:
        """Return one write per environment.

        :raises InputError: for a state that does not say how to come to it.
        """
        for transition in transitions:
            yield (Write(_request(transition), (transition.resource,), _judge(transition)),)

    def mismatches(
        self, transition: Transition[DeploymentState], observed: DeploymentState | None
    ) -> list[str]:
        """List the version, and the environment where an answer names another one."""
        wanted = transition.after.version
        shown, place = (observed.version, observed.environment) if observed else (None, None)
        wrong = {
            "version": wanted is None or shown != wanted,
            "environment of the answer": place not in (None, transition.resource.name),
        }
        return [name for name, differs in wrong.items() if differs]

    def plan(self, resource: Resource, desired: DeploymentState, now: DeploymentState | None) -> PlannedItem:
        """Plan the way to a known record, unless its version runs already.

        :param resource: the environment.
        :param desired: the version, and the record to take it from.
        :param now: what runs there.
        """
        return plan_return(self, resource, now, desired)

    def to_json(self, state: DeploymentState) -> dict[str, str | None]:
        """Return the version and its record, which a rollback needs."""
        told = {name: text for name in ("label", "author") if (text := getattr(state, name))}
        return {
            "version": state.version,
            "deployment_id": state.deployment_id,
            "created_at": state.created_at,
            **told,
        }

    def from_json(self, value: Any) -> DeploymentState:
        """Return the state that :meth:`to_json` made JSON of.

        :raises InputError: for anything else.
        """
        names = ("version", "deployment_id", "created_at")
        if not isinstance(value, Mapping) or set(value) - {"label", "author"} != set(names):
            raise InputError(f"a state of a {KIND} has the fields {', '.join(names)}")
        if not all(each is None or isinstance(each, str) for each in value.values()):
            raise InputError(f"the fields of a {KIND} are texts or null")
        return DeploymentState(**{key: each for key, each in value.items() if key in names or each})

    def restore(
        self, resource: Resource, wanted: DeploymentState | None, now: DeploymentState | None
    ) -> PlannedItem:
        """Plan the rollback to the record that ran; what never ran cannot be taken away again."""
        if wanted is None:
            stays = () if now is None else (_stays(resource, now),)
            return no_change(self, resource, now, *stays)
        if wanted.version is None or wanted.deployment_id is None:
            return no_change(self, resource, now, _no_way_back(resource))
        via = Via(Way.ROLL_BACK, wanted.deployment_id)
        return plan_return(self, resource, now, replace(wanted, via=via))


def deployment(agent_id: str, environment: str) -> Resource:
    """Return the address of what an environment of an agent runs."""
    return Resource(KIND, agent_id, str(environment))


def state_of(record: Deployment | None) -> DeploymentState | None:
    """Return the state that a record stands for; ``None`` where nothing is deployed."""
    if record is None:
        return None
    return DeploymentState(
        record.version,
        record.id,
        record.created_at,
        label=one_line(_message(record), LABEL_LENGTH),
        author=one_line(record.created_by or "", LABEL_LENGTH),
    )


def versions_of(active: Mapping[str, Deployment | None]) -> dict[str, dict[str, str | None]]:
    """Return what people know a version by: its hash, label, author and time, per environment.

    :param active: what each environment runs.
    """
    return {
        environment: {
            "version": record.version,
            "deployment_id": record.id,
            "label": one_line(_message(record), LABEL_LENGTH),
            "author": one_line(record.created_by or "", LABEL_LENGTH),
            "created_at": record.created_at,
        }
        for environment, record in active.items()
        if record is not None
    }


def version_facts(
    active: Mapping[str, Deployment | None],
    history: Iterable[Deployment],
    *,
    target: str,
    source: str,
) -> dict[str, Any]:
    """Return the facts of a planned deployment: versions, and how many lie between target and source.

    :param active: what each environment runs.
    :param history: deployments of the sandbox, where they were read.
    :param target: environment that is written.
    :param source: environment whose version is taken.
    """
    ends = (active.get(target), active.get(source))
    between = versions_between(history, *(each.version if each else None for each in ends))
    behind = {} if between is None else {"behind": between}
    return {"versions": versions_of(active), **behind}


def _message(record: Deployment) -> str:
    said = (record.metadata or {}).get("deployment_message")
    return said if isinstance(said, str) else ""


def plan_deployment(  # noqa: PLR0917  what is known, then what is wanted; callers have all of it
    kind: DeploymentKind,
    target: Resource,
    active: Mapping[str, Deployment | None],
    sandbox_history: Sequence[Deployment],
    rules: DeploymentRules,
    source_environment: str,
) -> PlannedItem:
    """Plan the promotion of what an environment runs; a target that runs it already stays as it is.

    Needs two reads: the active deployments, and the deployments of the sandbox. The second one only where
    :func:`needs_history` says so.

    A target that already runs ``expected_version`` is done, whatever the source runs by now: a run that is
    repeated is no error.

    :param kind: the kind of deployments.
    :param target: what is written: pre-release or live of an agent.
    :param active: what each environment runs.
    :param sandbox_history: deployments of the sandbox, in any order.
    :param rules: what must be met.
    :param source_environment: environment whose version is taken.
    """
    now, source = state_of(active.get(target.name)), active.get(source_environment)
    there = now.version if now else None
    pinned = rules.expected_version
    if findings := tuple(refusals(target, rules, source_environment)):
        return _unchanged(kind, target, now, source, findings)
    if pinned and there == pinned:
        moved = [] if source and source.version == pinned else [_source_moved_on(target, source, pinned)]
        return _unchanged(kind, target, now, source, tuple(moved))
    if source is None or source.version is None:
        return _unchanged(kind, target, now, source, (_empty(target, source, source_environment),))
    if there == source.version:
        return _unchanged(
            kind, target, now, source, tuple(_unexpected_source(rules, source, source_environment))
        )
    after = replace(_taken(source), via=Via(Way.PROMOTE, source.id, rules.message))
    findings = (
        *_concluded(rules, target),
        *_unexpected_source(rules, source, source_environment),
        *unexpected_target(target, now, rules.expected_target_version),
        *contradiction(sandbox_history),
        *_downgrade(now, source.version, sandbox_history, rules),
    )
    return _item(kind, target, now, after, findings, source=kind.digest(state_of(source)))


def needs_history(
    kind: DeploymentKind,
    target: Resource,
    active: Mapping[str, Deployment | None],
    rules: DeploymentRules,
    source_environment: str,
) -> bool:
    """Tell whether :func:`plan_deployment` needs the sandbox's history: only to see what would be replaced.

    :param kind: as there, and so for the other parameters.
    """
    if rules.allow_downgrade or active.get(target.name) is None:
        return False
    blind = replace(rules, allow_downgrade=True)
    item = plan_deployment(kind, target, active, (), blind, source_environment)
    return item.changed and not item.errors


def plan_return(
    kind: DeploymentKind,
    target: Resource,
    now: DeploymentState | None,
    wanted: DeploymentState,
    findings: Iterable[Finding] = (),
) -> PlannedItem:
    """Plan the way to a known record, unless its version runs already.

    :param kind: the kind of deployments.
    :param target: what is written.
    :param now: what runs there.
    :param wanted: the version to run there, and via which record.
    :param findings: what is to be said where it does not run yet.
    """
    if now is not None and now.version is not None and now.version == wanted.version:
        return no_change(kind, target, now)
    moves = wanted.via is not None and wanted.via.way is Way.ROLL_BACK and target.name == Environment.SANDBOX
    item = _item(kind, target, now, wanted, (*findings, *([_moves_main(target)] if moves else [])))
    known = [each.known() for each in (now, wanted) if each is not None and each.version]
    return replace(item, facts={KNOWN: known})


def refusals(target: Resource, rules: DeploymentRules, source_environment: str) -> Iterator[Finding]:
    """Say why a promotion cannot be meant, whatever runs where.

    Pre-release is refused as live is where the model is not known: in the branches model it may be Staging.

    :param target: what is written.
    :param rules: what must be met.
    :param source_environment: environment whose version is taken.
    """
    known = rules.known_model or KnownModel(None)
    if rules.deployment_model in (Model.BRANCHES, SIMPLIFIED) or known.model is Model.BRANCHES:
        because = f" (deployment_model='auto': {known.reason})" if known.reason else ""
        yield error(
            "simplified_model",
            "In a project on the branches model nothing is promoted: merging a branch publishes to live, and a "
            f"promotion would put stale content there{because}.",
        )
    elif known.model is None:
        yield from known.findings(target.owner, stops=True)
    if LADDER.index(source_environment) >= LADDER.index(target.name):
        yield error(
            "stage_order",
            f"Nothing is promoted from {source_environment} to {target.name}; to go back, roll back.",
        )


def unexpected_target(
    target: Resource, now: DeploymentState | None, expected: str | None
) -> Iterator[Finding]:
    """Say so where an environment does not run what somebody expects it to run.

    :param target: the environment.
    :param now: what it runs.
    :param expected: version that it is expected to run; ``None`` expects nothing.
    """
    runs = now.version if now else None
    if expected not in (None, runs):
        yield error(
            "expected_target_version",
            f"{target.name} runs version {runs or NONE}, and {expected} was expected: somebody else deployed there. "
            "Look at what runs there before it is replaced.",
        )


def states_of(
    agent_id: str,
) -> Callable[[Mapping[str, Deployment | None]], Mapping[Resource, DeploymentState | None]]:
    """Return how an answer about an agent's active deployments reads as states.

    :param agent_id: the agent.
    """
    return lambda active: {
        deployment(agent_id, environment): state_of(record) for environment, record in active.items()
    }


def facts_of(answer: DeploymentResult, before: DeploymentState | None) -> dict[str, Any]:
    """Return the ids in an answer to a write, and the version that ran before.

    :param answer: the new record and its test runs.
    :param before: what ran before.
    """
    return {
        "previous_version": before.version if before else None,
        "version": answer.deployment.version,
        "deployment_id": answer.deployment.id,
        "test_run_ids": list(answer.test_run_ids),
    }


def _judge(
    transition: Transition[DeploymentState],
) -> Callable[[DeploymentResult], Mapping[Resource, WriteResult[DeploymentState]]]:
    def judge(answer: DeploymentResult) -> Mapping[Resource, WriteResult[DeploymentState]]:
        made, facts = answer.deployment, facts_of(answer, transition.before)
        state = DeploymentState(made.version, made.id, made.created_at, made.environment)
        return {transition.resource: WriteResult(state if made.version else None, facts=facts)}

    return judge


def _request(transition: Transition[DeploymentState]) -> Any:
    target, via = transition.resource, transition.after.via
    if via is None:
        raise InputError(f"{target}: a deployment can only be made from a record, and none was given")
    if via.way is Way.ROLL_BACK:
        return api.rollback_deployment(target.owner, deployment_id=via.deployment_id, message=via.message)
    return api.promote_deployment(
        target.owner, deployment_id=via.deployment_id, target_environment=target.name, message=via.message
    )


def _version(state: DeploymentState | None) -> str:
    return NONE if state is None else state.version or "(empty)"


def _taken(source: Deployment) -> DeploymentState:
    return DeploymentState(source.version)


def _unchanged(
    kind: DeploymentKind,
    target: Resource,
    now: DeploymentState | None,
    source: Deployment | None = None,
    findings: tuple[Finding, ...] = (),
) -> PlannedItem:
    return no_change(kind, target, now, *findings, source=_source_digest(kind, source))


def _source_digest(kind: DeploymentKind, source: Deployment | None) -> str | None:
    return kind.digest(state_of(source)) if source else None


def _item(
    kind: DeploymentKind,
    target: Resource,
    now: DeploymentState | None,
    after: DeploymentState,
    findings: tuple[Finding, ...],
    *,
    source: str | None = None,
) -> PlannedItem:
    item = change(kind, target, now, after, findings=findings, source=source, identifiers=True)
    shown = (
        Change(Op.ADD, ("version",), ABSENT, after.version)
        if now is None
        else Change(Op.CHANGE, ("version",), now.version, after.version)
    )
    return replace(item, changes=(shown,))


def _concluded(rules: DeploymentRules, target: Resource) -> Iterator[Finding]:
    if rules.known_model is not None and rules.known_model.model is not None:
        yield from rules.known_model.findings(target.owner, stops=False)


def _empty(target: Resource, source: Deployment | None, environment: str) -> Finding:
    if source is None:
        return error("empty_source", f"{environment} of {target.owner} runs nothing that could be promoted.")
    return error(
        "empty_version",
        f"The deployment that {environment} of {target.owner} runs, {source.id}, has no version. Publish it first.",
    )


def _source_moved_on(target: Resource, source: Deployment | None, pinned: str) -> Finding:
    runs = source.version if source and source.version else "none"
    return warning(
        "source_moved_on", f"{target.name} runs version {pinned} already; its source runs {runs} by now."
    )


def _unexpected_source(rules: DeploymentRules, source: Deployment, environment: str) -> Iterator[Finding]:
    if rules.expected_version not in (None, source.version):
        yield error(
            "expected_version",
            f"{environment} runs version {source.version}, and {rules.expected_version} was expected: something else "
            "was deployed since. Test what runs there now, or promote again once the expected version does.",
        )


def _downgrade(
    now: DeploymentState | None, candidate: str, history: Sequence[Deployment], rules: DeploymentRules
) -> Iterator[Finding]:
    if now is None or rules.allow_downgrade:
        return
    if reason := overtakes(history, now.version, candidate):
        yield error(
            "downgrade",
            f"This may replace newer content by older: {reason}. That also happens in a project on the branches "
            "model, in which nothing may be promoted (deployment_model='branches'). Pass allow_downgrade=True if "
            "meant.",
        )


def _stays(resource: Resource, now: DeploymentState) -> Finding:
    return warning(
        "stays_deployed",
        f"{resource} ran nothing before and runs version {now.version} now; no call takes a deployment away.",
    )


def _no_way_back(resource: Resource) -> Finding:
    return warning(
        "no_way_back", f"{resource} ran a deployment without a version, to which no call leads back."
    )


def _moves_main(target: Resource) -> Finding:
    return warning(
        "moves_main",
        f"A rollback of sandbox moves the main branch of {target.owner} back as well: what is merged or published "
        "next builds on the older content.",
    )
