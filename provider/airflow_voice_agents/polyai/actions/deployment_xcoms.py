"""Publishes the ids of a deployment at once and across tries, and explains the platform's refusals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.resources.deployment import DeploymentState
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import Conflict, PreconditionFailed

T = TypeVar("T")

MEMORY: Final = "deployment"
"""Key of the task state under which a task remembers what it deployed and what ran before."""

AB_TEST: Final = (
    "While an A/B test runs on an agent, nothing is deployed to live and its control is not rolled back; the "
    "public API does not show whether one does. Look in Agent Studio, end the test there, and run this again. A test "
    "that ends with a winner deploys the winner to live at once, so plan again afterwards."
)
AB_TEST_RUNS: Final = (
    "An A/B test runs on this agent, as the platform says: until it ends, nothing is deployed to live and its control "
    "is not rolled back. End the test in Agent Studio, and run this again. A test that ends with a winner deploys the "
    "winner to live at once, so plan again afterwards."
)
EXPERIMENT_MARKS: Final = ("A/B test",)
"""What a refusal that names an A/B test shows about the environment."""
NOT_IN_PRE_RELEASE: Final = (
    "The platform takes a version to live only once pre-release runs it. Promote it to pre-release first, then to "
    "live."
)

_EXPERIMENT: Final = re.compile(r"\bA/B\b|\bAB[ _-]?test|\bexperiment", re.IGNORECASE)

OnFacts = Callable[[Mapping[str, Any]], None]
"""Receives facts: ``previous_version``, ``version``, ``deployment_id``, ``test_run_ids``."""


def silent(_: Mapping[str, Any]) -> None:
    """Receive facts and do nothing with them."""


class DeploymentXComs:
    """Publishes the facts of one deployment, and those of an earlier try where that try made it.

    :param resource: the deployment.
    :param publish: receives the facts.
    :param run: the run, which remembers them.
    """

    def __init__(self, resource: Resource, publish: OnFacts, run: RunContext) -> None:
        self._publish = publish
        self._run = run
        kept = run.recall(MEMORY)
        self._noted: dict[str, Any] = kept if kept and kept.get("resource") == str(resource) else {}
        self._resource = resource

    def chosen(self, to: str, now: DeploymentState | None) -> DeploymentState | None:
        """Return the record that an earlier try chose, unless something else was deployed since.

        :param to: the destination that try was given.
        :param now: what runs now.
        """
        noted = self._noted
        ours = (noted.get("previous_version"), noted.get("version"))
        if noted.get("to") != to or now is None or now.version not in ours:
            return None
        return DeploymentState(noted["version"], noted["record"])

    def starting(self, now: DeploymentState | None, **wanted: str) -> None:
        """Note what runs before a write; the notes of an earlier try stay, if that try made what runs now.

        :param now: what runs.
        :param wanted: further facts for a later try: ``version``, and where it comes from.
        """
        made = {key: value for key, value in self._made(now).items() if key != "earlier"}
        before = {"previous_version": _version(now), "previous_id": _record(now)}
        self._note({**before, **wanted, **({"earlier": made} if made else {})})
        self._publish({"previous_version": _version(now)})

    def made(self, facts: Mapping[str, Any]) -> None:
        """Publish the facts of an accepted write.

        :param facts: the new record, its test runs and the version that ran before.
        """
        lasting: tuple[str, ...] = ("to", "record")
        kept = {key: self._noted[key] for key in lasting if key in self._noted}
        self._note({**kept, **facts})
        self._publish(facts)

    def stands(self, now: DeploymentState | None) -> None:
        """Publish what runs where nothing was written, or where the answer was lost.

        :param now: what runs.
        """
        made = self._made(now)
        self._publish(
            {
                "previous_version": made.get("previous_version", _version(now)),
                "version": _version(now),
                "deployment_id": _record(now),
                "test_run_ids": made.get("test_run_ids", []),
            }
        )

    def _made(self, now: DeploymentState | None) -> dict[str, Any]:
        """Return the notes of this task when it brought about what runs now; empty if it did not."""
        notes = (self._noted, self._noted.get("earlier", {}))
        return next((note for note in notes if note and _is_about(note, now)), {})

    def _note(self, facts: Mapping[str, Any]) -> None:
        self._noted = {"resource": str(self._resource), **facts}
        self._run.remember(MEMORY, self._noted)


def with_advice(send: Sender) -> Sender:
    """Return a sender whose refused promotions and rollbacks say what to do now.

    :param send: sends a request.
    """

    async def sender(request: ApiRequest[T]) -> T:
        try:
            return await send(request)
        except Conflict as failure:
            if request.operation == "roll back deployment" or _goes_live(request):
                failure.advice = AB_TEST
                if names_experiment(failure):
                    failure.advice, failure.marks = AB_TEST_RUNS, EXPERIMENT_MARKS
            raise
        except PreconditionFailed as failure:
            if _goes_live(request):
                failure.advice = NOT_IN_PRE_RELEASE
            raise

    return sender


def names_experiment(failure: Conflict) -> bool:
    """Return whether the platform's own words name an A/B test or an experiment as the reason of a refusal.

    :param failure: the refusal.
    """
    return _EXPERIMENT.search(failure.reason) is not None


def _is_about(note: Mapping[str, Any], now: DeploymentState | None) -> bool:
    """Whether a note is about what runs now: by its version, or because another record ran when it was made."""
    if now is None:
        return False
    wanted = note.get("version")
    return bool(wanted == now.version if wanted else note.get("previous_id") != now.deployment_id)


def _goes_live(request: ApiRequest[Any]) -> bool:
    return (request.body or {}).get("targetEnvironment") == LIVE


def _version(state: DeploymentState | None) -> str | None:
    return state.version if state else None


def _record(state: DeploymentState | None) -> str | None:
    return state.deployment_id if state else None
