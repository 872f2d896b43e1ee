"""Drift of a small fleet on a local server: who is found, with which word, at the cost of which reads."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.drift import DRIFTED, SETTLED, Drift, DriftFinding, DriftReport
from airflow_voice_agents.polyai.actions.drift import Baseline, BaselineDrift, SpecDrift
from airflow_voice_agents.polyai.files import EnvironmentFiles
from airflow_voice_agents.polyai.resources.config_page import PageState
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import InputError, ServerError, Unauthorized
from support.transport import make_settings

SITES = 12
SANDBOX, PRE_RELEASE, LIVE = "sandbox", "pre-release", "live"
PAGES, ACTIVE, HISTORY = "list real-time configs", "get active deployments", "list deployments"
CONNECTORS, VARIANTS = "list connectors", "list variants"
GET_CONNECTORS, GET_NUMBERS = "get connectors", "get phone numbers"
SECRET = "marker-of-a-value"


def site(number: int) -> str:
    return f"site-{number:04}"


def number(index: int) -> str:
    return f"+44208{index:05}0"


def target(index: int) -> str:
    return f"{site(index)}/{PRE_RELEASE}"


def seed() -> dict[str, Any]:
    """Sites whose pre-release is as their sandbox, in everything that is promoted."""
    made = copy.deepcopy(fleet_seed(SITES))
    for index, agent in enumerate(made["polyai"]["agents"].values(), start=1):
        agent["configs"][PRE_RELEASE] = copy.deepcopy(agent["configs"][SANDBOX])
        agent["deployments"] = [
            {"environment": environment, "version": "5" * 32, "createdAt": f"2026-08-0{day}T08:00:00Z"}
            for day, environment in enumerate((LIVE, PRE_RELEASE, SANDBOX), start=1)
        ]
        agent["connectors"] = {
            f"conn_{index}_{environment}": {
                "name": "Main",
                "clientEnv": environment,
                "voiceName": "en-GB-Wavenet-C",
            }
            for environment in (SANDBOX, PRE_RELEASE)
        }
        agent["numbers"] = {
            number(index): {"clientEnv": PRE_RELEASE, "connectorId": f"conn_{index}_{PRE_RELEASE}"}
        }
    return made


class Desk:
    """Runs jobs against a server, and changes it as colleagues would."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.said: list[str] = []

    def look(self, comparison: SpecDrift | BaselineDrift, **options: Any) -> DriftReport:
        self.server.journal.clear()
        client = Client(make_settings(self.server.url, options.pop("key", FLEET_KEY)))
        try:
            return client.run(comparison.run(RunContext(client.asend, self.said.append, **options)))
        finally:
            client.close()

    def requests(self) -> dict[str, int]:
        return dict(Counter(str(entry.operation) for entry in self.server.journal.entries()))

    def agent(self, index: int) -> dict[str, Any]:
        return self.server.polyai.agents[site(index)]

    def deploy(self, index: int, environment: str, version: str) -> None:
        record = dict(self.agent(index)["deployments"][-1])
        new = {"id": f"d-{version}", "createdAt": "2026-08-09T08:00:00Z"}
        self.agent(index)["deployments"].append(
            {**record, **new, "environment": environment, "version": version, "artifactVersion": version}
        )

    def put(self, index: int, environment: str = PRE_RELEASE, **values: Any) -> None:
        now = self.server.polyai.page(site(index), environment)["variables"]
        self.server.polyai.write_page(site(index), environment, variables={**now, **values})


@pytest.fixture
def desk() -> Iterator[Desk]:
    with EmulatorServer(seed()) as server:
        yield Desk(server)


def no_files(*_: str) -> EnvironmentFiles:
    raise AssertionError("no files are the source")


def spec(*indices: int, environment: str = PRE_RELEASE, **more: Any) -> PromotionSpec:
    """Everything, from each site's sandbox; ``more`` replaces sections."""
    targets = [
        {
            "agent_id": site(index),
            "environment": environment,
            "source": {"agent_id": site(index), "environment": SANDBOX},
        }
        for index in indices or range(1, SITES + 1)
    ]
    sections = {"config": {}, "connectors": {}, "deployment": {}}
    return PromotionSpec.parse({"targets": targets, **sections, **more})


def comparison(*indices: int, baseline: Baseline | None = None, **more: Any) -> SpecDrift:
    return SpecDrift(spec(*indices, **more), no_files, baseline)


def pages_only(*indices: int, baseline: Baseline | None = None, **more: Any) -> SpecDrift:
    return comparison(*indices, baseline=baseline, connectors=None, deployment=None, **more)


def noted(report: DriftReport) -> dict[str, dict[str, str]]:
    """What a promotion would have noted of what is there now."""
    return {
        each.resource.key: {"digest": str(each.now), "at": "2026-08-01T08:00:00Z"} for each in report.findings
    }


def open_ones(report: DriftReport) -> dict[str, Drift]:
    """What is not settled, by kind and target."""
    return {
        f"{each.resource.kind} of {each.target}": each.drift
        for each in report.having(*DRIFTED, Drift.UNKNOWN)
    }


def only(report: DriftReport) -> DriftFinding:
    (finding,) = report.findings
    return finding


# ----------------------------------------------------------------------------- with their source


def test_drift_of_two_sites_is_found_and_that_of_no_other(desk: Desk) -> None:
    base = noted(desk.look(comparison()))
    desk.put(3, holiday_message=SECRET)
    desk.put(9, SANDBOX, holiday_message=SECRET, flags={})
    before = desk.server.state.snapshot()

    report = desk.look(comparison(baseline=base))

    assert open_ones(report) == {
        f"config page of {target(3)}": Drift.EDITED,
        f"config page of {target(9)}": Drift.NOT_PROMOTED,
    }
    assert {each.keys for each in report.having(Drift.EDITED)} == {("holiday_message",)}
    assert {each.keys for each in report.having(Drift.NOT_PROMOTED)} == {("flags", "holiday_message")}
    assert report.counts()["total"] == 3 * SITES
    assert SECRET not in repr(report.document()) + repr(report.summary()) + "".join(desk.said)
    assert desk.server.state.snapshot() == before


def test_the_reads_are_those_of_a_plan_and_nothing_is_written(desk: Desk) -> None:
    report = desk.look(comparison())

    assert report.settled
    assert desk.requests() == {PAGES: SITES, ACTIVE: SITES, CONNECTORS: SITES, VARIANTS: SITES}
    assert desk.server.journal.writes() == []


@pytest.mark.parametrize("concurrency", [1, 8])
def test_findings_come_in_the_order_of_the_targets(desk: Desk, concurrency: int) -> None:
    report = desk.look(pages_only(), concurrency=concurrency)

    assert [each.target for each in report.findings] == [target(index) for index in range(1, SITES + 1)]


def test_each_kind_is_compared(desk: Desk) -> None:
    base = noted(desk.look(comparison()))
    desk.agent(1)["connectors"][f"conn_1_{PRE_RELEASE}"]["voiceName"] = "en-GB-Neural2-A"
    desk.deploy(2, SANDBOX, "6" * 32)

    report = desk.look(comparison(baseline=base))

    assert open_ones(report) == {
        f"connector of {target(1)}": Drift.EDITED,
        f"deployment of {target(2)}": Drift.NOT_PROMOTED,
    }
    assert report.having(Drift.EDITED)[0].keys == ("voice_name",)
    assert report.having(Drift.NOT_PROMOTED)[0].keys == ("version",)


@pytest.mark.parametrize(
    ("in_sandbox", "in_pre_release", "drift"),
    [
        (None, None, Drift.IN_SYNC),
        ("new", None, Drift.NOT_PROMOTED),
        (None, "new", Drift.EDITED),
        ("new", "new", Drift.CONVERGED),
        ("new", "another", Drift.DIVERGED),
    ],
)
def test_who_has_moved_is_told_from_what_was_applied_last(
    desk: Desk, in_sandbox: str | None, in_pre_release: str | None, drift: Drift
) -> None:
    base = noted(desk.look(pages_only(1)))
    for environment, value in ((SANDBOX, in_sandbox), (PRE_RELEASE, in_pre_release)):
        if value is not None:
            desk.put(1, environment, holiday_message=value)

    two_way, three_way = only(desk.look(pages_only(1))), only(desk.look(pages_only(1, baseline=base)))

    assert three_way.drift is drift
    assert two_way.drift is (Drift.IN_SYNC if drift in SETTLED else Drift.DIFFERS)


def test_keys_that_a_target_keeps_for_itself_are_no_drift(desk: Desk) -> None:
    kept = {"config": {"exclude_keys": ["fallback_number"]}}
    base = noted(desk.look(pages_only(1, **kept)))
    desk.put(1, fallback_number="+442079400000")

    assert only(desk.look(pages_only(1, **kept))).drift is Drift.IN_SYNC
    assert only(desk.look(pages_only(1, baseline=base, **kept))).drift is Drift.CONVERGED
    assert only(desk.look(pages_only(1))).drift is Drift.DIFFERS


@pytest.mark.parametrize("stale_keys", ["keep", "fail"])
def test_a_key_that_somebody_added_to_a_target_is_drift(desk: Desk, stale_keys: str) -> None:
    rules = {"config": {"stale_keys": stale_keys}}
    base = noted(desk.look(pages_only(1, **rules)))
    desk.put(1, added=SECRET)

    finding = only(desk.look(pages_only(1, baseline=base, **rules)))

    assert (finding.drift, finding.keys) == (Drift.EDITED, ("added",))
    assert only(desk.look(pages_only(1, **rules))).drift is Drift.DIFFERS


def test_a_guard_against_the_writing_does_not_hide_drift(desk: Desk) -> None:
    """Sandbox may not be promoted to live directly, but it may be compared with it."""
    finding = only(desk.look(pages_only(1, environment=LIVE, config={"stale_keys": "keep"})))

    assert finding.drift is Drift.DIFFERS
    assert "without pre-release" in finding.reason


def test_an_agent_that_cannot_be_read_is_unknown_and_the_others_are_compared(desk: Desk) -> None:
    desk.put(2, holiday_message="x")
    desk.server.fault("answer", operation=PAGES, route=site(3), status=403, times=None)

    report = desk.look(pages_only(2, 3, 4))

    assert open_ones(report) == {
        f"config page of {target(2)}": Drift.DIFFERS,
        f"config page of {target(3)}": Drift.UNKNOWN,
    }
    assert "could not be read" in report.having(Drift.UNKNOWN)[0].reason


def test_a_source_without_values_tells_nothing(desk: Desk) -> None:
    desk.server.polyai.write_page(site(1), SANDBOX, variables={})

    finding = only(desk.look(pages_only(1)))

    assert finding.drift is Drift.UNKNOWN
    assert "unset or has no values" in finding.reason


def test_files_are_a_source_as_well(desk: Desk) -> None:
    page = desk.server.polyai.page(site(1), LIVE)
    asked: list[tuple[str, ...]] = []

    def shelf(*place: str) -> EnvironmentFiles:
        asked.append(place)
        return EnvironmentFiles(page=PageState(page["schema"], page["variables"]))

    made = PromotionSpec.parse(
        {
            "source": {"folder": "/fleet"},
            "targets": [{"agent_id": site(1), "environment": LIVE}],
            "config": {},
            "never_promote": [],
        }
    )
    still = desk.look(SpecDrift(made, shelf))
    desk.put(1, LIVE, holiday_message="x")
    moved = desk.look(SpecDrift(made, shelf))

    assert [only(each).drift for each in (still, moved)] == [Drift.IN_SYNC, Drift.DIFFERS]
    assert asked == [("/fleet", site(1), LIVE)] * 2
    assert desk.requests() == {PAGES: 1}


@pytest.mark.parametrize(
    ("status", "failure"), [(401, Unauthorized), (503, ServerError)], ids=["refused key", "passing"]
)
@pytest.mark.parametrize("with_source", [True, False])
def test_what_concerns_all_targets_or_passes_ends_the_run(
    desk: Desk, with_source: bool, status: int, failure: type[Exception]
) -> None:
    base = noted(desk.look(pages_only()))
    desk.server.fault("answer", operation=PAGES, status=status, times=None)

    with pytest.raises(failure):
        desk.look(pages_only() if with_source else BaselineDrift(base))


# ------------------------------------------------------------------------- with what was applied


def everything() -> SpecDrift:
    numbers = [{"routing": {"numbers": {number(index): "Main"}}} for index in range(1, SITES + 1)]
    plain = spec().plain()
    targets = [{**each, **own} for each, own in zip(plain["targets"], numbers, strict=True)]
    return SpecDrift(PromotionSpec.parse({**plain, "targets": targets}), no_files)


def test_without_a_source_everything_that_was_noted_is_compared(desk: Desk) -> None:
    base = noted(desk.look(everything()))
    desk.put(5, holiday_message=SECRET)
    desk.put(6, SANDBOX, holiday_message=SECRET)
    desk.agent(7)["connectors"][f"conn_7_{PRE_RELEASE}"]["voiceName"] = "en-GB-Neural2-A"
    desk.agent(8)["numbers"][number(8)]["connectorId"] = None
    desk.deploy(9, PRE_RELEASE, "6" * 32)
    del desk.agent(10)["connectors"][f"conn_10_{PRE_RELEASE}"]

    report = desk.look(BaselineDrift(base))

    assert open_ones(report) == {
        f"config page of {target(5)}": Drift.EDITED,
        f"connector of {target(7)}": Drift.EDITED,
        f"phone number of {target(8)}": Drift.EDITED,
        f"deployment of {target(9)}": Drift.EDITED,
        f"connector of {site(10)}": Drift.EDITED,
    }
    assert report.counts()["total"] == len(base) == 4 * SITES
    assert desk.requests() == {PAGES: SITES, ACTIVE: SITES, GET_CONNECTORS: SITES, GET_NUMBERS: SITES}
    assert SECRET not in repr(report.document()) + "".join(desk.said)


def test_what_cannot_be_read_is_unknown(desk: Desk) -> None:
    base = noted(desk.look(pages_only(1, 2)))
    desk.server.fault("answer", operation=PAGES, route=site(1), status=404, times=None)

    report = desk.look(BaselineDrift(base))

    assert open_ones(report) == {f"config page of {target(1)}": Drift.UNKNOWN}
    assert report.having(Drift.UNKNOWN)[0].reason.startswith("It could not be read: ")


@pytest.mark.parametrize(
    "key", ["page", "page:a/live", "config page:a", "config page:/live", "config page:a/"]
)
def test_a_baseline_of_something_else_is_refused_before_any_request(desk: Desk, key: str) -> None:
    with pytest.raises(InputError, match="no resource that can be compared here"):
        desk.look(BaselineDrift({key: {"digest": "a", "at": "now"}}))

    assert desk.requests() == {}
