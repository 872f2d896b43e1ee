"""A local server per worker, an Airflow in memory with a Fernet key, and no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.engine import apply as engine_apply
from airflow_voice_agents.engine import run_context
from airflow_voice_agents.plans.plan import Plan
from support.airflow_versions import forget_fernet
from support.fixtures import running_server
from support.no_pauses import resend_at_once

__all__ = ["running_server"]


@pytest.fixture
def server(running_server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    """The server, before a case prepares it; nothing waits between tries."""
    resend_at_once(monkeypatch)

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(run_context, "RunContext", partial(run_context.RunContext, sleep=at_once))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    forget_fernet()
    return running_server


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The state folder."""
    return str(tmp_path)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that the engine has shown, in order."""
    seen: list[Plan] = []
    render = engine_apply.render_plan

    def noted(plan: Plan, *rest: object) -> str:
        seen.append(plan)
        return render(plan, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(engine_apply, "render_plan", noted)
    return seen


@pytest.fixture(autouse=True)
def fernet_is_forgotten() -> Iterator[None]:
    """The next test has a key of its own."""
    yield
    forget_fernet()
