"""Base classes of the SignalWire operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import AssetAlias
from msgspec.structs import replace

from airflow_voice_agents.bases.argument_checks import LazyLinks
from airflow_voice_agents.bases.operator import RestoringOperator, VoiceAgentsOperator, WritingOperator

if TYPE_CHECKING:
    from airflow_voice_agents.bases.protections import ProtectionSettings
    from airflow_voice_agents.engine.policy import Policy
    from airflow_voice_agents.plans.report import Report
    from airflow_voice_agents.signalwire.hooks import SignalWireHook
    from airflow_voice_agents.signalwire.resources.inventory import Space

ALIAS = "signalwire"
"""Name of the asset alias through which every SignalWire operator emits its changes."""

OUTLETS = [AssetAlias(ALIAS)]
"""A default of the signature, and a list, because a mapped operator takes its outlets from there."""


class SignalWireOperator(VoiceAgentsOperator):
    """Base of the SignalWire operators.

    :param signalwire_conn_id: id of a connection of type ``signalwire``.
    """

    asset_alias: ClassVar[str] = ALIAS
    types_path = "airflow_voice_agents.signalwire.types"
    ui_color: str = "#d9ecff"
    operator_extra_links: Sequence[Any] = LazyLinks("airflow_voice_agents.signalwire.links:LINKS")

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
        """Return the space of the connection.

        :param hook: the hook that the action will be carried out with.
        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        from airflow_voice_agents.signalwire.resources.inventory import Space

        return Space(hook.space, hook.client.settings.base_url)


class SignalWireWritingOperator(SignalWireOperator, WritingOperator):
    """Base of the SignalWire operators that write.

    :param verify: read everything that was written once more; responses, which are whole records, are always
        compared. The former values ``"response"`` and ``"read"`` mean ``False`` and ``True``.
    :param max_snapshot_age: seconds after which a number is read again right before its write; ``None`` never
        reads again.
    """

    template_fields: Sequence[str] = ("signalwire_conn_id", *WritingOperator.template_fields)
    keeps_snapshots: ClassVar[bool] = True
    """Whether the platform can take back what the operator changes."""

    def __init__(
        self,
        *,
        verify: bool | Literal["response", "read"] = False,
        max_snapshot_age: float | None = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(verify=verify, max_snapshot_age=max_snapshot_age, **kwargs)

    def policy(self) -> Policy:
        """Return the options of the run."""
        return replace(super().policy(), verify=self._verifies())

    def protection_settings(self) -> ProtectionSettings:
        """Return the operator's arguments about protections.

        :raises InputError: if a snapshot is required for a change that cannot be undone.
        """
        from airflow_voice_agents.transport.errors import InputError

        settings = super().protection_settings()
        if self.keeps_snapshots:
            return settings
        if settings.take_snapshot:
            raise InputError("take_snapshot cannot be True: this change cannot be taken back")
        return replace(settings, take_snapshot=False)

    def changes(self, report: Report, uri: str) -> dict[str, dict[str, Any]]:
        """Return the asset event of a report: none where nothing changed.

        :param report: the final report.
        :param uri: the asset.
        """
        changed = report.counts()["changed"]
        if report.dry_run or not changed:
            return {}
        return {uri: {"changed": changed, "plan_digest": report.plan_digest}}

    def _verifies(self) -> bool:
        from airflow_voice_agents.transport.validation import parse_choice

        given: Any = self.verify
        if isinstance(given, bool):
            return given
        reads = parse_choice(given, name="verify", choices=("response", "read")) == "read"
        renamed(f"verify={given!r}", f"verify={reads}")
        return reads


class SignalWireRestoringOperator(SignalWireWritingOperator, RestoringOperator):
    """Base of the SignalWire operators that undo earlier work."""

    template_fields: Sequence[str] = ("signalwire_conn_id", *RestoringOperator.template_fields)


def renamed(old: str, new: str) -> None:
    """Warn about a renamed argument.

    :param old: the former name.
    :param new: the name to use.
    """
    import warnings

    from airflow.exceptions import AirflowProviderDeprecationWarning

    warnings.warn(f"{old} is deprecated; use {new}", AirflowProviderDeprecationWarning, stacklevel=3)
