"""Publications of ``main`` as a resource kind: each adds a record to sandbox, and none can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import (
    Kind,
    Known,
    Observation,
    Resource,
    Transition,
    Write,
    WriteResult,
    WriteSequence,
)
from airflow_voice_agents.plans.plan import PlannedItem, change, no_change, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import Deployment, DeploymentResult
from airflow_voice_agents.polyai.resources.deployment import NONE, DeploymentState, facts_of
from airflow_voice_agents.transport.errors import CallError, Conflict
from airflow_voice_agents.transport.records import Record

KIND: Final = "publication"
NOTHING: Known = {}

ALREADY_PUBLISHED: Final = frozenset(
    {"deploymentsenvironmentalreadypublished", "deploymentsalreadypublished", "6002", "6009"}
)


class Publication(Record, frozen=True):
    """What is published.

    :param deployment_id: the record that runs; for a desired publication, the one that it follows.
    :param newer: whether a record newer than that one is meant, rather than that one itself.
    :param version: the version of the record.
    :param way: how the record came about, where the platform says so (``"publish"``).
    :param message: text that is kept with the record; ``None`` where the platform shows none.
    """

    not_shown = ("message",)
    not_compared = ("version", "way", "message")

    deployment_id: str | None
    newer: bool = False
    version: str | None = None
    way: str | None = None
    message: str | None = None

    def state(self) -> DeploymentState:
        """Return what runs, as a state of a deployment."""
        return DeploymentState(self.version, self.deployment_id)


@dataclass(frozen=True, slots=True)
class PublicationKind(Kind[Publication]):
    """Reads what is published, and publishes once more.

    :param nothing_new_fails: whether it is a failure that the draft is published already.
    """

    name: ClassVar[str] = KIND
    repeatable: ClassVar[bool] = False
    restorable: ClassVar[bool] = False

    nothing_new_fails: bool = False

    def observe(
        self, resources: Sequence[Resource], known: Known = NOTHING
    ) -> Iterator[Observation[Publication]]:
        """Return one read per agent."""
        for resource in resources:
            yield Observation(api.get_active_deployments(resource.owner), (resource,), _states(resource))

    def digest(self, state: Publication | None) -> str:
        """Return the digest of the record."""
        return digest(None if state is None else {"id": state.deployment_id, "newer": state.newer})

    def revision(self, state: Publication | None) -> str | None:
        """Return the id of the record."""
        return None if state is None else state.deployment_id

    def diff(self, before: Publication | None, after: Publication | None) -> Iterator[Change]:
        """Return the change of the record."""
        if before != after:
            yield Change(Op.CHANGE, ("deployment_id",), _shown(before), _shown(after))

    def write_sequences(
        self, transitions: Sequence[Transition[Publication]]
    ) -> Iterator[WriteSequence[Publication]]:
        """Return one request per environment."""
        for each in transitions:
            request = api.publish(
                each.resource.owner, environment=each.resource.name, message=each.after.message or ""
            )
            yield (Write(request, (each.resource,), _judge(each), no_change=self._nothing_new),)

    def mismatches(self, transition: Transition[Publication], observed: Publication | None) -> list[str]:
        """Name a missing newer record, or one that does not look like this publication."""
        if observed is None or observed.deployment_id == transition.after.deployment_id:
            return ["a newer record"]
        return [] if is_ours(observed, transition.after.message) else ["a newer write by somebody else"]

    def plan(self, resource: Resource, desired: str, now: Publication | None) -> PlannedItem:
        """Plan one more publication.

        :param resource: the environment.
        :param desired: the message that is kept with it.
        :param now: what is published.
        """
        lasting = warning("cannot_undo", "A publication is not taken back; a rollback adds another record.")
        return change(self, resource, now, follow_up(now, desired), findings=(lasting,), identifiers=True)

    def plan_done(self, resource: Resource, began_at: str | None, now: Publication) -> PlannedItem:
        """Plan nothing, because an earlier try of the task has published.

        :param resource: the environment.
        :param began_at: the record that ran before that try.
        :param now: what is published.
        """
        said = warning(
            "published_earlier", f"an earlier try of this task published deployment {now.deployment_id}"
        )
        return no_change(self, resource, Publication(began_at, newer=True), said)

    def _nothing_new(self, failure: CallError) -> str | None:
        if self.nothing_new_fails or not is_published_already(failure):
            return None
        return "there is nothing new to publish"


def publication(agent_id: str, environment: str) -> Resource:
    """Return the address of what is published in an environment of an agent."""
    return Resource(KIND, agent_id, str(environment))


def publication_of(record: Deployment | None) -> Publication | None:
    """Return what a record shows of a publication; ``None`` where nothing is deployed.

    :param record: the active deployment.
    """
    if record is None:
        return None
    metadata = record.metadata or {}
    return Publication(
        record.id,
        version=record.version,
        way=metadata.get("deployment_type"),
        message=metadata.get("deployment_message"),
    )


def follow_up(now: Publication | None, message: str) -> Publication:
    """Return the desired publication: any that is newer than the present one.

    :param now: what is published.
    :param message: text that is kept with it.
    """
    return Publication(now.deployment_id if now else None, newer=True, message=message)


def is_ours(state: Publication, message: str | None) -> bool:
    """Return whether a new record may come from a publication with this message.

    :param state: the new record.
    :param message: the message of the publication.
    """
    return state.way in (None, "publish") and state.message in (None, message)


def is_published_already(failure: CallError) -> bool:
    """Return whether a refusal says that the draft is published already.

    :param failure: the refusal.
    """
    code = (failure.error_code or "").replace("_", "").lower()
    return code in ALREADY_PUBLISHED or (isinstance(failure, Conflict) and not code)


def _states(
    resource: Resource,
) -> Callable[[Mapping[str, Deployment | None]], Mapping[Resource, Publication | None]]:
    return lambda active: {resource: publication_of(active[resource.name])} if resource.name in active else {}


def _judge(
    transition: Transition[Publication],
) -> Callable[[DeploymentResult], Mapping[Resource, WriteResult[Publication]]]:
    def judge(answer: DeploymentResult) -> Mapping[Resource, WriteResult[Publication]]:
        before = transition.before.state() if transition.before else None
        state = replace(publication_of(answer.deployment) or Publication(None), way=None, message=None)
        return {transition.resource: WriteResult(state, facts=facts_of(answer, before))}

    return judge


def _shown(state: Publication | None) -> str:
    if state is None:
        return NONE
    return "(a newer one)" if state.newer else str(state.deployment_id)
