"""Operators that plan a promotion, apply exactly that plan, and verify it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from msgspec.structs import replace

from airflow_voice_agents.bases.operator import is_true
from airflow_voice_agents.polyai.operators.base import (
    PROMOTION_LINKS,
    PolyAIOperator,
    PolyAIWritingOperator,
    spec_problems,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.protections import ProtectionSettings
    from airflow_voice_agents.bases.types import FailureLimitArgument, Templated
    from airflow_voice_agents.engine.policy import Policy, Protections
    from airflow_voice_agents.plans.document import PlanDocument
    from airflow_voice_agents.plans.report import Report
    from airflow_voice_agents.polyai.spec import PromotionSpec
    from airflow_voice_agents.polyai.types import ApplyArguments, PolyAIArguments, PromotionTarget, Spec
    from airflow_voice_agents.state.plan_files import ChunkProgress, PlanReference

MARKDOWN_KEY = "plan_markdown"
"""XCom under which a plan lies as Markdown, for an approval."""

REFERENCE_KEY = "plan_reference"
"""XCom with address and digest of a plan that is split, for an approval."""

LOCK_WAIT = 300.0
"""Seconds to wait for another run that notes a baseline under the same name."""

NOT_ASKED_FOR = "not asked for"
"""Stands for the approved digest where no approval is part of the DAG."""


class PolyAIPlanPromotionOperator(PolyAIOperator):
    """Plan a promotion without a write: read sources and targets, compare them, and run the checks.

    The task returns the plan: versioned JSON with a digest, keys and counts, never values. Pass it to
    :class:`PolyAIApplyPromotionOperator`. The XCom ``plan_markdown`` is the plan as Markdown. It contains
    config values with sensitive ones masked, unless ``show_values`` is off, and anyone who can read XComs can
    read it. A plan with errors fails the task after it pushed the XCom.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors,
    list variants, batch get numbers.

    :param spec: the promotion, see :class:`~airflow_voice_agents.polyai.spec.PromotionSpec`; a string is read
        as YAML or JSON. (templated)
    :param spec_file: YAML or JSON file of the promotion: a local path, or a URL that Airflow's object storage
        supports. (templated)
    :param targets: targets that replace those of the spec, for instance the list of an upstream task.
        (templated)
    :param max_changed: maximum number of targets that change, as a count or a percentage (``"10%"``); more
        fail the task.
    :param chunk_size: number of targets per chunk, for a plan that several apply tasks apply. The plan is
        then stored in the state folder; the task returns address and digest of each chunk, for a mapped
        apply, and the XCom ``plan_reference`` has those of the whole plan. ``None`` does not split.
    :param allow_unencrypted: allow unencrypted config values of the spec in the plan's XCom if Airflow has no
        Fernet key.
    :param state_folder: URL of the folder for holds and for plans in chunks; ``None`` uses ``[voice_agents]
        state_folder``.
    :param show_values: show values in the logged plan and in ``plan_markdown``; ``None`` uses
        ``[voice_agents] show_values``. Sensitive values are always masked.
    :param sensitive_keys: selectors of additional values to mask.
    :param concurrency: maximum number of targets that are processed at a time.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for an invalid spec, before any request.
    :raises GuardRefused: if a target cannot be planned or is on hold, or if too many targets would change.
    :returns: the plan; with ``chunk_size`` a list of references to its chunks.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", "spec", "spec_file", "targets")
    operator_extra_links = PROMOTION_LINKS
    template_fields_renderers: ClassVar[dict[str, str]] = {"spec": "json", "targets": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("spec", "targets")
    open_keys: ClassVar[Sequence[str]] = (
        "agent_id",
        "environment",
        "folder",
        "connector_id",
        "from_agent_id",
    )

    exactly_one_of = (("spec", "spec_file"),)

    def __init__(
        self,
        *,
        spec: Spec | Templated | None = None,
        spec_file: str | None = None,
        targets: Sequence[PromotionTarget] | Templated | None = None,
        max_changed: int | str | None = None,
        chunk_size: int | None = None,
        allow_unencrypted: bool = False,
        state_folder: str | None = None,
        show_values: bool | None = None,
        sensitive_keys: Sequence[str] = (),
        **kwargs: Unpack[PolyAIArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.spec_file = spec_file
        self.targets = targets
        self.max_changed = max_changed
        self.chunk_size = chunk_size
        self.allow_unencrypted = allow_unencrypted
        self.state_folder = state_folder
        self.show_values = show_values
        self.sensitive_keys = sensitive_keys

    def argument_problems(self) -> Iterator[str]:
        """Yield a sentence for each invalid argument, including a literal spec."""
        yield from super().argument_problems()
        yield from spec_problems(self)
        if self.chunk_size is not None and (type(self.chunk_size) is not int or self.chunk_size < 1):
            yield "chunk_size must be a whole number of at least 1."

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Read, compare, check, render, and return the plan."""
        from functools import partial

        from airflow_voice_agents.bases.plan_encryption import seal
        from airflow_voice_agents.engine import apply as engine
        from airflow_voice_agents.plans.document import save
        from airflow_voice_agents.plans.markdown import render_plan_markdown
        from airflow_voice_agents.polyai.actions.promotion import Promotion, refuse_errors, split
        from airflow_voice_agents.polyai.actions.promotion_summary import summarize
        from airflow_voice_agents.polyai.export_files import read_spec, shelf
        from airflow_voice_agents.state.folder_check import check_state_folder

        spec = read_spec(self.uncovered("spec"), self.spec_file, self.argument("targets"))
        self.leave_links(context, [target.agent_id for target in spec.targets])
        seal_for_keeping = partial(seal, allow_unencrypted=self.allow_unencrypted)
        request = seal_for_keeping(spec.plain(), holds_values=spec.holds_values)
        action, policy = Promotion(spec=spec, shelf=shelf()), self.policy()
        check_state_folder(self.state_folder or None, writes=self.chunk_size is not None, log=self.write_log)
        protections = self.protections(context)
        plan, targets = self.work(context, lambda run: engine.plan(run, action, policy, protections))
        markdown = render_plan_markdown(plan, policy.display)
        context["ti"].xcom_push(key=MARKDOWN_KEY, value=markdown)
        refuse_errors(plan)
        whole = save(plan, request, summary=summarize(spec, targets).document())
        if self.chunk_size is None:
            return whole
        chunks = [
            save(part, seal_for_keeping(its_spec.plain(), holds_values=its_spec.holds_values))
            for part, its_spec in split(plan, targets, spec, self.chunk_size)
        ]
        return self._keep(context, whole, chunks, sum(target.changed for target in targets))

    def _keep(
        self, context: Context, plan: dict[str, Any], chunks: list[dict[str, Any]], to_change: int
    ) -> list[dict[str, Any]]:
        """Keep a plan that is split in the state folder, and return where its chunks lie."""
        from airflow_voice_agents.state.plan_files import save_plan

        whole, parts = save_plan(self.state_folder, plan, chunks, to_change=to_change)
        context["ti"].xcom_push(key=REFERENCE_KEY, value=whole.document())
        self.log.info("Plan kept at %s, in %d chunk(s)", whole.address, len(parts))
        return [each.document() for each in parts]

    def policy(self) -> Policy:
        """Return the limits and the display of the plan.

        :raises InputError: for an invalid argument; the message names it.
        """
        from airflow_voice_agents.bases.display import display
        from airflow_voice_agents.engine.policy import Policy
        from airflow_voice_agents.plans.limits import ChangeLimit

        return Policy(
            display=display(self.show_values, self.sensitive_keys),
            change_limit=ChangeLimit.parse(self.max_changed),
        )

    def protections(self, context: Context) -> Protections:
        """Return the protections of a plan: rollback blocks and status records.

        :param context: the task's context.
        """
        from airflow_voice_agents.engine.policy import Protections
        from airflow_voice_agents.state import rollback_blocks
        from airflow_voice_agents.state.status import StatusRecorder

        return Protections(
            blocks=lambda targets, names: rollback_blocks.read(self.state_folder, targets, names),
            observer=StatusRecorder.of(context["ti"], self.state_folder, self.write_log),
        )


class PolyAIApplyPromotionOperator(PolyAIWritingOperator):
    """Apply exactly a saved plan, or refuse it and name what has changed.

    The operator reads everything again and compares it with the plan before the first write. A partly applied
    plan can be applied again: finished resources are not written again. The operator writes targets in waves,
    saves a snapshot before the change, and locks the targets.

    Vendor operations: those of the plan, and update schema, update variables, promote deployment, update
    connector, batch update connectors, assign number.

    :param plan: result of :class:`PolyAIPlanPromotionOperator`. (templated)
    :param approved_digest: the approved digest; any other plan is refused. ``None``, the result of a missing
        approval, refuses every plan. By default, no approval is required. (templated)
    :param max_changed: maximum number of targets that change, as a count or a percentage (``"10%"``).
    :param baseline: name of the baseline to store, for drift detection; ``None`` stores none. (templated)
    :param waves: cumulative number of targets at the end of each wave: counts and percentages, the last
        ``"100%"``. ``None`` writes all in one wave.
    :param max_failures: number of failures to tolerate; after one more, no further target starts: a count, a
        percentage, or a mapping of ``count`` and ``percent``, of which the lower counts.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` disables it.
    :param freeze: freeze windows, in which no wave starts: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: reason to write in a freeze window; it is logged. (templated)
    :param take_snapshot: save the state before the change, for a rollback.
    :param snapshot_retention: age (timedelta) at which snapshots in the folder are removed; ``None`` keeps
        them.
    :param allow_unencrypted: allow an unencrypted snapshot if Airflow has no Fernet key.
    :param state_folder: URL of the folder for snapshots, holds, locks and baselines; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: allow writes to live although ``state_folder`` is not set and the executor can
        run tasks on several machines, which do not see each other's locks.
    :param lock_wait: seconds to wait for another run on one of the targets; 0 fails at once.
    :param confirm_live: must be true for a run that writes to live.
    :param allow_backfill: allow a backfill run to write to live.
    :param verify: read each target once more after its writes.
    :param max_snapshot_age: seconds after which a resource is read again right before its write.
    :param concurrency: maximum number of targets that are processed at a time.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises StateMoved: if a resource is not as planned, before any write of this try.
    :raises TargetLocked: if another run holds the lock of a target; the message names the run.
    :raises GuardRefused: if a guard refuses, before any write of this try.
    :raises ItemsFailed: if a target does not match the plan; the XCom ``report`` lists it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *PolyAIWritingOperator.template_fields,
        "plan",
        "approved_digest",
        "baseline",
    )
    may_be_empty = (
        *PolyAIWritingOperator.may_be_empty,
        "approved_digest",
    )  # which is then refused as not approved
    operator_extra_links = PROMOTION_LINKS
    template_fields_renderers: ClassVar[dict[str, str]] = {"plan": "json"}

    def __init__(
        self,
        *,
        plan: Mapping[str, Any] | Templated,
        approved_digest: str | None = NOT_ASKED_FOR,
        baseline: str | None = None,
        max_failures: FailureLimitArgument = 0,
        lock_wait: float = 0.0,
        take_snapshot: bool | None = True,
        **kwargs: Unpack[ApplyArguments],
    ) -> None:
        super().__init__(
            max_failures=max_failures, lock_wait=lock_wait, take_snapshot=take_snapshot, **kwargs
        )
        self.plan = plan
        self.approved_digest = approved_digest
        self.baseline = baseline

    def execute(self, context: Context) -> dict[str, Any]:
        """Read again, compare with the plan, save a snapshot, write, verify and report."""
        from airflow_voice_agents.polyai.actions.promotion import Promotion
        from airflow_voice_agents.polyai.assets import changes, sources_of
        from airflow_voice_agents.polyai.export_files import shelf

        document, spec = read_plan(self.argument("plan"))
        chunk = self._chunk()
        self.leave_links(context, [target.agent_id for target in spec.targets])
        self._check_approval(document)
        action = Promotion(
            spec=spec,
            shelf=shelf(),
            also_locked=(f"baseline {self.baseline}",) if self.baseline else (),
            on_report=lambda report: self._record(document, report),
        )
        if chunk is not None and not is_true(self.plan_only):
            chunk.begin()
        report = self.apply(context, action, policy=replace(self.policy(), document=document))
        if chunk is not None and not report.dry_run:
            chunk.save(report)
        return self.finish(context, report, changes=changes(report), sources=sources_of(spec))

    def protections(self, context: Context) -> Protections:
        """Return the protections; the chunks of a plan share one failure count.

        :param context: the task's context.
        """
        return replace(super().protections(context), failures=self._chunk())

    def protection_settings(self) -> ProtectionSettings:
        """Return the protections of the run; each chunk has its own snapshot."""
        settings, chunk = super().protection_settings(), self._chunk()
        return (
            settings if chunk is None else replace(settings, name=f"{settings.name}-{chunk.reference.number}")
        )

    def _chunk(self) -> ChunkProgress | None:
        """Return what the chunks of the plan share, or ``None`` where the plan is not split."""
        from airflow_voice_agents.state.plan_files import PlanReference

        reference = PlanReference.read(self.argument("plan"))
        return reference.progress() if reference is not None and reference.number else None

    def _check_approval(self, document: PlanDocument) -> None:
        from airflow_voice_agents.transport.errors import GuardRefused

        if self.approved_digest not in (NOT_ASKED_FOR, document.digest):
            raise GuardRefused(
                f"What was approved ({str(self.approved_digest)[:12]}) is not this plan ({document.digest[:12]}). "
                "Nothing was written. Have this plan approved."
            )

    def _record(self, document: PlanDocument, report: Report) -> None:
        """Note the digests that were applied, to look for drift later."""
        from airflow_voice_agents.state.baselines import record

        if self.baseline:
            record(self.state_folder, self.baseline, document, report)


class PolyAIVerifyPromotionOperator(PolyAIOperator):
    """Verify that all resources match a plan; nothing is written.

    Vendor operations: list real-time configs, get active deployments, batch get connectors, batch get
    numbers.

    :param plan: result of :class:`PolyAIPlanPromotionOperator`. (templated)
    :param concurrency: maximum number of parallel reads.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises ItemsFailed: if a resource does not match the plan; the XCom ``report`` lists it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", "plan")
    template_fields_renderers: ClassVar[dict[str, str]] = {"plan": "json"}

    def __init__(self, *, plan: Mapping[str, Any] | Templated, **kwargs: Unpack[PolyAIArguments]) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare and report."""
        from airflow_voice_agents.polyai.actions.promotion import VerifyPromotion
        from airflow_voice_agents.state.plan_files import open_plan

        document = open_plan(self.argument("plan"))
        check = VerifyPromotion(document)
        self.leave_links(context, [each.owner for each in document.pins])
        return self.finish(context, self.work(context, check.run), changes={})


class PolyAIReportPromotionOperator(PolyAIOperator):
    """Combine the reports of all chunks of a promotion, and fail if anything failed in one of them.

    It sends no request. Run it after all chunks, whatever their state (``trigger_rule="all_done"``), as
    :func:`~airflow_voice_agents.polyai.task_groups.promotion` does. If no chunk started, for instance because
    the plan was not approved, the task is skipped.

    :param chunks: result of :class:`PolyAIPlanPromotionOperator` with ``chunk_size``. (templated)
    :param baseline: name of the baseline to store, for drift detection; ``None`` stores none. (templated)
    :param state_folder: URL of the folder for baselines; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: if a chunk is missing or was modified.
    :raises ItemsFailed: if a target does not match the plan; the XCom ``report`` lists it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", "chunks", "baseline", "state_folder")
    template_fields_renderers: ClassVar[dict[str, str]] = {"chunks": "json"}

    def __init__(
        self,
        *,
        chunks: Sequence[Mapping[str, Any]] | Templated,
        baseline: str | None = None,
        state_folder: str | None = None,
        **kwargs: Unpack[PolyAIArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.chunks = chunks
        self.baseline = baseline
        self.state_folder = state_folder

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the reports of the chunks, store the baseline, and report."""
        from airflow_voice_agents.airflow_compat import AirflowSkipException
        from airflow_voice_agents.polyai.actions.planner import OPERATION
        from airflow_voice_agents.state.plan_files import begun, merge_reports
        from airflow_voice_agents.transport.errors import ItemsFailed, ItemsFailedPermanently

        references = self._references()
        if not begun(references):
            raise AirflowSkipException("No chunk of the plan was applied, so there is nothing to report.")
        report, parts = merge_reports(OPERATION, references)
        if self.baseline:
            self._record(context, parts)
        try:
            return self.finish(context, report, changes={})
        except ItemsFailed as error:  # to put it together again mends nothing
            raise ItemsFailedPermanently(str(error)) from None

    def _references(self) -> list[PlanReference]:
        from airflow_voice_agents.state.plan_files import PlanReference
        from airflow_voice_agents.transport.errors import InputError

        found = [PlanReference.read(each) for each in self.argument("chunks") or ()]
        known = [each for each in found if each is not None]
        if not known or len(known) != len(found) or len(known) != known[0].chunks:
            raise InputError(
                "chunks does not name all chunks of a plan. Nothing was written. Pass what the task that planned with "
                "chunk_size returned"
            )
        return known

    def _record(self, context: Context, parts: Sequence[tuple[PlanDocument, Report]]) -> None:
        """Note the digests that were applied, while no other run notes under the same name."""
        from airflow_voice_agents.engine.target_names import TargetNames
        from airflow_voice_agents.state import baselines
        from airflow_voice_agents.state.folder import state_folder
        from airflow_voice_agents.state.locks import LockOwner, hold_lock

        name = str(self.baseline)
        owner, folder = LockOwner.of(context["ti"]), state_folder(self.state_folder or None, "locks")
        names = TargetNames(lambda *_: False)
        with hold_lock([f"baseline {name}"], owner, folder, wait=LOCK_WAIT, log=self.write_log, names=names):
            for document, report in parts:
                baselines.record(self.state_folder or None, name, document, report)


def read_plan(value: Any) -> tuple[PlanDocument, PromotionSpec]:
    """Return a saved plan and its promotion.

    :param value: result of :class:`PolyAIPlanPromotionOperator`.
    :raises InputError: if the value is not a plan, or cannot be decrypted here.
    """
    from airflow_voice_agents.bases.plan_encryption import unseal
    from airflow_voice_agents.polyai.spec import PromotionSpec
    from airflow_voice_agents.state.plan_files import open_plan

    document = open_plan(value)
    return document, PromotionSpec.parse(unseal(document.request), name="the plan's promotion")
