"""Progress is told at a steady rate, and its counts add up."""

from __future__ import annotations

from airflow_voice_agents.engine.concurrency import ProgressLog
from airflow_voice_agents.engine.progress import ResourceProgress
from airflow_voice_agents.plans.kind import Resource, Transition, Write
from airflow_voice_agents.transport.api_request import ApiRequest, Replay


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


ITEM = Resource("number", "agent", "+441632960001")


def progress_of(before: object, seen: object) -> ResourceProgress[object]:
    return ResourceProgress(Transition(ITEM, before, "there"), seen=seen)


def write(meaning: str = "elsewhere") -> Write[object]:
    request = ApiRequest("import", "POST", "/r", "/r", lambda body: body, Replay.RECONCILE)
    return Write(request, (ITEM,), lambda _: {}, not_taken=meaning)


def test_a_creation_that_was_answered_and_is_absent_was_not_taken() -> None:
    assert progress_of(None, None).not_taken(write()) == "elsewhere"
    assert progress_of(None, None).not_taken(write("")) == ""
    assert progress_of(None, "there").not_taken(write()) == ""
    assert progress_of("old", None).not_taken(write()) == ""
    assert progress_of(None, None).not_taken(None) == ""


def test_nothing_is_concluded_after_a_write_without_an_answer() -> None:
    left_out = progress_of(None, None)
    left_out.mark_uncertain(write(), "not mentioned", none_taken=True)
    assert left_out.not_taken(write()) == "elsewhere"
    put_off = progress_of(None, None)
    put_off.mark_uncertain(write(), "not now", refused_for_now=True)
    assert put_off.not_taken(write()) == "elsewhere"
    lost = progress_of(None, None)
    lost.mark_uncertain(write(), "no answer")
    assert lost.not_taken(write()) == ""
    lost.renew()
    lost.mark_uncertain(write(), "not mentioned", none_taken=True)
    assert lost.not_taken(write()) == ""
