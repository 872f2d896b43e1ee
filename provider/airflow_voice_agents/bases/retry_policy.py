"""The retry policy: fail at once, wait as the server requests, or retry.

Airflow asks a task's policy since 3.3; :class:`PolicyRetries` asks it for tasks of older versions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_voice_agents import airflow_compat
from airflow_voice_agents.airflow_compat import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    RetryDecision,
    RetryPolicy,
)

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from jinja2 import Environment

    _Base = BaseOperator
else:
    _Base = object

REASON_LIMIT = 500
"""Characters that Airflow keeps of a reason."""

DELAY_LIMIT = timedelta(days=1)
"""The longest wait that a server may impose on a task."""

DECIDED = (AirflowFailException, AirflowRescheduleException, AirflowSensorTimeout, AirflowSkipException)
"""Exceptions that say by themselves what becomes of the task."""


PLAIN = (str, int, float, bool)
"""Types of an error's values that outlive a deferral."""


class VoiceAgentsRetryPolicy(RetryPolicy):
    """The default policy of every operator: it decides by the error.

    * An error that a retry cannot fix (bad input, a refused key, an unknown id, a guard) fails at once.
    * An error with a waiting time is retried after that time, at most a day.
    * A write with an unknown outcome is retried: operators read the state before they write.
    * All other errors follow the task's ``retries`` and ``retry_delay``.

    The policy also considers the declared cause (``raise ... from error``) of the error that ended the task.
    It cannot extend the number of tries of the task.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide whether and when the task is tried again.

        :param exception: what ended the task.
        :param try_number: number of the try that failed, from 1.
        :param max_tries: tries that the task may have in all.
        :param context: the task's context; not used.
        """
        from airflow_voice_agents.transport.errors import OutcomeUnknown, VoiceAgentsError

        errors = [error for error in _causes(exception) if isinstance(error, VoiceAgentsError)]
        if not errors:
            return RetryDecision.default()
        if errors[0].permanent:
            return RetryDecision.fail(_reason("No retry can mend this", errors[0]))
        for error in errors:
            if (delay := _delay(error.retry_after)) is not None:
                return RetryDecision.retry(delay, _reason("The server named the time to wait", error))
        if unknown := next((error for error in errors if isinstance(error, OutcomeUnknown)), None):
            return RetryDecision.retry(reason=_reason("The next try reads the state back first", unknown))
        return RetryDecision.default()


class PolicyRetries(_Base):
    """Mixin for operators and sensors: a retry policy, also where Airflow knows none (before 3.3).

    There, what the policy wants to fail ends as :class:`AirflowFailException`. A delay that is longer than the
    task's ``retry_delay`` is waited out in the triggerer before the try fails and Airflow repeats it. It is the
    first base of a class, so that the policy sees the errors of the other mixins as well.
    """

    _asks_policy: ClassVar[bool] = not airflow_compat.RETRY_POLICIES
    _policy_is_asked: bool = False

    def __init__(self, *, retry_policy: RetryPolicy, **kwargs: Any) -> None:
        if not self._asks_policy:
            super().__init__(retry_policy=retry_policy, **kwargs)
            return
        super().__init__(**kwargs)
        self.retry_policy = retry_policy

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls._asks_policy and "execute" in cls.__dict__:
            cls.execute = _asking(cls.__dict__["execute"])  # type: ignore[method-assign]

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral, as Airflow does."""
        with self._policy_asked(context):
            return super().resume_execution(next_method, next_kwargs, context)

    def fail_after_wait(self, context: Context, event: Any, kind: str, **error: Any) -> NoReturn:
        """Fail the try whose delay is over, so that Airflow repeats it.

        :param context: the task's context.
        :param event: the event of the trigger that waited.
        :param kind: class of the error that ended the try, as ``package.module:Class``.
        :param error: the error's text or ``args``, its plain ``values``, and the ``seconds`` that were waited.
        :raises VoiceAgentsError: always.
        """
        from airflow_voice_agents.transport.errors import VoiceAgentsError

        self.log.info("The wait of %s s that the server named is over.", error["seconds"])
        found: type[VoiceAgentsError] = resolve_name(kind)
        again = found.__new__(found)
        again.args = tuple(error["args"])
        again.__dict__.update(error["values"])
        raise again

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: Environment,
        seen_oids: set[int],
    ) -> None:
        with self._policy_asked(context):
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    @contextmanager
    def _policy_asked(self, context: Context) -> Iterator[None]:
        """Have the policy decide on what leaves the outermost block."""
        if not self._asks_policy or self._policy_is_asked:
            yield
            return
        self._policy_is_asked = True
        try:
            yield
        except DECIDED:
            raise
        except Exception as error:
            self._settle(error, context)
            raise
        finally:
            self._policy_is_asked = False

    def _settle(self, error: Exception, context: Context) -> None:
        """Fail for good or wait, if the policy says so."""
        ti: Any = context.get("ti")
        if ti is None:  # rendered for somebody to see; there is no try to decide on
            return
        decision = self.retry_policy.evaluate(error, ti.try_number, ti.max_tries, context)  # type: ignore[union-attr]
        if decision.action.value == "fail":
            self.log.error("%s", decision.reason)
            raise _failing_at_once(error)
        delay, last = decision.retry_delay, ti.try_number > ti.max_tries
        if delay is None or last or delay <= self.retry_delay:
            return
        seconds = delay.total_seconds()
        self.log.warning("%s. The triggerer waits for %s s.", decision.reason, seconds)
        wait = delay - self.retry_delay
        airflow_compat.defer_for(self, wait, "fail_after_wait", seconds=seconds, **_plain(error))


def _plain(error: Exception) -> dict[str, Any]:
    """Return what an error can be raised from again; one that is not ours is raised as its text."""
    from airflow_voice_agents.transport.errors import VoiceAgentsError

    kind = type(error) if isinstance(error, VoiceAgentsError) else VoiceAgentsError
    own = error.__dict__ if isinstance(error, VoiceAgentsError) else {}
    values = {name: value for name, value in own.items() if value is None or isinstance(value, PLAIN)}
    return {
        "kind": f"{kind.__module__}:{kind.__qualname__}",
        "args": [str(each) for each in error.args] or [str(error)],
        "values": {**values, "retry_after": None},
    }


def _asking(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    def run(self: PolicyRetries, context: Context, **kwargs: Any) -> Any:
        with self._policy_asked(context):
            return execute(self, context, **kwargs)

    return run


def _failing_at_once(error: Exception) -> Exception:
    """Return an error that is Airflow's for permanent failures; one of ours keeps its class, for callbacks."""
    from airflow_voice_agents.transport.errors import VoiceAgentsError

    if not isinstance(error, VoiceAgentsError):
        failing: Exception = AirflowFailException(str(error))
        failing.__cause__ = error
        return failing
    final = _final_class(type(error))  # type: ignore[arg-type]
    failing = final.__new__(final, *error.args)
    failing.args, failing.__cause__ = error.args, error.__cause__
    failing.__dict__.update(error.__dict__)
    return failing.with_traceback(error.__traceback__)


@functools.cache
def _final_class(kind: type[Exception]) -> type[Exception]:
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__reduce__": _reduce_as(kind)}
    return type(kind.__name__, (kind, AirflowFailException), names)


def _reduce_as(kind: type[Exception]) -> Callable[[Exception], tuple[Any, ...]]:
    """Return what pickles an error as the class that can be imported."""
    return lambda error: (kind, error.args, error.__dict__)


def _causes(exception: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    error: BaseException | None = exception
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _delay(seconds: float | None) -> timedelta | None:
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    return timedelta(seconds=min(seconds, DELAY_LIMIT.total_seconds()))


def _reason(verdict: str, error: BaseException) -> str:
    text = f"{verdict}: {error}"
    return text if len(text) <= REASON_LIMIT else f"{text[: REASON_LIMIT - 1]}…"
