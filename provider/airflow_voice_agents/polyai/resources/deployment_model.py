"""The deployment model of a project: the ladder or branches, and what public reads show of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from airflow_voice_agents.plans.plan import Finding, error, warning
from airflow_voice_agents.polyai.models import Deployment
from airflow_voice_agents.polyai.resources.deployment_records import moment, newest_first

SIMPLIFIED: Final = "simplified"
"""Deprecated spelling of ``branches``."""

LADDER_WRITES: Final = ("promotion", "rollback")
"""How a record of live comes about on the ladder, as ``deployment_type`` names it."""


class Model(StrEnum):
    """How a project's content reaches its environments."""

    LADDER = "ladder"
    """From sandbox over pre-release to live."""
    BRANCHES = "branches"
    """A merge goes straight to live, and a promotion would publish stale content there."""
    AUTO = "auto"
    """Concluded from the deployments that the public API lists."""


class KnownModel(msgspec.Struct, frozen=True):
    """The model of a project, and where that is known from.

    :param model: ``ladder`` or ``branches``; ``None`` where the public API does not tell.
    :param reason: the facts that it was concluded from; empty where the author of the DAG gave the model.
    """

    model: Model | None
    reason: str = ""

    def findings(self, agent_id: str, *, stops: bool) -> Iterator[Finding]:
        """Yield what a plan says of the model: the conclusion, or the question that a person must answer.

        :param agent_id: the agent.
        :param stops: whether an unknown model stops the run.
        """
        if not self.reason:
            return
        if self.model is not None:
            yield warning(
                "deployment_model", f"deployment_model='auto' concluded {self.model.value}: {self.reason}."
            )
            return
        finding = error if stops else warning
        yield finding(
            "unknown_model",
            f"deployment_model='auto' came to no conclusion: {self.reason}. {question(agent_id)}",
        )


def question(agent_id: str) -> str:
    """Return the question that a person must answer where the public API does not tell the model.

    :param agent_id: the agent.
    """
    return (
        f"Does merging a branch of {agent_id} into main go straight to live? If it does (Agent Studio shows Live and "
        "branches), pass deployment_model='branches'; if it goes to sandbox (Agent Studio shows Sandbox, Pre-release "
        "and Live), pass deployment_model='ladder'."
    )


def conclude(sandbox: Sequence[Deployment], live: Sequence[Deployment]) -> KnownModel:
    """Apply the rule of the vendor's command line to what the public API shows.

    The rule also asks for two facts that only the vendor reads: the template that a project was made from, and a
    flag per project. Where they would decide, there is no conclusion.

    :param sandbox: deployments of sandbox, in any order.
    :param live: deployments of live, in any order.
    """
    if tagged := next((each for each in newest_first(sandbox) if tag_of(each)), None):
        return KnownModel(
            Model.BRANCHES,
            f"deployment {tagged.id} of sandbox carries the tag {tag_of(tagged)!r}, and only branches are tagged",
        )
    return _by_newest(sandbox, live)


def _by_newest(sandbox: Sequence[Deployment], live: Sequence[Deployment]) -> KnownModel:
    """Compare the newest deployment of live with the newest of all; none of them carries a tag."""
    if not live:
        return KnownModel(None, "live runs nothing yet, which happens in both models")
    if any(moment(each) is None for each in (*sandbox, *live)):
        return KnownModel(None, "a deployment has no readable time, so the newest one is not known")
    newest, ours = newest_first([*sandbox, *live])[0], newest_first(live)[0]
    if newest.version is None or ours.version is None:
        return KnownModel(None, "the newest deployment has no version")
    way = way_of(ours)
    if newest.version == ours.version:
        reason = (
            f"live runs the newest version, {ours.version}, as in the branches model, and as on a ladder whose last "
            "step is done"
        )
    elif way not in LADDER_WRITES:
        reason = (
            f"sandbox has the newer version {newest.version}, as on the ladder, but the newest deployment of live was "
            f"no promotion (its type is {way or 'not shown'})"
        )
    else:
        return KnownModel(
            Model.LADDER,
            f"sandbox has version {newest.version}, which is newer than {ours.version} of live, no deployment of "
            f"sandbox carries a tag, and live got its version by {way}",
        )
    return KnownModel(None, reason)


def contradiction(records: Iterable[Deployment]) -> Iterator[Finding]:
    """Say so where the history of sandbox shows that a project is not on the ladder.

    :param records: deployments of sandbox.
    """
    if tagged := next((each for each in records if tag_of(each)), None):
        yield error(
            "not_a_ladder",
            f"Deployment {tagged.id} of sandbox carries the tag {tag_of(tagged)!r}: this project is on the branches "
            "model, in which nothing is promoted. Pass deployment_model='branches' and release by merging a branch.",
        )


def tag_of(record: Deployment) -> str | None:
    """Return the tag of a branch in a deployment's metadata, or ``None``.

    :param record: a deployment.
    """
    return _text(record.metadata, "tag")


def way_of(record: Deployment) -> str | None:
    """Return how a deployment came about (``"publish"``, ``"promotion"``, ``"rollback"``), where that is shown.

    :param record: a deployment.
    """
    return _text(record.metadata, "deployment_type")


def _text(metadata: Mapping[str, Any] | None, name: str) -> str | None:
    value = (metadata or {}).get(name)
    return value if isinstance(value, str) and value else None
