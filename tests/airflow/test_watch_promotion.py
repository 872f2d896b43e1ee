"""Looking at what was promoted, watching it and rolling it back, through the real task runner."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG, BaseNotifier
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.bases import protections
from airflow_voice_agents.bases import trigger as edge_trigger
from airflow_voice_agents.bases.trigger import JITTER
from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.polyai import watch_trigger
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.polyai.operators.verification import (
    KEEP,
    ROLL_BACK,
    WATCH_AGAIN,
    PolyAICheckPromotionOperator,
    PolyAIWatchPromotionOperator,
)
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.transport.errors import (
    ChecksFailed,
    ChecksUnclear,
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
)
from support.airflow_runner import Outcome, make
from support.airflow_versions import DagSerialization
from support.answers import TIMED_OUT, WAITING, answer, go_on, patience, question, questions
from support.emulated import (
    HOTELS,
    LIVE,
    PAGES,
    PRE_RELEASE,
    ROSA,
    SANDBOX,
    VALUES,
    Emulated,
    kept_text,
    place,
)

pytestmark = pytest.mark.usefixtures("fernet_key")

RULE = "ar_0HarbourFunctions"
RULES, RUN, CALL, CALLED = (
    "list alert rules",
    "get test run",
    "create outbound call",
    "get outbound call status",
)
ALERTS = {"check": "alerts", "project_ids": [HOTELS]}
SAID = "marker of what is said: when do you open?"
SMOKE = {
    "check": "smoke",
    "agent_id": HOTELS,
    "environment": PRE_RELEASE,
    "turns": [{"expect": ["good day"]}, {"say": SAID, "topics": ["opening_hours"]}],
}
NUMBER = "+442079460123"
OUTBOUND = {
    "check": "outbound",
    "agent_id": HOTELS,
    "environment": LIVE,
    "to_number": NUMBER,
    "confirm_call": True,
}


class Time:
    """A clock of tasks and triggers that moves only when a trigger sleeps."""

    def __init__(self, start: datetime) -> None:
        self.start = start.timestamp()
        self.slept: list[float] = []

    def time(self) -> float:
        return self.start + sum(self.slept)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    @staticmethod
    async def to_thread(work: Callable[[], Any]) -> Any:
        """What the patched module of triggers uses as well."""
        return await asyncio.to_thread(work)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def clock(polyai: Emulated, monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock of tasks and triggers begins with that of the server."""
    clock = Time(polyai.server.polyai.clock.present())
    for module in (edge_trigger, watch_trigger):
        monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(module, "asyncio", clock)
    monkeypatch.setattr(protections, "now", clock.now)
    return clock


class Told(BaseNotifier):
    """Keeps the verdict that it can read when it is called."""

    seen: ClassVar[list[Any]] = []

    def notify(self, context: Any) -> None:
        ti = context["ti"]
        self.seen.append(ti.xcom_pull(task_ids=ti.task_id, key="verdict")["verdict"])


class Broken(BaseNotifier):
    """Cannot tell anybody."""

    def notify(self, context: Any) -> None:
        raise RuntimeError("no channel")


class Desk:
    """A promotion to pre-release, and operators that look at it."""

    def __init__(self, emulated: Emulated, folder: Path, environment: str) -> None:
        self.polyai, self.folder, self.environment = emulated, str(folder), environment
        for stage in (SANDBOX, environment):
            emulated.put_page(HOTELS, stage, {"greeting": f"secret of {stage}"}, {"type": "object"})
        spec = {"source": place(HOTELS, SANDBOX), "targets": [place(HOTELS, environment)], "config": {}}
        if environment == LIVE:
            spec |= {"allow_skip_pre_release": True}
        self.spec = spec
        for rule in (RULE, "ar_0HarbourCrashes"):
            emulated.server.polyai.set_alert(rule, "ok", lastEvaluatedAt=7200)
        self.promote("apply")

    def promote(self, task_id: str) -> None:
        planned = self.polyai.run(
            PolyAIPlanPromotionOperator(task_id=f"plan_{task_id}", spec=self.spec, state_folder=self.folder)
        )
        assert planned.state == "success", planned.error
        self.plan = planned.result
        applied = self.polyai.run(
            PolyAIApplyPromotionOperator(
                task_id=task_id, plan=self.plan, state_folder=self.folder, confirm_live=True
            )
        )
        assert applied.state == "success", applied.error
        self.snapshot = applied.xcoms["snapshot"]
        self.polyai.server.journal.clear()

    def watch(self, *checks: Any, **options: Any) -> PolyAIWatchPromotionOperator:
        return make(
            PolyAIWatchPromotionOperator,
            task_id="watch",
            **{
                "checks": list(checks) or [ALERTS],
                "snapshot": self.snapshot,
                "state_folder": self.folder,
                "retries": 3,
                **options,
            },
        )

    def end(self, task: Any, outcome: Outcome | None = None, **options: Any) -> Outcome:
        """Run a task, through its trigger if it waits."""
        outcome = outcome or self.polyai.run(task, **options)
        return self.polyai.runner.resume(task, outcome, **options) if outcome.deferred else outcome

    @property
    def greeting(self) -> str:
        return str(self.polyai.values(HOTELS, self.environment)["greeting"])

    @property
    def rolled_back(self) -> bool:
        return self.greeting == f"secret of {self.environment}"

    @property
    def held(self) -> bool:
        name = f"{HOTELS}/{self.environment}"
        return name in rollback_blocks.read(f"{self.folder}", [name])

    def alert(self, state: str, **changes: Any) -> None:
        self.polyai.server.polyai.set_alert(RULE, state, **changes)

    def fires(self, **rule: Any) -> None:
        """Let the alert fire when a look asks for rules."""
        self.polyai.meanwhile(lambda: self.alert("alert"), operation=RULES, **rule)

    def fault(self, operation: str, status: int, **rule: Any) -> None:
        """Let an operation fail, for ever unless told otherwise."""
        rule = {"times": None, **rule}
        self.polyai.server.emulator.faults.add(Fault("answer", operation=operation, status=status, **rule))


@pytest.fixture
def desk(polyai: Emulated, tmp_path: Path) -> Desk:
    Told.seen.clear()
    return Desk(polyai, tmp_path / "state", PRE_RELEASE)


def check(*checks: Any, **options: Any) -> PolyAICheckPromotionOperator:
    return make(PolyAICheckPromotionOperator, task_id="check", checks=list(checks), **options)


# ------------------------------------------------------------------------------------ one look


def test_one_look_passes_and_costs_one_read_per_check(desk: Desk) -> None:
    read_back = {"check": "read_back", "plan": desk.plan}
    before = desk.polyai.state()

    outcome = desk.polyai.run(check(ALERTS, read_back))

    assert outcome.state == "success", outcome.error
    assert (outcome.result["verdict"], outcome.result["looks"]) == ("passed", 1)
    assert outcome.xcoms["verdict"] == outcome.result
    assert desk.polyai.requests() == {RULES: 1, PAGES: 1}
    assert desk.polyai.state() == before
    assert "secret of" not in kept_text(outcome)


def test_what_was_changed_since_fails_the_read_back(desk: Desk) -> None:
    desk.polyai.put(HOTELS, PRE_RELEASE, greeting="a colleague's")

    outcome = desk.polyai.run(check({"check": "read_back", "plan": desk.plan}, retries=2))

    assert (outcome.state, type(outcome.error)) == ("failed", ChecksFailed)
    assert "Nothing was rolled back" in str(outcome.error)
    assert outcome.xcoms["verdict"]["verdict"] == "failed"


@pytest.mark.parametrize(("on_unclear", "state"), [("fail", "up_for_retry"), ("pass", "success")])
def test_an_unclear_look_fails_unless_that_is_let_pass(desk: Desk, on_unclear: Any, state: str) -> None:
    desk.alert("no_data")

    outcome = desk.polyai.run(check(ALERTS, on_unclear=on_unclear, retries=1))

    assert outcome.state == state
    assert outcome.xcoms["verdict"]["verdict"] == "inconclusive"
    assert isinstance(outcome.error, ChecksUnclear) == (state != "success")


def test_a_key_without_rights_is_an_error_and_no_failure(desk: Desk) -> None:
    desk.fault(RULES, 403)

    outcome = desk.polyai.run(check(ALERTS))

    assert isinstance(outcome.error, ChecksUnclear)
    (result,) = outcome.xcoms["verdict"]["checks"]
    assert (result["verdict"], result["permanent"], result["facts"]["status"]) == ("error", True, 403)


def test_waiting_ends_with_the_first_look_that_passes(desk: Desk) -> None:
    server = desk.polyai.server
    server.polyai.switches.tested = [HOTELS]
    run_id = server.polyai.start_run(HOTELS, "main", ["CASE-1"])
    task = check({"check": "test_runs", "agent_id": HOTELS, "test_run_ids": [run_id]}, wait_minutes=10)

    outcome = desk.end(task)

    assert outcome.state == "success", outcome.error
    assert (outcome.result["verdict"], outcome.result["looks"]) == ("passed", 3)


def test_a_test_run_that_never_ends_is_inconclusive_after_the_wait(
    desk: Desk, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the last interval, with its jitter, would go beyond the end."""
    jitter = itertools.chain([0.99] * 9, itertools.repeat(1 + JITTER))
    monkeypatch.setattr(edge_trigger.random, "uniform", lambda *_: next(jitter))
    server = desk.polyai.server
    server.state.switches.test_run_outcome = "never"
    run_id = server.polyai.start_run(HOTELS, "main", ["CASE-1"])
    task = check({"check": "test_runs", "agent_id": HOTELS, "test_run_ids": [run_id]}, wait_minutes=10)

    outcome = desk.end(task)

    assert isinstance(outcome.error, ChecksUnclear)
    assert sum(clock.slept) == pytest.approx(600)


# ---------------------------------------------------------------------------------- smoke tests


def test_a_chat_that_goes_as_expected_passes_and_is_not_logged(desk: Desk) -> None:
    outcome = desk.polyai.run(check(SMOKE))

    assert outcome.state == "success", outcome.error
    assert desk.polyai.requests() == {"create debug chat": 1, "send debug chat message": 1}
    assert "marker of what is said" not in kept_text(outcome)
    assert "Harbour Hotels, good day" not in kept_text(outcome)


def test_a_chat_fails_only_when_a_second_one_fails_as_well(desk: Desk) -> None:
    wrong = {**SMOKE, "turns": [{"say": "hello", "topics": ["bookings"]}]}

    outcome = desk.polyai.run(check(wrong))

    assert isinstance(outcome.error, ChecksFailed)
    assert desk.polyai.requests()["create debug chat"] == 2


def test_a_chat_that_does_not_come_about_is_an_error(desk: Desk) -> None:
    desk.fault("create debug chat", 500)

    outcome = desk.polyai.run(check(SMOKE))

    assert isinstance(outcome.error, ChecksUnclear)
    assert outcome.xcoms["verdict"]["verdict"] == "error"


def test_a_failed_chat_rolls_back_without_waiting_and_calls_nobody(desk: Desk) -> None:
    wrong = {**SMOKE, "turns": [{"say": "hello", "topics": ["bookings"]}]}

    outcome = desk.polyai.run(desk.watch(wrong, OUTBOUND, ALERTS))

    assert isinstance(outcome.error, ChecksFailed)
    assert (desk.rolled_back, desk.held) == (True, True)
    assert CALL not in desk.polyai.requests()


# --------------------------------------------------------------------------------- outbound calls


def test_a_call_is_placed_once_and_its_number_appears_nowhere(desk: Desk) -> None:
    task = desk.watch(OUTBOUND, snapshot=None, watch_minutes=5)

    waiting = desk.polyai.run(task)
    again = desk.polyai.run(task, try_number=2)
    outcome = desk.end(task, again)

    assert outcome.state == "success", outcome.error
    assert desk.polyai.requests()[CALL] == 1
    digits = NUMBER[1:]
    assert digits not in kept_text(waiting) + kept_text(again) + kept_text(outcome)
    assert digits not in json.dumps(desk.polyai.runner.stored("watch"))
    assert digits not in json.dumps([str(entry) for entry in desk.polyai.server.journal.entries()])
    (result,) = outcome.result["checks"]
    assert result["facts"]["status"] == "SUCCESS"


def test_a_call_that_may_have_been_placed_is_not_placed_again(desk: Desk) -> None:
    desk.polyai.server.emulator.faults.add(Fault("reset", apply=True, operation=CALL))

    task = check(OUTBOUND, retries=2)
    first = desk.polyai.run(task)
    second = desk.polyai.run(task, try_number=2)

    assert isinstance(first.error, ChecksUnclear)
    assert second.xcoms["verdict"]["verdict"] == "inconclusive"
    assert desk.polyai.requests()[CALL] == 1


@pytest.mark.parametrize(("counts", "verdict"), [(False, "inconclusive"), (True, "failed")])
def test_a_call_that_did_not_come_about(desk: Desk, counts: bool, verdict: str) -> None:
    desk.polyai.server.state.switches.call_outcome = "FAILURE"

    outcome = desk.end(check({**OUTBOUND, "failure_counts": counts}, wait_minutes=5))

    assert outcome.xcoms["verdict"]["verdict"] == verdict


def test_nobody_is_called_without_consent(desk: Desk) -> None:
    outcome = desk.polyai.run(check({**OUTBOUND, "confirm_call": False}))

    assert isinstance(outcome.error, InputError)
    assert "confirm_call" in str(outcome.error)
    assert NUMBER[1:] not in kept_text(outcome)
    assert desk.polyai.requests() == {}


# --------------------------------------------------------------------------------------- watching


def test_a_quiet_period_passes_and_holds_no_slot(desk: Desk, clock: Time) -> None:
    task = desk.watch()

    waiting = desk.polyai.run(task)
    outcome = desk.end(task, waiting)

    assert waiting.state == "deferred"
    assert outcome.state == "success", outcome.error
    assert outcome.result["verdict"] == "passed"
    assert sum(clock.slept) == pytest.approx(1800)
    assert desk.polyai.writes() == 0
    assert not desk.rolled_back


def test_an_alert_that_fires_twice_rolls_back_and_holds_and_tells(desk: Desk) -> None:
    desk.fires(nth=5)
    task = desk.watch(notifiers=[Told()], reason="too many failing functions", show_values=False)

    outcome = desk.end(task)

    assert (outcome.state, type(outcome.error)) == ("failed", ChecksFailed)
    assert f"Rolled back: {HOTELS}/{PRE_RELEASE}" in str(outcome.error)
    assert (desk.rolled_back, desk.held) == (True, True)
    assert desk.polyai.requests()[RULES] == 6
    assert desk.polyai.requests()[VALUES] == 1
    assert outcome.xcoms["verdict"]["checks"][0]["facts"]["firing"] == [RULE]
    assert outcome.xcoms["report"]["counts"]["changed"] == 1
    assert Told.seen == ["failed"]
    assert "secret of" not in kept_text(outcome)


def test_an_alert_that_is_over_at_the_next_look_rolls_nothing_back(desk: Desk) -> None:
    desk.fires(nth=3)
    desk.polyai.meanwhile(lambda: desk.alert("ok"), operation=RULES, nth=4)

    outcome = desk.end(desk.watch())

    assert outcome.state == "success", outcome.error
    assert not desk.rolled_back


def test_an_alert_from_before_is_not_blamed_on_the_promotion(desk: Desk) -> None:
    desk.alert("alert", since=-3600)

    outcome = desk.end(desk.watch())

    assert outcome.state == "success", outcome.error
    assert outcome.result["checks"][0]["facts"]["fired_before"] == [RULE]


def test_without_a_hold_nothing_is_held(desk: Desk) -> None:
    desk.fires(nth=1)

    outcome = desk.end(desk.watch(hold=False))

    assert isinstance(outcome.error, ChecksFailed)
    assert (desk.rolled_back, desk.held) == (True, False)


def test_without_a_snapshot_a_failure_says_that_nothing_was_rolled_back(desk: Desk) -> None:
    desk.fires(nth=1)

    outcome = desk.end(desk.watch(snapshot=None, notifiers=[Told()]))

    assert isinstance(outcome.error, ChecksFailed)
    assert "Nothing was rolled back" in str(outcome.error)
    assert (desk.rolled_back, Told.seen) == (False, ["failed"])


def test_a_notifier_that_fails_stops_nothing(desk: Desk) -> None:
    desk.fires(nth=1)

    outcome = desk.end(desk.watch(notifiers=[Broken(), Told()]))

    assert isinstance(outcome.error, ChecksFailed)
    assert (desk.rolled_back, Told.seen) == (True, ["failed"])


def test_newer_work_is_not_overwritten(desk: Desk) -> None:
    desk.fires(nth=1)
    task = desk.watch(notifiers=[Told()])
    waiting = desk.polyai.run(task)
    desk.polyai.put(HOTELS, PRE_RELEASE, greeting="a colleague's")

    outcome = desk.end(task, waiting)

    assert isinstance(outcome.error, ItemsFailedPermanently)
    told = str(outcome.error)
    assert told.startswith(
        f"Still promoted: {HOTELS}/{PRE_RELEASE} (config page edited since). Nothing was rolled"
    )
    assert f"alerts: {RULE}" in told or "verdict failed" in told
    assert (desk.greeting, desk.held, Told.seen) == ("a colleague's", False, ["failed"])


def test_an_automatic_rollback_takes_back_what_nobody_has_edited(desk: Desk) -> None:
    desk.polyai.put_page(ROSA, PRE_RELEASE, {"greeting": "of rosa"}, {"type": "object"})
    targets = [place(agent, PRE_RELEASE) for agent in (HOTELS, ROSA)]
    desk.polyai.put(HOTELS, SANDBOX, greeting="a new one")
    desk.spec = {**desk.spec, "targets": targets, "config": {"stale_keys": "keep"}}
    desk.promote("apply_both")
    desk.fires(nth=1)
    task = desk.watch()
    waiting = desk.polyai.run(task)
    desk.polyai.put(HOTELS, PRE_RELEASE, greeting="a colleague's")

    outcome = desk.end(task, waiting)

    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert str(outcome.error).startswith(
        f"Still promoted: {HOTELS}/{PRE_RELEASE} (config page edited since). "
        f"Rolled back and on hold: {ROSA}/{PRE_RELEASE}."
    )
    assert desk.greeting == "a colleague's"
    assert desk.polyai.values(ROSA, PRE_RELEASE)["greeting"] == "of rosa"


def test_a_strict_automatic_rollback_takes_back_nothing(desk: Desk) -> None:
    desk.fires(nth=1)
    task = desk.watch(newer_work="refuse")
    waiting = desk.polyai.run(task)
    desk.polyai.put(HOTELS, PRE_RELEASE, greeting="a colleague's")

    outcome = desk.end(task, waiting)

    assert isinstance(outcome.error, GuardRefused)
    assert (desk.greeting, desk.polyai.writes()) == ("a colleague's", 0)


def test_a_rollback_that_is_cut_off_is_finished_by_the_next_try_and_done_once(desk: Desk) -> None:
    desk.fires(nth=1)
    desk.fault(VALUES, 500)
    task = desk.watch()

    first = desk.end(task)
    assert (first.state, desk.rolled_back) == ("up_for_retry", False)
    assert isinstance(first.error, ItemsFailed)
    desk.polyai.server.emulator.faults.clear()
    desk.polyai.server.journal.clear()
    second = desk.polyai.run(task, try_number=2)
    third = desk.polyai.run(task, try_number=3)

    assert isinstance(second.error, ChecksFailed)
    assert isinstance(third.error, ChecksFailed)
    assert desk.rolled_back
    assert desk.polyai.requests()[VALUES] == 1
    assert RULES not in desk.polyai.requests()


def test_a_retry_keeps_the_period_of_the_first_try(desk: Desk, clock: Time) -> None:
    task = desk.watch()
    desk.polyai.run(task)
    clock.slept.append(1700)

    outcome = desk.end(task, try_number=2)

    assert outcome.state == "success", outcome.error
    assert sum(clock.slept) == pytest.approx(1800)


def test_a_task_that_was_cleared_watches_anew(desk: Desk) -> None:
    desk.fires(nth=1)
    desk.end(desk.watch())
    desk.alert("ok")
    desk.polyai.server.emulator.faults.clear()
    rollback_blocks.release(desk.folder, [f"{HOTELS}/{PRE_RELEASE}"])
    desk.polyai.runner.state_store.pop(("apply", -1), None)
    desk.promote("apply_again")

    cleared = desk.watch(retries=4)  # clearing raises the number of tries that a task may have
    outcome = desk.end(cleared, try_number=2)

    assert outcome.state == "success", outcome.error


def test_the_period_may_be_a_template(desk: Desk, clock: Time) -> None:
    desk.polyai.runner.push("setup", 5)
    template = "{{ ti.xcom_pull('setup') * 2 }}"

    outcome = desk.end(desk.watch(watch_minutes=template, poll_interval="{{ 30 }}"))

    assert outcome.state == "success", outcome.error
    assert sum(clock.slept) == pytest.approx(600)


def test_live_is_not_watched_without_leave_to_roll_it_back(polyai: Emulated, tmp_path: Path) -> None:
    desk = Desk(polyai, tmp_path / "state", LIVE)

    outcome = desk.polyai.run(desk.watch())
    allowed = desk.polyai.run(desk.watch(confirm_live=True))

    assert isinstance(outcome.error, GuardRefused)
    assert "confirm_live" in str(outcome.error)
    assert allowed.state == "deferred"


@pytest.mark.parametrize(
    "wrong",
    [
        {"watch_minutes": -1},
        {"watch_minutes": "soon"},
        {"watch_minutes": True},
        {"poll_interval": 0},
        {"poll_interval": "inf"},
        {"confirmations": 0},
        {"since": "yesterday"},
        {"since": "2026-08-01T08:00:00"},
        {"snapshot": "None"},
        {"snapshot": "file:///nowhere"},
        {"checks": []},
        {"checks": "[{check: alerts}]"},
        {"checks": [{"check": "nonsense"}]},
        {"checks": [ALERTS, ALERTS]},
    ],
    ids=str,
)
def test_wrong_arguments_cost_no_request(desk: Desk, wrong: dict[str, Any]) -> None:
    outcome = desk.polyai.run(desk.watch(**wrong))

    assert (outcome.state, type(outcome.error)) == ("failed", InputError)
    assert desk.polyai.requests() == {}


# ---------------------------------------------------------------------------------- asking a person


def unclear(desk: Desk, **options: Any) -> tuple[PolyAIWatchPromotionOperator, Outcome]:
    """A watch that came to no verdict, and asks."""
    desk.alert("no_data")
    return unclear_as_it_is(desk, **options)


def unclear_as_it_is(desk: Desk, **options: Any) -> tuple[PolyAIWatchPromotionOperator, Outcome]:
    task = desk.watch(**options)
    return task, desk.end(task)


def test_an_inconclusive_period_asks_and_holds_no_slot(desk: Desk) -> None:
    _, asking = unclear(desk, notifiers=[Told()], response_timeout=timedelta(hours=2))

    assert asking.state == WAITING
    assert question(asking).options == [KEEP, ROLL_BACK, WATCH_AGAIN]
    assert "no\\_data" in (question(asking).body or "") or "no_data" in (question(asking).body or "")
    assert patience(asking) == timedelta(hours=2)
    assert (desk.rolled_back, Told.seen) == (False, ["inconclusive"])


def test_a_person_may_keep_it(desk: Desk) -> None:
    task, asking = unclear(desk)

    outcome = answer(desk.polyai.runner, task, asking, KEEP)

    assert outcome.state == "success", outcome.error
    assert outcome.result["answer"] == {"option": KEEP, "by": "Mara"}
    assert not desk.rolled_back


def test_a_person_may_roll_back(desk: Desk) -> None:
    task, asking = unclear(desk)

    outcome = answer(desk.polyai.runner, task, asking, ROLL_BACK)
    again = desk.polyai.run(task, try_number=2)

    assert isinstance(outcome.error, ChecksFailed)
    assert isinstance(again.error, ChecksFailed)
    assert (desk.rolled_back, desk.held) == (True, True)
    assert desk.polyai.requests()[VALUES] == 1


def test_a_person_may_have_it_watched_again(desk: Desk, clock: Time) -> None:
    task, asking = unclear(desk)

    watching = answer(desk.polyai.runner, task, asking, WATCH_AGAIN)
    assert watching.state == "deferred"
    desk.alert("ok")
    outcome = desk.end(task, watching)

    assert outcome.state == "success", outcome.error
    assert sum(clock.slept) == pytest.approx(3600)


def test_no_answer_in_time_fails_and_rolls_nothing_back(desk: Desk) -> None:
    task, asking = unclear(desk)

    outcome = go_on(desk.polyai.runner, task, asking, TIMED_OUT)

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)
    assert "nothing was rolled back" in str(outcome.error)
    assert not desk.rolled_back


def test_a_retry_asks_again_and_looks_no_more(desk: Desk) -> None:
    task, _ = unclear(desk, notifiers=[Told()])
    looked = desk.polyai.requests()[RULES]

    again = desk.polyai.run(task, try_number=2)

    assert len(questions(again)) == 1
    assert desk.polyai.requests()[RULES] == looked
    assert Told.seen == ["inconclusive"]


def test_without_a_snapshot_nobody_is_offered_a_rollback(desk: Desk) -> None:
    _, asking = unclear(desk, snapshot=None)

    assert question(asking).options == [KEEP, WATCH_AGAIN]


def test_a_rule_that_was_not_evaluated_since_the_promotion_does_not_pass(desk: Desk) -> None:
    desk.alert("ok", lastEvaluatedAt=-30)

    _, asking = unclear_as_it_is(desk)

    assert asking.state == WAITING
    assert "not evaluated since" in str(asking.xcoms["verdict"]["checks"])


# ------------------------------------------------------------------------------- technical errors


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503])
def test_errors_alone_never_roll_back(desk: Desk, status: int) -> None:
    desk.alert("alert")
    desk.fault(RULES, status)

    outcome = desk.end(desk.watch(watch_minutes=3))

    assert outcome.state == WAITING
    assert outcome.xcoms["verdict"]["verdict"] == "error"
    assert not desk.rolled_back
    assert desk.polyai.writes() == 0


def test_errors_on_the_way_are_counted_and_tolerated(desk: Desk) -> None:
    desk.fault(RULES, 500, times=40)

    outcome = desk.end(desk.watch())

    assert outcome.state == "success", outcome.error
    assert outcome.result["errors"] > 0


def test_one_failed_look_among_errors_rolls_nothing_back(desk: Desk) -> None:
    desk.fires(nth=2)
    desk.fault(RULES, 500, nth=3)

    outcome = desk.end(desk.watch(watch_minutes=3))

    assert outcome.state == WAITING
    assert not desk.rolled_back


@pytest.mark.parametrize(
    "event", [None, {"status": "timeout"}, {"status": "error", "message": "m"}, {"status": "new"}], ids=str
)
def test_a_trigger_that_ends_otherwise_is_an_error(desk: Desk, event: Any) -> None:
    desk.alert("alert")
    task = desk.watch()
    waiting = desk.polyai.run(task)

    outcome = desk.polyai.runner.resume_with(task, waiting, event)

    assert outcome.state == WAITING
    assert not desk.rolled_back


# ----------------------------------------------------------------------------------------- shape


def test_the_trigger_is_plain_json_and_says_it_again(desk: Desk) -> None:
    waiting = desk.polyai.run(desk.watch(ALERTS, {"check": "read_back", "plan": desk.plan}, SMOKE))

    assert waiting.deferred is not None
    kwargs = json.loads(json.dumps(waiting.deferred.trigger_kwargs))
    trigger = import_string(waiting.deferred.classpath)(**kwargs)
    assert json.loads(json.dumps(trigger.serialize()[1])) == kwargs
    assert "secret of" not in json.dumps(kwargs)
    assert "marker of what is said" not in json.dumps(kwargs)


@pytest.mark.parametrize(
    "task",
    [check(ALERTS), PolyAIWatchPromotionOperator(task_id="watch", checks=[ALERTS], notifiers=[Told()])],
    ids=lambda task: task.task_id,
)
def test_the_operators_survive_serialisation(task: Any) -> None:
    dag = DAG(f"serialised_{task.task_id}", schedule=None)
    dag.add_task(task)

    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))

    restored = DagSerialization.from_dict(stored).get_task(task.task_id)
    assert set(restored.template_fields) == set(task.template_fields)
