"""Deployments that end at any moment, and are started again: one record, and the facts of the first try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.deployment_xcoms import AB_TEST, NOT_IN_PRE_RELEASE, with_advice
from airflow_voice_agents.polyai.actions.deployments import parse_promote, parse_rollback
from airflow_voice_agents.polyai.actions.publishing import parse_merge, parse_publish
from airflow_voice_agents.polyai.models import Branch, Deployment, DeploymentResult, MergeResult
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import Conflict, NotFound, OutcomeUnknown, PreconditionFailed
from support import actions
from support.kill_switch import Fuse, FusedStore, Killed

AGENT = "rosa"


@dataclass
class Platform:
    """One agent: sandbox has run a, b and c, pre-release a and b, live a; a branch waits to be merged."""

    fuse: Fuse = field(default_factory=Fuse)
    draft: str = "d"
    branches: list[str] = field(default_factory=lambda: ["BRANCH-1"])
    records: list[Deployment] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    """Which writes, counted from 1, take effect without an answer."""
    writes: int = 0

    def __post_init__(self) -> None:
        for place, runs in (("sandbox", "abc"), ("pre-release", "ab"), ("live", "a")):
            for version in runs:
                self.deploy(place, version)

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.fuse.burn()
        await asyncio.sleep(0)
        answer = self.handle(call)
        await asyncio.sleep(0)
        self.fuse.burn()
        return answer

    def handle(self, call: ApiRequest[Any]) -> Any:
        if call.method == "GET":
            return self.shown(call)
        self.writes += 1
        answer = self.written(call)
        if self.writes in self.lost:
            raise OutcomeUnknown("reset", operation=call.operation)
        return answer

    def shown(self, call: ApiRequest[Any]) -> Any:
        if call.operation == "list branches":
            return [Branch.model_validate({"branchId": each, "name": each.lower()}) for each in self.branches]
        if call.operation == "get active deployments":
            return {each.environment: each for each in self.records}
        return [each for each in self.records if each.environment == dict(call.query)["environment"]]

    def written(self, call: ApiRequest[Any]) -> Any:
        record_id, body = call.path.split("/")[-2], call.body or {}
        if call.operation == "publish deployment":
            if self.versions("sandbox")[-1] == self.draft:
                raise Conflict("published", status=409, error_code="DEPLOYMENTS_ALREADY_PUBLISHED")
            return self.deploy("sandbox", self.draft)
        if call.operation == "merge branch":
            if record_id not in self.branches:
                raise NotFound("no such branch", status=404)
            self.branches.remove(record_id)
            self.deploy("sandbox", "mn"["m" in self.versions("sandbox")])
            return MergeResult(test_run_ids=("t",))
        taken = next(each for each in self.records if each.id == record_id)
        return self.deploy(body.get("targetEnvironment", taken.environment), taken.version or "")

    def deploy(self, environment: str, version: str) -> DeploymentResult:
        number = len(self.records) + 1
        made = Deployment(
            id=f"id-{number}",
            environment=environment,
            version=version,
            created_at=f"2026-08-01T09:{number:02}:00Z",
        )
        self.records.append(made)
        return DeploymentResult(deployment=made, test_run_ids=("t",))

    def versions(self, environment: str) -> list[str]:
        return [each.version or "" for each in self.records if each.environment == environment]


Told = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Scenario:
    """A job, and what the platform holds when it is done once."""

    name: str
    make: Callable[[Told], Any]
    environment: str
    versions: str
    previous: str

    def __str__(self) -> str:
        return self.name


SCENARIOS = (
    Scenario(
        "promote",
        lambda tell: parse_promote(AGENT, "sandbox", "pre-release", on_facts=tell),
        "pre-release",
        "abc",
        "b",
    ),
    Scenario(
        "roll back",
        lambda tell: parse_rollback(AGENT, "pre-release", "previous", on_facts=tell),
        "pre-release",
        "aba",
        "b",
    ),
    Scenario("publish", lambda tell: parse_publish(AGENT, on_facts=tell), "sandbox", "abcd", "c"),
    Scenario("merge", lambda tell: parse_merge(AGENT, "branch-1", on_facts=tell), "sandbox", "abcm", "c"),
)


def carry_out(
    platform: Platform, scenario: Scenario, store: FusedStore | None
) -> tuple[Report, dict[str, Any]]:
    told: dict[str, Any] = {}
    given = GuardContext(Overrides(confirm_live=True))
    action = scenario.make(told.update)
    return actions.carry_out(action, platform, task_state=store, guard_context=given), told


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_job_killed_at_any_moment_and_started_again_adds_one_record(scenario: Scenario) -> None:
    calm = Fuse()
    carry_out(Platform(calm), scenario, FusedStore(calm))

    for moment in range(1, calm.burnt + 1):
        fuse = Fuse(moment)
        platform, store = Platform(fuse), FusedStore(fuse)
        with pytest.raises(Killed):
            carry_out(platform, scenario, store)
        fuse.renew()
        report, told = carry_out(platform, scenario, store)

        where = f"killed at moment {moment} of {calm.burnt}"
        assert "".join(platform.versions(scenario.environment)) == scenario.versions, where
        assert report.complete, where
        assert told["previous_version"] == scenario.previous, where
        assert told["version"] == scenario.versions[-1], where
        assert told["deployment_id"] == platform.records[-1].id, where


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
@pytest.mark.parametrize("lost", [{1}, {2}, {1, 2}])
def test_a_job_whose_answers_are_lost_adds_one_record(scenario: Scenario, lost: set[int]) -> None:
    platform = Platform(lost=lost)

    report, told = carry_out(platform, scenario, None)

    assert "".join(platform.versions(scenario.environment)) == scenario.versions
    assert [item.status for item in report.items] == [Status.CHANGED]
    assert told["test_run_ids"] == ([] if 1 in lost else ["t"])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_job_that_is_done_writes_nothing_and_tells_the_same_again(scenario: Scenario) -> None:
    platform, store = Platform(), FusedStore(Fuse())
    _, first = carry_out(platform, scenario, store)
    writes = platform.writes

    report, second = carry_out(platform, scenario, store)

    assert [item.status for item in report.items] == [Status.UNCHANGED]
    assert platform.writes == writes + (scenario.name == "publish")  # the platform says that nothing is new
    assert second == first


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_cleared_task_tells_what_its_last_run_replaced(scenario: Scenario) -> None:
    """What a task noted outlives its being cleared, and must not be taken for what ran later."""
    platform, store = Platform(), FusedStore(Fuse())
    carry_out(platform, scenario, store)
    platform.deploy("sandbox", "y")
    platform.deploy("pre-release", "y")
    platform.deploy("sandbox", "x")
    platform.draft, platform.branches = "z", ["BRANCH-1"]

    report, told = carry_out(platform, scenario, store)

    assert [item.status for item in report.items] == [Status.CHANGED]
    assert told["previous_version"] == ("x" if scenario.environment == "sandbox" else "y")
    assert told["deployment_id"] == platform.records[-1].id


@pytest.mark.parametrize("scenario", [SCENARIOS[0], SCENARIOS[2], SCENARIOS[3]], ids=str)
def test_a_cleared_task_killed_at_any_moment_still_tells_what_its_last_run_replaced(
    scenario: Scenario,
) -> None:
    moment, burnt = 0, 1
    while moment < burnt:
        moment += 1
        fuse = Fuse()
        platform, store = Platform(fuse), FusedStore(fuse)
        carry_out(platform, scenario, store)
        last = platform.versions(scenario.environment)[-1]
        if scenario.name == "promote":
            platform.deploy("sandbox", "x")
        platform.draft, platform.branches = "z", ["BRANCH-1"]
        fuse.renew(moment)
        try:
            carry_out(platform, scenario, store)
            burnt = moment
        except Killed:
            burnt = moment + 1
        fuse.renew()
        _, told = carry_out(platform, scenario, store)

        assert told["previous_version"] == last, f"killed at moment {moment}"
        assert told["deployment_id"] == platform.records[-1].id

    assert moment > 8


# -------------------------------------------------------------------------------------- the hints


@pytest.mark.parametrize(
    ("call", "failure", "advice"),
    [
        (api.promote_deployment(AGENT, deployment_id="1", target_environment="live"), Conflict, AB_TEST),
        (api.rollback_deployment(AGENT, deployment_id="1"), Conflict, AB_TEST),
        (
            api.promote_deployment(AGENT, deployment_id="1", target_environment="live"),
            PreconditionFailed,
            NOT_IN_PRE_RELEASE,
        ),
        (
            api.promote_deployment(AGENT, deployment_id="1", target_environment="pre-release"),
            Conflict,
            None,
        ),
        (api.merge_branch(AGENT, branch_id="1"), Conflict, None),
    ],
)
def test_refusals_say_what_to_do_now(call: ApiRequest[Any], failure: Any, advice: str | None) -> None:
    async def refuse(_: ApiRequest[Any]) -> Any:
        raise failure("no")

    with pytest.raises(failure) as caught:
        asyncio.run(with_advice(refuse)(call))

    assert caught.value.advice == (failure.advice_default if advice is None else advice)
