"""Give numbers back: only those that were announced twice, and each once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.engine.concurrency import treat_404_as_deleted
from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, execute
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.actions.reporting import explain
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space
from airflow_voice_agents.signalwire.resources.ownership import (
    OwnershipKind,
    owned_number,
    ownership_of,
    plan_release,
)
from airflow_voice_agents.transport.errors import GuardRefused
from airflow_voice_agents.transport.validation import differing, parse_numbers

OPERATION = "release phone numbers"
"""What plan and report call it."""


@dataclass(frozen=True, slots=True)
class ReleaseJob:
    """A release, checked and ready to run.

    :param space: where the numbers live.
    :param numbers: E.164 numbers without repeats, in order.
    :param manner: how the plan is carried out.
    """

    space: Space
    numbers: tuple[str, ...]
    manner: ApplyOptions = field(default_factory=ApplyOptions)

    async def run(self, run: RunContext) -> Report:
        """List the numbers, release those that are there and report on each.

        Vendor operations: list phone numbers, release phone number.

        :param run: what the run works with.
        :raises GuardRefused: before any request, when a guard refuses.
        """
        run.guard_live(OPERATION, dry_run=self.manner.dry_run)
        planned_at = run.clock()
        states = await NumberSelection(self.numbers).read(run.send, self.space.base_url, ownership_of)
        kind = OwnershipKind()
        items = (
            plan_release(kind, owned_number(self.space.label, number), states.get(number))
            for number in self.numbers
        )
        # A release is acknowledged by its status, and nobody can undo one by editing: no second reads.
        manner = replace(self.manner, verify=False, max_snapshot_age=math.inf, explain=explain)
        careful = replace(run, send=treat_404_as_deleted(run.send, api.RELEASE))
        report = await execute(careful, kind, Plan(OPERATION, tuple(items)), manner, planned_at=planned_at)
        return replace(report, items=tuple(map(_told, report.items)))


def job(space: Space, phone_numbers: object, expected: object, **options: Any) -> ReleaseJob:
    """Check the arguments of a release and return it ready to run.

    :param space: where the numbers live.
    :param phone_numbers: which numbers.
    :param expected: the very same numbers, from the DAG's author.
    :param options: further fields of :class:`ReleaseJob`.
    :raises InputError: for malformed numbers.
    :raises GuardRefused: when the two are not the same set.
    """
    numbers = parse_numbers(phone_numbers)
    if difference := differing(numbers, parse_numbers(expected, name="expected")):
        raise GuardRefused(
            f"{OPERATION}: phone_numbers and expected are not the same set: {difference}. A release "
            "cannot be undone, so nothing was read or written."
        )
    return ReleaseJob(space, numbers, **options)


def _told(item: ItemReport) -> ItemReport:
    if item.status is not Status.UNCHANGED or item.reason:
        return item
    return replace(item, reason="the project does not have it")
