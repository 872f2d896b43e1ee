"""Base classes of the Omnia Voice operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias

from airflow_voice_agents.bases.argument_checks import LazyLinks
from airflow_voice_agents.bases.operator import RestoringOperator, VoiceAgentsOperator, WritingOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context

    from airflow_voice_agents.omnia_voice.actions.base import NumbersAction, Workspace
    from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook
    from airflow_voice_agents.plans.report import Report

ALIAS = "omniavoice"
"""Name of the asset alias through which every Omnia Voice operator emits what it changed."""

OUTLETS = [AssetAlias(ALIAS)]
"""A default of the signature, and a list, because that is where a mapped operator takes its outlets from."""


class OmniaVoiceOperator(VoiceAgentsOperator):
    """Base of the Omnia Voice operators.

    :param omniavoice_conn_id: id of a connection of type ``omniavoice``.
    """

    asset_alias: ClassVar[str] = ALIAS
    types_path = "airflow_voice_agents.omnia_voice.types"
    ui_color: str = "#dff3ea"
    operator_extra_links: Sequence[Any] = LazyLinks("airflow_voice_agents.bases.links:REPORT_LINKS")

    def __init__(
        self, *, omniavoice_conn_id: str = "omniavoice_default", outlets: Any = OUTLETS, **kwargs: Any
    ) -> None:
        super().__init__(outlets=outlets, **kwargs)
        self.omniavoice_conn_id = omniavoice_conn_id

    def hook(self) -> OmniaVoiceHook:
        """Return a hook for the connection."""
        from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook

        return OmniaVoiceHook(self.omniavoice_conn_id)


class OmniaVoiceWritingOperator(OmniaVoiceOperator, WritingOperator):
    """Base of the Omnia Voice operators that write.

    :param max_snapshot_age: seconds after which a number is read again right before its write, at the cost of
        the hourly limit; ``None`` never reads again.
    """

    template_fields: Sequence[str] = ("omniavoice_conn_id", *WritingOperator.template_fields)

    def __init__(self, *, max_snapshot_age: float | None = None, **kwargs: Any) -> None:
        super().__init__(max_snapshot_age=max_snapshot_age, **kwargs)

    def run_action(self, context: Context, parse: Callable[[Workspace], NumbersAction]) -> dict[str, Any]:
        """Run an action and push its report, with an asset event for every agent whose numbers changed.

        :param context: the task's context.
        :param parse: makes the action for the connection's workspace.
        """
        hook = self.hook()
        report = self.apply(context, parse(workspace_of(hook)), hook)
        return self.finish(context, report, changes=changes_of(report))


class OmniaVoiceRestoringOperator(OmniaVoiceOperator, RestoringOperator):
    """Base of the Omnia Voice operators that undo earlier work."""

    template_fields: Sequence[str] = ("omniavoice_conn_id", *RestoringOperator.template_fields)

    def __init__(self, *, max_snapshot_age: float | None = None, **kwargs: Any) -> None:
        super().__init__(max_snapshot_age=max_snapshot_age, **kwargs)


def workspace_of(hook: OmniaVoiceHook) -> Workspace:
    """Return the workspace of a hook's connection.

    :param hook: the hook.
    :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and the
        field.
    """
    from airflow_voice_agents.omnia_voice.actions.base import Workspace

    return Workspace(hook.fields.platform, hook.fields.update_verb)


def changes_of(report: Report) -> dict[str, dict[str, Any]]:
    """Return the asset URI and facts of every agent with a changed number.

    :param report: the final report.
    """
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


def warn_renamed(old: str, new: str) -> None:
    """Warn about a deprecated argument.

    :param old: its name.
    :param new: the argument to use instead.
    """
    import warnings

    from airflow.exceptions import AirflowProviderDeprecationWarning

    warnings.warn(f"{old} is deprecated; use {new}", AirflowProviderDeprecationWarning, stacklevel=3)
