"""What Omnia Voice's operators share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias

from airflow_voice_agents.bases.operator import VoiceAgentsOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_voice_agents.engine.run_context import ApplyOptions
    from airflow_voice_agents.omnia_voice.actions.workspace import Workspace
    from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook
    from airflow_voice_agents.plans.report import Report

ALIAS = "omniavoice"
"""Name of the asset alias through which every Omnia Voice operator emits what it changed."""

OUTLETS = [AssetAlias(ALIAS)]
"""A default of the signature, and a list, because that is where a mapped operator takes its outlets from."""

SNAPSHOT_KEY = "snapshot"
"""XCom under which the URL of a snapshot is left, before the first write."""


class OmniaVoiceOperator(VoiceAgentsOperator):
    """Base of the Omnia Voice operators.

    :param omniavoice_conn_id: id of a connection of type ``omniavoice``.
    """

    asset_alias: ClassVar[str] = ALIAS
    ui_color: str = "#dff3ea"

    def __init__(
        self, *, omniavoice_conn_id: str = "omniavoice_default", outlets: Any = OUTLETS, **kwargs: Any
    ) -> None:
        super().__init__(outlets=outlets, **kwargs)
        self.omniavoice_conn_id = omniavoice_conn_id

    def hook(self) -> OmniaVoiceHook:
        """Return a hook for the connection."""
        from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook

        return OmniaVoiceHook(self.omniavoice_conn_id)


class OmniaVoiceWritingOperator(OmniaVoiceOperator):
    """Base of the operators that plan and write.

    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan.
    :param verify: whether what was written is read again at the end; answers are checked in any case.
    :param show_values: whether the plan in the log shows agents' ids, names and statuses; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", "expected_digest")

    def __init__(
        self,
        *,
        dry_run: bool = False,
        expected_digest: str | None = None,
        verify: bool = True,
        show_values: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan_only = dry_run  # BaseOperator has a method of the other name
        self.expected_digest = expected_digest
        self.verify = verify
        self.show_values = show_values

    def manner(self) -> ApplyOptions:
        """Return how the plan is carried out."""
        from airflow_voice_agents.bases.display import display
        from airflow_voice_agents.engine.run_context import ApplyOptions

        return ApplyOptions(
            display=display(self.show_values),
            verify=self.verify,
            dry_run=self.plan_only,
            expected_digest=self.expected_digest or None,
        )

    def finish(self, context: Context, report: Report, *, tolerate: bool = False) -> dict[str, Any]:
        """Leave a report, with an asset event for every agent whose numbers changed.

        :param context: the task's context.
        :param report: what happened.
        :param tolerate: whether items that went wrong leave the task successful.
        """
        changes = {} if report.dry_run else _changes(report)
        return self.conclude(context, report, changes=changes, tolerate=tolerate)


def workspace_of(hook: OmniaVoiceHook) -> Workspace:
    """Return where a hook's connection leads.

    :param hook: the hook.
    :raises ConnectionSettingsError: naming the connection and the field that is wrong.
    """
    from airflow_voice_agents.omnia_voice.actions.workspace import Workspace

    return Workspace(hook.fields.platform, hook.fields.update_verb)


def save_snapshot(
    operator: OmniaVoiceOperator,
    document: dict[str, Any],
    *,
    folder: str | None,
    retention: timedelta | None,
    allow_unencrypted: bool,
) -> str:
    """Keep a snapshot and return its URL.

    :param operator: whose; its task's id becomes part of the name.
    :param document: the snapshot.
    :param folder: URL that Airflow's object storage knows; ``None`` takes the default.
    :param retention: how long snapshots in the folder are kept; ``None`` keeps them for good.
    :param allow_unencrypted: whether it may be kept in the clear where Airflow has no Fernet key.
    :raises GuardRefused: when it could only be kept in the clear, and that was not allowed.
    """
    from airflow_voice_agents.state.snapshots import save

    return save(
        document,
        folder=folder,
        name=f"{operator.dag_id}-{operator.task_id}",
        allow_unencrypted=allow_unencrypted,
        retention=retention,
        say=operator.say,
    )


def _changes(report: Report) -> dict[str, dict[str, Any]]:
    """Asset URI -> facts, of every agent that got, lost or kept a number that changed."""
    from collections import Counter

    from airflow_voice_agents.omnia_voice.assets import agent_numbers_uri
    from airflow_voice_agents.plans.report import Status

    counts: Counter[str] = Counter()
    for item in report.having(Status.CHANGED):
        agents = {item.details.get("previous_agent_id"), item.details.get("agent_id")}
        counts.update(agent_id for agent_id in agents if agent_id is not None)
    return {
        agent_numbers_uri(agent_id): {"changed": count, "plan_digest": report.plan_digest}
        for agent_id, count in sorted(counts.items())
    }
