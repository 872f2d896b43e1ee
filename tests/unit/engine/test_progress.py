"""Progress is told at a steady rate, and its counts add up."""

from __future__ import annotations

from airflow_voice_agents.engine.concurrency import ProgressLog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_comes_at_most_once_per_interval_and_adds_up() -> None:
    clock, said = Clock(), []
    progress = ProgressLog("numbers", 30, said.append, interval=5.0, clock=clock)
    for number in range(30):
        clock.now += 1.0
        progress.add("failed" if number % 10 == 9 else "changed")
    assert said == [
        "numbers: 5 of 30 done (5 changed)",
        "numbers: 10 of 30 done (9 changed, 1 failed)",
        "numbers: 15 of 30 done (14 changed, 1 failed)",
        "numbers: 20 of 30 done (18 changed, 2 failed)",
        "numbers: 25 of 30 done (23 changed, 2 failed)",
        "numbers: 30 of 30 done (27 changed, 3 failed)",
    ]


def test_short_work_says_nothing() -> None:
    clock, said = Clock(), []
    progress = ProgressLog("numbers", 1000, said.append, clock=clock)
    for _ in range(1000):
        progress.add("changed")
    assert said == []


def test_after_a_long_silence_one_line_comes_and_the_interval_starts_anew() -> None:
    clock, said = Clock(), []
    progress = ProgressLog("numbers", 3, said.append, interval=5.0, clock=clock)
    clock.now += 60
    progress.add("changed")
    progress.add("changed")
    clock.now += 4.9
    progress.add("changed")
    assert said == ["numbers: 1 of 3 done (1 changed)"]
