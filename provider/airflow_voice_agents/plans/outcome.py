"""What a report adds to an item from its plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.report import ItemReport, Status


def explain(planned: PlannedItem, item: ItemReport) -> ItemReport:
    """Add the plan's digests and keys; a stale key is told even where nothing went wrong.

    :param planned: the item as planned.
    :param item: how it ended.
    """
    details: dict[str, Any] = {**item.details, "before": planned.before[:12], "after": planned.after[:12]}
    if planned.changes:
        details["changed_keys"] = planned.changed_keys
    reason = item.reason
    if planned.stale_keys:
        details["stale_keys"] = list(planned.stale_keys)
        if item.status in (Status.CHANGED, Status.UNCHANGED):
            keys = ", ".join(planned.stale_keys)
            note = (
                f"not equal to its source: only it has {keys}"
                if planned.source
                else f"no call can remove {keys}"
            )
            reason = f"{reason}; {note}" if reason else note
    if planned.kept_keys:
        details["kept_keys"] = list(planned.kept_keys)
    return replace(item, reason=reason, details=details)
