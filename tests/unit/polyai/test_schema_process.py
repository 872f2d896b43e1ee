"""The process that evaluates schemas: limits, reuse, and an end with whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.plans.canonical import canonical
from airflow_voice_agents.polyai.resources import page_schema, schema_process
from airflow_voice_agents.polyai.resources.page_schema import schema_problems, value_problems
from airflow_voice_agents.polyai.resources.schema_process import NotEvaluated, SchemaProcess

MANY = [{"number": number, "names": ["a", "b"]} for number in range(4_000)]
SLOW: dict[str, Any] = {"items": {"enum": MANY}}
"""Each item is compared with thousands of objects, which takes many seconds for thousands of items."""
LARGE: dict[str, Any] = {"uniqueItems": True}
PATIENCE = 60.0
"""Seconds after which a test that waits for another process gives up."""


@pytest.fixture
def process() -> Iterator[SchemaProcess]:
    made = SchemaProcess(seconds=0.3)
    yield made
    made.close()


def question(schema: Any, values: Any) -> dict[str, Any]:
    return {"ask": "values", "schema": canonical(schema), "values": canonical(values)}


def until(happened: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


def exists(process: int | None) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux about processes")


def test_one_process_answers_all_questions(process: SchemaProcess) -> None:
    assert process.ask(question({"type": "object"}, {})) == []
    assert process.ask(question({"type": "array"}, {})) == ["(top level): must be array, is object"]
    assert process.ask({"ask": "schema", "schema": '{"type":5}'}) != []
    assert process.ask({"ask": "patterns", "schema": '{"pattern":"(?=a)"}'}) == ["pattern of `(top level)`"]
    assert process.started == 1


def test_beyond_its_time_a_process_is_killed_and_another_one_answers(process: SchemaProcess) -> None:
    with pytest.raises(
        NotEvaluated, match=r"^the schema cannot be evaluated within 0.3 s of computing time$"
    ) as caught:
        process.ask(question(SLOW, MANY[-1:] * 4_000))

    assert caught.value.lasting
    assert process.pid is None
    assert process.ask(question({"type": "object"}, {})) == []
    assert process.started == 2


def test_beyond_its_memory_a_process_ends_and_another_one_answers() -> None:
    process = SchemaProcess(seconds=30, megabytes=64)
    try:
        with pytest.raises(NotEvaluated, match=r"within 64 MB of memory$") as caught:
            process.ask(question(LARGE, [[[number]] for number in range(60_000)]))
        assert caught.value.lasting
        assert process.ask(question({"type": "object"}, {})) == []
    finally:
        process.close()


def test_a_process_that_kept_too_much_of_others_is_replaced_once(
    process: SchemaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.ask(question({"type": "object"}, {}))
    answer = process._answer

    def dying(worker: Any, *more: Any) -> Any:
        if worker.answered:
            os.kill(worker.process.pid, signal.SIGKILL)
        return answer(worker, *more)

    monkeypatch.setattr(process, "_answer", dying)

    assert process.ask(question({"type": "array"}, {})) == ["(top level): must be array, is object"]
    assert process.started == 2


def test_a_process_that_says_nothing_is_killed() -> None:
    process = SchemaProcess()
    try:
        process.ask(question({"type": "object"}, {}))
        process.patience = 0.5
        first = process.pid or 0
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(NotEvaluated, match=r"within 0.5 s$") as caught:
            process.ask(question({"type": "object"}, {}))
        assert not caught.value.lasting
        until(lambda: not exists(first), "the process was left")
        process.patience = PATIENCE
        assert process.ask(question({"type": "object"}, {})) == []
    finally:
        process.close()


def test_an_interrupted_question_leaves_no_answer_to_the_next_one(
    process: SchemaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TimeIsUp(BaseException):
        pass

    def interrupted(worker: Any, line: bytes, _: float) -> bytearray:
        worker.channel.sendall(line)
        raise TimeIsUp

    with monkeypatch.context() as patch:
        patch.setattr(process, "_answer", interrupted)
        with pytest.raises(TimeIsUp):
            process.ask(question({"type": "array"}, {}))

    assert process.ask(question({"type": "object"}, {})) == []


def test_where_no_process_can_be_started_that_is_said(
    process: SchemaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(NotEvaluated, match=r"here: no process for it could be started \(FileNotFoundError\)"):
        process.ask(question({"type": "object"}, {}))


def test_a_process_that_cannot_evaluate_says_how_it_ended(
    process: SchemaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_process, "_MODULE", "no_such_module")
    with pytest.raises(NotEvaluated, match=r"here: the process that does it ended with code 1"):
        process.ask(question({"type": "object"}, {}))


def test_threads_take_turns(process: SchemaProcess) -> None:
    found: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        found[number] = process.ask(
            question({"properties": {f"k{number}": {"type": "null"}}}, {f"k{number}": 1})
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert found == {number: [f"k{number}: must be null, is integer"] for number in range(8)}
    assert process.started == 1


# ---------------------------------------------------------------------------------------- what it may not do


@needs_proc
def test_it_has_no_secret_of_the_environment(process: SchemaProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "canary")
    process.ask(question({"type": "object"}, {}))

    assert b"canary" not in Path(f"/proc/{process.pid}/environ").read_bytes()


@needs_proc
def test_it_writes_no_core_and_goes_first_where_memory_is_short(process: SchemaProcess) -> None:
    process.ask(question({"type": "object"}, {}))
    limits = Path(f"/proc/{process.pid}/limits").read_text()

    assert [line.split()[4] for line in limits.splitlines() if line.startswith("Max core")] == ["0"]
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "1000\n"


def test_it_imports_neither_airflow_nor_the_client() -> None:
    code = (
        "import sys, airflow_voice_agents.polyai.resources.schema_evaluation as e;"
        "e.answer({'ask': 'values', 'schema': '{\"pattern\":\"a\"}', 'values': '1'});"
        "print([name for name in ('airflow', 'httpx', 'pydantic', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


# ------------------------------------------------------------------------------------------------- its end


ASKING = """
import json, os, sys, threading
from airflow_voice_agents.polyai.resources import schema_process
from airflow_voice_agents.polyai.resources.page_schema import value_problems
many = [{"number": number, "names": ["a", "b"]} for number in range(4_000)]
schema_process.PROCESS.seconds = 1000.0
value_problems({"allOf": [True]}, {})
if sys.argv[1] == "busy":
    arguments = {"properties": {"a": {"items": {"enum": many}}}}, {"a": many[-1:] * 4_000}
    threading.Thread(target=value_problems, args=arguments, daemon=True).start()
if sys.argv[1] == "forked" and os.fork() == 0:
    value_problems({"anyOf": [True]}, {})
    print(json.dumps([os.getpid(), schema_process.PROCESS.pid]), flush=True)
    sys.stdin.read()
    os._exit(0)
print(json.dumps([os.getpid(), schema_process.PROCESS.pid]), flush=True)
if sys.argv[1] != "ends":
    sys.stdin.read()
"""


def start(way: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", ASKING, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )


def pids(started: subprocess.Popen[bytes]) -> tuple[int, int]:
    assert started.stdout is not None
    asking, evaluating = json.loads(started.stdout.readline())
    return asking, evaluating


@needs_proc
@pytest.mark.parametrize("way", ["idle", "busy"])
def test_it_ends_with_a_process_that_is_killed(way: str) -> None:
    with start(way) as started:
        asking, evaluating = pids(started)
        assert exists(evaluating)
        os.kill(asking, signal.SIGKILL)
        started.wait()
        until(lambda: not exists(evaluating), "the process outlives the one that asks")


@needs_proc
def test_it_ends_with_a_process_that_ends() -> None:
    with start("ends") as started:
        _, evaluating = pids(started)
        assert started.wait() == 0
        until(lambda: not exists(evaluating), "the process outlives the one that asks")


@needs_proc
def test_a_fork_has_a_process_of_its_own_and_keeps_none_alive() -> None:
    with start("forked") as started:
        both = dict([pids(started), pids(started)])
        assert len(set(both.values())) == 2
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
        own = both.pop(started.pid)
        until(lambda: not exists(own), "the fork keeps its parent's process alive")
        (forked, theirs) = both.popitem()
        assert exists(forked)
        os.kill(forked, signal.SIGKILL)
        until(lambda: not exists(theirs), "the process outlives the fork")


# ---------------------------------------------------------------------------------------- what is remembered


class Answering:
    """Stands in for the process."""

    def __init__(self, *errors: NotEvaluated) -> None:
        self.errors = list(errors)
        self.asked = 0

    def ask(self, _: Any) -> list[str]:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return ["found"]


@pytest.mark.parametrize(("lasting", "asked"), [(True, 1), (False, 2)])
def test_a_limit_that_would_be_met_again_is_remembered(
    monkeypatch: pytest.MonkeyPatch, lasting: bool, asked: int
) -> None:
    process = Answering(NotEvaluated("within 1 s", lasting=lasting))
    monkeypatch.setattr(schema_process, "PROCESS", process)
    monkeypatch.setattr(page_schema._verdicts, "kept", {})

    with pytest.raises(NotEvaluated, match="within 1 s"):
        value_problems({"a": 1}, {})
    if lasting:
        with pytest.raises(NotEvaluated, match="within 1 s"):
            value_problems({"a": 1}, {})
    else:
        assert value_problems({"a": 1}, {}) == ["found"]

    assert process.asked == asked


def test_the_questions_about_one_schema_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Answering()
    monkeypatch.setattr(schema_process, "PROCESS", process)
    monkeypatch.setattr(page_schema._verdicts, "kept", {})

    for _ in range(2):
        schema_problems({"a": 1})
        value_problems({"a": 1}, {})
        value_problems({"a": 1}, {"b": 1})

    assert process.asked == 3
