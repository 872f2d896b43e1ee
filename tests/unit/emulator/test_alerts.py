"""Alert rules: who sees them, how they are filtered, and how tests set them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.state import SeedError

CRASHES, SLOW, NEW = "ar_0HarbourCrashes", "ar_0EverySlowTurn", "ar_0BankNew"
RULE = f"/v1/alert-rules/{CRASHES}"


def ids(api: httpx.Client, path: str = "/v1/alert-rules", **query: Any) -> list[str]:
    records = api.get(path, params=query).json()["data"]
    return [record.get("id") or record["alert_rule_id"] for record in records]


def age(server: EmulatorServer, stamp: str) -> timedelta:
    return server.state.clock.present() - datetime.fromisoformat(stamp)


def test_rules_are_those_of_the_keys_account(api: httpx.Client) -> None:
    assert len(ids(api)) == 4
    assert api.get("/v1/alert-rules", headers={"X-API-KEY": "demo-key-us"}).json() == {"data": []}
    assert api.get(RULE, headers={"X-API-KEY": "demo-key-us"}).status_code == 404


def test_rules_are_filtered(server: EmulatorServer, api: httpx.Client) -> None:
    server.polyai.set_alert(CRASHES, "no_data", enabled=False)

    assert ids(api, metric="call_crashes") == [CRASHES]
    assert ids(api, state="no_data") == [CRASHES]
    assert ids(api, enabled="false") == [CRASHES]
    assert CRASHES not in ids(api, enabled="true")
    assert ids(api, project_id="northgate-bank") == [NEW]


def test_projects_are_known_only_in_the_form_that_the_rules_name_them_in(
    server: EmulatorServer, api: httpx.Client
) -> None:
    server.switches.response_ids = "prefixed"

    assert ids(api, project_id="harbour-hotels") == []
    assert len(ids(api, project_id="PROJECT-5A1E9C07")) == 2


def test_a_rule_fires_from_the_moment_that_it_is_set(server: EmulatorServer, api: httpx.Client) -> None:
    assert ids(api, "/v1/alerts") == []

    server.polyai.set_alert(CRASHES, "alert", currentValue=3)

    (alert,) = api.get("/v1/alerts").json()["data"]
    assert (alert["alert_rule_id"], alert["current_value"]) == (CRASHES, 3)
    assert age(server, alert["since"]) == timedelta(0)
    assert age(server, alert["last_evaluated_at"]) == timedelta(seconds=30)
    assert ids(api, "/v1/alerts", project_id="harbour-hotels") == [CRASHES]
    assert ids(api, "/v1/alerts", metric="api_errors") == []
    server.polyai.set_alert(CRASHES, "ok")
    assert ids(api, "/v1/alerts") == []


def test_an_alert_that_fired_before_stays_as_old_as_it_is(server: EmulatorServer, api: httpx.Client) -> None:
    server.polyai.set_alert(CRASHES, "alert", since=-600)
    before = api.get(RULE).json()["since"]
    server.polyai.set_alert(CRASHES, "alert", currentValue=9)

    assert api.get(RULE).json()["since"] == before
    assert age(server, before) == timedelta(seconds=600)


def test_a_rule_that_is_off_does_not_fire(server: EmulatorServer, api: httpx.Client) -> None:
    server.polyai.set_alert(CRASHES, "alert", enabled=False)

    assert ids(api, "/v1/alerts") == []


def test_evaluations_keep_their_distance_to_the_present_and_times_do_not(
    server: EmulatorServer, api: httpx.Client
) -> None:
    server.polyai.set_alert(SLOW, "ok", lastEvaluatedAt="2026-08-31T00:00:00Z")
    first = api.get(RULE).json()
    for _ in range(5):
        server.state.touch()
    second = api.get(RULE).json()

    assert age(server, second["last_evaluated_at"]) == timedelta(seconds=30)
    assert second["last_evaluated_at"] > first["last_evaluated_at"]
    assert second["since"] == first["since"]
    assert api.get(f"/v1/alert-rules/{SLOW}").json()["last_evaluated_at"] == "2026-08-31T00:00:00Z"


def test_a_new_rule_is_ok_and_was_never_evaluated(api: httpx.Client) -> None:
    rule = api.get(f"/v1/alert-rules/{NEW}").json()

    assert (rule["current_state"], rule["last_evaluated_at"], rule["since"]) == ("ok", None, None)


@pytest.mark.parametrize(
    ("path", "status", "shape"),
    [
        ("/v1/alert-rules/not-a-rule", 422, {"detail"}),
        ("/v1/alert-rules/ar_unknown", 404, {"message"}),
        ("/v1/alert-rules?state=firing", 400, {"message"}),
        ("/v1/alert-rules?metric=errors", 400, {"message"}),
    ],
)
def test_refusals_have_the_shapes_of_the_alerts_api(
    api: httpx.Client, path: str, status: int, shape: set[str]
) -> None:
    reply = api.get(path)

    assert (reply.status_code, set(reply.json())) == (status, shape)


def test_malformed_ids_are_told_by_field(api: httpx.Client) -> None:
    (error,) = api.get("/v1/alert-rules/not-a-rule").json()["detail"]

    assert error["loc"] == ["path", "rule_id"]
    assert set(error) == {"loc", "msg", "type"}


def test_a_key_is_needed(anonymous: httpx.Client) -> None:
    reply = anonymous.get("/v1/alerts")

    assert (reply.status_code, set(reply.json())) == (401, {"message"})


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ("firing", {}),
        ("ok", {"colour": 1}),
        ("ok", {"metric": "x"}),
        ("ok", {"since": "soon"}),
        ("ok", {"agent": "x"}),
    ],
)
def test_what_no_seed_may_say_is_refused_and_changes_nothing(
    server: EmulatorServer, state: str, changes: dict[str, Any]
) -> None:
    before = dict(server.polyai.alert_rules)

    with pytest.raises(SeedError):
        server.polyai.set_alert(CRASHES, state, **changes)

    assert server.polyai.alert_rules == before


def test_rules_are_set_over_the_control_route(api: httpx.Client, anonymous: httpx.Client) -> None:
    path = f"/_emulator/alert-rules/{CRASHES}"

    done = anonymous.patch(path, json={"state": "alert", "since": -60, "lastEvaluatedAt": 0})

    assert (done.status_code, done.json()["state"]) == (200, "alert")
    assert ids(api, "/v1/alerts") == [CRASHES]
    assert anonymous.patch(path, json={"currentValue": 4}).json()["state"] == "alert"
    assert anonymous.patch(path, json={"state": "firing"}).status_code == 400
    assert anonymous.patch(path, json=[]).status_code == 400
    assert anonymous.patch("/_emulator/alert-rules/ar_x", json={}).status_code == 404
