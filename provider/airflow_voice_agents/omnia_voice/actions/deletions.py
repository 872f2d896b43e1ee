"""Take numbers out of the workspace: only those that were announced twice, and each once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from airflow_voice_agents.engine.concurrency import treat_404_as_deleted
from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext
from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.actions.workspace import Workspace, read_listed
from airflow_voice_agents.omnia_voice.actions.writing import write
from airflow_voice_agents.omnia_voice.resources.presence import (
    PresenceKind,
    listed_number,
    plan_deletion,
    presence_of,
)
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.transport.errors import GuardRefused
from airflow_voice_agents.transport.validation import differing, parse_numbers

OPERATION = "delete numbers"


@dataclass(frozen=True, slots=True)
class DeletionJob:
    """A deletion, checked and ready to run.

    :param workspace: where the numbers are.
    :param numbers: E.164 numbers without repeats, in order.
    :param manner: how the plan is carried out.
    """

    workspace: Workspace
    numbers: tuple[str, ...]
    manner: ApplyOptions = field(default_factory=ApplyOptions)

    async def run(self, run: RunContext) -> Report:
        """List the numbers, delete those that are there, list again and report on each.

        Vendor operations: list numbers, delete number.

        :param run: what the run works with.
        :raises GuardRefused: before any request, when a guard refuses.
        """
        run.guard_live(OPERATION, dry_run=self.manner.dry_run)
        found = await read_listed(run.send, self.numbers)
        kind = PresenceKind()
        items = (
            plan_deletion(
                kind,
                listed_number(self.workspace.platform, number),
                presence_of(found[number]) if number in found else None,
            )
            for number in self.numbers
        )
        careful = replace(run, send=treat_404_as_deleted(run.send, api.DELETE))
        report = await write(careful, kind, Plan(OPERATION, tuple(items)), self.manner)
        return replace(report, items=tuple(map(_told, report.items)))


def job(
    workspace: Workspace, phone_numbers: object, expected: object, *, manner: ApplyOptions
) -> DeletionJob:
    """Check the arguments of a deletion and return it ready to run.

    :param workspace: where the numbers are.
    :param phone_numbers: which numbers.
    :param expected: the very same numbers, from the DAG's author.
    :param manner: how the plan is carried out.
    :raises InputError: for malformed numbers.
    :raises GuardRefused: when the two are not the same set.
    """
    numbers = parse_numbers(phone_numbers)
    if difference := differing(numbers, parse_numbers(expected, name="expected")):
        raise GuardRefused(
            f"{OPERATION}: phone_numbers and expected are not the same set: {difference}. A deletion "
            "cannot be undone here, so nothing was read or written."
        )
    return DeletionJob(workspace, numbers, manner)


def _told(item: ItemReport) -> ItemReport:
    if item.status is not Status.UNCHANGED or item.reason:
        return item
    return replace(item, reason="the workspace does not list it")
