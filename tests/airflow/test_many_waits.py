"""A thousand deferred sensors in one triggerer: each ends once, and the platform is asked as if they were few."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.bases.trigger import JITTER
from airflow_voice_agents.emulator.fleet_seed import FLEET_ACCOUNT, FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai.conditions import (
    AlertsClearCondition,
    ConfigCondition,
    ConnectorCondition,
    DeploymentCondition,
    NumbersCondition,
    QuietCondition,
    TestRunsCondition,
)
from airflow_voice_agents.polyai.conditions.quiet import bucket_of
from airflow_voice_agents.polyai.triggers import (
    PolyAIAlertsClearTrigger,
    PolyAIConfigTrigger,
    PolyAIConnectorTrigger,
    PolyAIDeploymentTrigger,
    PolyAIPhoneNumbersTrigger,
    PolyAIQuietWindowTrigger,
    PolyAITestRunsTrigger,
    PolyAITrigger,
)
from support.triggerer import Triggerer

AGENTS = 50
PER_AGENT = {"config": 6, "deployment": 5, "numbers": 4, "connector": 3, "tests": 1}
ACCOUNT_WIDE = {"alerts": 25, "quiet": 25}
TRIGGERS = AGENTS * sum(PER_AGENT.values()) + sum(ACCOUNT_WIDE.values())
POLLS = AGENTS * len(PER_AGENT) + len(ACCOUNT_WIDE)
"""The distinct requests, whichever task sends them."""
INTERVAL = 6.0
RUNTIME_KEY, RULE = "demo-key-fleet-runtime", "ar_0Fleet"
NEW_VERSION, NEW_VOICE = "9" * 32, "en-GB-Neural2-C"


def site(index: int) -> str:
    return f"site-{index:04}"


def new_number(index: int) -> str:
    return f"+44208{index:07}"


@dataclass
class Waits:
    """The sensors' triggers, as a database holds them, and the platform that they look at."""

    server: EmulatorServer
    runs: dict[str, str]
    deadline: float

    def __post_init__(self) -> None:
        self.stored = dict(enumerate(self._all(), start=1))

    @property
    def connections(self) -> dict[str, Any]:
        extra = {
            "max_concurrency": 8,
            "runtime_host": self.server.url,
            "runtime_api_key": RUNTIME_KEY,
        }
        return {
            "polyai_default": {
                "conn_type": "polyai",
                "host": self.server.url,
                "password": FLEET_KEY,
                "extra": json.dumps(extra),
            }
        }

    def _all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for index in range(1, AGENTS + 1):
            for kind, count in PER_AGENT.items():
                yield from (self._stored(kind, index) for _ in range(count))
        for kind, count in ACCOUNT_WIDE.items():
            yield from (self._stored(kind, 1) for _ in range(count))

    def _stored(self, kind: str, index: int) -> tuple[str, dict[str, Any]]:
        agent = site(index)
        after = datetime.now(UTC) - timedelta(hours=1)
        trigger, condition = {
            "config": lambda: (
                PolyAIConfigTrigger,
                ConfigCondition.parse(agent, "live", {"site_name": "new"}, None, None),
            ),
            "deployment": lambda: (
                PolyAIDeploymentTrigger,
                DeploymentCondition.parse(agent, "live", NEW_VERSION, None, None),
            ),
            "numbers": lambda: (
                PolyAIPhoneNumbersTrigger,
                NumbersCondition.parse(agent, new_number(index), "live", None),
            ),
            "connector": lambda: (
                PolyAIConnectorTrigger,
                ConnectorCondition.parse(agent, f"conn_{index}_live", {"voice_name": NEW_VOICE}, None),
            ),
            "tests": lambda: (
                PolyAITestRunsTrigger,
                TestRunsCondition.parse(agent, [self.runs[agent]], 0, "failed"),
            ),
            "alerts": lambda: (
                PolyAIAlertsClearTrigger,
                AlertsClearCondition.parse(after, agent, None, False, False),
            ),
            "quiet": lambda: (
                PolyAIQuietWindowTrigger,
                QuietCondition.parse(FLEET_ACCOUNT, agent, "live", 0, 15),
            ),
        }[kind]()
        return self._kept(trigger, condition)

    def _kept(self, trigger: type[PolyAITrigger], condition: Any) -> tuple[str, dict[str, Any]]:
        made = trigger(
            polyai_conn_id="polyai_default",
            condition=condition.serialize(),
            poll_interval=INTERVAL,
            deadline=self.deadline,
        )
        return made.serialize()

    def fulfil(self) -> None:
        """Bring about everything that is waited for, as colleagues and the platform would."""
        store = self.server.polyai
        self.server.switches.test_run_outcome = "passed"
        store.set_alert(RULE, "ok", lastEvaluatedAt=0)
        with store.state.lock:
            for index in range(1, AGENTS + 1):
                agent = store.agents[site(index)]
                store.write_page(site(index), "live", variables={"site_name": "new"})
                source = {"version": NEW_VERSION, "artifactVersion": "9"}
                store.deploy(site(index), "live", source, "someone", {})
                connector_id = f"conn_{index}_live"
                record = {"clientEnv": "live", "connectorId": connector_id}
                store.put_number(site(index), new_number(index), record)
                connector = agent["connectors"][connector_id]
                agent["connectors"][connector_id] = {**connector, "voiceName": NEW_VOICE}
            store.agents[site(1)]["conversations"].clear()

    def asked(self) -> Counter[str]:
        """Requests so far by what was asked; the times of the quiet window left out."""
        return Counter(entry.path.partition("?")[0] for entry in self.server.journal.entries())


@pytest.fixture
def waits() -> Iterator[Waits]:
    seed = fleet_seed(AGENTS)
    polyai = seed["polyai"]
    polyai["keys"][RUNTIME_KEY] = {"name": "Fleet runtime", "account": FLEET_ACCOUNT, "host": "runtime"}
    polyai["alertRules"] = {
        RULE: {
            "account": FLEET_ACCOUNT,
            "name": "Errors",
            "agent": site(1),
            "metric": "api_errors",
            "threshold": 5,
            "state": "alert",
            "since": -60,
            "lastEvaluatedAt": -30,
        }
    }
    switches = {"wall_clock": True, "test_run_outcome": "never"}
    with EmulatorServer(seed, switches=switches) as server:
        server.polyai.add_conversation(site(1), "live", inProgress=True, startedAt=-3600)
        runs = {slug: server.polyai.start_run(slug, "main", ["CASE-1"]) for slug in server.polyai.agents}
        yield Waits(server, runs, deadline=time.time() + 600)


def create(triggerer: Triggerer, stored: dict[int, tuple[str, dict[str, Any]]]) -> None:
    for trigger_id, (classpath, kwargs) in stored.items():
        triggerer.create(trigger_id, classpath, kwargs)


def ends(triggerer: Triggerer) -> dict[int, list[str]]:
    return {key: [event["status"] for event in events] for key, events in triggerer.events.items()}


def rounds_of_all(waits: Waits, triggerer: Triggerer, *, polls: int, rounds: int) -> None:
    """Return when everything there is to ask was asked some times."""
    give_up = time.monotonic() + 120
    while len(asked := waits.asked()) < polls or min(asked.values()) < rounds:
        assert time.monotonic() < give_up, f"{len(asked)} of {polls}, {asked.most_common()[-3:]}"
        triggerer.check()
        time.sleep(0.2)


def test_a_thousand_waits_end_once_each_and_share_what_they_ask(waits: Waits, tmp_path: Path) -> None:
    assert (len(waits.stored), TRIGGERS, POLLS) == (1000, 1000, 252)
    began, window = time.monotonic(), bucket_of(datetime.now(UTC))
    with Triggerer(waits.connections, tmp_path / "triggerer.log") as triggerer:
        create(triggerer, waits.stored)
        rounds_of_all(waits, triggerer, polls=POLLS, rounds=3)
        early = dict(triggerer.events)
        waits.fulfil()
        triggerer.wait(waits.stored)
        seconds = time.monotonic() - began
        log, blocked = triggerer.log, triggerer.blocked

    assert early == {}
    assert ends(triggerer) == {key: ["success"] for key in waits.stored}
    assert triggerer.failures == []
    asked = waits.asked()
    most = seconds / (INTERVAL * (1 - JITTER)) + 1
    assert len(asked) == POLLS
    # Every five minutes the quiet window moves on, which may be a question more.
    moved_on = window != bucket_of(datetime.now(UTC))
    assert max(asked.values()) <= most + moved_on
    assert sum(asked.values()) <= POLLS * most + moved_on
    # So a poll is repeated after 0.9 intervals at the earliest. At an interval of 60 s, a thousand waits on 252
    # things cost at most 280 requests a minute; each by itself, they would cost a thousand or more.
    assert round(POLLS / (1 - JITTER)) == 280
    assert blocked == []
    assert triggerer.asked.count("GetConnection") == 2, "one for each host"
    assert FLEET_KEY not in log


def test_waits_go_on_in_another_triggerer_after_a_crash(waits: Waits, tmp_path: Path) -> None:
    some = {key: waits.stored[key] for key in [*range(1, 20), 1000]}
    first = Triggerer(waits.connections, tmp_path / "first.log")
    with first:
        create(first, some)
        rounds_of_all(waits, first, polls=6, rounds=1)
        first.kill()
    waits.fulfil()
    with Triggerer(waits.connections, tmp_path / "second.log") as second:
        create(second, some)
        second.wait(some)

    assert first.events == {}
    assert ends(second) == {key: ["success"] for key in some}
    assert second.failures == []


def test_a_deadline_that_passed_while_no_triggerer_ran_ends_the_wait_after_one_look(
    waits: Waits, tmp_path: Path
) -> None:
    late = {
        key: (classpath, {**kwargs, "deadline": time.time() - 60})
        for key, (classpath, kwargs) in waits.stored.items()
        if key <= 19
    }
    with Triggerer(waits.connections, tmp_path / "triggerer.log") as triggerer:
        create(triggerer, late)
        triggerer.wait(late)

    assert ends(triggerer) == {key: ["timeout"] for key in late}
    assert len(waits.asked()) == len(PER_AGENT)


def test_a_trigger_that_blocks_the_others_would_be_seen(waits: Waits, tmp_path: Path) -> None:
    with Triggerer(waits.connections, tmp_path / "triggerer.log") as triggerer:
        triggerer.create(1, "support.triggerer.Blocking", {})
        triggerer.wait([1])

    assert triggerer.blocked
