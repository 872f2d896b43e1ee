"""Checks that stop a run before its first write, each with the parameter that overrides it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from airflow_voice_agents.plans.plan import Finding, error

LADDER = ("sandbox", "pre-release", "live")
LIVE = "live"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the author of a DAG has agreed to.

    :param confirm_live: writes into live are meant.
    :param allow_skip_pre_release: sandbox may go to live directly.
    :param allow_backfill: a backfill run may write into live.
    """

    confirm_live: bool = False
    allow_skip_pre_release: bool = False
    allow_backfill: bool = False


@dataclass(frozen=True, slots=True)
class GuardContext:
    """What the guards judge by.

    :param consent: what the DAG's author agreed to.
    :param backfill: whether Airflow runs this as a backfill.
    """

    consent: Overrides = field(default_factory=Overrides)
    backfill: bool = False


def check_live(environments: Sequence[str], given: GuardContext) -> Iterator[Finding]:
    """Guard writes into live.

    :param environments: environments that the run writes into.
    :param given: consent and kind of run.
    """
    if LIVE not in environments:
        return
    if not given.consent.confirm_live:
        yield error(
            "confirm_live", "This writes into live, where callers are. Pass confirm_live=True if meant."
        )
    if given.backfill and not given.consent.allow_backfill:
        yield error(
            "backfill",
            "A backfill would write today's state into live once per past date. Run the DAG without a "
            "backfill, or pass allow_backfill=True if meant.",
        )


def check_ladder(source: str, target: str, given: GuardContext) -> Iterator[Finding]:
    """Guard the order sandbox, pre-release, live.

    :param source: environment that is taken from.
    :param target: environment that is written.
    :param given: consent and kind of run.
    """
    if LADDER.index(target) - LADDER.index(source) > 1 and not given.consent.allow_skip_pre_release:
        yield error(
            "skip_pre_release",
            f"This goes from {source} to {target} without pre-release. Promote to pre-release first, or pass "
            "allow_skip_pre_release=True if the project has none.",
        )
