"""The provider's own calls for what can be watched after a promotion, answered by the server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.connection import ConnectionFields
from airflow_voice_agents.polyai.observations import Verdict
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import BadRequest, NotFound

HOTELS = "harbour-hotels"
CRASHES = "ar_0HarbourCrashes"


@pytest.fixture
def ask(server: EmulatorServer) -> Callable[[ApiRequest[Any]], Any]:
    """Sends a call to its host, as a connection says."""
    server.reset(default_seed())
    extra = {"runtime_host": server.url, "runtime_api_key": "demo-runtime-key-uk"}
    fields = ConnectionFields("local", "demo-key-uk", server.url, None, extra)

    def send(call: ApiRequest[Any]) -> Any:
        runtime = call.route in api.RUNTIME_ROUTES
        with Client(fields.runtime_settings() if runtime else fields.client_settings()) as client:
            return client.send(call)

    return send


def test_a_run_is_started_watched_and_listed(ask: Callable[[ApiRequest[Any]], Any]) -> None:
    run = ask(api.trigger_test_run(HOTELS, branch_id="main", test_case_ids=["CASE-OPENING"]))
    seen = [ask(api.get_test_run(HOTELS, test_run_id=run.id)).verdict for _ in range(3)]

    assert [run.verdict, *seen] == [Verdict.PENDING, Verdict.PENDING, Verdict.PENDING, Verdict.PASSED]
    assert [each.id for each in ask(api.list_test_runs(HOTELS))] == [run.id]


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("failed", Verdict.FAILED),
        ("timed_out", Verdict.ERROR),
        ("completed", Verdict.PASSED),
        ("completed_failed", Verdict.FAILED),
        ("cancelled", Verdict.UNKNOWN),
        ("never", Verdict.PENDING),
    ],
)
def test_every_end_amounts_to_its_verdict(
    server: EmulatorServer, ask: Callable[[ApiRequest[Any]], Any], outcome: Any, verdict: Verdict
) -> None:
    server.switches.test_run_outcome = outcome
    server.switches.test_run_reads = 0
    cases = ["CASE-OPENING", "CASE-BOOKING"]

    assert ask(api.trigger_test_run(HOTELS, branch_id="main", test_case_ids=cases)).verdict is verdict


def test_rules_and_alerts_are_read(server: EmulatorServer, ask: Callable[[ApiRequest[Any]], Any]) -> None:
    server.polyai.set_alert(CRASHES, "alert")
    rule = ask(api.get_alert_rule(CRASHES))
    (alert,) = ask(api.list_alerts(project_id=HOTELS))

    assert (rule.current_state, rule.window, alert.alert_rule_id) == ("alert", timedelta(minutes=10), CRASHES)
    assert rule.since == alert.since == server.state.clock.present()
    assert len(ask(api.list_alert_rules(enabled=True))) == 4
    with pytest.raises(BadRequest, match="String should match pattern"):
        ask(api.get_alert_rule("wrong"))
    with pytest.raises(NotFound, match="Alert rule not found"):
        ask(api.get_alert_rule("ar_other"))


def test_conversations_are_read_page_by_page_from_the_runtime_host(
    server: EmulatorServer, ask: Callable[[ApiRequest[Any]], Any]
) -> None:
    where = {"project_id": HOTELS, "client_env": "live", "limit": 3, "include_latency": True}
    first = ask(api.list_conversations("demo-uk", **where))
    last = ask(api.list_conversations("demo-uk", **where, cursor=first.cursor))

    found = [*first.conversations, *last.conversations]
    assert (len(found), last.cursor) == (4, None)
    assert [each.handoff for each in found] == [False, True, False, False]
    assert found[0].latencies == (0.8, 0.8)
    since = server.state.clock.present() - timedelta(hours=3)
    assert len(ask(api.list_conversations("demo-uk", **where, start_time=since)).conversations) == 2


def test_the_agents_own_list_tells_deployments_and_failures(ask: Callable[[ApiRequest[Any]], Any]) -> None:
    active = ask(api.get_active_deployments(HOTELS))["live"].id
    page = ask(api.list_agent_conversations(HOTELS, limit=3))
    failed = [
        ask(api.get_conversation(HOTELS, conversation_id=each.id)).failed_functions
        for each in page.conversations
    ]

    assert page.count == 5
    assert [each.deployment_id for each in page.conversations] == [None, active, active]
    assert failed == [(), ("find_booking",), ()]


def test_concurrency_is_read(server: EmulatorServer, ask: Callable[[ApiRequest[Any]], Any]) -> None:
    server.polyai.add_conversation(HOTELS, "live", startedAt=-400, duration=200)
    now = server.state.clock.present()
    span = {"start_time": now - timedelta(minutes=10), "end_time": now}

    intervals = ask(api.get_concurrency("demo-uk", project_id=HOTELS, client_env="live", **span))

    assert [each.max_concurrent_conversations for each in intervals] == [1, 1]
    assert intervals[0].time == span["start_time"]


def test_a_chat_is_held_to_its_end(ask: Callable[[ApiRequest[Any]], Any]) -> None:
    begun = ask(api.create_debug_chat(HOTELS, client_env="live"))
    where = {"conversation_id": begun.conversation_id, "client_env": "live"}
    told = ask(api.send_debug_chat_message(HOTELS, **where, message="When do you open?"))
    ended = ask(api.send_debug_chat_message(HOTELS, **where, message="A person, please"))

    assert (told.retrieved_topics, told.failed_functions) == (("opening_hours",), ())
    assert (told.conversation_ended, ended.conversation_ended) == (False, True)
    with pytest.raises(NotFound) as gone:
        ask(api.send_debug_chat_message(HOTELS, **where, message="Hello?"))
    assert (gone.value.status, gone.value.error_code) == (410, "CHAT_CONVERSATION_ENDED")
