"""Actions of any system carried out by the engine, without Airflow."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_voice_agents.engine.action import Action
from airflow_voice_agents.engine.apply import apply
from airflow_voice_agents.engine.policy import Policy, Protections
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.report import Report


async def no_sleep(_: float) -> None:
    """Wait for nothing."""


def run_context(send: Any, **fields: Any) -> RunContext:
    """A run whose waits take no time and whose log is dropped, unless fields say otherwise."""
    return RunContext(**{"sender": send, "log": lambda _: None, "sleep": no_sleep, **fields})


def carry_out(
    action: Action,
    send: Any,
    *,
    policy: Policy | None = None,
    protections: Protections | None = None,
    **fields: Any,
) -> Report:
    """Carry an action out, and return its report."""
    run = run_context(send, **fields)
    return asyncio.run(apply(run, action, policy or Policy(), protections or Protections()))
