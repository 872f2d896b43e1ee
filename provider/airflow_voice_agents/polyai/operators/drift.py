"""Operators that detect drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.bases.operator import REPORT_KEY
from airflow_voice_agents.polyai.operators.base import PolyAIOperator, spec_problems

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import Templated
    from airflow_voice_agents.plans.drift import DriftReport
    from airflow_voice_agents.polyai.types import PolyAIArguments, PromotionTarget, Spec


class PolyAIDriftOperator(PolyAIOperator):
    """Detect targets that differ, and the side that changed; nothing is written.

    With a promotion (``spec`` or ``spec_file``), the operator compares every target with the state that the
    promotion would write. With a ``baseline``, it also compares both with the state that was applied last,
    and says whether the source, the target, or both changed. With a baseline alone, it compares the current
    state with the baseline.

    Every target that drifted emits an asset event. The log shows a table. The XCom ``report`` lists at most
    200 findings, the worst first: keys and first characters of digests, never values.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors,
    list variants, batch get connectors, batch get numbers.

    :param spec: the promotion, see :class:`~airflow_voice_agents.polyai.spec.PromotionSpec`; a string is read
        as YAML or JSON. (templated)
    :param spec_file: YAML or JSON file of the promotion: a local path, or a URL that Airflow's object storage
        supports. (templated)
    :param targets: targets that replace those of the spec, for instance the list of an upstream task.
        (templated)
    :param baseline: name of the baseline that ``PolyAIApplyPromotionOperator`` stores. (templated)
    :param state_folder: URL of the folder for baselines; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param fail_on_drift: fail the task unless every target is in sync or converged. A failed task emits no
        asset events.
    :param concurrency: maximum number of targets that are processed at a time.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises ItemsFailedPermanently: with ``fail_on_drift``, if a target differs or cannot be compared.
    :returns: ``operation``, ``drifted``, ``counts`` of resources, ``targets`` that differ or cannot be
        compared, each with its worst finding, and ``targets_omitted``.
    """

    template_fields: Sequence[str] = (
        "polyai_conn_id",
        "spec",
        "spec_file",
        "targets",
        "baseline",
        "state_folder",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"spec": "json", "targets": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("spec", "targets")
    open_keys: ClassVar[Sequence[str]] = (
        "agent_id",
        "environment",
        "folder",
        "connector_id",
        "from_agent_id",
    )
    at_most_one_of = (("spec", "spec_file"),)

    def __init__(
        self,
        *,
        spec: Spec | Templated | None = None,
        spec_file: str | None = None,
        targets: Sequence[PromotionTarget] | Templated | None = None,
        baseline: str | None = None,
        state_folder: str | None = None,
        fail_on_drift: bool = False,
        **kwargs: Unpack[PolyAIArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.spec_file = spec_file
        self.targets = targets
        self.baseline = baseline
        self.state_folder = state_folder
        self.fail_on_drift = fail_on_drift

    def argument_problems(self) -> Iterator[str]:
        """Yield a sentence for each invalid argument, including a literal spec."""
        yield from super().argument_problems()
        yield from spec_problems(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, and report."""
        from airflow_voice_agents.bases.assets import emit
        from airflow_voice_agents.plans.drift import render_drift
        from airflow_voice_agents.polyai.assets import drifts
        from airflow_voice_agents.polyai.drift_request import parse_drift
        from airflow_voice_agents.state.status import StatusRecorder

        comparison = parse_drift(
            spec=self.uncovered("spec"),
            spec_file=self.spec_file,
            targets=self.argument("targets"),
            baseline=self.baseline,
            state_folder=self.state_folder,
        )
        report = self.work(context, comparison.run)
        context["ti"].xcom_push(key=REPORT_KEY, value=report.document())
        self.write_log(render_drift(report))
        StatusRecorder.of(context["ti"], self.state_folder, self.write_log).drift(report)
        if self.fail_on_drift and not report.settled:
            raise self._failure(report)
        emit(context, drifts(report), report.headline())
        return report.summary()

    def _failure(self, report: DriftReport) -> Exception:
        from airflow_voice_agents.plans.drift import OPERATION, counts_sentence
        from airflow_voice_agents.plans.render import visible
        from airflow_voice_agents.transport.errors import ItemsFailedPermanently
        from airflow_voice_agents.transport.validation import summarize_list

        told = summarize_list([f"{name} ({drift.value})" for name, drift in report.targets.items()])
        return ItemsFailedPermanently(
            f"{OPERATION}: {len(report.targets)} target(s) are not known to be as they should be: {visible(told)}. "
            f"{counts_sentence(report)} Nothing was written. The XCom 'report' tells what differs; promote, or "
            "bring the target back, or take its changes over into the source."
        )
