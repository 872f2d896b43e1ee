"""The display of plans in this deployment."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_voice_agents.plans.render import Display


def display(show_values: bool | None, sensitive_keys: Sequence[str] = ()) -> Display:
    """Return how plans show values (placeholder until the display branch is merged)."""
    return Display(True if show_values is None else show_values, tuple(sensitive_keys))
