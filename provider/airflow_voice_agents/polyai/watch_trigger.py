"""The trigger that checks a promotion until there is a verdict; it only reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_voice_agents.bases.trigger import JITTER, Answer, PollingTrigger, resolve_in_thread

_IMPORTED_IN_THREAD = (
    "airflow_voice_agents.engine.run_context:RunContext",
    "airflow_voice_agents.polyai.actions.watching:PromotionWatch",
    "airflow_voice_agents.polyai.hooks:PolyAIHook",
)


class PolyAIWatchTrigger(PollingTrigger):
    """Check a promotion again and again, and end with a verdict.

    A trigger that starts again, after a restart of the triggerer, counts its checks from 0.

    Vendor operations: those of the checks, all of which read.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    :param watching: result of :meth:`.PromotionWatch.plain`: ids, thresholds and digests.
    :param until: seconds since the epoch at which the period ends.
    :param concurrency: maximum number of parallel reads.
    :param poll_interval: seconds between two checks.
    :param deadline: seconds since the epoch at which it gives up.
    """

    def __init__(
        self,
        *,
        polyai_conn_id: str,
        watching: Mapping[str, Any],
        until: float,
        concurrency: int,
        poll_interval: float,
        deadline: float,
    ) -> None:
        super().__init__(poll_interval=poll_interval, deadline=deadline)
        self.polyai_conn_id = polyai_conn_id
        self.watching = watching
        self.until = until
        self.concurrency = concurrency

    def arguments(self) -> dict[str, Any]:
        """Return the connection's id, the watch and its end."""
        return {
            "polyai_conn_id": self.polyai_conn_id,
            "watching": self.watching,
            "until": self.until,
            "concurrency": self.concurrency,
        }

    async def answers(self) -> AsyncGenerator[Answer]:
        """Yield one result per check, with one pooled client; the last one has the verdict."""
        await resolve_in_thread(*_IMPORTED_IN_THREAD)
        from airflow_voice_agents.engine.run_context import RunContext
        from airflow_voice_agents.polyai.actions.watching import PromotionWatch
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        watching = PromotionWatch.from_plain(self.watching)
        async with PolyAIHook(self.polyai_conn_id) as hook:
            run = RunContext(hook.asend, self.log.info, concurrency=self.concurrency)
            while True:
                now = time.time()
                over = now >= self.until
                verdict = await watching.step(run, datetime.fromtimestamp(now, UTC), over=over)
                yield verdict is not None, watching.document(verdict) if verdict else {}

    async def pause(self) -> bool:
        """Sleep no longer than to the end of the period, so that a check is made at its end."""
        left = self.until - time.time()
        if not 0 < left < self.poll_interval * (1 + JITTER):
            return await super().pause()
        await asyncio.sleep(left)
        return True
