"""One update ahead of all others, because nobody documents that an update leaves alone what it does not send."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.plans.report import TROUBLE, Report
from airflow_voice_agents.signalwire.api import UPDATE
from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.resources.phone_number import RouteState, bystanders_of
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import BadRequest

T = TypeVar("T")


class Canary:
    """A sender that lets the first update go alone, and none follow if it cleared what it did not send.

    :param send: sends a call.
    :param states: number -> its routing before.
    """

    def __init__(self, send: Sender, states: Mapping[str, RouteState]) -> None:
        self._send = send
        self._states = states
        self._turn = asyncio.Lock()
        self._is_back = False
        self._cleared: list[str] = []

    async def __call__(self, call: ApiRequest[T]) -> T:
        """Send a call; the second update waits until the first one is answered.

        :param call: what to send.
        :raises CallError: as the sender does, and instead of every update after one that did harm.
        """
        if call.operation != UPDATE:
            return await self._send(call)
        if not self._is_back:
            async with self._turn:
                if not self._is_back:
                    answer = await self._send(call)
                    self._is_back = True
                    self._look_at(answer)
                    return answer
        if self._cleared:
            raise BadRequest(
                f"not sent, because an update of another number cleared its {', '.join(self._cleared)}: this space "
                "replaces records rather than merging into them",
                operation=call.operation,
                method=call.method,
                route=call.route,
                advice="Set those fields again in the dashboard, and route numbers there.",
            )
        return await self._send(call)

    def judge(self, report: Report) -> Report:
        """Return the report; where an update did harm, one that says that trying again would do more.

        :param report: what came of the updates.
        """
        if not self._cleared:
            return report
        items = (replace(item, permanent=True) if item.status in TROUBLE else item for item in report.items)
        return replace(report, items=tuple(items))

    def _look_at(self, answer: object) -> None:
        if isinstance(answer, PhoneNumber) and answer.number in self._states:
            self._cleared = sorted(self._states[answer.number].bystanders - bystanders_of(answer))
