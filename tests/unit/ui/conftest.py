"""A state folder with what runs left, and the page as one of Airflow's users sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.core_api import security
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from airflow_voice_agents.plans.drift import Drift, DriftFinding, DriftReport
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.state.status import StatusRecorder
from airflow_voice_agents.ui import app as page_app
from airflow_voice_agents.ui.app import create_app
from airflow_voice_agents.ui.plugin import PREFIX
from airflow_voice_agents.ui.records import StateReader

MARK = getattr(security, "USER_INJECTED_BY_TRUSTED_MIDDLEWARE", None)
"""Airflow before 3.3 takes a user of its middleware without a mark."""
NOW = datetime(2026, 11, 27, 17, 14, tzinfo=UTC)
WATCH, OTHER = "watch", "other_team"


@dataclass
class Rights:
    """An auth manager of Airflow: who may read which DAGs."""

    dags: dict[str, set[str]] = field(default_factory=lambda: {"reader": {WATCH}, "stranger": set()})

    def is_authorized_dag(self, *, user: str, **_: Any) -> bool:
        return bool(self.dags[user])

    def get_authorized_dag_ids(self, *, user: str, **_: Any) -> set[str]:
        return self.dags[user]


@pytest.fixture
def rights(monkeypatch: pytest.MonkeyPatch) -> Rights:
    rights = Rights()
    for module in (security, page_app):
        monkeypatch.setattr(module, "get_auth_manager", lambda: rights)
    return rights


@pytest.fixture
def base(tmp_path: Path) -> str:
    return f"file://{tmp_path}/state"


Record = Callable[..., StatusRecorder]


@pytest.fixture
def recorder(base: str) -> Record:
    """Return the recorder of a task."""

    def make(dag_id: str = WATCH, task_id: str = "t", minutes: int = 0, **settings: Any) -> StatusRecorder:
        run = {"dag_id": dag_id, "run_id": "r 1", "task_id": task_id, "map_index": -1}
        return StatusRecorder(base, run, print, clock=lambda: NOW - timedelta(minutes=minutes), **settings)

    return make


@pytest.fixture
def look(recorder: Record) -> Callable[..., None]:
    """Leave what a search for drift leaves."""

    def look(drift: Drift, target: str = "hotel-1/live", **options: Any) -> None:
        keys, facts = options.pop("keys", ("greeting",)), options.pop("facts", {})
        agent, _, name = target.rpartition("/")
        resource = Resource("config page", agent, name)
        finding = DriftFinding(resource, target, drift, keys=keys, facts=facts)
        recorder(**options).drift(DriftReport((finding,)))

    return look


@pytest.fixture
def app(base: str, rights: Rights) -> FastAPI:
    """Airflow with the page; the header ``x-user`` stands for the session."""
    root = FastAPI()

    @root.middleware("http")
    async def session(request: Request, call_next: Any) -> Any:
        if user := request.headers.get("x-user"):
            request.state.user = user
            request.state.user_authenticated_via = MARK
        return await call_next(request)

    root.mount(
        PREFIX, create_app(StateReader(base), clock=lambda: NOW, stopped=lambda name: f"{name} is set")
    )
    return root


@pytest.fixture
def reader(app: FastAPI) -> Iterator[TestClient]:
    """A user who may read the DAG ``watch``."""
    with TestClient(app, headers={"x-user": "reader"}, base_url="http://airflow/") as client:
        client.base_url = client.base_url.join(f"{PREFIX}/")
        yield client
