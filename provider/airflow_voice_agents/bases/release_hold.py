"""The operator that releases the holds of a restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.bases.operator import VoiceAgentsOperator, as_list

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReleaseHoldOperator(VoiceAgentsOperator):
    """Release targets that a restore put on hold, so that the same change may be made again.

    :param targets: a target, or a list of them; ``None`` is the system's default. (templated)
    :param state_folder: URL of the folder for holds; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :returns: the targets that were on hold.
    """

    template_fields: Sequence[str] = ("targets", "state_folder")

    def __init__(
        self,
        *,
        targets: Sequence[str] | str | None = None,
        state_folder: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.targets = targets
        self.state_folder = state_folder

    def default_targets(self) -> list[str]:
        """Return the targets that are released where none is named.

        :raises InputError: where the system has no default.
        """
        from airflow_voice_agents.transport.errors import InputError

        raise InputError("targets is missing")

    def execute(self, context: Context) -> list[str]:
        """Release the targets and log them, and those that were not on hold: a retry finds none on hold any more."""
        named = as_list(self.targets) or self.default_targets()
        released = self.release(context, named)
        self.write_log(f"Released: {', '.join(released) or 'none was on hold'}")
        if unknown := [each for each in named if each not in released]:
            self.log.warning("%s", self._not_on_hold(unknown))
        return released

    def _not_on_hold(self, targets: Sequence[str]) -> str:
        from airflow_voice_agents.state import rollback_blocks
        from airflow_voice_agents.transport.suggestions import hints
        from airflow_voice_agents.transport.validation import summarize_list

        known = rollback_blocks.held(self.state_folder or None)
        said = hints(targets, known) or "."
        return f"Not on hold, so nothing was released: {summarize_list(targets)}{said}"

    def release(self, context: Context, targets: Sequence[str]) -> list[str]:
        """Release targets and return those that were on hold.

        :param context: the task's context.
        :param targets: their names.
        """
        from airflow_voice_agents.state import rollback_blocks

        return rollback_blocks.release(self.state_folder or None, targets)
