"""The retry policy where Airflow asks none (before 3.3), on every Airflow: permanent errors and named waits."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_voice_agents.bases.retry_policy import PolicyRetries, VoiceAgentsRetryPolicy
from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator
from airflow_voice_agents.polyai.sensors.resources import PolyAIConfigSensor
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    RateLimited,
    ServerError,
    Unauthorized,
)
from support.airflow_runner import AirflowRunner, Outcome
from support.airflow_versions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    read_kwargs,
)
from support.operators import right_arguments

WAIT = timedelta(seconds=90)
SHORT = timedelta(seconds=30)


class Older(PolicyRetries, BaseOperator):
    """An operator as it is before Airflow 3.3."""

    _asks_policy = True
    template_fields = ("text",)

    def __init__(self, *, error: BaseException | None = None, text: Any = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error
        self.text = text

    def execute(self, context: Any) -> Any:
        if self.error is not None:
            raise self.error
        return "done"


class OlderStill(Older):
    """A subclass that looks at what its base raises."""

    def execute(self, context: Any) -> Any:
        try:
            return super().execute(context)
        except GuardRefused as error:
            return isinstance(error, AirflowFailException)


def task_of(error: BaseException, kind: type[Older] = Older, **arguments: Any) -> Older:
    given = {"retries": 3, "retry_delay": SHORT, "retry_policy": VoiceAgentsRetryPolicy(), **arguments}
    return kind(task_id="older", error=error, **given)


def outcome_of(error: BaseException, try_number: int = 1, **arguments: Any) -> Outcome:
    return AirflowRunner().run(task_of(error, **arguments), try_number=try_number, through_waits=False)


def moment(outcome: Outcome) -> datetime:
    deferral = outcome.deferred
    assert deferral is not None
    assert deferral.classpath == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
    return datetime.fromisoformat(str(read_kwargs(deferral.trigger_kwargs)["moment"]))


def test_a_permanent_error_fails_at_once_as_airflow_s_own_and_as_ours() -> None:
    outcome = outcome_of(Unauthorized("refused", status=401, correlation_id="c-1"))

    assert outcome.state == "failed"
    assert isinstance(outcome.raised, AirflowFailException)
    assert isinstance(outcome.raised, Unauthorized), "callbacks tell errors by their class"
    assert outcome.raised.correlation_id == "c-1"
    assert outcome.log.count("No retry can mend this: ") == 1


def test_it_is_pickled_as_the_class_that_can_be_imported() -> None:
    restored = pickle.loads(pickle.dumps(outcome_of(GuardRefused("no consent")).raised))  # noqa: S301

    assert type(restored) is GuardRefused
    assert str(restored) == "no consent"


def test_a_permanent_cause_counts_and_stays_the_cause() -> None:
    error = AirflowException("gave up")
    error.__cause__ = Unauthorized("refused", status=401)

    outcome = outcome_of(error)

    assert isinstance(outcome.raised, AirflowFailException)
    assert outcome.raised.__cause__ is error


def test_a_base_class_raises_what_its_subclass_knows() -> None:
    outcome = AirflowRunner().run(task_of(GuardRefused("no"), OlderStill))

    assert (outcome.state, outcome.result) == ("success", False)


def test_an_error_of_a_template_fails_at_once() -> None:
    def text(context: Any, jinja_env: Any) -> str:
        raise InputError("the template renders to nothing")

    task = task_of(None, text=text)  # type: ignore[arg-type]

    outcome = AirflowRunner().run(task)

    assert outcome.state == "failed"
    assert isinstance(outcome.raised, AirflowFailException)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(PolyAIUpdateConfigOperator, {"allow_backfill": "no"}), (PolyAIConfigSensor, {"deferrable": "yes"})],
    ids=["operator", "sensor"],
)
def test_a_wrong_argument_of_a_mapped_task_fails_at_once(
    kind: type[BaseOperator], wrong: dict[str, str]
) -> None:
    older = type("Older", (kind,), {"_asks_policy": True})
    with DAG("mapped", schedule=None):
        task = older.partial(**right_arguments(kind), **wrong, retries=3).expand(polyai_conn_id=["polyai"])

    outcome = AirflowRunner().run(task, map_index=0)

    assert outcome.state == "failed"
    assert isinstance(outcome.raised, AirflowFailException), "before 3.3 nothing else ends the tries"
    assert f"{next(iter(wrong))} must be " in str(outcome.raised)


def test_an_error_of_a_template_that_is_rendered_outside_of_a_run_stays_what_it_is() -> None:
    def text(context: Any, jinja_env: Any) -> str:
        raise InputError("the template renders to nothing")

    task = task_of(None, text=text)  # type: ignore[arg-type]

    with pytest.raises(InputError, match="renders to nothing") as raised:
        task.render_template_fields({})  # type: ignore[typeddict-item]

    assert type(raised.value) is InputError


def test_a_wait_longer_than_the_task_s_own_is_waited_out_and_then_the_try_fails() -> None:
    runner, task = (
        AirflowRunner(),
        task_of(RateLimited("slow down", status=429, retry_after=WAIT.total_seconds())),
    )
    before = datetime.now(UTC)

    waiting = runner.run(task, through_waits=False)

    after = datetime.now(UTC)
    assert before + WAIT - SHORT <= moment(waiting) <= after + WAIT - SHORT, "Airflow waits for the rest"
    assert "The server named the time to wait" in waiting.log
    resumed = runner.resume_with(task, waiting, None)
    assert resumed.state == "up_for_retry"
    assert type(resumed.error) is RateLimited
    assert str(resumed.error) == str(task.error)


def test_the_wait_behind_a_report_of_failed_items_is_kept_as_well() -> None:
    error = ItemsFailed("1 of 3 failed")
    error.retry_after = 3600

    assert outcome_of(error).state == "deferred"


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_a_wait_that_airflow_s_retry_covers_is_left_to_it(seconds: float) -> None:
    assert outcome_of(ServerError("overloaded", status=503, retry_after=seconds)).state == "up_for_retry"


def test_the_last_try_does_not_wait() -> None:
    error = RateLimited("slow down", retry_after=3600)

    assert outcome_of(error, try_number=3).state == "deferred"
    assert outcome_of(error, try_number=4).state == "failed"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (AirflowSkipException("skipped"), "skipped"),
        (AirflowFailException("failed"), "failed"),
        (ValueError("a bug"), "up_for_retry"),
        (ServerError("failed"), "up_for_retry"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_everything_else_ends_as_airflow_has_it(error: Exception, state: str) -> None:
    error.__cause__ = RateLimited("slow down", retry_after=3600) if state == "skipped" else None

    outcome = outcome_of(error)

    assert (outcome.state, outcome.error) == (state, error if state != "skipped" else None)
