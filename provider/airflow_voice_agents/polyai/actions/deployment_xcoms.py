"""What users need of a deployment, told as soon as it is known, and the platform's refusals in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.run_context import TaskState
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import DeploymentResult
from airflow_voice_agents.polyai.resources.deployment import DeploymentState, state_of
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import Conflict, PreconditionFailed

T = TypeVar("T")

MEMORY: Final = "deployment"
"""Under which a task remembers what it deployed and what ran before."""

AB_TEST: Final = (
    "While an A/B test runs on an agent, nothing is promoted to live and its control is not rolled back; the "
    "public API does not show whether one does. Look in Agent Studio, end the test there, and run this again."
)
NOT_IN_PRE_RELEASE: Final = (
    "The platform takes a version to live only once pre-release runs it. Promote it to pre-release first, then to "
    "live."
)

OnFacts = Callable[[Mapping[str, Any]], None]
"""Receives facts: ``previous_version``, ``version``, ``deployment_id``, ``test_run_ids``."""


def silent(_: Mapping[str, Any]) -> None:
    """Receive facts and do nothing with them."""


class DeploymentXComs:
    """Tells the facts of one deployment, and those of an earlier try where that try made it.

    :param resource: what is deployed.
    :param tell: receives the facts.
    :param memory: what outlives a try, or ``None``.
    """

    def __init__(self, resource: Resource, tell: OnFacts, task_state: TaskState | None) -> None:
        self._tell = tell
        self._memory = task_state
        kept = task_state.get(MEMORY) if task_state else None
        self._noted: dict[str, Any] = kept if kept and kept.get("resource") == str(resource) else {}
        self._resource = resource

    def chosen(self, to: str, now: DeploymentState | None) -> DeploymentState | None:
        """Return the record that an earlier try chose, unless something else was deployed since.

        :param to: what that try was asked to go to.
        :param now: what runs now.
        """
        noted = self._noted
        ours = (noted.get("previous_version"), noted.get("version"))
        if noted.get("to") != to or now is None or now.version not in ours:
            return None
        return DeploymentState(noted["version"], noted["record"])

    def starting(self, now: DeploymentState | None, **wanted: str) -> None:
        """Note what runs before a write; what an earlier try noted stays, if that try made what runs now.

        :param now: what runs.
        :param wanted: what else a later try has to know: ``version``, and where it comes from.
        """
        made = {key: value for key, value in self._made(now).items() if key != "earlier"}
        before = {"previous_version": _version(now), "previous_id": _record(now)}
        self._note({**before, **wanted, **({"earlier": made} if made else {})})
        self._tell({"previous_version": _version(now)})

    def made(self, answer: DeploymentResult, previous: DeploymentState | None) -> None:
        """Tell what a write was answered.

        :param answer: the new record and its test runs.
        :param previous: what ran before.
        """
        facts = _facts(state_of(answer.deployment), _version(previous), list(answer.test_run_ids))
        kept: dict[str, Any] = {key: self._noted[key] for key in ("to", "record") if key in self._noted}
        self._note({**kept, **facts, "previous_id": _record(previous)})
        self._tell(facts)

    def stands(self, now: DeploymentState | None) -> None:
        """Tell what runs where nothing was written, or nothing is known of the answer.

        :param now: what runs.
        """
        made = self._made(now)
        previous = made.get("previous_version", _version(now))
        self._tell(_facts(now, previous, made.get("test_run_ids", [])))

    def _made(self, now: DeploymentState | None) -> dict[str, Any]:
        """Return what this task noted when it brought about what runs now; empty if it did not."""
        notes = (self._noted, self._noted.get("earlier", {}))
        return next((note for note in notes if note and _tells_of(note, now)), {})

    def _note(self, facts: dict[str, Any]) -> None:
        self._noted = {"resource": str(self._resource), **facts}
        if self._memory is not None:
            self._memory.set(MEMORY, self._noted)


def with_advice(send: Sender) -> Sender:
    """Return a sender whose refused promotions and rollbacks say what to do now.

    :param send: sends a call.
    """

    async def sender(call: ApiRequest[T]) -> T:
        try:
            return await send(call)
        except Conflict as failure:
            if call.operation == "roll back deployment" or _goes_live(call):
                failure.advice = AB_TEST
            raise
        except PreconditionFailed as failure:
            if _goes_live(call):
                failure.advice = NOT_IN_PRE_RELEASE
            raise

    return sender


def _tells_of(note: Mapping[str, Any], now: DeploymentState | None) -> bool:
    """Whether a note is about what runs now: by its version, or because another record ran when it was made."""
    if now is None:
        return False
    wanted = note.get("version")
    return bool(wanted == now.version if wanted else note.get("previous_id") != now.deployment_id)


def _goes_live(call: ApiRequest[Any]) -> bool:
    return (call.body or {}).get("targetEnvironment") == LIVE


def _facts(now: DeploymentState | None, previous: str | None, test_runs: list[str]) -> dict[str, Any]:
    return {
        "previous_version": previous,
        "version": _version(now),
        "deployment_id": _record(now),
        "test_run_ids": test_runs,
    }


def _version(state: DeploymentState | None) -> str | None:
    return state.version if state else None


def _record(state: DeploymentState | None) -> str | None:
    return state.deployment_id if state else None
