"""Give numbers an emergency address, or take it away: compare first, and never twice."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext, execute
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.signalwire.actions.reporting import explain
from airflow_voice_agents.signalwire.checks import parse_uuid
from airflow_voice_agents.signalwire.resources.e911 import E911Kind, e911_of, emergency_address, plan_e911
from airflow_voice_agents.signalwire.resources.inventory import NumberSelection, Space
from airflow_voice_agents.transport.validation import parse_numbers

OPERATION = "assign E911 address"


@dataclass(frozen=True, slots=True)
class E911Job:
    """An assignment or a removal, checked and ready to run.

    :param space: where the numbers live.
    :param numbers: E.164 numbers without repeats, in order.
    :param address_id: UUID of the address, or ``None`` to remove it.
    :param manner: how the plan is carried out.
    """

    space: Space
    numbers: tuple[str, ...]
    address_id: str | None
    manner: ApplyOptions = field(default_factory=ApplyOptions)

    async def run(self, run: RunContext) -> Report:
        """List the numbers, ask for what differs and report on each.

        Vendor operations: list phone numbers, assign E911 address, remove E911 address.

        :param run: what the run works with.
        :raises GuardRefused: before any request, when a guard refuses.
        """
        run.guard_live(OPERATION, dry_run=self.manner.dry_run)
        planned_at = run.clock()
        states = await NumberSelection(self.numbers).read(run.send, self.space.base_url, e911_of)
        kind = E911Kind({number: state.id for number, state in states.items()})
        items = (
            plan_e911(kind, emergency_address(self.space.label, each), states.get(each), self.address_id)
            for each in self.numbers
        )
        manner = replace(self.manner, verify=False, max_snapshot_age=math.inf, explain=explain)
        return await execute(run, kind, Plan(OPERATION, tuple(items)), manner, planned_at=planned_at)


def job(space: Space, phone_numbers: object, e911_address_id: object, **options: Any) -> E911Job:
    """Check the arguments of an assignment and return it ready to run.

    :param space: where the numbers live.
    :param phone_numbers: which numbers.
    :param e911_address_id: UUID of the address, or ``None`` to remove it.
    :param options: further fields of :class:`E911Job`.
    :raises InputError: naming the argument that is wrong.
    """
    address = None if e911_address_id is None else parse_uuid(e911_address_id, name="e911_address_id")
    return E911Job(space, parse_numbers(phone_numbers), address, **options)
