"""Conversations on both hosts, their keys, and how many are under way at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.state import SeedError, format_stamp

V3 = "/v3/demo-uk/harbour-hotels/conversations"
CONCURRENCY = "/v1/demo-uk/harbour-hotels/conversations/concurrency"
BUILD = "/v1/agents/harbour-hotels/conversations"
RUNTIME = {"X-API-KEY": "demo-runtime-key-uk"}
HOTELS = "harbour-hotels"


@pytest.fixture
def runtime(server: EmulatorServer, anonymous: httpx.Client) -> Any:
    """Asks the runtime host, under a key of its own; the server's present is a full hour."""
    server.reset(default_seed())
    return lambda path=V3, key=RUNTIME, **query: anonymous.get(path, headers=key, params=query)


def at(server: EmulatorServer, **ago: float) -> str:
    return format_stamp(server.state.clock.present() - timedelta(**ago))


def ids(reply: httpx.Response) -> list[str]:
    return [each.get("id") or each["conversationId"] for each in reply.json()["conversations"]]


def test_keys_of_one_host_are_unknown_to_the_other(
    server: EmulatorServer, api: httpx.Client, runtime: Any
) -> None:
    assert runtime().status_code == 200
    refused = [api.get(V3), api.get(CONCURRENCY)]
    assert [(each.status_code, set(each.json())) for each in refused] == [(401, {"error_message"})] * 2
    assert api.get(BUILD).status_code == 200
    assert api.get(BUILD, headers=RUNTIME).status_code == 401
    assert api.get("/v1/alerts", headers=RUNTIME).status_code == 401


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v3/demo-us/harbour-hotels/conversations", "demo-runtime-key-uk", 403),
        ("/v3/demo-uk/rosa-restaurants/conversations", "demo-runtime-key-hotels", 403),
        ("/v3/demo-uk/nope/conversations", "demo-runtime-key-uk", 404),
        ("/v3/nope/harbour-hotels/conversations", "demo-runtime-key-uk", 404),
    ],
)
def test_what_belongs_to_others_is_refused(runtime: Any, path: str, key: str, status: int) -> None:
    reply = runtime(path, {"X-API-KEY": key})

    assert (reply.status_code, set(reply.json())) == (status, {"error_message"})


def test_both_forms_of_ids_are_taken(server: EmulatorServer, runtime: Any) -> None:
    path = "/v3/ws-7c41d0aa/PROJECT-5A1E9C07/conversations"

    assert ids(runtime(path)) == ids(runtime())
    server.switches.response_ids = "prefixed"
    assert runtime().json()["conversations"][0]["project_id"] == "PROJECT-5A1E9C07"


def test_live_is_the_default_and_the_newest_come_first(server: EmulatorServer, runtime: Any) -> None:
    begun = [each["started_at"] for each in runtime().json()["conversations"]]

    assert len(begun) == 4
    assert begun == sorted(begun, reverse=True)
    assert {each["environment"] for each in runtime(client_env="sandbox").json()["conversations"]} == {
        "sandbox"
    }


def test_conversations_are_filtered(server: EmulatorServer, runtime: Any) -> None:
    variant = "VARIANT-C93513B5"
    going = server.polyai.add_conversation(
        HOTELS, "live", inProgress=True, channel="WEBCHAT", variantId=variant
    )

    assert ids(runtime(start_time=at(server, minutes=1))) == [going]
    assert going not in ids(runtime(end_time=at(server, minutes=1)))
    assert ids(runtime(start_time=at(server, hours=2.5), end_time=at(server, hours=1.5))) == [
        "CA0000000000000000000000000000a003"
    ]
    assert ids(runtime(in_progress="true")) == [going]
    assert len(ids(runtime(in_progress="false"))) == 4
    assert ids(runtime(channel="WEBCHAT")) == [going]
    assert len(ids(runtime(variant_id=variant))) == 3


def test_pages_follow_the_cursor_and_do_not_drift(server: EmulatorServer, runtime: Any) -> None:
    everything = ids(runtime())
    first = runtime(limit=2)
    server.polyai.add_conversation(HOTELS, "live")
    second = runtime(limit=2, cursor=first.json()["cursor"])

    assert ids(first) + ids(second) == everything
    assert second.json()["cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "all"},
        {"cursor": "nonsense"},
        {"client_env": "prod"},
        {"start_time": "today"},
    ],
)
def test_bad_questions_are_refused(runtime: Any, query: dict[str, Any]) -> None:
    reply = runtime(**query)

    assert (reply.status_code, set(reply.json())) == (400, {"error_message"})


def test_texts_that_are_not_there_are_empty_and_latency_is_told_on_request(runtime: Any) -> None:
    plain, told = (runtime(include_latency=value).json()["conversations"][1] for value in ("false", "true"))

    assert (plain["handoff"], plain["handoff_reason"]) == (True, "asked for a person")
    assert runtime().json()["conversations"][0]["handoff_reason"] == ""
    assert [turn.get("latency") for turn in plain["turns"]] == [None, None]
    assert [turn["latency"] for turn in told["turns"]] == [1.3, 0.9]
    assert "deployment_id" not in told


def test_the_other_host_tells_the_deployment_unless_the_switch_hides_it(
    server: EmulatorServer, api: httpx.Client
) -> None:
    live = api.get("/v1/agents/harbour-hotels/deployments/active").json()["activeDeployments"]["live"]["id"]
    listed = api.get(BUILD, params={"limit": 2, "offset": 1}).json()

    assert (listed["count"], listed["limit"], listed["offset"]) == (5, 2, 1)
    assert {each["deploymentId"] for each in listed["conversations"]} == {live}
    server.switches.conversation_deployments = "absent"
    assert api.get(BUILD).json()["conversations"][1]["deploymentId"] is None


def test_one_conversation_tells_turns_and_failing_functions(api: httpx.Client) -> None:
    found = api.get(f"{BUILD}/CA0000000000000000000000000000a004").json()

    assert (found["clientEnv"], found["handoff"], found["handoffReason"]) == ("live", False, None)
    assert [turn["latency"] for turn in found["turns"]] == [0.8, 0.8]
    assert found["functionEvents"]["0"][0]["name"] == "find_booking"
    assert found["functionEvents"]["0"][0]["error"]
    unknown = api.get(f"{BUILD}/nope")
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "CONVERSATIONS_NOT_FOUND")


def test_conversations_are_added_over_the_control_route(runtime: Any, anonymous: httpx.Client) -> None:
    path = f"/_emulator/conversations/{HOTELS}"
    before = len(ids(runtime()))

    added = anonymous.post(path, json={"environment": "live", "handoff": True, "times": 3})

    assert added.status_code == 201
    assert set(added.json()["conversations"]) <= set(ids(runtime()))
    assert len(ids(runtime())) == before + 3
    assert anonymous.post("/_emulator/conversations/nope", json={"environment": "live"}).status_code == 404
    for wrong in (
        {},
        {"environment": "prod"},
        {"environment": "live", "times": 0},
        {"environment": "live", "x": 1},
    ):
        assert anonymous.post(path, json=wrong).status_code == 400


def test_what_no_seed_may_say_is_refused(server: EmulatorServer) -> None:
    with pytest.raises(SeedError):
        server.polyai.add_conversation(HOTELS, "live", startedAt="soon")


def test_times_of_a_seed_are_settled_when_it_is_loaded(server: EmulatorServer, runtime: Any) -> None:
    before = [each["started_at"] for each in runtime().json()["conversations"]]
    for _ in range(5):
        server.state.touch()
    server.state.edit(lambda _: None)

    assert [each["started_at"] for each in runtime().json()["conversations"]] == before


# ----------------------------------------------------------------------------------- concurrency


def concurrency(server: EmulatorServer, runtime: Any, minutes: int = 20, **query: Any) -> list[int]:
    span = {"start_time": at(server, minutes=minutes), "end_time": at(server)}
    reply = runtime(CONCURRENCY, **span, **query)
    assert reply.status_code == 200, reply.text
    return [each["max_concurrent_conversations"] for each in reply.json()["intervals"]]


def test_concurrency_counts_what_was_under_way_at_once(server: EmulatorServer, runtime: Any) -> None:
    for start, duration in ((-1200, 60), (-1170, 60), (-900, 700), (-580, 10), (-575, 3), (-100, 5)):
        server.polyai.add_conversation(HOTELS, "live", startedAt=start, duration=duration)
    server.polyai.add_conversation(HOTELS, "sandbox", startedAt=-100)

    assert concurrency(server, runtime) == [2, 1, 3, 1]
    assert concurrency(server, runtime, client_env="sandbox") == [0, 0, 0, 1]


def test_what_is_under_way_has_no_end(server: EmulatorServer, runtime: Any) -> None:
    server.polyai.add_conversation(HOTELS, "live", startedAt=-700, duration=1, inProgress=True)

    assert concurrency(server, runtime) == [0, 1, 1, 1]


def test_the_latest_intervals_come_late_where_the_switch_says_so(
    server: EmulatorServer, runtime: Any
) -> None:
    server.switches.concurrency_lag = 600

    assert len(concurrency(server, runtime)) == 3


@pytest.mark.parametrize("query", [{}, {"start_time": "2026-09-01T00:00:00Z"}])
def test_both_ends_are_required(runtime: Any, query: dict[str, str]) -> None:
    assert runtime(CONCURRENCY, **query).status_code == 400


def test_more_than_a_week_is_refused(runtime: Any) -> None:
    span = {"start_time": "2026-09-01T00:00:00Z", "end_time": "2026-09-08T00:00:01Z"}

    assert runtime(CONCURRENCY, **span).status_code == 400
    assert runtime(CONCURRENCY, **span | {"end_time": "2026-09-08T00:00:00Z"}).status_code == 200
