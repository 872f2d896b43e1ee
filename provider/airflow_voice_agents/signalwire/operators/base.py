"""What SignalWire's operators share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias

from airflow_voice_agents.bases.operator import VoiceAgentsOperator

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_voice_agents.engine.run_context import ApplyOptions
    from airflow_voice_agents.plans.report import Report
    from airflow_voice_agents.signalwire.hooks import SignalWireHook
    from airflow_voice_agents.signalwire.resources.inventory import Space

ALIAS = "signalwire"
"""Name of the asset alias through which every SignalWire operator emits what it changed."""

OUTLETS = [AssetAlias(ALIAS)]
"""A default of the signature, and a list, because that is where a mapped operator takes its outlets from."""


class SignalWireOperator(VoiceAgentsOperator):
    """Base of the SignalWire operators.

    :param signalwire_conn_id: id of a connection of type ``signalwire``.
    """

    asset_alias: ClassVar[str] = ALIAS
    ui_color: str = "#d9ecff"

    def __init__(
        self, *, signalwire_conn_id: str = "signalwire_default", outlets: Any = OUTLETS, **kwargs: Any
    ) -> None:
        super().__init__(outlets=outlets, **kwargs)
        self.signalwire_conn_id = signalwire_conn_id

    def hook(self) -> SignalWireHook:
        """Return a hook for the connection."""
        from airflow_voice_agents.signalwire.hooks import SignalWireHook

        return SignalWireHook(self.signalwire_conn_id)

    def space(self, hook: SignalWireHook) -> Space:
        """Return where the connection leads to.

        :param hook: the hook that the job will be carried out with.
        :raises ConnectionSettingsError: naming the connection and the field that is wrong.
        """
        from airflow_voice_agents.signalwire.resources.inventory import Space

        return Space(hook.space, hook.client.settings.base_url)


class SignalWirePlanningOperator(SignalWireOperator):
    """Base of the operators that plan every number before they write the first.

    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param show_values: whether the plan in the log shows values, sensitive ones masked; ``None`` takes
        ``[voice_agents] show_values``, whose ``False`` hides them in any case.
    """

    template_fields: Sequence[str] = ("signalwire_conn_id", "expected_digest")

    def __init__(
        self,
        *,
        dry_run: bool = False,
        expected_digest: str | None = None,
        show_values: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan_only = dry_run  # BaseOperator has a method of the other name
        self.expected_digest = expected_digest
        self.show_values = show_values

    def manner(self, **more: Any) -> ApplyOptions:
        """Return how the plan is carried out.

        :param more: further fields of :class:`.ApplyOptions`.
        """
        from airflow_voice_agents.bases.display import display
        from airflow_voice_agents.engine.run_context import ApplyOptions

        return ApplyOptions(
            display=display(self.show_values),
            dry_run=self.plan_only,
            expected_digest=self.expected_digest or None,
            **more,
        )

    def changes(self, report: Report, uri: str) -> dict[str, dict[str, Any]]:
        """Return the asset event of a report: none where nothing changed.

        :param report: what happened.
        :param uri: the asset.
        """
        changed = report.counts()["changed"]
        if report.dry_run or not changed:
            return {}
        return {uri: {"changed": changed, "plan_digest": report.plan_digest}}


def snapshot_saver(
    operator: SignalWireOperator,
    context: Context,
    *,
    folder: str | None,
    allow_unencrypted: bool,
    retention: timedelta | None,
) -> Callable[[dict[str, Any]], str]:
    """Return what keeps a snapshot for a task and returns its URL.

    :param operator: the task's operator.
    :param context: the task's context.
    :param folder: URL that Airflow's object storage knows; ``None`` takes the default.
    :param allow_unencrypted: whether it may be kept in the clear where Airflow has no Fernet key.
    :param retention: how long snapshots in the folder are kept; ``None`` keeps them for good.
    """
    from airflow_voice_agents.state import snapshots

    def save(document: dict[str, Any]) -> str:
        owner = document["resources"][0]["owner"]
        return snapshots.save(
            document,
            folder=folder or None,
            name=f"signalwire-{owner}-{context['ti'].id}",
            allow_unencrypted=allow_unencrypted,
            retention=retention,
            say=operator.say,
        )

    return save
