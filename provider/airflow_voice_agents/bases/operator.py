"""Base classes of all operators: retry policy, report, asset events, and the guarantees of writes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.sdk import AssetAlias, BaseOperator
from msgspec.structs import replace

from airflow_voice_agents.airflow_compat import is_backfill
from airflow_voice_agents.bases.argument_checks import CheckedArguments
from airflow_voice_agents.bases.masked_arguments import MaskedArguments
from airflow_voice_agents.bases.retry_policy import PolicyRetries, VoiceAgentsRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.airflow_compat import RetryPolicy
    from airflow_voice_agents.bases.hook import VoiceAgentsHook
    from airflow_voice_agents.bases.lineage import Lineage
    from airflow_voice_agents.bases.protections import ProtectionSettings
    from airflow_voice_agents.bases.types import Flag
    from airflow_voice_agents.engine.action import Action
    from airflow_voice_agents.engine.policy import Policy, Protections
    from airflow_voice_agents.engine.run_context import RunContext
    from airflow_voice_agents.plans.guards import GuardContext, Overrides
    from airflow_voice_agents.plans.report import Report
    from airflow_voice_agents.state.snapshots import Origin
    from airflow_voice_agents.transport.errors import VoiceAgentsError

T = TypeVar("T")

REPORT_KEY = "report"
"""XCom that holds an operator's report, also when the task fails."""

STOP_VARIABLE = "voice_agents_stop"
"""Airflow Variable that stops every writing task before its next wave."""


class VoiceAgentsOperator(PolicyRetries, CheckedArguments, MaskedArguments, BaseOperator):
    """Base of the operators of every system.

    :param retry_policy: policy that decides whether a failed try is retried; by default, permanent errors are
        not retried, and a wait that the server requests is respected.
    :param outlets: additional outlets; the system's asset alias is always one.
    :param concurrency: maximum number of targets that are processed at a time; the connection's
        ``max_concurrency`` limits requests.
    """

    asset_alias: ClassVar[str]
    """Alias through which the operators of a system emit their changes."""
    may_be_empty: ClassVar[Sequence[str]] = ("message", "reason", "override_freeze")
    _lineage: Lineage | None = None

    def __init__(
        self,
        *,
        retry_policy: RetryPolicy | None = None,
        outlets: Any = None,
        confirm_live: Flag = False,
        allow_backfill: bool = False,
        concurrency: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            retry_policy=retry_policy or VoiceAgentsRetryPolicy(),
            outlets=_with_alias(as_list(outlets), self.asset_alias),
            **kwargs,
        )
        self.confirm_live = confirm_live
        self.allow_backfill = allow_backfill
        self.concurrency = concurrency

    @abstractmethod
    def hook(self) -> VoiceAgentsHook:
        """Return a hook for the operator's connection."""

    def origin(self) -> Origin:
        """Return the platform that the operator's connection leads to, to which its snapshots are bound.

        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        from airflow_voice_agents.state.snapshots import Origin

        return Origin(self.asset_alias, *self.hook().place())

    def work(
        self,
        context: Context,
        work: Callable[[RunContext], Coroutine[Any, Any, T]],
        hook: VoiceAgentsHook | None = None,
    ) -> T:
        """Run async work with one pooled client.

        :param context: the task's context.
        :param work: takes the run and returns the work to await.
        :param hook: an open hook, if the caller needed one for the connection's fields.
        """
        from airflow_voice_agents.bases.collector import only_new_objects
        from airflow_voice_agents.engine.run_context import RunContext
        from airflow_voice_agents.state.task_state import task_state
        from airflow_voice_agents.transport.errors import VoiceAgentsError

        with only_new_objects(), self._explained(VoiceAgentsError), hook or self.hook() as opened:
            run = RunContext(
                sender=opened.asend,
                log=self.write_log,
                guard_context=self.guard_context(context),
                concurrency=self.concurrency,
                task_state=task_state(context),
                redact=opened.client.redact,
            )
            return opened.run(work(run))

    @contextmanager
    def _explained(self, errors: type[VoiceAgentsError]) -> Iterator[None]:
        try:
            yield
        except errors as error:
            self._explain(error)
            raise

    def _explain(self, error: VoiceAgentsError, report: Report | None = None) -> None:
        """Log a failure in short lines, ahead of Airflow's traceback."""
        from airflow_voice_agents.plans.failure_text import failure_lines

        for line in failure_lines(error, report):
            self.log.error("%s", line)

    def guard_overrides(self) -> Overrides:
        """Return the guards that the operator's arguments override."""
        from airflow_voice_agents.plans.guards import Overrides

        return Overrides(confirm_live=is_true(self.confirm_live), allow_backfill=self.allow_backfill)

    def guard_context(self, context: Context) -> GuardContext:
        """Return the facts that the guards decide by.

        :param context: the task's context.
        """
        from airflow_voice_agents.plans.guards import GuardContext

        return GuardContext(overrides=self.guard_overrides(), backfill=is_backfill(context))

    def write_log(self, text: str) -> None:
        """Log lines for people.

        :param text: one or more lines.
        """
        self.log.info("%s", text)

    def finish(
        self,
        context: Context,
        report: Report,
        *,
        changes: Mapping[str, Mapping[str, Any]],
        tolerate: bool = False,
        sources: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Push the report, emit asset events for the changes, and fail if anything failed.

        :param context: the task's context.
        :param report: the final report.
        :param changes: asset URI -> facts, for everything that changed.
        :param tolerate: let the task succeed although items failed.
        :param sources: asset URIs of the sources of the changes, for lineage.
        :returns: the report's summary.
        :raises ItemsFailed: if an item failed, was skipped or has an unknown outcome.
        """
        from airflow_voice_agents.bases.assets import emit
        from airflow_voice_agents.bases.lineage import Lineage
        from airflow_voice_agents.plans.render import render_report
        from airflow_voice_agents.plans.report import failure_of

        changed = () if report.dry_run else tuple(changes)
        self._lineage = Lineage(tuple(sources), changed, report.plan_digest)
        context["ti"].xcom_push(key=REPORT_KEY, value=report.document())
        self.log.info("%s", render_report(report))
        if not report.complete and not tolerate:
            failure = failure_of(report)
            self._explain(failure, report)
            raise failure
        emit(context, {} if report.dry_run else changes, report.summary())
        return report.summary()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the inputs and outputs of the run for OpenLineage; ``None`` if it is not installed.

        :param task_instance: the task instance; not used.
        """
        return None if self._lineage is None else self._lineage.openlineage()


class WritingOperator(VoiceAgentsOperator):
    """Base of the operators that write; its arguments belong to the table of guarantees.

    :param dry_run: only plan, without a write; live needs no confirmation. (templated)
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a run that affects callers; a template must render to ``true`` or
        ``false``. (templated)
    :param allow_backfill: allow a backfill run to write there.
    :param lock_wait: seconds to wait for another run on one of the targets; 0 fails at once.
    :param take_snapshot: save the state before the change, for a restore: ``True`` saves or refuses,
        ``False`` never saves, ``None`` saves if Airflow has a Fernet key to encrypt it.
    :param snapshot_retention: age (timedelta) at which snapshots in the folder are removed; ``None`` keeps
        them.
    :param allow_unencrypted: allow an unencrypted snapshot if Airflow has no Fernet key.
    :param state_folder: URL of the folder for snapshots, rollback blocks, locks and baselines; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: allow writes to live although ``state_folder`` is not set and the executor can
        run tasks on several machines, which do not see each other's locks.
    :param waves: cumulative number of targets at the end of each wave: counts and percentages, the last
        ``"100%"``. ``None`` writes all in one wave.
    :param max_failures: number of failures to tolerate; after one more, no further target starts: a count, a
        percentage, or a mapping of ``count`` and ``percent``, of which the lower counts; ``None`` tries all.
    :param max_changed: maximum number of targets that change, as a count or a percentage; ``None`` sets no
        limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` disables it.
    :param freeze: freeze windows, in which no wave starts: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: reason to write in a freeze window; recorded in log and report. (templated)
    :param verify: read everything that was written once more; responses are always checked.
    :param max_snapshot_age: seconds after which a target is read again right before its write; ``None`` never
        reads again.
    :param show_values: show values in the logged plan; ``None`` uses ``[voice_agents] show_values``.
        Sensitive values are always masked.
    :param sensitive_keys: selectors of additional values to mask.
    """

    template_fields: Sequence[str] = (
        *("expected_digest", "override_freeze", "state_folder"),
        *("plan_only", "confirm_live"),
    )

    def __init__(
        self,
        *,
        dry_run: Flag = False,
        expected_digest: str | None = None,
        lock_wait: float = 300.0,
        take_snapshot: bool | None = None,
        snapshot_retention: timedelta | None = None,
        allow_unencrypted: bool = False,
        state_folder: str | None = None,
        allow_local_state: bool = False,
        waves: Sequence[int | str] | None = None,
        max_failures: int | str | Mapping[str, Any] | None = None,
        max_changed: int | str | None = None,
        stop_variable: str | None = STOP_VARIABLE,
        freeze: Sequence[Mapping[str, Any]] = (),
        override_freeze: str | None = None,
        verify: bool = True,
        max_snapshot_age: float | None = 60.0,
        show_values: bool | None = None,
        sensitive_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan_only = dry_run  # BaseOperator has a method of the other name
        self.expected_digest = expected_digest
        self.lock_wait = lock_wait
        self.take_snapshot = take_snapshot
        self.snapshot_retention = snapshot_retention
        self.allow_unencrypted = allow_unencrypted
        self.state_folder = state_folder
        self.allow_local_state = allow_local_state
        self.waves = waves
        self.max_failures = max_failures
        self.max_changed = max_changed
        self.stop_variable = stop_variable
        self.freeze = freeze
        self.override_freeze = override_freeze
        self.verify = verify
        self.max_snapshot_age = max_snapshot_age
        self.show_values = show_values
        self.sensitive_keys = sensitive_keys

    def check_arguments(self) -> None:
        """Check the arguments; see :meth:`.CheckedArguments.check_arguments`."""
        super().check_arguments()
        if self.waves is not None or self.max_failures not in (None, 0) or self.max_changed is not None:
            from airflow_voice_agents.plans.limits import ChangeLimit, FailureLimit, Waves

            Waves.parse(self.waves)
            ChangeLimit.parse(self.max_changed)
            if self.max_failures is not None:
                FailureLimit.parse(self.max_failures)
        if self.freeze:
            from airflow_voice_agents.plans.freeze import windows

            windows(self.freeze)

    def apply(
        self,
        context: Context,
        action: Action,
        hook: VoiceAgentsHook | None = None,
        policy: Policy | None = None,
    ) -> Report:
        """Run an action through the engine.

        :param context: the task's context.
        :param action: the action.
        :param hook: an open hook, if the caller needed one for the connection's fields.
        :param policy: options of the run; ``None`` uses the operator's.
        """
        from airflow_voice_agents.engine.apply import apply
        from airflow_voice_agents.state.folder_check import check_state_folder

        options, protections = policy or self.policy(), self.protections(context)
        check_state_folder(self.state_folder or None, writes=not options.dry_run, log=self.write_log)
        return self.work(context, lambda run: apply(run, action, options, protections), hook)

    def policy(self) -> Policy:
        """Return the options of the run.

        :raises InputError: for an invalid argument; the message names it.
        """
        from airflow_voice_agents.bases.display import display
        from airflow_voice_agents.engine.policy import Policy
        from airflow_voice_agents.plans.limits import ChangeLimit, FailureLimit, Waves

        failures = self.max_failures
        return Policy(
            dry_run=is_true(self.plan_only),
            expected_digest=self.expected_digest or None,
            display=display(self.show_values, self.sensitive_keys),
            waves=Waves.parse(self.waves),
            failure_limit=None if failures is None else FailureLimit.parse(failures),
            change_limit=ChangeLimit.parse(self.max_changed),
            verify=self.verify,
            max_snapshot_age=self.max_snapshot_age,
        )

    def protections(self, context: Context) -> Protections:
        """Return the locks, rollback blocks, snapshots and stops around the run.

        :param context: the task's context.
        """
        from airflow_voice_agents.bases.protections import AirflowProtections

        return AirflowProtections(self.protection_settings(), context, self.write_log).build()

    def protection_settings(self) -> ProtectionSettings:
        """Return the operator's arguments about protections."""
        from airflow_voice_agents.bases.protections import ProtectionSettings

        return ProtectionSettings(
            name=f"{self.dag_id}-{self.task_id}",
            origin=self.origin,
            state_folder=self.state_folder or None,
            lock_wait=self.lock_wait,
            take_snapshot=self.take_snapshot,
            snapshot_retention=self.snapshot_retention,
            allow_unencrypted=self.allow_unencrypted,
            stop_variable=self.stop_variable,
            freeze=self.freeze,
            override_freeze=self.override_freeze or None,
            allow_local_state=self.allow_local_state,
            executor=self.executor,
            system=self.asset_alias,
        )


class RestoringOperator(WritingOperator):
    """Base of the operators that restore a snapshot and put the undone change on hold.

    :param snapshot: URL of the snapshot. (templated)
    :param force: overwrite newer changes of others. (templated)
    :param hold: put the targets on hold: the same change is refused until a release.
    :param reason: reason, stored with the hold. (templated)
    """

    template_fields: Sequence[str] = (*WritingOperator.template_fields, "snapshot", "reason", "force")

    def __init__(
        self,
        *,
        snapshot: str,
        force: Flag = False,
        hold: bool = True,
        reason: str = "",
        stop_variable: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(stop_variable=stop_variable, **kwargs)
        self.snapshot = snapshot
        self.force = force
        self.hold = hold
        self.reason = reason

    def protection_settings(self) -> ProtectionSettings:
        """Return the protections of the run, with the hold that it places."""
        return replace(super().protection_settings(), hold=self.hold, reason=self.reason)


def _with_alias(outlets: list[Any], name: str) -> list[Any]:
    alias = AssetAlias(name)
    return outlets if alias in outlets else [*outlets, alias]


def is_true(flag: Flag) -> bool:
    """Return whether a rendered flag is set; anything but ``True`` is not.

    :param flag: the argument, after rendering.
    """
    return flag is True


def as_list(value: Any) -> list[Any]:
    """Return one thing as a list of one, and several as a list.

    :param value: a mapping or a string counts as one thing.
    """
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
