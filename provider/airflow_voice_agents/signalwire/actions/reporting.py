"""What reports say beyond how an item ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_voice_agents.plans.plan import PlannedItem, Severity
from airflow_voice_agents.plans.report import ItemReport


def explain(planned: PlannedItem, item: ItemReport) -> ItemReport:
    """Add the plan's digests, the names of the fields that change, and its warnings.

    :param planned: the plan for a number.
    :param item: how it ended.
    """
    details: dict[str, Any] = {**item.details, "before": planned.before[:12], "after": planned.after[:12]}
    if planned.changes:
        details["changed_keys"] = sorted({str(change.path[0]) for change in planned.changes})
    warnings = [each.message for each in planned.findings if each.severity is Severity.WARNING]
    reason = " ".join([*([item.reason] if item.reason else []), *warnings])
    return replace(item, reason=reason, details=details)
