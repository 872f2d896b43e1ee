"""Set single fields of listed numbers: list once, compare, send only what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_voice_agents.engine.run_context import ApplyOptions, RunContext
from airflow_voice_agents.omnia_voice.actions.workspace import Workspace, lane_size, read_listed
from airflow_voice_agents.omnia_voice.actions.writing import write
from airflow_voice_agents.omnia_voice.resources.settings import SettingsKind, plan_settings
from airflow_voice_agents.plans.plan import Plan
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_identifier, parse_numbers, parse_text

OPERATION = "update numbers"


@dataclass(frozen=True, slots=True)
class UpdateJob:
    """An update of numbers, checked and ready to run.

    :param workspace: where the numbers are.
    :param numbers: E.164 numbers without repeats, in order.
    :param changes: the settings of each: ``agent_id``, ``friendly_name``, ``status``, at least one.
    :param reassign: whether numbers may be taken from other agents.
    :param manner: how the plan is carried out.
    """

    workspace: Workspace
    numbers: tuple[str, ...]
    changes: Mapping[str, str | None]
    reassign: bool = False
    manner: ApplyOptions = field(default_factory=ApplyOptions)

    async def run(self, run: RunContext) -> Report:
        """List the numbers, plan each, write what differs, read back and report on each.

        Vendor operations: list numbers, update number, get number.

        :param run: what the run works with.
        :raises GuardRefused: before any request, when a guard refuses.
        :raises StateMoved: when the plan is not the one expected.
        :returns: the report; with an error in the plan, one in which nothing was written.
        """
        run.guard_live(OPERATION, dry_run=self.manner.dry_run)
        found = await read_listed(run.send, self.numbers)
        kind = SettingsKind(
            self.changes,
            {number: record.id for number, record in found.items()},
            verb=self.workspace.verb,
            lane_size=lane_size(len(self.numbers), run),
        )
        states = self.workspace.states(self.numbers, found)
        items = (
            plan_settings(kind, resource, now, self.changes, reassign=self.reassign)
            for resource, now in states.items()
        )
        return await write(run, kind, Plan(OPERATION, tuple(items)), self.manner)


def job(
    workspace: Workspace, phone_numbers: object, changes: object, *, reassign: bool, manner: ApplyOptions
) -> UpdateJob:
    """Check the arguments of an update and return it ready to run.

    :param workspace: where the numbers are.
    :param phone_numbers: which numbers, as :func:`.parse_numbers` takes them.
    :param changes: mapping of the settings; ``None`` for ``agent_id`` unassigns.
    :param reassign: whether numbers may be taken from other agents.
    :param manner: how the plan is carried out.
    :raises InputError: naming what is wrong.
    """
    return UpdateJob(workspace, parse_numbers(phone_numbers), parse_changes(changes), reassign, manner)


def parse_changes(value: object) -> dict[str, str | None]:
    """Check the settings of an update.

    :param value: mapping of any of ``agent_id``, ``friendly_name`` and ``status``.
    :raises InputError: naming what is wrong.
    """
    if not isinstance(value, Mapping) or not value:
        raise InputError("changes must be a mapping of at least one of agent_id, friendly_name, status")
    if unknown := sorted(str(key) for key in value if key not in ("agent_id", "friendly_name", "status")):
        raise InputError(
            f"changes has unknown keys {', '.join(unknown)}; allowed are agent_id, friendly_name, status"
        )
    texts = [key for key in ("friendly_name", "status") if key in value]
    parsed: dict[str, str | None] = {key: parse_text(value[key], name=f"changes.{key}") for key in texts}
    if "agent_id" in value:
        agent_id = value["agent_id"]
        parsed["agent_id"] = None if agent_id is None else parse_identifier(agent_id, name="changes.agent_id")
    return parsed
