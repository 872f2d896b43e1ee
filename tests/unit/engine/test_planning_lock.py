"""A plan that takes long renews its lock, and stops when the lock is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_voice_agents.engine.apply import RENEWAL_INTERVAL, renewing
from airflow_voice_agents.polyai import api
from airflow_voice_agents.transport.errors import TargetLocked
from support.actions import run_context


class Lock:
    """A lock that counts its renewals and can be lost."""

    def __init__(self) -> None:
        self.asked = 0
        self.lost: str | None = None

    def narrow(self, targets: Any) -> None:
        """Keep everything."""

    def renew_when_due(self) -> str | None:
        """Count, and say whether it is lost."""
        self.asked += 1
        return self.lost


def test_the_lock_is_renewed_while_a_plan_takes_long_and_its_loss_stops_the_plan() -> None:
    now, lock = [0.0], Lock()

    async def answer(_: Any) -> str:
        now[0] += RENEWAL_INTERVAL / 2
        return "read"

    send = renewing(run_context(answer, clock=lambda: now[0]), lock)
    read = api.list_connectors("rosa")

    async def several(times: int) -> None:
        for _ in range(times):
            await send(read)

    asyncio.run(several(5))
    assert lock.asked == 2

    lock.lost = "somebody else has it"
    with pytest.raises(TargetLocked, match="somebody else has it"):
        asyncio.run(several(1))
