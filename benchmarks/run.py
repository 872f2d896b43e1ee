"""Measures all contestants side by side, keeps the results and writes the page about them.

``--quick`` takes small sizes; ``--only TEXT`` takes the scenarios whose name holds the text and leaves the
kept results alone; ``--page`` only writes the page anew from what was measured before.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from contestants import TITLES, Contestant, contestant
from measure import IN_FLIGHT, Bench, clean_environment, scratch
from parse_cost import parse_cost
from scenarios import FULL, FULL_AIRFLOW, QUICK, QUICK_AIRFLOW, RATE, AirflowRun, Scenario
from server_process import Server

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure and write."""
    options = arguments()
    name = "quick" if options.quick else "full"
    file = RESULTS / f"{name}.json"
    if not options.page:
        results = measured(options)
        if options.only:
            print(json.dumps(results, indent=1))
            return 0
        RESULTS.mkdir(exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n")
    from page import write_page

    print(write_page(json.loads(file.read_text()), RESULTS, name))
    return 0


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything that was asked for."""
    began = time.monotonic()
    scenarios = [each for each in (QUICK if options.quick else FULL) if options.only in each.name]
    whole = QUICK_AIRFLOW if options.quick else FULL_AIRFLOW
    whole = [each for each in whole if options.only in f"airflow {each.name}"]
    with Server() as server, scratch() as folder:
        bench = Bench(server, Path(folder))
        results: dict[str, Any] = {
            "mode": "quick" if options.quick else "full",
            "machine": machine(),
            "in_flight": IN_FLIGHT,
            "rate": RATE,
            "ceiling": bench.ceiling(2 if options.quick else 5),
            "parse": {} if options.only else parse_costs(Path(folder), 3 if options.quick else 7),
            "scenarios": [run_scenario(bench, each) for each in scenarios],
            "airflow": run_airflow(server, whole) if whole else [],
        }
    results["minutes"] = (time.monotonic() - began) / 60
    return results


def run_scenario(bench: Bench, scenario: Scenario) -> dict[str, Any]:
    """Run one scenario, contestants in turns.

    :param bench: the server and its surroundings.
    :param scenario: what.
    """
    runs = []
    for repeat in range(scenario.repeats):
        turn = scenario.who if repeat % 2 == 0 else scenario.who[::-1]
        for letter in turn:
            runs.append({"who": letter, "repeat": repeat, **one_run(bench, scenario, letter, repeat)})
            tell(scenario.name, runs[-1])
        if scenario.bare:
            runs.append({"who": "bare", "repeat": repeat, **bench.bare(scenario.work(repeat))})
            tell(scenario.name, runs[-1])
    facts = {"name": scenario.name, "job": scenario.job, "switches": scenario.switches}
    return {**facts, "faulty": scenario.faulty, "kill": scenario.kill, "runs": runs}


def one_run(bench: Bench, scenario: Scenario, letter: str, repeat: int) -> dict[str, Any]:
    """Run one contestant once."""
    who, work = contestant(letter, scenario.job), scenario.work(repeat)
    if not scenario.kill:
        return bench.run(who, work)
    return bench.killed(who, work, scenario.kill)


def run_airflow(server: Server, wanted: list[AirflowRun]) -> list[dict[str, Any]]:
    """Run what is to run in a whole Airflow.

    :param server: the local server.
    :param wanted: what.
    """
    from real_airflow import RealAirflow

    everyone = {(letter, each.job): contestant(letter, each.job) for each in wanted for letter in each.who}
    with RealAirflow(server, list(everyone.values())) as airflow:
        warm_up(server, airflow, wanted[0], everyone)
        results = []
        for each in wanted:
            runs = [
                {"who": letter, "repeat": repeat, **one_airflow_run(server, airflow, each, everyone[letter, each.job])}
                for repeat in range(each.repeats)
                for letter in each.who
            ]
            results.append({"name": each.name, "job": each.job, "runs": runs})
    return results


def warm_up(server: Server, airflow: Any, run: AirflowRun, everyone: dict[tuple[str, str], Contestant]) -> None:
    """Let Airflow start its workers and read what it reads once, so that nobody pays for being first."""
    for letter in run.who[:1]:
        one_airflow_run(server, airflow, run, everyone[letter, run.job])


def one_airflow_run(server: Server, airflow: Any, run: AirflowRun, who: Contestant) -> dict[str, Any]:
    """Run one contestant's DAG once."""
    prepared = server.prepare(**run.work())
    done = airflow.run(who, prepared["order"], timeout=900)
    result = {**done, **server.facts(), "floor": prepared["floor"], "items": prepared["items"]}
    tell(f"airflow: {run.name}", {"who": who.letter, **result})
    return result


def parse_costs(folder: Path, times: int) -> dict[str, Any]:
    """Measure what parsing costs, per job and contestant.

    :param folder: scratch space.
    :param times: processes per file.
    """
    environment = {**clean_environment(folder), "BENCH_ORDER": str(folder / "order.json")}
    return {
        job: {
            letter: {**parse_cost(who, environment, times), "lines": who.lines()}
            for letter in TITLES
            if (who := contestant(letter, job)).file.exists() and len(letter) == 1
        }
        for job in ("promote", "connectors", "numbers")
    }


def machine() -> dict[str, Any]:
    """Tell what everything ran on."""
    from importlib.metadata import version

    packages = ("apache-airflow", "apache-airflow-providers-http", "httpx", "airflow-provider-voice-agents")
    return {
        "processor": processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": round(psutil.getloadavg()[0], 2),
        **{package: version(package) for package in packages},
    }


def processor() -> str:
    """Tell the processor's name, where the system does."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def tell(what: str, run: dict[str, Any]) -> None:
    """Show that something was measured."""
    cpu = f" cpu {run['cpu']:6.2f} s" if "cpu" in run else ""
    print(
        f"{what}: {run['who']:4} {run['wall']:7.2f} s{cpu}  wrong {run['wrong']}, twice {run['duplicate_writes']}",
        file=sys.stderr,
        flush=True,
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure this provider beside what one would write instead.")
    parser.add_argument("--quick", action="store_true", help="small sizes, under two minutes")
    parser.add_argument("--only", default="", help="scenarios whose name holds this text; nothing is kept")
    parser.add_argument("--page", action="store_true", help="write the page anew from kept results")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
