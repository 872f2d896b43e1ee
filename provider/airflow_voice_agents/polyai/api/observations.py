"""Requests for the checks after a promotion: test runs, alerts, conversations, concurrency, debug chats.

Most requests go to the same host as the rest of the API. Requests to a route in :data:`RUNTIME_ROUTES` go to
the region's runtime host, which accepts only its own keys; ``PolyAIHook`` selects the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow_voice_agents.polyai import readers
from airflow_voice_agents.polyai.api.requests import AGENT, CONCURRENCY, CONVERSATIONS, get, optional, send
from airflow_voice_agents.polyai.models import parse_environment
from airflow_voice_agents.polyai.observations import (
    ALERT_STATES,
    METRICS,
    Alert,
    AlertRule,
    ChatReply,
    ConcurrencyInterval,
    Conversation,
    ConversationPage,
    TestRun,
)
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import (
    parse_batch,
    parse_choice,
    parse_count,
    parse_identifier,
    parse_json_object,
    parse_lines,
    require_distinct,
)

CHAT_DEADLINE: Final = 90.0
"""Seconds for a turn of a debug chat, in which the agent thinks and may call functions."""
CONVERSATIONS_AT_ONCE: Final = 1000
"""Most conversations that the runtime host gives in one answer."""
CONCURRENCY_SPAN: Final = timedelta(days=7)
"""Longest time that concurrency can be asked for at once."""

_RUNS = f"{AGENT}/testing/test-runs"
_RULES = "/v1/alert-rules"
_AGENT_CONVERSATIONS = f"{AGENT}/conversations"
_CHATS = f"{AGENT}/debug-chat"

# ------------------------------------------------------------------------------------- test runs


def list_test_runs(
    agent_id: str,
    *,
    limit: int | None = None,
    offset: int | None = None,
    test_set_id: str | None = None,
    branch_id: str | None = None,
) -> ApiRequest[list[TestRun]]:
    """Read the test runs of an agent (``GET …/testing/test-runs``).

    :param limit: maximum number of records, from 1.
    :param offset: number of records to skip.
    :param test_set_id: only the runs of this test set.
    :param branch_id: only the runs on this branch.
    """
    query = _window(limit, offset) | optional(
        test_set_id=test_set_id, branch_id=branch_id, parse=parse_identifier
    )
    read = readers.list_of(TestRun, "testRuns")
    return get("list test runs", _RUNS, read, query=query, agent_id=agent_id)


def get_test_run(agent_id: str, *, test_run_id: str) -> ApiRequest[TestRun]:
    """Read one test run (``GET …/testing/test-runs/{testRunId}``).

    The platform can respond with 500 while the run is in progress.
    """
    read = TestRun.model_validate
    return get("get test run", f"{_RUNS}/{{testRunId}}", read, agent_id=agent_id, test_run_id=test_run_id)


def trigger_test_run(
    agent_id: str, *, branch_id: str, test_case_ids: Sequence[str], name: str = "", form: str = "select"
) -> ApiRequest[TestRun]:
    """Start a run of some tests on a branch (``POST …/testing/test-runs/trigger``).

    :param branch_id: ``main`` or the id of a branch.
    :param test_case_ids: at least one id.
    :param name: the name of the run; empty for none.
    :param form: ``select``, the current form, or ``flat``, the deprecated list of ids.
    """
    ids = parse_batch(
        test_case_ids, lambda value, place: parse_identifier(value, name=place), name="test_case_ids"
    )
    require_distinct(ids, name="test_case_ids")
    wanted: dict[str, Any] = {"select": {"mode": "testIds", "testIds": ids}}
    if parse_choice(form, name="form", choices=("select", "flat")) == "flat":
        wanted = {"testCaseIds": ids}
    return send(
        "trigger test run",
        "POST",
        f"{_RUNS}/trigger",
        TestRun.model_validate,
        body={"branchId": parse_identifier(branch_id, name="branch_id"), **wanted}
        | optional(name=parse_lines(name, name="name") or None),
        shown=frozenset({"branchId", "testCaseIds", "select"}),
        agent_id=agent_id,
    )


# ---------------------------------------------------------------------------------------- alerts


def list_alerts(*, project_id: str | None = None, metric: str | None = None) -> ApiRequest[list[Alert]]:
    """Read which alert rules of the key's account are firing (``GET /v1/alerts``).

    :param project_id: only the rules of this agent, in the form that the rules name it in.
    :param metric: only rules that watch this, one of ``METRICS``.
    """
    query = _watched(project_id, metric)
    return get("list alerts", "/v1/alerts", readers.list_of(Alert, "data"), query=query)


def list_alert_rules(
    *,
    project_id: str | None = None,
    metric: str | None = None,
    state: str | None = None,
    enabled: bool | None = None,
) -> ApiRequest[list[AlertRule]]:
    """Read the alert rules of the key's account (``GET /v1/alert-rules``).

    :param project_id: only the rules of this agent, in the form that the rules name it in.
    :param metric: only rules that watch this, one of ``METRICS``.
    :param state: only rules in this state, one of ``ALERT_STATES``.
    :param enabled: only rules that are on, or off.
    """
    query = _watched(project_id, metric) | _flag("enabled", enabled)
    if state is not None:
        query["state"] = parse_choice(state, name="state", choices=ALERT_STATES)
    return get("list alert rules", _RULES, readers.list_of(AlertRule, "data"), query=query)


def get_alert_rule(rule_id: str) -> ApiRequest[AlertRule]:
    """Read one alert rule (``GET /v1/alert-rules/{rule_id}``)."""
    return get("get alert rule", f"{_RULES}/{{ruleId}}", AlertRule.model_validate, rule_id=rule_id)


# --------------------------------------------------------------------------------- conversations


def list_conversations(
    account_id: str,
    *,
    project_id: str,
    client_env: str,
    start_time: datetime | str | None = None,
    end_time: datetime | str | None = None,
    in_progress: bool | None = None,
    variant_id: str | None = None,
    channel: str | None = None,
    include_latency: bool | None = None,
    limit: int = CONVERSATIONS_AT_ONCE,
    cursor: str | None = None,
) -> ApiRequest[ConversationPage]:
    """Read conversations of one environment, from the runtime host (``GET /v3/…/conversations``).

    They do not say which deployment they were held with.

    :param account_id: the account.
    :param project_id: the agent.
    :param start_time: only those that began at this moment or later; aware, or ISO 8601 with a zone.
    :param end_time: only those that began before or at this moment.
    :param in_progress: ``True`` for ongoing conversations only, ``False`` for ended ones only.
    :param variant_id: only those of this variant.
    :param channel: only those of this channel.
    :param include_latency: include the latency of each turn.
    :param limit: maximum number of records per request, 1 to ``CONVERSATIONS_AT_ONCE``.
    :param cursor: that of the answer before.
    """
    query = {"client_env": parse_environment(client_env, name="client_env").value}
    query |= _span(start_time, end_time) | _flag("in_progress", in_progress)
    query |= _snake(optional(variant_id=variant_id, channel=channel))
    query |= _flag("include_latency", include_latency)
    query["limit"] = str(parse_count(limit, name="limit", most=CONVERSATIONS_AT_ONCE))
    query |= optional(cursor=cursor)
    return get(
        "list conversations",
        CONVERSATIONS,
        ConversationPage.model_validate,
        query=query,
        account_id=account_id,
        project_id=project_id,
    )


def list_agent_conversations(
    agent_id: str, *, limit: int | None = None, offset: int | None = None
) -> ApiRequest[ConversationPage]:
    """Read conversations of an agent, most with their deployment (``GET …/agents/{agentId}/conversations``).

    The vendor no longer documents this operation; it can disappear.

    :param limit: maximum number of records, from 1.
    :param offset: number of records to skip.
    """
    read = ConversationPage.model_validate
    query = _window(limit, offset)
    return get("list agent conversations", _AGENT_CONVERSATIONS, read, query=query, agent_id=agent_id)


def get_conversation(agent_id: str, *, conversation_id: str) -> ApiRequest[Conversation]:
    """Read one conversation (``GET …/agents/{agentId}/conversations/{conversationId}``)."""
    return get(
        "get conversation",
        f"{_AGENT_CONVERSATIONS}/{{conversationId}}",
        Conversation.model_validate,
        agent_id=agent_id,
        conversation_id=conversation_id,
    )


def get_concurrency(
    account_id: str,
    *,
    project_id: str,
    client_env: str,
    start_time: datetime | str,
    end_time: datetime | str,
    variant_id: str | None = None,
) -> ApiRequest[list[ConcurrencyInterval]]:
    """Read the number of parallel conversations (``GET /v1/…/conversations/concurrency``).

    Asked of the runtime host; the newest interval lags behind.

    :param account_id: the account.
    :param project_id: the agent.
    :param start_time: aware, or ISO 8601 with a zone; rounded down to five minutes by the platform.
    :param end_time: at most ``CONCURRENCY_SPAN`` later; rounded up.
    :param variant_id: only this variant.
    """
    query = {"client_env": parse_environment(client_env, name="client_env").value}
    first, last = _moment(start_time, "start_time"), _moment(end_time, "end_time")
    if not timedelta(0) < last - first <= CONCURRENCY_SPAN:
        raise InputError(f"end_time must be after start_time, by {CONCURRENCY_SPAN.days} days at most")
    query |= _span(first, last) | _snake(optional(variant_id=variant_id, parse=parse_identifier))
    return get(
        "get concurrency",
        CONCURRENCY,
        readers.list_of(ConcurrencyInterval, "intervals"),
        query=query,
        account_id=account_id,
        project_id=project_id,
    )


# ------------------------------------------------------------------------------------ debug chats


def create_debug_chat(
    agent_id: str,
    *,
    client_env: str,
    variant_id: str | None = None,
    channel: str | None = None,
    asr_lang_code: str | None = None,
    tts_lang_code: str | None = None,
    conversation_id: str | None = None,
    integration_attributes: Mapping[str, Any] | None = None,
) -> ApiRequest[ChatReply]:
    """Begin a chat with what an environment runs (``POST …/debug-chat``).

    The agent works as it does in a call, so what its functions do, they do.

    :param client_env: the environment.
    :param variant_id: the variant that is to answer.
    :param channel: such as ``chat.polyai``.
    :param asr_lang_code: language of the input, such as ``en-GB``.
    :param tts_lang_code: language of the answers.
    :param conversation_id: id for the chat; the platform makes one without.
    :param integration_attributes: JSON object that the agent's functions can read.
    """
    body: dict[str, Any] = {"clientEnv": parse_environment(client_env, name="client_env").value}
    body |= optional(variant_id=variant_id, conversation_id=conversation_id, parse=parse_identifier)
    body |= optional(channel=channel, asr_lang_code=asr_lang_code, tts_lang_code=tts_lang_code)
    if integration_attributes is not None:
        body["integrationAttributes"] = parse_json_object(
            integration_attributes, name="integration_attributes"
        )
    return send(
        "create debug chat",
        "POST",
        _CHATS,
        ChatReply.model_validate,
        replay=Replay.NEVER,
        body=body,
        deadline=CHAT_DEADLINE,
        agent_id=agent_id,
    )


def send_debug_chat_message(
    agent_id: str, *, conversation_id: str, client_env: str, message: str
) -> ApiRequest[ChatReply]:
    """Send a message in a debug chat, once; one that has ended is refused (``POST …/debug-chat/{conversationId}``).

    :param conversation_id: id of the chat.
    :param client_env: the environment that it was begun in.
    :param message: text of any number of lines.
    """
    environment = parse_environment(client_env, name="client_env").value
    return send(
        "send debug chat message",
        "POST",
        f"{_CHATS}/{{conversationId}}",
        ChatReply.model_validate,
        replay=Replay.NEVER,
        body={"clientEnv": environment, "message": parse_lines(message, name="message")},
        deadline=CHAT_DEADLINE,
        agent_id=agent_id,
        conversation_id=conversation_id,
    )


def _window(limit: int | None, offset: int | None) -> dict[str, str]:
    query = {} if limit is None else {"limit": str(parse_count(limit, name="limit"))}
    if offset is None or offset == 0:
        return query
    return query | {"offset": str(parse_count(offset, name="offset"))}


def _watched(project_id: str | None, metric: str | None) -> dict[str, str]:
    query = _snake(optional(project_id=project_id, parse=parse_identifier))
    if metric is None:
        return query
    return query | {"metric": parse_choice(metric, name="metric", choices=METRICS)}


def _flag(name: str, value: bool | None) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {type(value).__name__}")
    return {name: "true" if value else "false"}


def _span(start: datetime | str | None, end: datetime | str | None) -> dict[str, str]:
    given = {"start_time": start, "end_time": end}
    return {name: _stamp(_moment(value, name)) for name, value in given.items() if value is not None}


def _moment(value: object, name: str) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InputError(f"{name} must be an ISO 8601 time") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InputError(f"{name} must be a time with a zone")
    return value.astimezone(UTC)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _snake(query: Mapping[str, str]) -> dict[str, str]:
    """Query parameters of the APIs whose names are those of Python."""
    names = {"variantId": "variant_id", "projectId": "project_id"}
    return {names.get(name, name): value for name, value in query.items()}
