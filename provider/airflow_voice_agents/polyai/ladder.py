"""PolyAI's promotion ladder: sandbox, pre-release, live."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.plan import Finding, error

LADDER = ("sandbox", "pre-release", "live")
LIVE = "live"
SKIP_PRE_RELEASE = "allow_skip_pre_release"
"""Name of the override that lets sandbox go to live directly."""


def check_ladder(source: str, target: str, given: GuardContext) -> Iterator[Finding]:
    """Guard the order sandbox, pre-release, live.

    :param source: environment that is taken from.
    :param target: environment that is written.
    :param given: overrides and kind of run.
    """
    skipped = LADDER.index(target) - LADDER.index(source) > 1
    if skipped and SKIP_PRE_RELEASE not in given.overrides.allowed:
        yield error(
            "skip_pre_release",
            f"This goes from {source} to {target} without pre-release. Promote to pre-release first, or pass "
            "allow_skip_pre_release=True if the project has none.",
        )
