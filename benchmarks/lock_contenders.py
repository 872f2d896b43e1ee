"""Counts how many of several processes that ask for one lock at the same moment get it; exactly one should.

    .venv/bin/python benchmarks/lock_contenders.py [rounds]

Every process keeps what it got until all of them have their answer, so none gets the lock because another one has given
it back already.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.locks import Lock, LockOwner
from airflow_voice_agents.transport.errors import TargetLocked

CONTENDERS = (2, 5, 20)


def contend(number: int, folder: str, rounds: int, together: Any, results: Any) -> None:
    """Ask for the lock once per round, at the same moment as the others."""
    files = StateFiles(folder)
    files.names()
    for turn in range(rounds):
        own = Lock(files, ("agent/live",), LockOwner("dag", f"run {number}", "promote"), lambda _: None)
        together.wait()
        started, got = time.perf_counter(), True
        try:
            own.acquire()
        except TargetLocked:
            got = False
        results.put((turn, got, time.perf_counter() - started))
        together.wait()
        own.release()


def measure(contenders: int, rounds: int) -> tuple[Counter[int], list[float]]:
    """Return how many rounds had how many winners, and the seconds until each process had its answer."""
    winners: Counter[int] = Counter(dict.fromkeys(range(rounds), 0))
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        StateFiles(Path(folder).as_uri()).names()  # loads Airflow, once for all processes
        context = multiprocessing.get_context("fork")
        together, results = context.Barrier(contenders), context.Queue()
        processes = [
            context.Process(
                target=contend, args=(number, Path(folder).as_uri(), rounds, together, results), daemon=True
            )
            for number in range(contenders)
        ]
        for process in processes:
            process.start()
        for _ in range(contenders * rounds):
            turn, got, took = results.get(timeout=120)
            winners[turn] += got
            seconds.append(took)
        for process in processes:
            process.join(60)
    return Counter(winners.values()), seconds


def main(rounds: int) -> int:
    """Measure, print a table, and return 1 where a round had no winner or several."""
    print(
        "| contenders | rounds | one winner | none | several | median s | longest s |\n|---|---|---|---|---|---|---|"
    )
    wrong = 0
    for contenders in CONTENDERS:
        found, seconds = measure(contenders, rounds)
        several = sum(count for winners, count in found.items() if winners > 1)
        wrong += rounds - found[1]
        median, longest = sorted(seconds)[len(seconds) // 2], max(seconds)
        print(
            f"| {contenders} | {rounds} | {found[1]} | {found[0]} | {several} | {median:.3f} | {longest:.2f} |",
            flush=True,
        )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
