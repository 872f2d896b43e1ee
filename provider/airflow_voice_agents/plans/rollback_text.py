"""The account of a rollback that is not complete: what still runs, what is back, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Plan, PlannedItem, Severity
from airflow_voice_agents.plans.report import TROUBLE, ItemReport, Report, Status
from airflow_voice_agents.transport.text import visible
from airflow_voice_agents.transport.validation import summarize_list

LEFT = {
    "newer_work": "edited since",
    "unknown_work": "edited by somebody, or by a change of which nothing is known",
    "expected_target_version": "replaced since",
    "unreadable": "could not be read",
}
"""Codes of the findings that leave a resource as it is -> what people read."""
OVERWRITABLE = ("newer_work", "unknown_work")
"""Codes of the findings that ``force=True`` overrides."""
FAILED, NOT_BEGUN = "failed", "not begun"


class RollbackTargets(msgspec.Struct, frozen=True):
    """The targets of a rollback, for its account.

    :param resources: target -> its resources.
    :param is_live: whether callers reach a target.
    :param holds: whether what is rolled back is put on hold.
    :param refused_advice: what to do where the whole rollback was refused, beside ``force=True``.
    """

    resources: Mapping[str, Collection[Resource]]
    is_live: Callable[[str], bool]
    holds: bool = False
    refused_advice: str = ""

    def account(self, plan: Plan, report: Report) -> Report:
        """Return a report that says first what still runs; a complete one is returned as it is.

        :param plan: the plan of the rollback.
        :param report: its report.
        """
        if report.complete:
            return report
        ended = {item.resource: item for item in report.items}
        mine = {
            name: [ended[each] for each in resources if each in ended]
            for name, resources in sorted(self.resources.items(), key=lambda pair: not self.is_live(pair[0]))
        }
        planned = {item.resource: item for item in plan.items}
        open_ones = {
            name: found
            for name, items in mine.items()
            if (found := [item for item in items if item.status in TROUBLE])
        }
        back = [name for name, items in mine.items() if items and name not in open_ones]
        now = [
            *_still(open_ones, planned, dry_run=report.dry_run),
            *_unknown(open_ones),
            self._back(back, dry_run=report.dry_run),
        ]
        return replace(report, now=" ".join(now), advice=self._advice(open_ones, planned, report))

    def _back(self, back: Sequence[str], *, dry_run: bool) -> str:
        if not back:
            return "Nothing would be rolled back." if dry_run else "Nothing was rolled back."
        if dry_run:
            return f"Would be rolled back: {_listed(back)}."
        return f"Rolled back{' and on hold' if self.holds else ''}: {_listed(back)}."

    def _advice(
        self,
        open_ones: Mapping[str, Sequence[ItemReport]],
        planned: Mapping[Resource, PlannedItem],
        report: Report,
    ) -> str:
        edited = [
            name
            for name, items in open_ones.items()
            if any(_code(planned.get(item.resource)) in OVERWRITABLE for item in items)
        ]
        if not edited:
            return ""
        rest = self.refused_advice if report.refused else "what is rolled back already stays as it is"
        return (
            f"Look at {_listed(edited)}. To overwrite the edits there, roll back again with force=True"
            + (f"; {rest}" if rest else "")
            + "."
        )


def _still(
    open_ones: Mapping[str, Sequence[ItemReport]], planned: Mapping[Resource, PlannedItem], *, dry_run: bool
) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for name, items in open_ones.items():
        if why := _why(name, [item for item in items if item.status is not Status.UNKNOWN], planned):
            groups.setdefault(why, []).append(name)
    if groups:
        told = "; ".join(f"{_listed(names)} ({why})" for why, names in groups.items())
        yield f"{'Would stay promoted' if dry_run else 'Still promoted'}: {told}."


def _unknown(open_ones: Mapping[str, Sequence[ItemReport]]) -> Iterator[str]:
    names = [
        name for name, items in open_ones.items() if any(item.status is Status.UNKNOWN for item in items)
    ]
    if names:
        yield f"Not known whether rolled back: {_listed(names)}."


def _why(name: str, items: Sequence[ItemReport], planned: Mapping[Resource, PlannedItem]) -> str:
    """Return why a target is not back: by what was left, else by what failed, else that it was not begun."""
    said: dict[str, list[str]] = {}
    for item in items:
        code = _code(planned.get(item.resource))
        word = LEFT.get(code, FAILED) if item.status is Status.FAILED else NOT_BEGUN
        said.setdefault(word, []).append(_part(name, item.resource))
    causes = [f"{_listed(parts)} {word}" for word, parts in said.items() if word != NOT_BEGUN]
    return ", ".join(causes) or (NOT_BEGUN if said else "")


def _part(target: str, resource: Resource) -> str:
    return resource.kind if str(resource) == target else f"{resource.kind} {resource.name}"


def _code(item: PlannedItem | None) -> str:
    """Return the code of the finding that keeps a planned item from being written."""
    findings = item.findings if item else ()
    return next((each.code for each in findings if each.severity is not Severity.WARNING), "")


def _listed(names: Sequence[str]) -> str:
    return visible(summarize_list(names))
