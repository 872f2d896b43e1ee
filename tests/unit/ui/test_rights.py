"""Every route asks Airflow for rights, and shows what the user's DAGs left and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from airflow_voice_agents.plans.drift import Drift
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.ui.app import STATIC, create_app
from airflow_voice_agents.ui.plugin import PREFIX
from airflow_voice_agents.ui.records import StateReader

from .conftest import NOW, OTHER, WATCH, Rights

PATHS = ["/", *(f"/static/{name}" for name in STATIC)]
"""An address for every route; :func:`test_every_route_has_an_address_here` keeps it whole."""


def get(app: FastAPI, path: str, user: str = "") -> Any:
    with TestClient(app) as client:
        return client.get(f"{PREFIX}{path}", headers={"x-user": user} if user else {})


def test_every_route_has_an_address_here(base: str) -> None:
    """What is mounted where webhooks are on has no user, and is shown by the tests of the receiver."""
    routes = create_app(StateReader(base), receiver=lambda: None).routes

    assert all(isinstance(route, APIRoute) and route.methods == {"GET"} for route in routes)
    assert {route.path for route in routes} == {"/", "/static/{name}"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_anything_without_a_session(app: FastAPI, path: str) -> None:
    assert get(app, path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_user_who_may_read_no_dag_is_refused(app: FastAPI, path: str) -> None:
    assert get(app, path, "stranger").status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_a_reader_of_dags_is_let_in(app: FastAPI, path: str) -> None:
    answer = get(app, path, "reader")

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_route_changes_anything(reader: TestClient, method: str) -> None:
    assert reader.request(method, "").status_code == 405


def test_a_file_that_is_not_the_pages_is_not_served(reader: TestClient) -> None:
    assert reader.get("static/app.py").status_code == 404
    assert reader.get("static/..%2fapp.py").status_code == 404


def test_a_reader_sees_what_readable_dags_left(
    reader: TestClient, rights: Rights, look: Callable[..., None]
) -> None:
    look(Drift.DIVERGED, "hotel-1/live", dag_id=WATCH)
    look(Drift.DIVERGED, "secret-1/live", dag_id=OTHER, keys=("secret_key",))

    assert "secret_key" not in reader.get("?project=secret-1").text
    page = reader.get("").text
    assert "hotel-1" in page
    assert "secret" not in page
    rights.dags["reader"] = {WATCH, OTHER}
    assert "secret_key" in reader.get("?project=secret-1").text


def test_that_a_target_is_on_hold_is_shown_but_not_by_whom_and_why(
    reader: TestClient, rights: Rights, look: Callable[..., None], base: str
) -> None:
    look(Drift.IN_SYNC)
    placed_by = {"dag_id": OTHER, "run_id": "r", "task_id": "t"}
    rollback_blocks.place(
        base, RollbackBlock("hotel-1/live", {}, "angry callers", placed_by, NOW.isoformat())
    )

    page = reader.get("?project=hotel-1").text
    assert "on hold" in page
    assert "angry callers" not in page
    rights.dags["reader"] = {WATCH, OTHER}
    assert "angry callers" in reader.get("?project=hotel-1").text


def test_the_lock_of_a_dag_that_the_user_may_not_read_is_not_shown(
    reader: TestClient, rights: Rights, look: Callable[..., None], base: str
) -> None:
    look(Drift.IN_SYNC)
    owner = LockOwner(OTHER, "r", "t")
    with hold_lock(["hotel-1/live"], owner, f"{base}/locks", log=print, clock=NOW.timestamp):
        assert OTHER not in reader.get("?project=hotel-1").text
        rights.dags["reader"] = {WATCH, OTHER}
        assert OTHER in reader.get("?project=hotel-1").text
