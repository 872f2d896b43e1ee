"""Repeats the checks of a promotion until there is a verdict, for tasks and triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.checks import CheckResult, CheckVerdict, Watch, document
from airflow_voice_agents.polyai.actions.smoke import OneShotResults
from airflow_voice_agents.polyai.actions.verification import CheckRunner
from airflow_voice_agents.polyai.checks_spec import parse_checks, plain


@dataclass
class PromotionWatch:
    """One look after the other, until they come to a verdict.

    :param checks: checks that only read.
    :param given: results of those that were made once.
    :param since: moment of the promotion.
    :param watch: decides.
    """

    checks: Sequence[Any]
    given: Sequence[CheckResult]
    since: datetime
    watch: Watch = field(default_factory=Watch)
    last: list[CheckResult] = field(default_factory=list, init=False)
    _look: CheckRunner = field(init=False)

    def __post_init__(self) -> None:
        self._look = CheckRunner(self.checks, self.since)

    @classmethod
    def of(cls, checks: Sequence[Any], once: OneShotResults, since: datetime, watch: Watch) -> PromotionWatch:
        """Return what is watched after the checks were made that are made once.

        :param checks: all checks.
        :param once: what the others came to.
        :param since: moment of the promotion.
        :param watch: decides.
        """
        polled = [check for check in checks if check.polled]
        return cls([*polled, *once.watched], once.results, since, watch)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON, for a trigger: ids, thresholds and digests, no values and no numbers."""
        return {
            "checks": plain(self.checks),
            "given": [result.document() for result in self.given],
            "since": self.since.isoformat(),
            "confirmations": self.watch.confirmations,
            "whole_period": self.watch.whole_period,
        }

    @classmethod
    def from_plain(cls, given: Mapping[str, Any]) -> PromotionWatch:
        """Read what :meth:`plain` returned."""
        return cls(
            parse_checks(given["checks"]) if given["checks"] else (),
            [CheckResult.from_document(each) for each in given["given"]],
            datetime.fromisoformat(given["since"]),
            Watch(confirmations=given["confirmations"], whole_period=given["whole_period"]),
        )

    async def step(self, run: RunContext, now: datetime, *, over: bool) -> CheckVerdict | None:
        """Look once, and return the verdict once there is one.

        Vendor operations: those of :meth:`.CheckRunner.look`.

        :param run: what the run works with.
        :param now: the present moment.
        :param over: whether the period has ended.
        """
        self.last = [*self.given, *await self._look.look(run, now)]
        return self.watch.step(self.last, over=over)

    def document(self, verdict: CheckVerdict) -> dict[str, Any]:
        """Return the verdict, the last results and how many looks there were as JSON.

        :param verdict: the verdict.
        """
        facts = {"since": self.since.isoformat(), "looks": self.watch.looks, "errors": self.watch.errors}
        return document(verdict, self.last, **facts)
