"""Require tests of the promoted version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.observations import TestRun
from airflow_voice_agents.polyai.resources.test_gate import TestGate
from airflow_voice_agents.transport.api_request import ApiRequest

Read = Callable[[ApiRequest[Any]], Awaitable[Any]]


async def read_runs(agent_id: str, gate: TestGate, read: Read) -> list[TestRun]:
    """Read the runs of a gate.

    Vendor operation: get test run.

    :param agent_id: the agent.
    :param gate: the gate.
    :param read: sends a read.
    """
    return [await read(api.get_test_run(agent_id, test_run_id=each)) for each in gate.test_run_ids]


async def tested(item: PlannedItem, gate: TestGate | None, read: Read) -> PlannedItem:
    """Return a promotion of a deployment with what its tests came to; one that changes nothing asks for none.

    :param item: the planned promotion.
    :param gate: the tests that must have passed; ``None`` asks for none.
    :param read: sends a read.
    """
    if gate is None or item.transition is None:
        return item
    runs = await read_runs(item.resource.owner, gate, read)
    return replace(
        item, findings=(*item.findings, *gate.findings(runs, version=item.transition.after.version))
    )
