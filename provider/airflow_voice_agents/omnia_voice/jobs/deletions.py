"""Take numbers out of the workspace: only those that were announced twice, and each once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from airflow_voice_agents.fleet.pool import Sender
from airflow_voice_agents.fleet.run import Manner, Run
from airflow_voice_agents.http.arguments import parse_numbers, some
from airflow_voice_agents.http.call import Call
from airflow_voice_agents.http.errors import GuardRefused, NotFound
from airflow_voice_agents.omnia_voice.jobs.workspace import Workspace, read_listed
from airflow_voice_agents.omnia_voice.jobs.writing import write
from airflow_voice_agents.omnia_voice.resources.presence import (
    PresenceKind,
    listed_number,
    plan_deletion,
    presence_of,
)
from airflow_voice_agents.promotion.plan import Plan
from airflow_voice_agents.promotion.report import ItemReport, Report, Status

T = TypeVar("T")

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
    manner: Manner = field(default_factory=Manner)

    async def carry_out(self, run: Run) -> Report:
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
        careful = replace(run, send=_gone_is_deleted(run.send))
        report = await write(careful, kind, Plan(OPERATION, tuple(items)), self.manner)
        return replace(report, items=tuple(map(_told, report.items)))


def job(workspace: Workspace, phone_numbers: object, expected: object, *, manner: Manner) -> DeletionJob:
    """Check the arguments of a deletion and return it ready to run.

    :param workspace: where the numbers are.
    :param phone_numbers: which numbers.
    :param expected: the very same numbers, from the DAG's author.
    :param manner: how the plan is carried out.
    :raises InputError: for malformed numbers.
    :raises GuardRefused: when the two are not the same set.
    """
    numbers = parse_numbers(phone_numbers)
    announced = parse_numbers(expected, name="expected")
    surplus = [number for number in numbers if number not in set(announced)]
    missing = [number for number in announced if number not in set(numbers)]
    if surplus or missing:
        parts = [f"{len(surplus)} not expected ({some(surplus)})"] if surplus else []
        parts += [f"{len(missing)} expected and not asked for ({some(missing)})"] if missing else []
        raise GuardRefused(
            f"{OPERATION}: phone_numbers and expected are not the same set: {'; '.join(parts)}. A deletion "
            "cannot be undone here, so nothing was read or written."
        )
    return DeletionJob(workspace, numbers, manner)


def _gone_is_deleted(send: Sender) -> Sender:
    """A deletion that finds nothing, of a number that was just listed, has happened already."""

    async def sender(call: Call[T]) -> T:
        try:
            return await send(call)
        except NotFound:
            if call.method != "DELETE":
                raise
            return call.read(None)

    return sender


def _told(item: ItemReport) -> ItemReport:
    if item.status is not Status.UNCHANGED or item.reason:
        return item
    return replace(item, reason="the workspace does not list it")
