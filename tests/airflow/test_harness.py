"""Canaries: what the database-less runner promises, pinned on small operators of its own.

When a new Airflow moves a private name that ``support.airflow_runner`` uses, these tests say so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import Asset, BaseHook, BaseOperator, Variable
from airflow.triggers.base import BaseTrigger, TriggerEvent

from support.airflow_runner import AirflowRunner, BlockedTriggerer
from support.airflow_versions import AirflowFailException, AirflowSkipException, TaskDeferralTimeout

ASSET = Asset(name="canary", uri="x-canary://one")


class Echo(BaseOperator):
    template_fields = ("value",)

    def __init__(self, *, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value = value

    def execute(self, context: Any) -> Any:
        self.log.info("echoing %s", self.value)
        logging.getLogger("canary.library").debug("a library's debug line")
        return self.value


class Fail(BaseOperator):
    def __init__(self, *, error: BaseException, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Any) -> Any:
        context["ti"].xcom_push("seen", {"try": context["ti"].try_number})
        raise self.error


class Remember(BaseOperator):
    def execute(self, context: Any) -> Any:
        store = context["task_state_store"]
        seen = [*store.get("seen", []), context["ti"].try_number]
        store.set("seen", seen)
        if len(seen) < 2:
            raise RuntimeError("once more")
        store.delete("seen")
        return seen


class Ask(BaseOperator):
    def execute(self, context: Any) -> Any:
        connection = BaseHook.get_connection("canary")
        run = context["dag_run"]
        return [connection.password, connection.extra_dejson["region"], Variable.get("colour"), run.run_type]


class Emit(BaseOperator):
    def execute(self, context: Any) -> None:
        context["outlet_events"][ASSET].extra = {"digest": "abc"}


class Tick(BaseTrigger):
    def __init__(self, *, word: str, fires: bool = True, blocks: bool = False) -> None:
        super().__init__()
        self.word = word
        self.fires = fires
        self.blocks = blocks

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kwargs = {"word": self.word, "fires": self.fires, "blocks": self.blocks}
        return (f"{__name__}.Tick", kwargs)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        if self.blocks:
            BaseHook.get_connection("canary")
        if not self.fires:
            await asyncio.Event().wait()
        connection = await BaseHook.aget_connection("canary")
        yield TriggerEvent({"word": self.word, "login": connection.login})


class Wait(BaseOperator):
    def __init__(self, *, fires: bool = True, blocks: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fires = fires
        self.blocks = blocks

    def execute(self, context: Any) -> None:
        self.noted = "lost on the way"
        trigger = Tick(word="tock", fires=self.fires, blocks=self.blocks)
        self.defer(trigger=trigger, method_name="go_on", kwargs={"kept": 1}, timeout=timedelta(hours=1))

    def go_on(self, context: Any, event: dict[str, Any], kept: int = 0) -> dict[str, Any]:
        return {**event, "kept": kept, "noted": getattr(self, "noted", None)}


@pytest.fixture(autouse=True)
def importable_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triggers are looked up by their class path; pytest's importlib mode hides this module's."""
    import sys
    import types

    module = types.ModuleType(__name__)
    module.Tick = Tick  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, __name__, module)


def test_a_task_is_rendered_run_and_its_result_stored() -> None:
    runner = AirflowRunner(conf={"word": "hello"})

    outcome = runner.run(Echo(task_id="echo", value={"say": "{{ dag_run.conf['word'] }}"}))

    assert (outcome.state, outcome.error) == ("success", None)
    assert outcome.result == {"say": "hello"}
    assert runner.xcoms["echo", -1, "return_value"] == {"say": "hello"}
    assert "hello" in str(outcome.rendered["value"])


def test_a_task_pulls_what_another_pushed() -> None:
    runner = AirflowRunner()
    runner.push("earlier", ["+442079460001"])

    outcome = runner.run(Echo(task_id="echo", value="{{ ti.xcom_pull('earlier')[0] }}"))

    assert outcome.result == "+442079460001"


def test_a_mapped_task_runs_one_of_its_instances() -> None:
    mapped = Echo.partial(task_id="echo").expand(value=["a", "b"])

    outcome = AirflowRunner().run(mapped, map_index=1)

    assert outcome.result == "b"


def test_every_log_line_is_captured_with_tracebacks() -> None:
    outcome = AirflowRunner().run(Echo(task_id="echo", value="word"))
    failed = AirflowRunner().run(Fail(task_id="fail", error=RuntimeError("broken")))

    assert "echoing word" in outcome.log
    assert "a library's debug line" in outcome.log
    assert "Traceback" in failed.log
    assert "RuntimeError: broken" in failed.log


def test_an_error_is_retried_as_long_as_tries_are_left() -> None:
    task = Fail(task_id="fail", error=RuntimeError("broken"), retries=1)
    runner = AirflowRunner()

    first, last = runner.run(task, try_number=1), runner.run(task, try_number=2)

    assert (first.state, last.state) == ("up_for_retry", "failed")
    assert isinstance(first.error, RuntimeError)
    assert first.xcoms == {"seen": {"try": 1}}
    assert last.xcoms == {"seen": {"try": 2}}


@pytest.mark.parametrize(
    ("error", "state"), [(AirflowFailException("no"), "failed"), (AirflowSkipException("no"), "skipped")]
)
def test_airflows_own_exceptions_keep_their_meaning(error: Exception, state: str) -> None:
    assert AirflowRunner().run(Fail(task_id="fail", error=error, retries=3)).state == state


def test_the_state_store_outlives_a_try_and_xcoms_do_not() -> None:
    runner = AirflowRunner()
    task = Remember(task_id="remember", retries=1)

    first = runner.run(task, try_number=1)
    kept = dict(runner.stored("remember"))
    second = runner.run(task, try_number=2)

    assert first.state == "up_for_retry"
    assert [type(each).__name__ for each in first.sent].count("SetTaskStateStore") == 1
    assert kept == {"seen": [1]}
    assert (second.state, second.result) == ("success", [1, 2])
    assert runner.stored("remember") == {}


def test_an_xcom_of_an_earlier_try_is_gone_in_the_next() -> None:
    runner = AirflowRunner()
    runner.run(Fail(task_id="same", error=RuntimeError(), retries=1))

    outcome = runner.run(Echo(task_id="same", value=1), try_number=2)

    assert outcome.xcoms == {"return_value": 1}


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "backfill", "asset_triggered"])
def test_connections_variables_and_the_kind_of_run_come_from_the_runner(run_type: str) -> None:
    runner = AirflowRunner(
        connections={"canary": {"conn_type": "x", "password": "s3cret-key", "extra": {"region": "uk"}}},
        variables={"colour": "blue"},
        run_type=run_type,
    )

    outcome = runner.run(Ask(task_id="ask"))

    assert outcome.result == ["s3cret-key", "uk", "blue", run_type]
    assert "s3cret-key" in runner.masked


def test_an_unknown_connection_fails_the_task() -> None:
    outcome = AirflowRunner().run(Ask(task_id="ask"))

    assert outcome.state == "failed"
    assert "canary" in str(outcome.error)


def test_asset_events_are_sent_with_the_success_only() -> None:
    emitted = AirflowRunner().run(Emit(task_id="emit", outlets=[ASSET]))

    assert emitted.asset_events == [
        {"dest_asset_key": {"name": "canary", "uri": "x-canary://one"}, "extra": {"digest": "abc"}}
    ]
    assert AirflowRunner().run(Fail(task_id="fail", error=RuntimeError())).asset_events == []


def waiting(**kwargs: Any) -> tuple[AirflowRunner, Wait]:
    runner = AirflowRunner(connections={"canary": {"conn_type": "x", "login": "me"}})
    return runner, Wait(task_id="wait", **kwargs)


def test_a_deferred_task_goes_on_in_a_new_instance_with_the_triggers_event() -> None:
    runner, task = waiting()

    deferred = runner.run(task)
    resumed = runner.resume(task, deferred)

    assert deferred.state == "deferred"
    assert deferred.deferred is not None
    assert deferred.deferred.trigger_timeout == timedelta(hours=1)
    assert resumed.result == {"word": "tock", "login": "me", "kept": 1, "noted": None}


def test_a_deferral_that_expires_fails_the_task() -> None:
    runner, task = waiting()

    expired = runner.expire(task, runner.run(task))

    assert expired.state == "failed"
    assert isinstance(expired.error, TaskDeferralTimeout)


def test_a_trigger_that_blocks_the_event_loop_is_caught() -> None:
    runner, task = waiting(blocks=True)

    with pytest.raises(BlockedTriggerer, match="GetConnection"):
        runner.fire(runner.run(task))


def test_a_trigger_that_never_fires_does_not_hang_the_tests() -> None:
    runner, task = waiting(fires=False)

    with pytest.raises(TimeoutError):
        runner.fire(runner.run(task), timeout=0.01)


def test_resuming_a_task_that_did_not_defer_says_so() -> None:
    runner = AirflowRunner()
    task = Echo(task_id="echo", value=1)

    with pytest.raises(AssertionError, match="it ended success"):
        runner.resume(task, runner.run(task))


def test_the_process_is_left_as_it_was() -> None:
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    level = logging.getLogger().level

    AirflowRunner().run(Echo(task_id="echo", value=1))

    assert dict(os.environ) == environment
    assert signal.getsignal(signal.SIGTERM) is handler
    assert logging.getLogger().level == level
