"""Combine the checks after a promotion into one verdict, over several polls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from airflow_voice_agents.transport.errors import InputError

GRACE = 3
"""Looks after the end of a period that are allowed to replace one that did not come about."""


class CheckVerdict(StrEnum):
    """What a check says of what was promoted."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """The check was made and does not tell: too little traffic, no data, not finished."""
    ERROR = "error"
    """The check could not be made: that says nothing of what was promoted."""
    SKIPPED = "skipped"
    """There was nothing to check, and there need not be: that is not passed, and stands in nobody's way."""


WORST_FIRST = (
    CheckVerdict.FAILED,
    CheckVerdict.ERROR,
    CheckVerdict.INCONCLUSIVE,
    CheckVerdict.PASSED,
    CheckVerdict.SKIPPED,
)


class CheckResult(msgspec.Struct, frozen=True):
    """What one check says after one look.

    :param name: the check.
    :param verdict: what it says.
    :param reason: why, for people; without values.
    :param facts: small facts for programs (counts, rates, ids), never values.
    :param permanent: whether looking again cannot say anything else.
    """

    name: str
    verdict: CheckVerdict
    reason: str = ""
    facts: Mapping[str, Any] = msgspec.field(default_factory=dict)
    permanent: bool = False

    def document(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "facts": dict(self.facts),
            "permanent": self.permanent,
        }

    @classmethod
    def from_document(cls, document: Any) -> CheckResult:
        """Read what :meth:`document` returned.

        :param document: decoded JSON.
        :raises InputError: for any other value.
        """
        try:
            return cls(
                name=str(document["name"]),
                verdict=CheckVerdict(document["verdict"]),
                reason=str(document.get("reason", "")),
                facts=dict(document.get("facts") or {}),
                permanent=bool(document.get("permanent", False)),
            )
        except (TypeError, KeyError, ValueError, AttributeError):
            raise InputError("this is no result of a check") from None


def combine(results: Iterable[CheckResult]) -> CheckVerdict:
    """Return what several checks amount to; no check at all is inconclusive.

    :param results: one per check.
    """
    found = {result.verdict for result in results}
    return next((verdict for verdict in WORST_FIRST if verdict in found), CheckVerdict.INCONCLUSIVE)


def document(verdict: CheckVerdict, results: Sequence[CheckResult], **facts: Any) -> dict[str, Any]:
    """Return a verdict and what led to it as JSON.

    :param verdict: the verdict.
    :param results: one per check, of the last look.
    :param facts: what else is to be known, as JSON.
    """
    return {"verdict": verdict.value, "checks": [result.document() for result in results], **facts}


class Watch(msgspec.Struct):
    """Turns one look after the other into a verdict.

    Failed is decided only by so many looks at the same check that failed, with none in between that did not.
    A look that did not come about neither counts for that nor against it, so errors alone never decide it.

    :param confirmations: how many looks must fail.
    :param whole_period: whether a verdict other than failed waits for the end of the period; otherwise the
        first look that passes decides.
    :param failures: check -> looks at it that failed one after the other.
    :param looks: looks so far.
    :param errors: how many of them had a check that could not be made.
    :param late: looks after the end of the period.
    """

    confirmations: int = 2
    whole_period: bool = True
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    looks: int = 0
    errors: int = 0
    late: int = 0

    def step(self, results: Sequence[CheckResult], *, over: bool) -> CheckVerdict | None:
        """Take a look into account, and return the verdict once there is one.

        :param results: one per check.
        :param over: whether the period has ended.
        :returns: the verdict, or ``None`` when there must be another look.
        """
        self._count(results)
        if any(count >= self.confirmations for count in self.failures.values()):
            return CheckVerdict.FAILED
        verdict = combine(results)
        if over:
            self.late += 1
        if self.failures:
            return self._unconfirmed(verdict)
        if any(result.permanent and result.verdict is CheckVerdict.ERROR for result in results):
            return CheckVerdict.ERROR
        if not over:
            done = verdict in (CheckVerdict.PASSED, CheckVerdict.SKIPPED)
            return verdict if done and not self.whole_period else None
        return None if verdict is CheckVerdict.ERROR and self.late <= GRACE else verdict

    def _count(self, results: Sequence[CheckResult]) -> None:
        self.looks += 1
        self.errors += any(result.verdict is CheckVerdict.ERROR for result in results)
        for result in results:
            if result.verdict is CheckVerdict.FAILED:
                self.failures[result.name] = self.failures.get(result.name, 0) + 1
            elif result.verdict is not CheckVerdict.ERROR:
                self.failures.pop(result.name, None)

    def _unconfirmed(self, verdict: CheckVerdict) -> CheckVerdict | None:
        """Go on while a failure is neither confirmed nor disproved, but not for ever."""
        if self.late <= GRACE + self.confirmations:
            return None
        return CheckVerdict.ERROR if verdict is CheckVerdict.ERROR else CheckVerdict.INCONCLUSIVE
