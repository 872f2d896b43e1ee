"""Operators that check a promotion, and roll it back if a check fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Unpack

from msgspec.structs import replace

from airflow_voice_agents.bases.operator import is_true
from airflow_voice_agents.polyai.operators.base import (
    PROMOTION_LINKS,
    PolyAIOperator,
    PolyAIRestoringOperator,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.protections import ProtectionSettings
    from airflow_voice_agents.bases.types import FailureLimitArgument, Templated, TemplatedText
    from airflow_voice_agents.plans.checks import CheckVerdict
    from airflow_voice_agents.polyai.actions.deployments import RollbackDeployment
    from airflow_voice_agents.polyai.actions.rollback import Rollback
    from airflow_voice_agents.polyai.actions.smoke import OneShotResults
    from airflow_voice_agents.polyai.types import LookingArguments, WatchArguments
    from airflow_voice_agents.state.watch_state import WatchState

VERDICT_KEY = "verdict"
"""XCom under which the verdict lies, before the task fails as well."""

KEEP, ROLL_BACK, WATCH_AGAIN = "Keep", "Roll back", "Watch again"
"""The choices of the person who decides."""

GOOD = ("passed", "skipped")
"""Verdicts that stand in nobody's way."""
SLACK = 600.0
"""Seconds beyond its period and its last looks for which a watch is waited for."""


class _LookingOperator(PolyAIOperator):
    """Base of the operators that check a promotion.

    :param checks: the checks, see :mod:`airflow_voice_agents.polyai.checks_spec`: mappings with their kind in
        ``check``; a string is read as YAML or JSON. (templated)
    :param since: time of the promotion (ISO 8601 with a time zone, on the platform's clock); ``None`` uses
        the start of the first try. (templated)
    :param poll_interval: seconds between two rounds. (templated)
    :param confirmations: number of consecutive rounds in which a check must fail before it has failed.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", "checks", "since", "poll_interval")
    template_fields_renderers: ClassVar[dict[str, str]] = {"checks": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("checks",)
    operator_extra_links = PROMOTION_LINKS
    may_be_empty = (
        *PolyAIOperator.may_be_empty,
        *("deployment_id", "variant_id", "test_run_ids", "project_ids", "rule_ids"),
    )
    open_keys: ClassVar[Sequence[str]] = (
        *("check", "name", "agent_id", "environment", "account_id", "host", "metrics"),
        *("project_ids", "rule_ids", "test_run_ids", "deployment_id", "variant_id"),
    )

    def __init__(
        self,
        *,
        checks: Sequence[Mapping[str, Any]] | Templated,
        since: TemplatedText | None = None,
        poll_interval: float | TemplatedText = 60.0,
        confirmations: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.checks = checks
        self.since = since
        self.poll_interval = poll_interval
        self.confirmations = confirmations

    def parsed(self) -> tuple[Any, ...]:
        """Return the checks, once everything about the looks is known to be right.

        :raises InputError: naming what is wrong.
        """
        from airflow_voice_agents.bases.template_inputs import from_yaml
        from airflow_voice_agents.polyai.checks_spec import parse_checks
        from airflow_voice_agents.transport.errors import InputError

        if not self.interval > 0:
            raise InputError("poll_interval must be above 0 seconds")
        if isinstance(self.confirmations, bool) or not isinstance(self.confirmations, int):
            raise InputError("confirmations must be a whole number")
        if self.confirmations < 1:
            raise InputError("confirmations must be at least 1")
        return parse_checks(from_yaml(self.uncovered("checks"), name="checks"))

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return _number(self.poll_interval, "poll_interval")

    def note(self, context: Context, minutes: float, *mark: Any) -> WatchState:
        """Return the state of earlier tries of this task, or start again.

        :param context: the task's context.
        :param minutes: how long is looked.
        :param mark: what makes this another watch than one before.
        """
        from airflow_voice_agents.bases.protections import now
        from airflow_voice_agents.state.task_state import task_state
        from airflow_voice_agents.state.watch_state import WatchState

        ti = context["ti"]
        note = WatchState.open(task_state(context), [self.since, ti.max_tries, *mark])
        given = self._given_since()
        if "until" not in note:
            since = note.get("since") or (given or now()).isoformat()
            note.add(since=since, until=(now() + timedelta(minutes=minutes)).timestamp())
        return note

    def once(self, context: Context, checks: Sequence[Any], note: WatchState) -> OneShotResults:
        """Make the checks that are made once, unless an earlier try has made them.

        :param context: the task's context.
        :param checks: all checks.
        :param note: what earlier tries noted.
        """
        from airflow_voice_agents.polyai.actions.smoke import OneShotChecks, OneShotResults
        from airflow_voice_agents.state.task_state import task_state

        if "once" in note:
            return OneShotResults.from_document(note["once"])
        if all(check.polled for check in checks):
            return OneShotResults(())
        one_shot = OneShotChecks(checks, task_state(context), note.mark, self.confirmations)
        once = self.work(context, one_shot.run)
        note.add(once=once.document())
        return once

    def wait(
        self, checks: Sequence[Any], once: OneShotResults, note: WatchState, *, whole_period: bool
    ) -> NoReturn:
        """Let the triggerer look until there is a verdict.

        :param checks: all checks.
        :param once: what those came to that are made once.
        :param note: says since when and until when.
        :param whole_period: whether a verdict other than failed waits for the end of the period.
        """
        from airflow_voice_agents.bases.sensor import BACKSTOP_SECONDS
        from airflow_voice_agents.plans.checks import GRACE, Watch
        from airflow_voice_agents.polyai.actions.watching import PromotionWatch
        from airflow_voice_agents.polyai.watch_trigger import PolyAIWatchTrigger

        watch = Watch(confirmations=self.confirmations, whole_period=whole_period)
        watching = PromotionWatch.of(checks, once, datetime.fromisoformat(note["since"]), watch)
        looks = 2 * (GRACE + self.confirmations + 1)
        deadline = note["until"] + looks * self.interval + SLACK
        self.defer(
            trigger=PolyAIWatchTrigger(
                polyai_conn_id=self.polyai_conn_id,
                watching=watching.plain(),
                until=note["until"],
                concurrency=self.concurrency,
                poll_interval=self.interval,
                deadline=deadline,
            ),
            method_name="execute_complete",
            timeout=_from_now(deadline) + timedelta(seconds=BACKSTOP_SECONDS),
        )

    def _given_since(self) -> datetime | None:
        from airflow_voice_agents.transport.errors import InputError

        if self.since in (None, "", "None"):
            return None
        try:
            moment = datetime.fromisoformat(str(self.since))
        except ValueError:
            raise InputError("since must be an ISO 8601 time") from None
        if moment.tzinfo is None:
            raise InputError("since must be a time with a zone")
        return moment.astimezone(UTC)


class PolyAICheckPromotionOperator(_LookingOperator):
    """Check a promotion, once or until it passes, and fail if a check fails.

    The verdict is ``passed``, ``failed``, ``inconclusive`` (not enough data), ``error`` (a check could not
    run) or ``skipped`` (nothing had to be checked). The operator rolls nothing back. While it waits, it holds
    no worker slot.

    Vendor operations: those of the checks: list real-time configs, get active deployments, batch get
    connectors, batch get numbers, get test run, list alert rules, list conversations, list agent
    conversations, get conversation, create debug chat, send debug chat message, create outbound call, get
    outbound call status.

    :param checks: the checks, see :mod:`airflow_voice_agents.polyai.checks_spec`: mappings with their kind in
        ``check``; a string is read as YAML or JSON. (templated)
    :param since: time of the promotion (ISO 8601 with a time zone, on the platform's clock); ``None`` uses
        the start of the first try. (templated)
    :param wait_minutes: maximum minutes to repeat the checks until they pass; 0 runs them once. (templated)
    :param poll_interval: seconds between two rounds. (templated)
    :param confirmations: number of consecutive rounds in which a check must fail before it has failed.
    :param on_unclear: result if the verdict is inconclusive or error: ``fail`` or ``pass``.
    :param concurrency: maximum number of parallel reads.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises ChecksFailed: if a check failed; the XCom ``verdict`` has the details.
    :raises ChecksUnclear: if the verdict is inconclusive or error, unless ``on_unclear`` is ``pass``.
    :returns: ``verdict``, ``checks``, ``since``, ``looks`` and ``errors``.
    """

    template_fields: Sequence[str] = (*_LookingOperator.template_fields, "wait_minutes")

    def __init__(
        self,
        *,
        wait_minutes: float | TemplatedText = 0.0,
        on_unclear: Literal["fail", "pass"] = "fail",
        **kwargs: Unpack[LookingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.wait_minutes = wait_minutes
        self.on_unclear = on_unclear

    def execute(self, context: Context) -> dict[str, Any]:
        """Look once, or wait for a verdict."""
        from airflow_voice_agents.transport.validation import parse_choice

        parse_choice(self.on_unclear, name="on_unclear", choices=("fail", "pass"))
        checks, minutes = self.parsed(), _minutes(self.wait_minutes, "wait_minutes")
        self.leave_links(context, _agents(checks))
        note = self.note(context, minutes)
        once = self.once(context, checks, note)
        if minutes > 0 and not once.failed:
            self.wait(checks, once, note, whole_period=False)
        return self._judged(context, self._look(context, checks, once, note))

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Go on when there is a verdict.

        :param context: the task's context.
        :param event: what the trigger ended with.
        """
        return self._judged(context, found_in(event))

    def _look(
        self, context: Context, checks: Sequence[Any], once: OneShotResults, note: WatchState
    ) -> dict[str, Any]:
        """Look once; that look decides."""
        from airflow_voice_agents.bases.protections import now
        from airflow_voice_agents.engine.run_context import RunContext
        from airflow_voice_agents.plans.checks import Watch, combine
        from airflow_voice_agents.polyai.actions.watching import PromotionWatch

        watching = PromotionWatch.of(checks, once, datetime.fromisoformat(note["since"]), Watch())

        async def look(run: RunContext) -> CheckVerdict:
            await watching.step(run, now(), over=True)
            return combine(watching.last)

        return watching.document(self.work(context, look))

    def _judged(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        from airflow_voice_agents.transport.errors import ChecksFailed, ChecksUnclear

        publish(self, context, found)
        if found["verdict"] == "failed":
            raise ChecksFailed(f"{reasons(found)} Nothing was rolled back.")
        if found["verdict"] not in GOOD and self.on_unclear == "fail":
            raise ChecksUnclear(f"{reasons(found)} Nothing was rolled back. A retry looks again.")
        return found


class PolyAIWatchPromotionOperator(_LookingOperator, PolyAIRestoringOperator):
    """Watch a promotion, and roll it back if a check fails.

    The operator repeats the checks for the whole period. If one fails in ``confirmations`` rounds in a row,
    the operator restores the targets from the snapshot, puts them on hold, and fails without retries. It leaves
    a target that somebody changed after the promotion, and its error begins with what still runs. If the
    period ends with an inconclusive verdict, or the checks cannot run, it rolls nothing back and asks a person
    whether to keep the promotion, to roll back or to watch again. If nobody answers in time, the task fails
    and rolls nothing back. While it waits, it holds no worker slot. A retry continues where the previous try
    ended; a cleared task starts over.

    XComs: ``verdict``; after a rollback also ``report`` and ``snapshot``, as in
    :class:`.PolyAIRollbackOperator`.

    Vendor operations: those of the checks, as for :class:`PolyAICheckPromotionOperator`, and those of a
    rollback: update schema, update variables, roll back deployment, update connector, batch update
    connectors, assign number.

    :param checks: the checks, see :mod:`airflow_voice_agents.polyai.checks_spec`: mappings with their kind in
        ``check``; a string is read as YAML or JSON. (templated)
    :param watch_minutes: minutes to watch. (templated)
    :param snapshot: XCom ``snapshot`` of the promotion; with ``None``, a failed verdict only fails the task.
        (templated)
    :param since: time of the promotion (ISO 8601 with a time zone, on the platform's clock); ``None`` uses
        the start of the first try. (templated)
    :param poll_interval: seconds between two rounds. (templated)
    :param confirmations: number of consecutive rounds in which a check must fail before it has failed.
    :param hold: put targets that are rolled back on hold.
    :param force: let a rollback overwrite changes since the promotion. (templated)
    :param newer_work: handling of targets that were changed since the promotion: ``leave`` them and roll back the
        others, or ``refuse`` to roll back anything.
    :param reason: reason, stored with the hold. (templated)
    :param response_timeout: time limit (timedelta) for the answer of a person; ``None`` sets no limit.
    :param assigned_users: users who can answer, as in Airflow's ``HITLOperator``; ``None`` allows anybody.
    :param notifiers: Airflow notifiers that are called for every verdict except passed.
    :param stop_variable: Airflow Variable that stops a rollback before its next wave; ``None``, the default,
        disables it.
    :param confirm_live: must be true if the snapshot contains live, for the rollback.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments or a snapshot that cannot be read, before any request.
    :raises GuardRefused: if a rollback would be refused, before any request; later, if it is refused, or if
        nobody answers in time.
    :raises ChecksFailed: after a failed verdict; the message says what was rolled back.
    :raises ItemsFailed: if a target was not restored; the XCom ``report`` lists it.
    :returns: ``verdict``, ``checks``, ``since``, ``looks`` and ``errors``; ``answer`` if a person decided.
    """

    template_fields: Sequence[str] = (
        *("checks", "since", "poll_interval", "watch_minutes"),
        *PolyAIRestoringOperator.template_fields,
    )

    def __init__(
        self,
        *,
        watch_minutes: float | TemplatedText = 30.0,
        snapshot: TemplatedText | None = None,
        response_timeout: timedelta | None = timedelta(hours=24),
        assigned_users: Sequence[Any] | None = None,
        notifiers: Sequence[Any] = (),
        max_failures: FailureLimitArgument = 0,
        lock_wait: float = 0.0,
        newer_work: Literal["leave", "refuse"] = "leave",
        **kwargs: Unpack[WatchArguments],
    ) -> None:
        super().__init__(
            snapshot=snapshot,
            max_failures=max_failures,
            lock_wait=lock_wait,
            **kwargs,
        )
        self.watch_minutes = watch_minutes
        self.newer_work = newer_work
        self.response_timeout = response_timeout
        self.assigned_users = assigned_users
        self.notifiers = notifiers

    _verdict = "failed"

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the checks that are made once, and wait; or go on where an earlier try ended."""
        checks = self.parsed()
        self._check_rollback(context)
        self.leave_links(context, _agents(checks))
        note = self._note(context)
        if "found" in note:
            return self._conclude(context, note)
        once = self.once(context, checks, note)
        if not once.failed:
            self.wait(checks, once, note, whole_period=True)
        note.add(found=_at_once(once, note))
        return self._conclude(context, note)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Go on when there is a verdict.

        :param context: the task's context.
        :param event: what the trigger ended with.
        """
        note = self._note(context)
        note.add(found=found_in(event))
        return self._conclude(context, note)

    def answered(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Go on when a person has answered, or the time for that is up.

        :param context: the task's context.
        :param event: the answer, as Airflow hands it on.
        :raises GuardRefused: without a snapshot.
        """
        from airflow_voice_agents.transport.errors import GuardRefused

        note = self._note(context)
        chosen = (event or {}).get("chosen_options") or []
        if "found" not in note or event is None or "error" in event or len(chosen) != 1:
            told = reasons(note["found"]) if "found" in note else "The findings are no longer available."
            raise GuardRefused(
                f"{told} Nobody decided in time, and nothing was rolled back. Decide, then roll "
                "back with PolyAIRollbackOperator, or clear this task to watch again."
            )
        note.add(answer={"option": chosen[0], "by": _who(event)})
        return self._conclude(context, note)

    def _note(self, context: Context) -> WatchState:
        return self.note(context, _minutes(self.watch_minutes, "watch_minutes"), self.snapshot)

    def _conclude(self, context: Context, note: WatchState) -> dict[str, Any]:
        """Do what follows from a verdict, and from a person's answer."""
        found: dict[str, Any] = {**note["found"], **({"answer": note["answer"]} if "answer" in note else {})}
        publish(self, context, found)
        answer = found.get("answer", {}).get("option")
        if found["verdict"] == "failed" or answer == ROLL_BACK:
            self._go_back(context, note, found)
        if found["verdict"] in GOOD or answer == KEEP:
            return found
        if answer == WATCH_AGAIN:
            self._watch_again(context, note)
        return self._ask(context, note, found)

    def _go_back(self, context: Context, note: WatchState, found: dict[str, Any]) -> NoReturn:
        """Roll back, tell, and fail.

        :raises ChecksFailed: when everything was brought back, or there is nothing to go back to.
        """
        from airflow_voice_agents.bases.operator import REPORT_KEY
        from airflow_voice_agents.plans.render import render_report
        from airflow_voice_agents.plans.report import failure_of
        from airflow_voice_agents.transport.errors import ChecksFailed

        if (action := self.rollback()) is None:
            self._notify(context, note, "failed")
            raise ChecksFailed(f"{reasons(found)} Nothing was rolled back: this task was given no snapshot.")
        try:
            self._verdict = found["verdict"]
            report = self.apply(context, action)
            context["ti"].xcom_push(key=REPORT_KEY, value=report.document())
            self.log.info("%s", render_report(report))
            if not report.complete:
                failure = failure_of(report)
                failure.args = (f"{failure} {reasons(found)}",)
                self._explain(failure, report)
                raise failure
        except Exception:
            self._notify(context, note, "failed, not rolled back")
            raise
        self._notify(context, note, "failed, rolled back")
        held = " They are on hold." if self.hold else ""
        raise ChecksFailed(f"{reasons(found)} Rolled back: {', '.join(action.scope().targets)}.{held}")

    def _watch_again(self, context: Context, note: WatchState) -> NoReturn:
        note.forget("found", "answer", "until", "told")
        checks, again = self.parsed(), self._note(context)
        self.wait(checks, self.once(context, checks, again), again, whole_period=True)

    def _ask(self, context: Context, note: WatchState, found: dict[str, Any]) -> NoReturn:
        from airflow_voice_agents.airflow_compat import ask_a_person
        from airflow_voice_agents.plans.checks_text import verdict_markdown

        self._notify(context, note, found["verdict"])
        self.log.info("Asking a person: %s", reasons(found))
        ask_a_person(
            context,
            subject="A promotion was watched and came to no verdict. Keep it?",
            body=verdict_markdown(found),
            options=[KEEP, *([ROLL_BACK] if self.rollback() else []), WATCH_AGAIN],
            method_name="answered",
            response_timeout=self.response_timeout,
            assigned_users=self.assigned_users,
        )

    def protection_settings(self) -> ProtectionSettings:
        """Return the operator's arguments about protections; the verdict is the reason where none is given."""
        settings = super().protection_settings()
        return replace(settings, reason=self.reason or f"watch of a promotion: {self._verdict}")

    def rollback(self) -> Rollback | RollbackDeployment | None:
        """Return the way back, or ``None`` where there is none."""
        from airflow_voice_agents.polyai.actions.rollback import parse_rollback
        from airflow_voice_agents.state import snapshots

        if self.snapshot in (None, ""):  # but not what a template makes of an XCom that is not there
            return None
        return parse_rollback(
            snapshots.load(self.snapshot, self.origin()),
            force=is_true(self.force),
            newer_work=self.newer_work,
            holds=self.hold,
        )

    def _check_rollback(self, context: Context) -> None:
        """Refuse at once what would be refused when it is needed most."""
        from airflow_voice_agents.transport.errors import GuardRefused

        action = self.rollback()
        findings = () if action is None else action.guards(self.guard_context(context))
        if said := " ".join(each.message for each in findings):
            raise GuardRefused(f"A rollback would be refused: {said} Nothing was read or written.")

    def _notify(self, context: Context, note: WatchState, about: str) -> None:
        """Call the notifiers once about each thing; what goes wrong with one is no reason to stop."""
        if about in note.get("told", []):
            return
        for notifier in self.notifiers:
            try:
                notifier(context)
            except Exception as trouble:  # noqa: BLE001  whatever a notifier raises
                self.log.warning("%s: %s", type(notifier).__name__, type(trouble).__name__)
        note.add(told=[*note.get("told", []), about])


def found_in(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the verdict that a trigger ended with; anything else it ended with is an error.

    :param event: ``status`` and ``found``.
    """
    from airflow_voice_agents.plans.checks import CheckResult, CheckVerdict, document

    status = event.get("status") if isinstance(event, Mapping) else None
    if event is not None and status == "success" and isinstance(event.get("found"), Mapping):
        return dict(event["found"])
    text = f"the trigger came to no verdict (status {status!r})"
    return document(
        CheckVerdict.ERROR, [CheckResult("watch", CheckVerdict.ERROR, text)], since=None, looks=0, errors=1
    )


def publish(operator: _LookingOperator, context: Context, found: Mapping[str, Any]) -> None:
    """Leave a verdict as XCom and in the log.

    :param operator: whose task it is.
    :param context: the task's context.
    :param found: the verdict.
    """
    from airflow_voice_agents.plans.checks_text import verdict_text
    from airflow_voice_agents.state.status import StatusRecorder

    context["ti"].xcom_push(key=VERDICT_KEY, value=dict(found))
    operator.write_log(verdict_text(found))
    folder = getattr(operator, "state_folder", None)
    StatusRecorder.of(context["ti"], folder, operator.write_log).checks(found, _targets(operator.parsed()))


def reasons(found: Mapping[str, Any]) -> str:
    """Return a verdict and what led to it in one line.

    :param found: the verdict.
    """
    from airflow_voice_agents.plans.render import visible

    mine = [each for each in found["checks"] if each["verdict"] == found["verdict"]]
    told = "; ".join(visible(f"{each['name']}: {each['reason'].rstrip('.')}") for each in mine[:3])
    more = f"; and {len(mine) - 3} more" if len(mine) > 3 else ""
    return (
        f"The checks of the promotion came to the verdict {found['verdict']}: {told or 'none decides'}{more}."
    )


def _minutes(value: Any, name: str) -> float:
    from airflow_voice_agents.transport.errors import InputError

    if not (minutes := _number(value, name)) >= 0:
        raise InputError(f"{name} must not be below 0")
    return minutes


def _number(value: Any, name: str) -> float:
    """Read a number that may come from a template."""
    import math

    from airflow_voice_agents.transport.errors import InputError

    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise InputError(f"{name} must be a number")
    return number


def _agents(checks: Sequence[Any]) -> list[str]:
    """Agents that checks are about, for links."""
    named = [getattr(check, "agent_id", None) for check in checks]
    of_rules = [each for check in checks for each in getattr(check, "project_ids", ())]
    of_plans = [pin.owner for check in checks for pin in getattr(check, "pins", ())]
    return [each for each in [*named, *of_plans, *of_rules] if each]


def _targets(checks: Sequence[Any]) -> list[str]:
    """Targets that checks are about, for the status page."""
    named = [
        f"{check.agent_id}/{check.environment}"
        for check in checks
        if getattr(check, "agent_id", None) and getattr(check, "environment", None)
    ]
    of_plans = [
        str(pin.key)
        for check in checks
        for pin in getattr(check, "pins", ())
        if pin.kind in ("config page", "deployment")
    ]
    return list(dict.fromkeys([*named, *of_plans]))


def _at_once(once: OneShotResults, note: WatchState) -> dict[str, Any]:
    from airflow_voice_agents.plans.checks import combine, document

    return document(combine(once.results), once.results, since=note["since"], looks=0, errors=0)


def _from_now(moment: float) -> timedelta:
    from airflow_voice_agents.bases.protections import now

    return timedelta(seconds=max(moment - now().timestamp(), 0.0))


def _who(event: Mapping[str, Any]) -> str:
    user = event.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "somebody")
