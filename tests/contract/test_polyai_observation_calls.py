"""The calls for what can be watched after a promotion, against facts stated here.

They are not in the vendor's document of the Agents API. Each row says what is sent; what is read is shown
with bodies of the shapes that the vendor's own documents and tools show.
"""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.api import observations
from airflow_voice_agents.polyai.observations import Verdict
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import InputError

AGENT = "/v1/agents/a%201"
START, END = "2026-09-01T08:00:00+01:00", datetime(2026, 9, 2, 8, tzinfo=UTC)
START_OF_TIME, END_OF_TIME = END.replace(year=2000, tzinfo=None), END.replace(year=2100, tzinfo=None)
SENT = {"start_time": "2026-09-01T07:00:00.000Z", "end_time": "2026-09-02T08:00:00.000Z"}
RUNTIME = {"account_id": "acme uk", "project_id": "a 1", "client_env": "live"}

ROWS: list[tuple[str, dict[str, Any], str, dict[str, str], Any]] = [
    ("list_test_runs", {"agent_id": "a 1"}, f"GET {AGENT}/testing/test-runs", {}, None),
    (
        "list_test_runs",
        {"agent_id": "a 1", "limit": 10, "offset": 20, "test_set_id": "SET-1", "branch_id": "main"},
        f"GET {AGENT}/testing/test-runs",
        {"limit": "10", "offset": "20", "testSetId": "SET-1", "branchId": "main"},
        None,
    ),
    (
        "get_test_run",
        {"agent_id": "a 1", "test_run_id": "r+1"},
        f"GET {AGENT}/testing/test-runs/r%2B1",
        {},
        None,
    ),
    (
        "trigger_test_run",
        {"agent_id": "a 1", "branch_id": "main", "test_case_ids": ["CASE-1", "CASE-2"]},
        f"POST {AGENT}/testing/test-runs/trigger",
        {},
        {"branchId": "main", "select": {"mode": "testIds", "testIds": ["CASE-1", "CASE-2"]}},
    ),
    (
        "trigger_test_run",
        {"agent_id": "a 1", "branch_id": "b", "test_case_ids": ["CASE-1"], "name": "n", "form": "flat"},
        f"POST {AGENT}/testing/test-runs/trigger",
        {},
        {"branchId": "b", "testCaseIds": ["CASE-1"], "name": "n"},
    ),
    ("list_alerts", {}, "GET /v1/alerts", {}, None),
    (
        "list_alerts",
        {"project_id": "a", "metric": "call_crashes"},
        "GET /v1/alerts",
        {"project_id": "a", "metric": "call_crashes"},
        None,
    ),
    ("list_alert_rules", {}, "GET /v1/alert-rules", {}, None),
    (
        "list_alert_rules",
        {"project_id": "a", "metric": "api_errors", "state": "no_data", "enabled": False},
        "GET /v1/alert-rules",
        {"project_id": "a", "metric": "api_errors", "state": "no_data", "enabled": "false"},
        None,
    ),
    ("get_alert_rule", {"rule_id": "ar_0K"}, "GET /v1/alert-rules/ar_0K", {}, None),
    (
        "list_conversations",
        RUNTIME,
        "GET /v3/acme%20uk/a%201/conversations",
        {"client_env": "live", "limit": "1000"},
        None,
    ),
    (
        "list_conversations",
        RUNTIME
        | {"start_time": START, "end_time": END, "in_progress": True, "variant_id": "V1", "limit": 5}
        | {"channel": "VOICE-SIP", "include_latency": True, "cursor": "bmV4dA=="},
        "GET /v3/acme%20uk/a%201/conversations",
        {"client_env": "live", **SENT, "in_progress": "true", "variant_id": "V1", "limit": "5"}
        | {"channel": "VOICE-SIP", "include_latency": "true", "cursor": "bmV4dA=="},
        None,
    ),
    ("list_agent_conversations", {"agent_id": "a 1"}, f"GET {AGENT}/conversations", {}, None),
    (
        "list_agent_conversations",
        {"agent_id": "a 1", "limit": 50, "offset": 0},
        f"GET {AGENT}/conversations",
        {"limit": "50"},
        None,
    ),
    (
        "get_conversation",
        {"agent_id": "a 1", "conversation_id": "CA1"},
        f"GET {AGENT}/conversations/CA1",
        {},
        None,
    ),
    (
        "get_concurrency",
        RUNTIME | {"client_env": "pre_release", "start_time": START, "end_time": END, "variant_id": "V1"},
        "GET /v1/acme%20uk/a%201/conversations/concurrency",
        {"client_env": "pre-release", **SENT, "variant_id": "V1"},
        None,
    ),
    (
        "create_debug_chat",
        {"agent_id": "a 1", "client_env": "sandbox"},
        f"POST {AGENT}/debug-chat",
        {},
        {"clientEnv": "sandbox"},
    ),
    (
        "create_debug_chat",
        {"agent_id": "a 1", "client_env": "live", "variant_id": "V1", "channel": "chat.polyai"}
        | {"asr_lang_code": "en-GB", "tts_lang_code": "fr-FR", "conversation_id": "c1"}
        | {"integration_attributes": {"order": {"id": 1}}},
        f"POST {AGENT}/debug-chat",
        {},
        {"clientEnv": "live", "variantId": "V1", "channel": "chat.polyai", "asrLangCode": "en-GB"}
        | {"ttsLangCode": "fr-FR", "conversationId": "c1", "integrationAttributes": {"order": {"id": 1}}},
    ),
    (
        "send_debug_chat_message",
        {
            "agent_id": "a 1",
            "conversation_id": "c-1",
            "client_env": "live",
            "message": "Hi\n",
        },
        f"POST {AGENT}/debug-chat/c-1",
        {},
        {"clientEnv": "live", "message": "Hi\n"},
    ),
]
REPLAY = {
    "trigger_test_run": Replay.RECONCILE,
    "create_debug_chat": Replay.NEVER,
    "send_debug_chat_message": Replay.NEVER,
}
"""Replay classes of the calls that write; the others read."""
every_row = pytest.mark.parametrize(("name", "arguments", "sent", "query", "body"), ROWS)


def build(name: str, arguments: dict[str, Any]) -> ApiRequest[Any]:
    function = getattr(api, name)
    first = next(iter(inspect.signature(function).parameters.values()))
    if first.kind is inspect.Parameter.KEYWORD_ONLY:
        return function(**arguments)  # type: ignore[no-any-return]
    rest = {key: value for key, value in arguments.items() if key != first.name}
    return function(arguments[first.name], **rest)  # type: ignore[no-any-return]


def example(name: str) -> ApiRequest[Any]:
    return next(build(row[0], row[1]) for row in ROWS if row[0] == name)


# ------------------------------------------------------------------------------------------ what is sent


def test_every_call_of_the_module_is_stated_and_exported() -> None:
    own = {
        name
        for name, function in inspect.getmembers(observations, inspect.isfunction)
        if function.__module__ == observations.__name__ and not name.startswith("_")
    }
    assert own == {row[0] for row in ROWS}
    assert own <= set(api.__all__)


@every_row
def test_call_sends_what_the_row_states(
    name: str, arguments: dict[str, Any], sent: str, query: dict[str, str], body: Any
) -> None:
    call = build(name, arguments)

    assert f"{call.method} {call.path}" == sent
    assert dict(call.query) == query
    assert len(call.query) == len(query)
    assert call.body == body
    assert urlencode(call.query).isascii()


@pytest.mark.parametrize("name", sorted({row[0] for row in ROWS}))
def test_replay_class_is_safe_for_reads_only(name: str) -> None:
    assert example(name).replay is REPLAY.get(name, Replay.SAFE)
    assert (example(name).method == "GET") == (name not in REPLAY)


@pytest.mark.parametrize("name", sorted({row[0] for row in ROWS}))
def test_only_conversations_and_concurrency_are_for_the_runtime_host(name: str) -> None:
    assert (example(name).route in api.RUNTIME_ROUTES) == (name in {"list_conversations", "get_concurrency"})


def test_turns_of_a_chat_have_time() -> None:
    assert example("create_debug_chat").deadline == api.CHAT_DEADLINE
    assert example("send_debug_chat_message").deadline == api.CHAT_DEADLINE
    assert "Hi" not in repr(example("send_debug_chat_message"))


SPAN = {"start_time": END, "end_time": END + timedelta(hours=1)}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("list_test_runs", {"agent_id": ""}, "agent_id must not be empty"),
    ("list_test_runs", {"agent_id": "a", "limit": 0}, "limit must be a whole number of at least 1"),
    ("list_test_runs", {"agent_id": "a", "offset": -1}, "offset must be a whole number"),
    ("list_test_runs", {"agent_id": "a", "branch_id": "a/b"}, "branch_id must not hold a slash"),
    ("get_test_run", {"agent_id": "a", "test_run_id": ""}, "test_run_id must not be empty"),
    ("trigger_test_run", {"agent_id": "a", "branch_id": "main", "test_case_ids": []}, "must not be empty"),
    (
        "trigger_test_run",
        {"agent_id": "a", "branch_id": "main", "test_case_ids": ["c"], "form": "list"},
        "form must be",
    ),
    (
        "trigger_test_run",
        {"agent_id": "a", "branch_id": "main", "test_case_ids": ["c", "c"]},
        "test_case_ids must name each only once",
    ),
    ("list_alerts", {"metric": "errors"}, "metric must be one of turn_latency_p50"),
    ("list_alert_rules", {"state": "firing"}, "state must be one of ok, alert"),
    ("list_alert_rules", {"enabled": "yes"}, "enabled must be true or false"),
    ("get_alert_rule", {"rule_id": "a/b"}, "rule_id must not hold a slash"),
    ("list_conversations", RUNTIME | {"client_env": "prod"}, "client_env must be 'sandbox'"),
    ("list_conversations", RUNTIME | {"limit": 1001}, "limit must be a whole number from 1 to 1000"),
    ("list_conversations", RUNTIME | {"cursor": ""}, "cursor must not be empty"),
    ("list_conversations", RUNTIME | {"account_id": "a/b"}, "account_id must not hold a slash"),
    ("list_conversations", RUNTIME | {"start_time": "today"}, "start_time must be an ISO 8601 time"),
    (
        "list_conversations",
        RUNTIME | {"end_time": "2026-09-01T08:00:00"},
        "end_time must be a time with a zone",
    ),
    (
        "list_conversations",
        RUNTIME | {"end_time": END.replace(tzinfo=None)},
        "end_time must be a time with a zone",
    ),
    ("list_conversations", RUNTIME | {"start_time": 0}, "start_time must be a time with a zone"),
    ("get_concurrency", RUNTIME | SPAN | {"end_time": END}, "end_time must be after start_time"),
    ("get_concurrency", RUNTIME | SPAN | {"end_time": END + timedelta(days=8)}, "by 7 days at most"),
    ("create_debug_chat", {"agent_id": "a", "client_env": ""}, "client_env must be 'sandbox'"),
    (
        "create_debug_chat",
        {"agent_id": "a", "client_env": "live", "integration_attributes": []},
        "integration_attributes must be a JSON object",
    ),
    (
        "send_debug_chat_message",
        {"agent_id": "a", "conversation_id": "c", "client_env": "live", "message": 1},
        "message must be a string",
    ),
]


@pytest.mark.parametrize(("name", "arguments", "message"), WRONG)
def test_wrong_argument_is_named(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(name, arguments)


ZONES = [timezone(timedelta(hours=hours)) for hours in range(-12, 15)]


@settings(deadline=None)
@given(zoned=st.datetimes(START_OF_TIME, END_OF_TIME, timezones=st.sampled_from(ZONES)))
def test_moments_of_all_zones_are_sent_in_utc_and_mean_the_same(zoned: datetime) -> None:
    for given_as in (zoned, zoned.isoformat()):
        call = build("list_conversations", RUNTIME | {"start_time": given_as})
        sent = dict(call.query)["start_time"]
        assert sent.endswith("Z")
        assert timedelta(0) <= zoned - datetime.fromisoformat(sent) < timedelta(milliseconds=1)


# ------------------------------------------------------------------------------------------ what is read

RUN = {
    "id": "r1",
    "status": "failed",
    "testCaseCount": 2,
    "passedCount": 1,
    "failedCount": 1,
    "errorCount": 0,
    "testHistory": [{"testCaseId": "CASE-1", "status": "failed", "rawConversation": {"id": "x"}}],
}


def test_a_run_is_read_whole_and_from_the_names_of_either_service() -> None:
    camel = example("get_test_run").read(RUN)
    snake = example("trigger_test_run").read(
        {"id": "r1", "status": "pending", "test_case_count": 2, "passed_count": 0, "test_history": None}
    )

    assert (camel.test_case_count, camel.passed_count, camel.failed_count, camel.error_count) == (2, 1, 1, 0)
    assert [(each.test_case_id, each.verdict) for each in camel.test_history] == [("CASE-1", Verdict.FAILED)]
    assert (snake.verdict, snake.test_case_count, snake.test_history) == (Verdict.PENDING, 2, ())


def test_a_list_of_runs_is_read_without_their_tests() -> None:
    runs = example("list_test_runs").read({"testRuns": [{"id": "r1", "status": None}], "total": 1})

    assert [(run.id, run.verdict) for run in runs] == [("r1", Verdict.UNKNOWN)]


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        ({"status": "pending"}, Verdict.PENDING),
        ({"status": "running"}, Verdict.PENDING),
        ({"status": "in_progress"}, Verdict.PENDING),
        ({"status": "passed"}, Verdict.PASSED),
        ({"status": "PASSED"}, Verdict.PASSED),
        ({"status": "passed", "failedCount": 1}, Verdict.FAILED),
        ({"status": "passed", "errorCount": 1}, Verdict.ERROR),
        ({"status": "failed"}, Verdict.FAILED),
        ({"status": "error"}, Verdict.ERROR),
        ({"status": "errored"}, Verdict.ERROR),
        ({"status": "timed_out"}, Verdict.ERROR),
        ({"status": "completed", "testCaseCount": 2, "passedCount": 2}, Verdict.PASSED),
        ({"status": "completed", "testCaseCount": 2, "passedCount": 1}, Verdict.UNKNOWN),
        ({"status": "completed", "testCaseCount": 2, "passedCount": 1, "failedCount": 1}, Verdict.FAILED),
        ({"status": "completed", "testCaseCount": 2, "passedCount": 1, "errorCount": 1}, Verdict.ERROR),
        ({"status": "completed"}, Verdict.UNKNOWN),
        ({"status": "cancelled"}, Verdict.UNKNOWN),
        ({"status": ""}, Verdict.UNKNOWN),
        ({}, Verdict.UNKNOWN),
    ],
)
def test_a_status_amounts_to_a_verdict_that_never_says_more_than_it_knows(
    run: dict[str, Any], verdict: Verdict
) -> None:
    assert example("get_test_run").read({"id": "r"} | run).verdict is verdict


WATCHED = {
    "name": "Errors",
    "project_id": None,
    "metric": "api_errors",
    "operator": ">=",
    "threshold_value": 5,
    "window_duration": "10m",
    "since": "2026-09-01T07:00:00Z",
    "last_evaluated_at": "2026-09-01T07:59:30.5+00:00",
    "current_value": 7,
}


def test_alerts_and_rules_are_read_with_moments_and_windows() -> None:
    (alert,) = example("list_alerts").read({"data": [{"alert_rule_id": "ar_1", **WATCHED}]})
    dates = {"created_at": "2026-08-01T00:00:00", "updated_at": "2026-08-01T00:00:00Z"}
    rule = {"id": "ar_1", "enabled": True, "current_state": "alert", **dates, **WATCHED}
    (listed,) = example("list_alert_rules").read({"data": [rule]})

    assert (alert.alert_rule_id, listed.id, listed.current_state) == ("ar_1", "ar_1", "alert")
    assert alert.window == listed.window == timedelta(minutes=10)
    assert alert.since == datetime(2026, 9, 1, 7, tzinfo=UTC)
    assert listed.last_evaluated_at == datetime(2026, 9, 1, 7, 59, 30, 500_000, tzinfo=UTC)
    assert listed.created_at == datetime(2026, 8, 1, tzinfo=UTC)
    assert example("get_alert_rule").read(rule) == listed


def test_a_rule_that_was_never_evaluated_reads_without_a_moment() -> None:
    rule = example("get_alert_rule").read(
        {
            "id": "ar_1",
            "current_state": "ok",
            "last_evaluated_at": None,
            "since": "",
            "window_duration": "soon",
        }
    )

    assert (rule.current_state, rule.last_evaluated_at, rule.since, rule.window) == ("ok", None, None, None)
    assert rule.project_id is None


V3 = {
    "id": "CA1",
    "account_id": "acme",
    "project_id": "a",
    "variant_id": "",
    "environment": "live",
    "started_at": "2026-09-01T08:00:00.123Z",
    "channel": "VOICE-SIP",
    "from_number": "+447700900000",
    "to_number": "+442079460001",
    "in_progress": False,
    "num_turns": 2,
    "total_duration": 61,
    "handoff": True,
    "handoff_reason": "",
    "num_silences": 1,
    "num_ood": 0,
    "metrics": {"CSAT": "5"},
    "turns": [{"user_input": "my secret", "latency": 0.8}, {"latency": None}, {"user_input": ""}],
}
V1 = {
    "conversationId": "CA1",
    "accountId": "acme",
    "projectId": "a",
    "startedAt": "2026-09-01T08:00:00.123Z",
    "clientEnv": "live",
    "channel": "VOICE-SIP",
    "fromNumber": "+447700900000",
    "variantId": None,
    "totalDuration": 61,
    "inProgress": False,
    "handoff": True,
    "polyScore": 4.5,
    "deploymentId": "d1",
    "shortSummary": "my secret",
    "turns": [{"user_input": "my secret", "latency": 0.8}],
    "functionEvents": {
        "0": [{"name": "find_booking", "error": "KeyError: my secret"}, {"name": "greet", "error": None}],
        "1": {"events": [{"functionName": "pay", "error": {"type": "Timeout"}}, {"error": "x"}]},
    },
}


def test_both_apis_tell_of_one_conversation_alike() -> None:
    page = example("list_conversations").read({"conversations": [V3], "cursor": "next", "next_offset": 1})
    one = example("get_conversation").read(V1)
    (told,) = page.conversations

    assert page.cursor == "next"
    for found in (told, one):
        assert (found.id, found.environment, found.channel, found.variant_id) == (
            "CA1",
            "live",
            "VOICE-SIP",
            None,
        )
        assert (found.total_duration, found.handoff, found.in_progress) == (61, True, False)
        assert found.started_at == datetime(2026, 9, 1, 8, 0, 0, 123_000, tzinfo=UTC)
        assert found.latencies == (0.8,)
    assert (told.num_turns, told.num_silences, told.num_ood, told.metrics) == (2, 1, 0, {"CSAT": "5"})
    assert (told.deployment_id, told.poly_score, told.failed_functions) == (None, None, None)
    assert (one.deployment_id, one.poly_score) == ("d1", 4.5)
    assert one.failed_functions == ("find_booking", "pay", "")


def test_what_was_said_and_who_called_is_not_read() -> None:
    for found in (
        example("get_conversation").read(V1),
        example("list_conversations").read({"conversations": [V3]}),
    ):
        assert "secret" not in str(found.model_dump())
        assert "+447700900000" not in str(found.model_dump())
        assert "CSAT" not in repr(found)


def test_a_summary_of_the_list_by_offset_may_lack_nearly_everything() -> None:
    body = {
        "conversations": [{"conversationId": "CA1", "deploymentId": None}],
        "count": 9,
        "limit": 1,
        "offset": 0,
    }

    page = example("list_agent_conversations").read(body)

    assert (page.count, page.cursor) == (9, None)
    assert (page.conversations[0].deployment_id, page.conversations[0].failed_functions) == (None, None)
    assert example("list_agent_conversations").read({"conversations": []}).conversations == ()


def test_concurrency_is_read_as_intervals() -> None:
    interval = {"time": "2026-09-01T08:05:00Z", "max_concurrent_conversations": 3, "variant_id": "V"}

    (found,) = example("get_concurrency").read(
        {"account_id": "a", "project_id": "p", "intervals": [interval]}
    )

    assert (found.time, found.max_concurrent_conversations) == (datetime(2026, 9, 1, 8, 5, tzinfo=UTC), 3)


def test_a_reply_is_read_with_its_topics_and_never_shown() -> None:
    metadata = {
        "retrievedTopics": ["opening_hours"],
        "citedTopic": "",
        "functionEvents": [{"name": "pay", "error": "x"}],
        "handoffDestination": "",
    }
    body = {"conversationId": "c1", "userInput": "hi", "response": "my secret", "metadata": metadata}

    reply = example("send_debug_chat_message").read(
        body | {"conversationEnded": True, "delayedResponse": False}
    )

    assert (reply.conversation_id, reply.response, reply.conversation_ended) == ("c1", "my secret", True)
    assert (reply.retrieved_topics, reply.failed_functions) == (("opening_hours",), ("pay",))
    assert reply.handoff_destination is None
    assert "secret" not in repr(reply)
    bare = example("create_debug_chat").read({"conversationId": "c1"})
    assert (bare.response, bare.retrieved_topics, bare.failed_functions) == ("", (), None)


@pytest.mark.parametrize("name", sorted({row[0] for row in ROWS}))
@pytest.mark.parametrize("body", [None, "secret-value", 17, ["secret-value"], {"secret-value": 1}])
def test_answer_of_another_kind_raises_value_error_that_shows_nothing(name: str, body: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        example(name).read(body)
    assert "secret-value" not in str(caught.value)
