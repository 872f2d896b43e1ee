"""Measures all contestants side by side, keeps the results and writes the page about them.

``--quick`` takes small sizes, ``--repeats N`` fewer repeats; ``--only TEXT`` takes the scenarios whose name holds
the text and leaves the kept results alone; ``--page`` only writes the page anew from what was measured before.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import psutil
from contestants import Contestant, contestant
from measure import IN_FLIGHT, Bench, clean_environment, scratch
from parse_cost import parse_cost
from scenarios import FULL, FULL_AIRFLOW, QUICK, QUICK_AIRFLOW, RATE, WARM_UP, AirflowRun, Scenario
from server_process import Server

Wanted = TypeVar("Wanted", Scenario, AirflowRun)

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
    scenarios = [fewer(each, options.repeats) for each in scenarios]
    whole = [fewer(each, options.repeats) for each in whole]
    with Server() as server, scratch() as folder:
        bench = Bench(server, Path(folder))
        results: dict[str, Any] = {
            "mode": "quick" if options.quick else "full",
            "machine": machine(),
            "in_flight": IN_FLIGHT,
            "rate": RATE,
            "ceiling": bench.ceiling(2 if options.quick else 5),
            "parse": {} if options.only else parse_costs(Path(folder), options),
            "scenarios": [run_scenario(bench, each) for each in scenarios],
            "airflow": run_airflow(server, whole) if whole else [],
        }
    results["minutes"] = (time.monotonic() - began) / 60
    return results


def fewer(each: Wanted, repeats: int) -> Wanted:
    """Give the same with no more repeats than that."""
    return replace(each, repeats=min(each.repeats, repeats))


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
        warm_up(server, airflow, everyone.values())
        return [airflow_scenario(server, airflow, each, everyone) for each in wanted]


def airflow_scenario(
    server: Server, airflow: Any, wanted: AirflowRun, everyone: dict[tuple[str, str], Contestant]
) -> dict[str, Any]:
    """Run the contestants of one job in turns; one whose DAG run fails is named.

    :param server: the local server.
    :param airflow: the Airflow.
    :param wanted: what.
    :param everyone: contestants by letter and job.
    """
    runs, failures = [], []
    for repeat in range(wanted.repeats):
        for letter in wanted.turn(repeat):
            who = everyone[letter, wanted.job]
            try:
                run = one_airflow_run(server, airflow, wanted, who)
            except AssertionError as error:
                failures.append({"who": letter, "error": str(error).partition("\n")[0]})
            else:
                runs.append({"who": letter, "repeat": repeat, **run})
    return {"name": wanted.name, "job": wanted.job, "runs": runs, "failures": failures}


def warm_up(server: Server, airflow: Any, everyone: Iterable[Contestant]) -> None:
    """Let every DAG run once, so that nobody pays for being first."""
    for who in everyone:
        one_airflow_run(server, airflow, WARM_UP[who.job], who)


def one_airflow_run(server: Server, airflow: Any, run: AirflowRun, who: Contestant) -> dict[str, Any]:
    """Run one contestant's DAG once."""
    prepared = server.prepare(**run.work())
    done = airflow.run(who, prepared["order"], timeout=900)
    result = {**done, **server.facts(), "floor": prepared["floor"], "items": prepared["items"]}
    tell(f"airflow: {run.name}", {"who": who.letter, **result})
    return result


def parse_costs(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure what parsing costs, per job and contestant.

    :param folder: scratch space.
    :param options: of the command line.
    """
    environment = {**clean_environment(folder), "BENCH_ORDER": str(folder / "order.json")}
    letters, times = ("AB", 1) if options.quick else ("ABCDE", 7)
    jobs = ("promote", "numbers") if options.quick else ("promote", "connectors", "numbers")
    return {
        job: {
            letter: {**parse_cost(who, environment, times), "lines": who.lines()}
            for letter in letters
            for who in [contestant(letter, job)]
        }
        for job in jobs
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
    parser.add_argument("--repeats", type=int, default=99, help="at most so many of each")
    parser.add_argument("--page", action="store_true", help="write the page anew from kept results")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
