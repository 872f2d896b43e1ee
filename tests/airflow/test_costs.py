"""Costs that do not depend on the machine: requests, modules at parse, bytes per item, writes after a kill."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.operators.phone_numbers import PolyAIImportPhoneNumbersOperator
from support import airflow_runner
from support.airflow_runner import Outcome
from support.airflow_versions import NATIVE, DagSerialization
from support.emulated import Emulated

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MODULES = 30
"""Modules that a DAG file may load beyond airflow.sdk, what it imports itself included."""

TASK_MODULES = 95
"""Modules of the provider that a task may load beyond those of its DAG file."""


def loaded(name: str) -> ModuleType:
    """A module of the benchmarks, whose folder is no package."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


jobs = loaded("jobs")


class Stopped(BaseException):
    """Ends a run where it stands; nothing on the way catches it, as nothing catches a kill."""


class Bench:
    """A job of the benchmarks, done by the provider's operator in this process.

    :param server: the test's server.
    :param job: what is to be done.
    """

    def __init__(self, server: EmulatorServer, job: Any) -> None:
        server.reset(job.seed())
        self.server, self.job = server, job
        self.polyai = Emulated(server, key=FLEET_KEY)

    def run(self) -> Outcome:
        """Run the job's task, which must succeed and leave everything as it shall be."""
        outcome = self.polyai.run(task(self.job))
        assert outcome.state == "success", outcome.error
        assert self.job.wrong(self.server.polyai) == 0
        return outcome

    def by_verb(self) -> dict[str, int]:
        """Requests so far."""
        return dict(Counter(entry.method for entry in self.server.journal.entries()))

    def written_twice(self) -> int:
        """Writes applied more than once with the same content."""
        entries = self.server.journal.entries()
        return int(jobs.repeats(Counter((each.path, each.digest) for each in entries if each.changed)))


def task(job: Any) -> Any:
    """The operator that does a job."""
    order = job.order()
    if isinstance(job, jobs.Promotion):
        return PolyAIPromoteConfigOperator(
            task_id="it",
            source={"agent_id": jobs.TEMPLATE, "environment": "sandbox"},
            targets=[{"agent_id": each, "environment": jobs.STAGE} for each in order["projects"]],
            exclude_keys=jobs.KEPT,
        )
    if isinstance(job, jobs.ConnectorUpdate):
        return PolyAIBatchUpdateConnectorsOperator(
            task_id="it", agent_id=order["agent"], selector={}, changes={"asr_lang_code": order["language"]}
        )
    targets = [
        {
            "agent_id": each["agent"],
            "connector_id": each["connector"],
            "phone_numbers": each["phone_numbers"],
        }
        for each in order["imports"]
    ]
    return PolyAIImportPhoneNumbersOperator(task_id="it", client_env=jobs.STAGE, targets=targets)


# --------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize("changed", [0.0, 0.2, 1.0])
def test_a_promotion_sends_the_fewest_requests_and_one_to_verify_each_change(
    server: EmulatorServer, changed: float
) -> None:
    bench = Bench(server, jobs.Promotion(20, changed))
    bench.run()

    floor = {verb: count for verb, count in bench.job.floor().items() if count}
    assert bench.by_verb() == floor | {"GET": floor["GET"] + round(20 * changed)}
    server.journal.clear()
    bench.run()
    assert bench.by_verb() == {"GET": 21}


def test_an_update_of_connectors_sends_the_fewest_requests(server: EmulatorServer) -> None:
    bench = Bench(server, jobs.ConnectorUpdate(120))
    bench.run()

    assert bench.by_verb() == bench.job.floor()
    server.journal.clear()
    bench.run()
    assert bench.by_verb() == {"GET": 1}


@pytest.mark.parametrize(("agents", "batches"), [((120,), 3), ((120, 60, 1), 6)])
def test_an_import_reads_a_batch_before_and_after_and_each_agent_s_connector_once(
    server: EmulatorServer, agents: tuple[int, ...], batches: int
) -> None:
    bench = Bench(server, jobs.NumberImport(agents))
    bench.run()

    assert bench.by_verb() == {"GET": len(agents), "POST": bench.job.floor()["POST"] + batches}
    server.journal.clear()
    bench.run()
    assert bench.by_verb() == {"GET": len(agents), "POST": batches}


# ------------------------------------------------------------------------------------------ parse


MAKES_A_DAG = """
from airflow.sdk import BaseOperator
class Plain(BaseOperator): pass
with DAG("plain", schedule=None):
    @task
    def one(): pass
    one() >> Plain(task_id="two")
"""
"""Before 3.3 the first DAG of a process loads parts of Airflow, whoever wrote its operators."""


@pytest.mark.parametrize("job", ["promote", "connectors", "numbers"])
def test_a_dag_file_loads_few_modules_and_stays_small_in_the_database(job: str) -> None:
    program = (
        "import sys; import airflow.sdk; from airflow.sdk import DAG, task, BaseHook; import runpy\n"
        f"{'' if NATIVE else MAKES_A_DAG}"
        "before = set(sys.modules)\n"
        "found = runpy.run_path(sys.argv[1])\n"
        "print(len(set(sys.modules) - before))"
    )
    file = BENCHMARKS / "dags" / f"{job}_provider.py"

    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )

    assert int(done.stdout.splitlines()[-1]) <= MODULES


@pytest.mark.parametrize(
    ("name", "wanted", "unused"),
    [
        ("promote", jobs.Promotion(1, 1.0), ("deployment", "phone_number", "connector", "sip_extension")),
        ("connectors", jobs.ConnectorUpdate(1), ("deployment", "config_page", "sip_extension")),
        ("numbers", jobs.NumberImport((1,)), ("deployment", "config_page", "sip_extension")),
    ],
    ids=["promotion", "connectors", "numbers"],
)
def test_a_task_loads_only_what_it_uses(
    server: EmulatorServer, tmp_path: Path, name: str, wanted: Any, unused: tuple[str, ...]
) -> None:
    server.reset(wanted.seed())
    order = tmp_path / "order.json"
    order.write_text(json.dumps(wanted.order()))
    given = {"url": server.url, "key": FLEET_KEY, "in_flight": 4}
    file = BENCHMARKS / "dags" / f"{name}_provider.py"

    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "child.py"), json.dumps({**given, "dag_file": str(file)})],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path), "BENCH_ORDER": str(order)},
        capture_output=True,
        text=True,
        check=True,
    )

    found = json.loads(done.stdout.splitlines()[-1])
    ours = [each for each in found["modules"] if each.startswith("airflow_voice_agents")]
    kinds = {f"airflow_voice_agents.polyai.resources.{each}" for each in unused}
    others = {"jsonschema", "cryptography", "redis", "re2", "rich", "difflib"}
    assert found["states"] == ["success"]
    unneeded = kinds | others | {f"airflow_voice_agents.plans.{each}" for each in ("drift", "freeze")}
    assert sorted(unneeded.intersection(found["modules"])) == []
    assert len(ours) <= TASK_MODULES, ours


def test_a_task_in_the_database_takes_few_bytes_beside_its_targets() -> None:
    sizes = []
    for projects in (10, 110):
        with DAG("sized", schedule=None) as dag:
            task(jobs.Promotion(projects, 0.0))
        sizes.append(len(json.dumps(DagSerialization.to_dict(dag))))

    per_target = (sizes[1] - sizes[0]) / 100
    assert per_target < 60
    assert sizes[0] - 10 * per_target < 2500


# ----------------------------------------------------------------------------------------- memory


def test_a_report_takes_few_bytes_per_item(server: EmulatorServer) -> None:
    sizes = {}
    for changed in (0.0, 1.0):
        report = Bench(server, jobs.Promotion(40, changed)).run().xcoms["report"]
        sizes[changed] = len(json.dumps(report)) / 40

    assert sizes[0.0] < 320
    assert sizes[1.0] < 430


@pytest.mark.usefixtures("no_fernet_key")  # with a key a run keeps a snapshot as well
@pytest.mark.parametrize(
    ("job", "sizes", "most"),
    [
        ("Promotion", ((20, 0.0), (220, 0.0)), 9_000),  # its entry in the status record included
        ("ConnectorUpdate", ((100,), (1100,)), 3_500),
        ("NumberImport", (((100,),), ((1100,),)), 2_000),
    ],
    ids=["promotion", "connectors", "numbers"],
)
def test_memory_grows_by_few_bytes_per_item(
    server: EmulatorServer, monkeypatch: pytest.MonkeyPatch, job: str, sizes: tuple[Any, Any], most: int
) -> None:
    monkeypatch.setattr(airflow_runner, "_captured_logs", loaded("child").quiet_log)  # logs take memory too
    peaks, counts = [], []
    Bench(server, getattr(jobs, job)(*sizes[0])).run()  # loads what is loaded once
    for size in sizes:
        bench = Bench(server, getattr(jobs, job)(*size))
        gc.collect()  # garbage of other tests is none of this one's memory
        tracemalloc.start()
        bench.run()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        counts.append(bench.job.items)

    assert (peaks[1] - peaks[0]) / (counts[1] - counts[0]) < most


# ------------------------------------------------------------------------------------------- kill


@pytest.mark.parametrize("after", [1, 7, 20, 39])
def test_a_run_that_was_killed_goes_on_with_what_is_left(
    server: EmulatorServer, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    bench = Bench(server, jobs.Promotion(20, 1.0))
    kill_after(bench, monkeypatch, after)
    assert isinstance(bench.polyai.run(task(bench.job)).error, Stopped)
    monkeypatch.undo()
    applied = len(server.journal.changes())
    assert after <= applied < after + 4
    before = len(server.journal.entries())

    bench.run()

    left = bench.job.fewest_writes() - applied
    again = len(server.journal.entries()) - before
    assert len(server.journal.changes()) == bench.job.fewest_writes()
    assert bench.written_twice() == 0
    assert again <= 21 + left + left // 2 + 4


def kill_after(bench: Bench, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Let the client's next request fail like nothing else, once so many writes were applied."""
    from airflow_voice_agents.transport.client import Client

    send = Client.asend

    async def sending(self: Any, call: Any) -> Any:
        if len(bench.server.journal.changes()) >= writes:
            raise Stopped
        return await send(self, call)

    monkeypatch.setattr(Client, "asend", sending)


def test_only_what_could_be_a_template_is_compiled(
    server: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    compile_template = jinja2.Environment.from_string

    def counted(self: Any, source: Any, *rest: Any, **more: Any) -> Any:
        compiled.append(source)
        return compile_template(self, source, *rest, **more)

    monkeypatch.setattr(jinja2.Environment, "from_string", counted)
    polyai = Emulated(server)
    numbers = [*(f"+4416329{place:05d}" for place in range(500)), "{{ '+44163290' ~ '0501' }}"]
    task = PolyAIImportPhoneNumbersOperator(
        task_id="work", agent_id="harbour-hotels", client_env="{{ 'sand' ~ 'box' }}", phone_numbers=numbers
    )
    outcome = polyai.run(task)
    assert outcome.state == "success", outcome.error
    assert polyai.number("harbour-hotels", "+441632900501") is not None
    assert sorted(compiled) == sorted(["{{ 'sand' ~ 'box' }}", numbers[-1]])
