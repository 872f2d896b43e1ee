"""Guards that stop a run before its first write, each with the parameter that overrides it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from airflow_voice_agents.plans.plan import Finding, error


class Overrides(msgspec.Struct, frozen=True):
    """The guards that the author of a DAG has overridden.

    :param confirm_live: writes into live are intended.
    :param allow_backfill: allow a backfill run to write to live.
    :param allowed: names of further guards that are overridden (``allow_skip_pre_release``).
    """

    confirm_live: bool = False
    allow_backfill: bool = False
    allowed: frozenset[str] = frozenset()


class GuardContext(msgspec.Struct, frozen=True):
    """The facts that guards decide by.

    :param overrides: guards that the DAG's author has overridden.
    :param backfill: whether Airflow runs this as a backfill.
    """

    overrides: Overrides = msgspec.field(default_factory=Overrides)
    backfill: bool = False


def check_live(given: GuardContext) -> Iterator[Finding]:
    """Guard writes that callers notice.

    :param given: overrides and kind of run.
    """
    if not given.overrides.confirm_live:
        yield error(
            "confirm_live", "This writes into live, where callers are. Pass confirm_live=True if intended."
        )
    yield from check_backfill(given)


def check_backfill(given: GuardContext) -> Iterator[Finding]:
    """Guard against one run per past date.

    :param given: overrides and kind of run.
    """
    if given.backfill and not given.overrides.allow_backfill:
        yield error(
            "backfill",
            "A backfill would write today's state once per past date. Run the DAG without a backfill, or pass "
            "allow_backfill=True if intended.",
        )
