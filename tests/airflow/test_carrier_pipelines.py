"""From the carrier to an agent platform in a real Airflow: both ends, costs, re-runs, kills and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.fleet_seed import (
    FLEET_CARRIER_PROJECT,
    FLEET_CARRIER_TOKEN,
    FLEET_KEY,
    FLEET_OMNIA_KEY,
    FLEET_WORKSPACE,
    carrier_number,
    fleet_seed,
)
from airflow_voice_agents.emulator.journal import Entry
from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_home import AirflowHome, DagRunResult
from support.airflow_versions import NATIVE
from support.emulated import Meanwhile

EXAMPLES = Path(__file__).parents[2] / "example_dags"
MANY, FEW = 2000, 120
CARRIER_PAGE, OMNIA_PAGE, BATCH = 1000, 100, 50
ALLOWANCE = 1.05

AGENT, DESK = "site-0001", "conn_1_desk"
PERSON = "+442079460123"
OMNIA_AGENT, OTHER_OMNIA_AGENT = "agent-0001", "agent-0002"

Requests = dict[tuple[str, str], int]
"""System and operation -> requests."""


@dataclass(frozen=True)
class Pipeline:
    """One of the two example DAGs, and what it comes to.

    :param name: its file and DAG.
    :param conf: what it is triggered with.
    :param seed: what the server starts from, for so many numbers.
    :param led: fields of a number at the carrier after the cut-over.
    :param answering: whether the platform answers a number as it shall.
    :param cost: requests at the platform for so many numbers, by operation; the first time, or again.
    :param platform_task: the task that hands the numbers to the platform.
    :param platform_sensor: the task that verifies the platform's end.
    """

    name: str
    conf: Mapping[str, str]
    seed: Callable[[int], dict[str, Any]]
    led: Mapping[str, str]
    answering: Callable[[EmulatorServer, str], bool]
    cost: Callable[[int, bool], Requests]
    platform_task: str
    platform_sensor: str

    def __str__(self) -> str:
        return self.name

    def floor(self, count: int, *, again: bool = False) -> Requests:
        """The fewest requests that a run can do with.

        At the carrier each task that reads lists every page once: the list, the snapshot, the cut-over and the
        sensor. A number that differs takes one PUT.
        """
        carrier = {("signalwire", "list phone numbers"): 4 * ceil(count / CARRIER_PAGE)}
        writes = {} if again else {("signalwire", "update phone number"): count}
        return {**carrier, **writes, **self.cost(count, again)}


# ------------------------------------------------------------------------------------------------ PolyAI


def polyai_seed(count: int) -> dict[str, Any]:
    """A project that has none of the carrier's numbers, and a connector that the platform would not choose."""
    seed = fleet_seed(1, carrier_numbers=count)
    agents = seed["polyai"]["agents"]
    agents[AGENT]["connectors"][DESK] = {"name": "Front desk", "clientEnv": "sandbox"}
    return seed


def polyai_answers(server: EmulatorServer, number: str) -> bool:
    """Whether the number is in sandbox and rings at the desk."""
    record = server.polyai.agents[AGENT]["numbers"].get(number)
    return record == {"clientEnv": "sandbox", "connectorId": DESK}


def polyai_cost(count: int, again: bool) -> Requests:
    """Batches to read, import and read back; the connector once, and one list for the sensor.

    There is no batch call that assigns connectors, so each number that the platform did not put on the right
    one by itself costs one request more. Here that is every number.
    """
    batches = ceil(count / BATCH)
    reads = {"get phone numbers": batches, "get connector": 1, "list phone numbers": 1}
    writes = {"get phone numbers": 2 * batches, "import phone numbers": batches, "assign phone number": count}
    return {("polyai", name): amount for name, amount in (reads if again else reads | writes).items()}


TO_POLYAI = Pipeline(
    "carrier_to_polyai",
    {"lines": "Line", "agent_id": AGENT, "client_env": "sandbox", "connector_id": DESK},
    polyai_seed,
    {"call_handler": "relay_script", "call_relay_script_url": "https://swml.example.com/to-polyai"},
    polyai_answers,
    polyai_cost,
    "import_numbers",
    "agent_answers",
)

# ------------------------------------------------------------------------------------------- Omnia Voice


def omnia_seed(count: int) -> dict[str, Any]:
    """A workspace that has half of the carrier's numbers already; the hourly limit is left to another test."""
    seed = fleet_seed(1, carrier_numbers=count, omnia_agents=2, omnia_numbers=count // 2)
    return {**seed, "switches": {"omnia_rate_limit": 0}}


def omnia_answers(server: EmulatorServer, number: str) -> bool:
    """Whether the agent has the number."""
    return bool(server.omnia_voice.number(number, FLEET_WORKSPACE)["agentId"] == OMNIA_AGENT)


def omnia_cost(count: int, again: bool) -> Requests:
    """The workspace listed before and after writing, one write per number, and the agent's list for the sensor.

    The platform has no batch calls and no larger pages.
    """
    whole, half = ceil(count / OMNIA_PAGE), ceil(count // 2 / OMNIA_PAGE)
    writes = {"update number": count // 2, "assign number": count - count // 2, "list numbers": half + whole}
    reads = {"list numbers": whole, "list numbers of agent": 1}
    return {("omnia_voice", name): amount for name, amount in (reads if again else reads | writes).items()}


TO_OMNIA = Pipeline(
    "carrier_to_omnia_voice",
    {"lines": "Line", "agent_id": OMNIA_AGENT},
    omnia_seed,
    {"call_handler": "laml_webhooks", "call_request_url": "https://voice.example.com/to-omnia"},
    omnia_answers,
    omnia_cost,
    "assign_numbers",
    "agent_has_numbers",
)

PIPELINES = (TO_POLYAI, TO_OMNIA)

# ----------------------------------------------------------------------------------------------- running


@dataclass
class Line:
    """A pipeline, the Airflow that it runs in, and the local server that all its connections lead to."""

    pipeline: Pipeline
    home: AirflowHome
    server: EmulatorServer
    count: int
    file: Path = field(init=False)
    conf: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        url, connect = self.server.url, self.home.connect
        connect("polyai_default", conn_type="polyai", host=url, password=FLEET_KEY)
        connect("omniavoice_default", **self.omnia_connection)
        connect(
            "signalwire_default",
            conn_type="signalwire",
            host=url,
            login=FLEET_CARRIER_PROJECT,
            password=FLEET_CARRIER_TOKEN,
        )
        self.home.settings["AIRFLOW__CORE__FERNET_KEY"] = Fernet.generate_key().decode()
        self.file = EXAMPLES / f"{self.pipeline.name}.py"
        self.conf = dict(self.pipeline.conf)
        self.server.reset(self.pipeline.seed(self.count))
        self.server.switches.record_bodies = True
        self.before = self.routing()

    @property
    def omnia_connection(self) -> dict[str, str]:
        """Fields of the connection to Omnia Voice."""
        return {
            "conn_type": "omniavoice",
            "host": f"{self.server.url}/api/v1",
            "password": FLEET_OMNIA_KEY,
        }

    @property
    def numbers(self) -> list[str]:
        """The carrier's numbers."""
        return [carrier_number(index) for index in range(1, self.count + 1)]

    def change(self, old: str, new: str) -> None:
        """Change the example, as its users do."""
        text = self.file.read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.file = self.home.path / self.file.name
        self.file.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *, forget: bool = True) -> DagRunResult:
        """Run the pipeline from start to end.

        :param forget: whether the requests of earlier runs are forgotten.
        """
        if forget:
            self.server.journal.clear()
        return self.home.run_dag_file(self.file, conf=self.conf)

    def end_locks(self) -> None:
        """Let the locks of a killed run end, as they do by themselves when nobody renews them."""
        for lock in (self.home.path / "voice-agents" / "locks").glob("*.lock"):
            lock.unlink()

    def requests(self) -> Requests:
        """Requests of the last run by system and operation."""
        entries = self.server.journal.entries()
        return dict(Counter((str(entry.system), str(entry.operation)) for entry in entries))

    def routing(self) -> dict[str, dict[str, Any]]:
        """Where the carrier leads the calls of each number."""
        fields = ("call_handler", "call_request_url", "call_request_method", "call_receive_mode")
        records = {number: self.server.signalwire.number(number) for number in self.numbers}
        return {number: {name: record[name] for name in fields} for number, record in records.items()}

    def not_led_there(self) -> list[str]:
        """Numbers that the carrier does not lead to the platform."""
        wanted = self.pipeline.led.items()
        return [each for each in self.numbers if not wanted <= self.server.signalwire.number(each).items()]

    def not_answered(self) -> list[str]:
        """Numbers that the platform does not answer as it shall."""
        return [each for each in self.numbers if not self.pipeline.answering(self.server, each)]

    def kill(self) -> None:
        """Kill Airflow at once, as kill -9 does; whoever started it finds that out."""
        for process in self.home.processes():
            process.kill()

    def when(self, happens: Callable[[], Any], **rule: Any) -> Meanwhile:
        """Do something when a request arrives."""
        fault = Meanwhile(happens, **rule)
        self.server.emulator.faults.add(fault)
        return fault


@pytest.fixture(scope="module")
def running_server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def start(airflow_home: AirflowHome, running_server: EmulatorServer) -> Callable[[Pipeline, int], Line]:
    """Start over with a pipeline and so many numbers."""
    return lambda pipeline, count: Line(pipeline, airflow_home, running_server, count)


def statuses(run: DagRunResult, task: str) -> dict[str, int]:
    """How the numbers of a task ended, where any ended so."""
    counts = run.xcoms[task]["report"]["counts"]
    return {status: count for status, count in counts.items() if count and status != "total"}


def touched(entry: Entry) -> list[str]:
    """What a request changes: a number each, and how."""
    body = entry.body or {}
    numbers = body.get("phoneNumbers") or [body.get("phoneNumber") or entry.path]
    return [f"{entry.operation} {number}" for number in numbers]


Start = Callable[[Pipeline, int], Line]


# ------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("pipeline", PIPELINES, ids=str)
def test_two_thousand_numbers_in_the_fewest_requests_and_again_without_a_write(
    start: Start, pipeline: Pipeline
) -> None:
    line = start(pipeline, MANY)

    first = line.run()

    assert first.state == "success", first.output
    assert (line.not_led_there(), line.not_answered()) == ([], [])
    assert statuses(first, pipeline.platform_task) == {"changed": MANY}
    assert statuses(first, "cut_over") == {"changed": MANY}
    assert {task for task, state in first.tasks.items() if state != "success"} <= {
        "test_call",
        "restore_routing",
        "fail_the_run",
    }
    within(line.requests(), pipeline.floor(MANY))
    after = line.server.state.snapshot()

    again = line.run()

    assert again.state == "success", again.output
    assert line.server.journal.writes() == []
    assert line.server.state.snapshot() == after
    assert statuses(again, pipeline.platform_task) == {"unchanged": MANY}
    assert statuses(again, "cut_over") == {"unchanged": MANY}
    within(line.requests(), pipeline.floor(MANY, again=True))


def within(requests: Requests, floor: Requests) -> None:
    """Expect no operation that the floor does not have, and at most 5 % more requests at each system."""
    assert requests.keys() == floor.keys()
    for system in {system for system, _ in floor}:
        sent = sum(count for (its, _), count in requests.items() if its == system)
        needed = sum(count for (its, _), count in floor.items() if its == system)
        print(f"{system}: {sent} requests, floor {needed}")
        assert needed <= sent <= needed * ALLOWANCE, (system, requests, floor)


def test_numbers_that_the_platform_connects_by_itself_cost_batches_only(start: Start) -> None:
    line = start(TO_POLYAI, FEW)
    line.conf["connector_id"] = "conn_1_sandbox"

    run = line.run()

    assert run.state == "success", run.output
    cost = TO_POLYAI.floor(FEW)
    del cost["polyai", "assign phone number"]
    assert line.requests() == cost


def test_an_hourly_limit_is_waited_for_between_tries_that_repeat_nothing(start: Start) -> None:
    line = start(TO_OMNIA, FEW)
    line.home.connect("omniavoice_default", **line.omnia_connection, extra={"timeout": 2})
    line.server.switches.update({"omnia_rate_limit": 100, "omnia_rate_window": 6})

    run = line.run()

    assert run.state == "success", run.output
    # Before Airflow 3.3 a wait that the task's own delay covers is Airflow's, which gives no reason.
    assert not NATIVE or "The server named the time to wait" in run.output
    assert 429 in {entry.status for entry in line.server.journal.entries()}
    assert (line.not_led_there(), line.not_answered()) == ([], [])
    changes = Counter(name for entry in line.server.journal.changes() for name in touched(entry))
    assert set(changes.values()) == {1}
    assert len(changes) == 2 * FEW


@pytest.mark.parametrize(
    ("pipeline", "operation", "nth"),
    [
        (TO_POLYAI, "import phone numbers", 2),
        (TO_POLYAI, "assign phone number", 30),
        (TO_POLYAI, "update phone number", 50),
        (TO_OMNIA, "assign number", 30),
        (TO_OMNIA, "update phone number", 50),
    ],
    ids=str,
)
def test_a_pipeline_killed_in_the_middle_and_started_anew_changes_nothing_twice(
    start: Start, pipeline: Pipeline, operation: str, nth: int
) -> None:
    line = start(pipeline, FEW)
    kill = line.when(line.kill, operation=operation, nth=nth)

    with pytest.raises(AssertionError, match="ended with -9"):
        line.run()

    assert kill.fired == 1
    assert line.not_led_there()
    line.end_locks()
    again = line.run(forget=False)

    assert again.state == "success", again.output
    assert (line.not_led_there(), line.not_answered()) == ([], [])
    changes = Counter(name for entry in line.server.journal.changes() for name in touched(entry))
    assert set(changes.values()) == {1}
    assert len(changes) == sum(
        FEW if name == "import phone numbers" else count
        for (_, name), count in pipeline.floor(FEW).items()
        if name in {entry.operation for entry in line.server.journal.writes()}
    )


@pytest.mark.parametrize(
    ("pipeline", "operation"),
    [(TO_POLYAI, "list phone numbers"), (TO_OMNIA, "list numbers of agent")],
    ids=str,
)
def test_a_failed_verification_leads_callers_back_and_fails_the_run(
    start: Start, pipeline: Pipeline, operation: str
) -> None:
    line = start(pipeline, FEW)
    line.server.fault("answer", status=403, operation=operation, route="agents", times=None)

    run = line.run()

    assert run.state == "failed"
    assert line.routing() == line.before
    assert line.not_answered() == []
    assert statuses(run, "cut_over") == statuses(run, "restore_routing") == {"changed": FEW}
    assert {task for task, state in run.tasks.items() if state == "failed"} == {
        pipeline.platform_sensor,
        "fail_the_run",
    }
    assert line.requests()["signalwire", "update phone number"] == 2 * FEW


@pytest.mark.parametrize("pipeline", PIPELINES, ids=str)
def test_a_failure_before_the_cut_over_leads_nobody_anywhere(start: Start, pipeline: Pipeline) -> None:
    line = start(pipeline, FEW)
    refused = {"import phone numbers", "assign number"}
    for operation in refused:
        line.server.fault("answer", status=403, operation=operation, times=None)

    run = line.run()

    assert run.state == "failed"
    assert line.routing() == line.before
    assert run.tasks["cut_over"] == "upstream_failed"
    assert statuses(run, "restore_routing") == {"unchanged": FEW}
    assert line.requests().get(("signalwire", "update phone number"), 0) == 0


@pytest.mark.parametrize(("outcome", "order"), [("SUCCESS", "first"), ("FAILURE", "last")])
def test_the_test_call_decides_and_nobody_learns_whom_it_calls(
    start: Start, outcome: str, order: str
) -> None:
    line = start(TO_POLYAI, FEW)
    line.home.settings["AIRFLOW_VAR_TEST_CALL_NUMBER"] = PERSON
    line.change("LOOKS, SECONDS_BETWEEN_LOOKS = 30, 10", "LOOKS, SECONDS_BETWEEN_LOOKS = 30, 0")
    line.change('CUT_OVER = "last"', f'CUT_OVER = "{order}"')
    line.server.switches.call_outcome = outcome

    run = line.run()

    assert run.state == run.tasks["test_call"] == ("success" if outcome == "SUCCESS" else "failed"), (
        run.output
    )
    assert (line.routing() == line.before) == (outcome == "FAILURE")
    assert (line.not_led_there() == []) == (outcome == "SUCCESS")
    asked = [entry.operation for entry in line.server.journal.entries()]
    assert asked.count("create outbound call") == 1
    assert (asked.index("update phone number") < asked.index("import phone numbers")) == (order == "first")
    digits = PERSON.removeprefix("+")
    assert digits not in run.output
    assert digits.encode() not in (line.home.path / "airflow.db").read_bytes()
