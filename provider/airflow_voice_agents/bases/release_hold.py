"""Base of the operators that release targets from a hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.bases.operator import VoiceAgentsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReleaseHoldOperator(VoiceAgentsOperator):
    """Base of the operators that release targets which a rollback put on hold.

    Subclasses name the targets in :meth:`targets_on_hold`.

    :param state_folder: URL of the folder for snapshots, holds, locks and baselines; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    """

    template_fields: Sequence[str] = ("state_folder",)

    def __init__(self, *, state_folder: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_folder = state_folder

    def targets_on_hold(self) -> Sequence[str]:
        """Return the names of the targets to release."""
        raise NotImplementedError

    def execute(self, context: Context) -> list[str]:
        """Release the targets and return those that were on hold."""
        from airflow_voice_agents.state import rollback_blocks

        released = rollback_blocks.release(self.state_folder or None, self.targets_on_hold())
        self.write_log(f"Released: {', '.join(released) or 'none was on hold'}")
        return released
