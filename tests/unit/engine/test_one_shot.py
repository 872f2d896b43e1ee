"""Requests that no resource reflects are sent once; writes of resources are refused here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_voice_agents.engine.apply import send_once
from airflow_voice_agents.polyai import api
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import OutcomeUnknown
from support.actions import run_context


def test_a_request_of_unknown_outcome_is_sent_once() -> None:
    sent: list[ApiRequest[Any]] = []

    async def lose(request: ApiRequest[Any]) -> Any:
        sent.append(request)
        raise OutcomeUnknown("reset", operation=request.operation)

    with pytest.raises(OutcomeUnknown):
        asyncio.run(send_once(run_context(lose), api.create_debug_chat("rosa", client_env="live")))

    assert [each.replay for each in sent] == [Replay.NEVER]


def test_a_write_of_a_resource_is_refused() -> None:
    request = replace(api.create_debug_chat("rosa", client_env="live"), replay=Replay.RECONCILE)

    with pytest.raises(RuntimeError, match=r"only engine\.apply"):
        asyncio.run(send_once(run_context(None), request))
