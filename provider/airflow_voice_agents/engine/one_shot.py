"""Sends what changes no resource and must not be repeated: test calls and debug chats."""

from __future__ import annotations

from typing import TypeVar

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.transport.api_request import ApiRequest, Replay

T = TypeVar("T")


async def send_once(run: RunContext, request: ApiRequest[T]) -> T:
    """Send a request that no resource reflects, exactly once at most.

    There is no state to plan, lock, keep or read back. The caller must note in the task state that it is about to
    send where a second try must not send again.

    :param run: the run.
    :param request: a request that is never sent again by the transport, or that may be repeated.
    :raises RuntimeError: for a write that the engine has to read back.
    :raises OutcomeUnknown: when no answer came.
    :raises RequestError: the subclass that says what went wrong.
    """
    if request.replay is Replay.RECONCILE:
        raise RuntimeError(f"{request.operation} changes a resource, and only engine.apply may send it")
    return await run.sender(request)
