"""Reports: the outcome of each item, with counts that add up to the number of items requested."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.versions import version_change
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    ItemsFailed,
    ItemsFailedPermanently,
    VoiceAgentsError,
)
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.text import visible

VERSION_CHANGE = "version_change"
"""Detail of an item: from which version to which, with message, author and date, for people."""

EXAMPLES = 3
ITEMS_SHOWN = 200
"""Most items that a serialised report lists; counts are always complete."""


class Status(StrEnum):
    """How one item ended."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


NO_DETAILS: Mapping[str, Any] = MappingProxyType({})
"""Details of an item that has none; one for all, since a report may hold 100,000."""
MARKS = "marks"
"""Key in an item's details: what a refusal has shown about the resource, in a word or two (``A/B test``)."""
TROUBLE = (Status.FAILED, Status.UNKNOWN, Status.SKIPPED)


class ItemReport(msgspec.Struct, frozen=True, gc=False):
    """How one item ended.

    :param resource: which one.
    :param status: how it ended.
    :param reason: why, for anything but plain success; without values.
    :param permanent: whether trying again cannot help.
    :param details: small facts for programs (digests, keys), never values.
    """

    resource: Resource
    status: Status
    reason: str = ""
    permanent: bool = False
    details: Mapping[str, Any] = NO_DETAILS

    @property
    def said(self) -> str:
        """The version that came and the one that went, where the item is about versions, and the reason."""
        return "; ".join(filter(None, (self.details.get(VERSION_CHANGE, ""), self.reason)))

    def document(self) -> dict[str, Any]:
        """Return the item as JSON."""
        plain: dict[str, Any] = {
            "kind": self.resource.kind,
            "owner": self.resource.owner,
            "name": self.resource.name,
            "status": self.status.value,
        }
        if self.reason:
            plain["reason"] = self.reason
        return {**plain, **self.details}


class Report(Record, frozen=True, dict=True):
    """How a run ended.

    :param operation: what the run was.
    :param items: one per item asked for.
    :param dry_run: whether it only planned.
    :param plan_digest: digest of the plan that was carried out, where there was one.
    :param retry_after: seconds that the server asked to wait before what failed is tried again.
    :param refused: whether the plan has errors and nothing was written because of them.
    :param stopped: why a person stopped the run before its end, or an empty text.
    :param notes: what else has to be on record (a freeze that somebody overrode).
    :param unchanged_means: what people read in place of ``unchanged``, for a report of a run that writes nothing.
    :param now: what runs now, as the first thing that a failure says; an empty text leaves that to the counts.
    :param advice: what to do now, beside a retry.
    :param by_owner: whether the items of each owner are counted as well.
    """

    not_shown = ("items",)

    operation: str
    items: tuple[ItemReport, ...]  # asyncio writes the result of its main task out
    dry_run: bool = False
    plan_digest: str | None = None
    retry_after: float | None = None
    refused: bool = False
    stopped: str = ""
    notes: tuple[str, ...] = ()
    unchanged_means: str = ""
    now: str = ""
    advice: str = ""
    by_owner: bool = False

    def word(self, status: Status) -> str:
        """Return what people read for a status.

        :param status: the status.
        """
        return self.unchanged_means if self.unchanged_means and status is Status.UNCHANGED else status.value

    def counts(self) -> dict[str, int]:
        """Count the items by status; the sum is ``total``."""
        found = [item.status for item in self.items]
        return {"total": len(found), **{status.value: found.count(status) for status in Status}}

    def owner_counts(self) -> dict[str, dict[str, int]]:
        """Count the items of each owner by status, owners with trouble first; statuses that none has are left out."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for item in self.items:
            found[item.resource.owner][item.status.value] += 1
        counted = {
            owner: {"total": counts.total(), **{each: counts[each] for each in Status if counts[each]}}
            for owner, counts in found.items()
        }
        return dict(sorted(counted.items(), key=lambda each: not any(word in each[1] for word in TROUBLE)))

    def owner_lines(self) -> list[str]:
        """Return a line for each of the first owners with its counts, for a log."""
        found = self.owner_counts()
        shown = list(found.items())[:ITEMS_SHOWN]
        lines = [
            f"  {owner}: {', '.join(f'{count} {word}' for word, count in counts.items() if word != 'total')}"
            for owner, counts in shown
        ]
        more = [f"  … and {len(found) - len(shown)} more"] if len(found) > len(shown) else []
        return [f"{self.operation}, by owner:", *lines, *more]

    def _owners_document(self) -> dict[str, Any]:
        found = self.owner_counts()
        shown = dict(list(found.items())[:ITEMS_SHOWN])
        return {"by_owner": shown, "owners_omitted": len(found) - len(shown)}

    def having(self, *statuses: Status) -> list[ItemReport]:
        """List the items that ended in one of these ways."""
        return [item for item in self.items if item.status in statuses]

    def name_of(self, item: ItemReport) -> str:
        """Return an item's name for people, with its kind where the report has several.

        :param item: one of the report's items.
        """
        return f"{item.resource.kind} {item.resource}" if self._mixed else str(item.resource)

    @cached_property
    def _mixed(self) -> bool:
        return len({item.resource.kind for item in self.items}) > 1

    @property
    def complete(self) -> bool:
        """Whether every item is as asked for."""
        return not self.having(*TROUBLE)

    @property
    def permanent_failure(self) -> bool:
        """Whether nothing that went wrong could be mended by trying again."""
        if self.stopped:
            return True
        wrong = self.having(Status.FAILED, Status.UNKNOWN)
        return bool(wrong) and all(item.permanent for item in wrong)

    def summary(self) -> dict[str, Any]:
        """Return the few words that a task returns."""
        counts = self.counts()
        return {
            "operation": self.operation,
            "dry_run": self.dry_run,
            "changed": counts["changed"] > 0,
            "counts": counts,
            "plan_digest": self.plan_digest,
        }

    def document(self) -> dict[str, Any]:
        """Return the report as JSON; trouble first, at most ``ITEMS_SHOWN`` items."""
        order = (*TROUBLE, Status.CHANGED, Status.UNCHANGED)
        listed = sorted(self.items, key=lambda item: order.index(item.status))[:ITEMS_SHOWN]
        return {
            **self.summary(),
            "items": [item.document() for item in listed],
            "items_omitted": len(self.items) - len(listed),
            **({"stopped": self.stopped} if self.stopped else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
            **({"unchanged_means": self.unchanged_means} if self.unchanged_means else {}),
            **({"now": self.now} if self.now else {}),
            **({"advice": self.advice} if self.advice else {}),
            **(self._owners_document() if self.by_owner else {}),
        }


def in_order(asked: Sequence[Resource], items: Iterable[ItemReport]) -> tuple[ItemReport, ...]:
    """Return one report per item asked for, in that order.

    :raises RuntimeError: when an item asked for has no report: a report must never lose one.
    """
    found = {item.resource: item for item in items}
    lost = [str(resource) for resource in asked if resource not in found]
    if lost:
        raise RuntimeError(f"{len(lost)} item(s) have no outcome: {', '.join(lost[:5])}")
    return tuple(found[resource] for resource in asked)


@lru_cache(maxsize=1024)
def _short(digest: str) -> str:
    """Return the text of a digest for people; many numbers have the same one."""
    return digest[:12]


def explain(planned: PlannedItem, item: ItemReport) -> ItemReport:
    """Add the plan's digests and keys; a stale key is listed even where nothing went wrong.

    :param planned: the item as planned.
    :param item: how it ended.
    """
    details: dict[str, Any] = {
        **item.details,
        "before": _short(planned.before),
        "after": _short(planned.after),
    }
    if planned.changes:
        details["changed_keys"] = planned.changed_keys
    if told := version_change(planned):
        details[VERSION_CHANGE] = told
    reason = item.reason
    if planned.stale_keys:
        details["stale_keys"] = list(planned.stale_keys)
        if item.status in (Status.CHANGED, Status.UNCHANGED):
            keys = ", ".join(planned.stale_keys)
            note = (
                f"not equal to its source: only it has {keys}"
                if planned.source
                else f"no request can remove {keys}"
            )
            reason = f"{reason}; {note}" if reason else note
    if planned.kept_keys:
        details["kept_keys"] = list(planned.kept_keys)
    return replace(item, reason=reason, details=details)


def failure_of(report: Report) -> VoiceAgentsError:
    """Return the error for a report with items that went wrong.

    :param report: a report that is not complete.
    """
    counts = report.counts()
    first = "".join(f"{part} " for part in (report.now, report.advice) if part)
    if report.refused:
        failed = report.having(Status.FAILED)
        return GuardRefused(
            f"{first}{report.operation}: the plan has errors for {len(failed)} of {counts['total']} target(s), and "
            f"nothing was written. {_examples(report, failed)} The XCom 'report' lists every target."
        )
    trouble = report.having(*TROUBLE)
    told = ", ".join(f"{counts[each]} {report.word(each)}" for each in Status if counts[each])
    stopped = f"It was stopped: {visible(report.stopped)} " if report.stopped else ""
    text = (
        f"{first}{report.operation}: {stopped}{len(trouble)} of {counts['total']} item(s) are not as asked for "
        f"({told}). {_examples(report, trouble)} What is listed as changed stays changed; a retry does only what is "
        "still open. The XCom 'report' lists every item."
    )
    error = ItemsFailedPermanently(text) if report.permanent_failure else ItemsFailed(text)
    error.retry_after = report.retry_after
    return error


def _examples(report: Report, items: Sequence[ItemReport]) -> str:
    told = "; ".join(
        visible(f"{report.name_of(item)}: {item.reason.rstrip('.')}") for item in items[:EXAMPLES]
    )
    more = f"; and {len(items) - EXAMPLES} more" if len(items) > EXAMPLES else ""
    return f"{told}{more}."
