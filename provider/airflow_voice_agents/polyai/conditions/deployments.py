"""Conditions on deployments and test runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from airflow_voice_agents.plans.condition import Found, WaitFailed
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.conditions.arguments import (
    parse_fail_on,
    parse_ids,
    parse_moment,
    parse_whole,
)
from airflow_voice_agents.polyai.models import Deployment, parse_environment
from airflow_voice_agents.polyai.observations import TestRun, Verdict
from airflow_voice_agents.polyai.resources.deployment_records import moment
from airflow_voice_agents.polyai.resources.test_gate import SKIPPED
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_identifier


@dataclass(frozen=True, slots=True)
class DeploymentCondition:
    """An environment's active deployment is a version, a record, or newer than a moment; one of the three.

    :param agent_id: the agent.
    :param environment: one of the three stages.
    :param version: version that must be active.
    :param deployment_id: record that must be active.
    :param newer_than: moment, in ISO 8601, after which the record must have been made.
    """

    agent_id: str
    environment: str
    version: str | None = None
    deployment_id: str | None = None
    newer_than: str | None = None

    @classmethod
    def parse(
        cls, agent_id: object, environment: object, version: object, deployment_id: object, newer_than: object
    ) -> DeploymentCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
        """
        if sum(given is not None for given in (version, deployment_id, newer_than)) != 1:
            raise InputError("give exactly one of version, deployment_id and newer_than")
        after = None if newer_than is None else parse_moment(newer_than, name="newer_than").isoformat()
        return cls(
            agent_id=parse_identifier(agent_id, name="agent_id"),
            environment=str(parse_environment(environment)),
            version=None if version is None else parse_identifier(version, name="version"),
            deployment_id=None
            if deployment_id is None
            else parse_identifier(deployment_id, name="deployment_id"),
            newer_than=after,
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return asdict(self)

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> DeploymentCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**plain)

    def reads(self) -> list[ApiRequest[dict[str, Deployment | None]]]:
        """Return the request of the condition: one for all environments of the agent."""
        return [api.get_active_deployments(self.agent_id)]

    def holds(self, answers: Sequence[Mapping[str, Deployment | None]]) -> Found:
        """Evaluate the condition, and return the active deployment.

        :param answers: responses to the requests of :meth:`reads`, in order.
        """
        active = answers[0].get(self.environment)
        found = {
            "agent_id": self.agent_id,
            "environment": self.environment,
            "deployment_id": active and active.id,
            "version": active and active.version,
            "created_at": active and active.created_at,
        }
        return active is not None and self._fits(active), found

    def _fits(self, active: Deployment) -> bool:
        if self.newer_than is not None:
            made = moment(active)
            return made is not None and made > datetime.fromisoformat(self.newer_than)
        if self.version is not None:
            return active.version == self.version
        return active.id == self.deployment_id


@dataclass(frozen=True, slots=True)
class TestRunsCondition:
    """Test runs have ended, and passed.

    :param agent_id: the agent.
    :param test_run_ids: the runs; without any there is nothing to wait for.
    :param allowed_failures: number of tests that can fail in all runs together.
    :param fail_on: ``failed``, or ``never`` to wait only for the end of the runs.
    """

    __test__ = False

    agent_id: str
    test_run_ids: tuple[str, ...] = ()
    allowed_failures: int = 0
    fail_on: str = "failed"

    @classmethod
    def parse(
        cls, agent_id: object, test_run_ids: object, allowed_failures: object, fail_on: object
    ) -> TestRunsCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
        """
        return cls(
            agent_id=parse_identifier(agent_id, name="agent_id"),
            test_run_ids=parse_ids(test_run_ids, name="test_run_ids"),
            allowed_failures=parse_whole(allowed_failures, name="allowed_failures"),
            fail_on=parse_fail_on(fail_on),
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {**asdict(self), "test_run_ids": list(self.test_run_ids)}

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> TestRunsCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**{**plain, "test_run_ids": tuple(plain["test_run_ids"])})

    def reads(self) -> list[ApiRequest[TestRun]]:
        """Return the requests of the condition: one per run."""
        return [api.get_test_run(self.agent_id, test_run_id=each) for each in self.test_run_ids]

    def holds(self, answers: Sequence[TestRun]) -> Found:
        """Decide whether all runs have ended, and return the counts of each.

        A run with an undocumented status counts as running.

        :param answers: responses to the requests of :meth:`reads`, in order.
        :raises WaitFailed: when all have ended and not all passed.
        """
        runs = dict(zip(self.test_run_ids, answers, strict=True))
        found = {"agent_id": self.agent_id, "test_runs": {key: _counts(run) for key, run in runs.items()}}
        found["verdict"] = _verdict(runs.values())
        if any(run.verdict in (Verdict.PENDING, Verdict.UNKNOWN) for run in runs.values()):
            return False, found
        bad = {key: run for key, run in runs.items() if run.verdict is not Verdict.PASSED}
        if bad and self.fail_on == "failed" and not self._allowed(bad.values()):
            listed = "; ".join(f"{key} {_summary(run)}" for key, run in bad.items())
            raise WaitFailed(
                f"{len(bad)} of {len(runs)} test run(s) of agent {self.agent_id} did not pass: {listed}. "
                "Look at them in Agent Studio before you promote further; what was deployed stays deployed."
            )
        return True, found

    def _allowed(self, bad: Iterable[TestRun]) -> bool:
        """Only failed tests are counted; a run that came to no result, or shows no counts, is never allowed."""
        failures = 0
        for run in bad:
            if run.verdict is not Verdict.FAILED or not run.failed_count or run.error_count:
                return False
            failures += run.failed_count
        return failures <= self.allowed_failures


def _verdict(runs: Iterable[TestRun]) -> str:
    """Return what all runs together amount to; no run, or none that tested anything, is skipped."""
    tested = [run for run in runs if run.test_case_count != 0]
    if not tested:
        return SKIPPED
    verdicts = {run.verdict for run in tested}
    order = (Verdict.PENDING, Verdict.UNKNOWN, Verdict.FAILED, Verdict.ERROR)
    return next((each.value for each in order if each in verdicts), Verdict.PASSED.value)


def _counts(run: TestRun) -> dict[str, Any]:
    return {
        "verdict": run.verdict.value,
        "tests": run.test_case_count,
        "passed": run.passed_count,
        "failed": run.failed_count,
        "errors": run.error_count,
    }


def _summary(run: TestRun) -> str:
    counts = (run.passed_count, run.failed_count, run.error_count)
    names = ("passed", "failed", "without a result")
    known = [f"{count} {name}" for count, name in zip(counts, names, strict=True) if count is not None]
    return f"({run.verdict.value}: {', '.join(known) or 'no counts'})"
