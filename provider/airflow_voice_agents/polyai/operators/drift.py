"""Operators that look for drift."""

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
    """Tell which targets are not as they should be, and who has moved; nothing is written.

    With a promotion (``spec`` or ``spec_file``), every target is compared with what its source, an
    environment or files, would make of it. With a ``baseline``, what promotions have applied last tells
    whether the source has moved since, the target, or both. With a baseline alone, everything noted there
    is compared with what is there now.

    Every target that has drifted emits an asset event. The log holds a table, XCom ``report`` every
    finding, at most 200, the worst first: keys and beginnings of digests, never values.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors,
    list variants, batch get connectors, batch get numbers.

    :param spec: the promotion, as :class:`~airflow_voice_agents.polyai.spec.PromotionSpec` has it; a text is
        read as YAML or JSON. (templated)
    :param spec_file: file that holds it: a local path, or a URL that Airflow's object storage knows.
        (templated)
    :param targets: targets instead of those of the spec, for instance an upstream task's list. (templated)
    :param baseline: name under which ``PolyAIApplyPromotionOperator`` notes what it applied. (templated)
    :param state_folder: URL of the folder for baselines; ``None`` takes ``[voice_agents] state_folder``.
        (templated)
    :param fail_on_drift: whether the task fails unless everything is known to be as it should be. A task
        that fails emits no asset events.
    :param concurrency: most targets in flight.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises ItemsFailedPermanently: with ``fail_on_drift``, naming what is not as it should be.
    :returns: ``operation``, ``drifted``, ``counts`` of resources, ``targets`` that are not as they should be
        or cannot be compared, each with its worst finding, and ``targets_omitted``.
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
        """Yield a sentence for each argument that is wrong, a spec that is written into the DAG included."""
        yield from super().argument_problems()
        yield from spec_problems(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, and tell."""
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
