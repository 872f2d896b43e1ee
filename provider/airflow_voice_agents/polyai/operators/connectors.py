"""Operators for telephony connectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow_voice_agents.polyai.operators.base import PolyAIWritingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import Templated
    from airflow_voice_agents.polyai.types import (
        ConnectorChanges,
        ConnectorsTargetArgument,
        ConnectorUpdateArgument,
        ItemwiseArguments,
        SelectorArgument,
    )


class PolyAIBatchUpdateConnectorsOperator(PolyAIWritingOperator):
    """Set voice, language or variant of many connectors of one or many agents.

    The connectors are read first and only differences are sent, in batches. The platform answers 200
    even when items failed, so every item of every answer is checked. A new voice, which the platform
    tries out, goes to one connector of an agent before the others. A retry sends only what still differs.

    With ``targets``, many agents take one task: they are read and written side by side, in one plan with one digest.
    An agent that cannot be read, or of which the selector fits no connector, fails alone; XCom ``report`` counts
    by agent.

    Vendor operations: list connectors or batch get connectors, list variants, update connector, batch
    update connectors.

    :param agent_id: the agent; ``None`` with ``targets``. (templated)
    :param targets: instead, a list of mappings, one per agent: ``agent_id``, and ``updates``, ``selector`` or
        ``changes`` where they are not those of the arguments. (templated)
    :param updates: list of mappings: ``connector_id`` and any of ``variant_id``, ``asr_lang_code``,
        ``voice_name``. An absent field stays as it is; ``variant_id`` of ``None`` unassigns. (templated)
    :param selector: instead of ``updates``, which connectors: mapping of any of ``client_env``, ``name`` (shell
        pattern), ``variant_id``, ``asr_lang_code``, ``voice_name``; an empty one selects all. (templated)
    :param changes: the settings of each selected connector. (templated)
    :param batch_size: maximum number of connectors per request.
    :param check_variants: whether variants to assign must exist on the agent's main branch; one more request,
        and only when a variant is assigned.
    :param on_partial: ``fail`` the task when a connector was not updated, or ``tolerate`` it. A refused plan and a
        stopped run always fail.
    :param verify: whether an independent read follows the writes; their responses are checked in any case.
    :param max_snapshot_age: seconds after which connectors are read again right before they are written; ``None``
        never.
    :param confirm_live: must be true when a live connector would change.
    :param allow_backfill: a backfill run may change live connectors.
    :param concurrency: maximum number of batches in flight.
    :param kwargs: the arguments of every writing operator (:class:`.WritingOperator`); ``waves``, ``max_failures`` and
        ``max_changed`` count connectors.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request; also for ``project_id``, which would move a
        connector to another project.
    :raises GuardRefused: when a guard refuses, before any write.
    :raises ItemsFailed: when a connector was not updated; XCom ``report`` names it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *PolyAIWritingOperator.template_fields,
        "agent_id",
        "targets",
        "updates",
        "selector",
        "changes",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "targets": "json",
        "updates": "json",
        "selector": "json",
    }
    exactly_one_of = (("agent_id", "targets"),)
    at_most_one_of = (("updates", ("selector", "changes")),)

    def __init__(
        self,
        *,
        agent_id: str | None = None,
        targets: Sequence[ConnectorsTargetArgument] | Templated | None = None,
        updates: Sequence[ConnectorUpdateArgument] | Templated | None = None,
        selector: SelectorArgument | Templated | None = None,
        changes: ConnectorChanges | Templated | None = None,
        batch_size: int = 50,
        check_variants: bool = True,
        on_partial: Literal["fail", "tolerate"] = "fail",
        verify: bool = False,
        max_snapshot_age: float | None = None,
        **kwargs: Unpack[ItemwiseArguments],
    ) -> None:
        super().__init__(verify=verify, max_snapshot_age=max_snapshot_age, **kwargs)
        self.agent_id = agent_id
        self.targets = targets
        self.updates = updates
        self.selector = selector
        self.changes = changes
        self.batch_size = batch_size
        self.check_variants = check_variants
        self.on_partial = on_partial

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, write what differs, check every item and report."""
        from collections import Counter

        from airflow_voice_agents.plans.report import Status
        from airflow_voice_agents.polyai.actions import connectors
        from airflow_voice_agents.polyai.assets import connectors_uri
        from airflow_voice_agents.transport.validation import parse_choice

        tolerate = (
            parse_choice(self.on_partial, name="on_partial", choices=("fail", "tolerate")) == "tolerate"
        )
        settings = [self.argument(name) for name in ("updates", "selector", "changes")]
        checks: dict[str, Any] = {"batch_size": self.batch_size, "check_variants": self.check_variants}
        if self.uncovered("targets") is None:
            action = connectors.parse_update(self.agent_id, *settings, **checks)
        else:
            action = connectors.parse_updates(self.argument("targets"), *settings, **checks)
        report = self.apply(context, action)
        changed = Counter(item.resource.owner for item in report.having(Status.CHANGED))
        changes = {connectors_uri(agent): {"changed": count} for agent, count in changed.items()}
        # on_partial is about items; a plan that was refused or a run that was stopped is no partial success
        tolerate = tolerate and not (report.refused or report.stopped)
        return self.finish(context, report, changes=changes, tolerate=tolerate)
