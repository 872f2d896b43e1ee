"""Summary of a plan for the person who approves it: one line, and a short table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from airflow_voice_agents.plans.limits import FailureLimit, Waves
from airflow_voice_agents.plans.markdown import prose
from airflow_voice_agents.plans.render import visible


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What a plan changes, in a few words without values.

    :param subject: one line that begins with what matters; lists of required actions show 40 characters.
    :param source: what is promoted, in words.
    :param target: what is written, in words.
    :param affected: who notices.
    :param changes: what changes, in words.
    :param targets: number of targets.
    :param undo: how the run is undone, where it is not by a snapshot.
    """

    subject: str
    source: str
    target: str
    affected: str
    changes: str
    targets: int
    undo: str = ""

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON."""
        return asdict(self)

    @classmethod
    def read(cls, value: object) -> PlanSummary | None:
        """Read what :meth:`document` returned; ``None`` for plans that were saved without a summary.

        :param value: decoded JSON.
        """
        if not isinstance(value, Mapping):
            return None
        try:
            return cls(**value)
        except TypeError:
            return None

    def markdown(self, more: Iterable[tuple[str, str]] = ()) -> str:
        """Return the summary as a Markdown table of two columns.

        :param more: further rows: title and sentence.
        """
        rows = [
            ("From", self.source),
            ("To", self.target),
            ("Affected", self.affected),
            ("Changes", self.changes),
            *more,
        ]
        lines = [f"| {title} | {cell(text)} |" for title, text in rows if text]
        return "\n".join(["| | |", "|---|---|", *lines])


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table, without markup of its own.

    :param text: any text.
    """
    return prose(visible(text)).replace("|", "\\|")


def rollout_rows(
    summary: PlanSummary, waves: object, max_failures: object, take_snapshot: object
) -> list[tuple[str, str]]:
    """Return the rows that say in which order targets are reached, and how the run is undone.

    :param summary: the plan's summary.
    :param waves: as the task that applies has it.
    :param max_failures: as the task that applies has it.
    :param take_snapshot: as the task that applies has it.
    :raises InputError: for waves and limits that the task would refuse.
    """
    targets = summary.targets
    reached = accumulate(len(wave) for wave in Waves.parse(waves).cut(range(targets)))
    order = " → ".join(map(str, reached))
    allowed = FailureLimit.parse(max_failures).allows(targets)
    stops = f"stops after {allowed + 1} failures" if allowed else "stops at the first failure"
    kept = "a snapshot is taken first; a rollback restores it"
    undo = summary.undo or (
        "no snapshot is taken, so there is no rollback" if take_snapshot is False else kept
    )
    return [("Order", f"{order} target{'s' * (targets != 1)}; {stops}"), ("Undo", undo)]
