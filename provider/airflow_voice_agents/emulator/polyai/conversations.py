"""Conversations as both hosts tell them, and how many were under way at once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from airflow_voice_agents.emulator.polyai.operation import python_operation, runtime_operation
from airflow_voice_agents.emulator.polyai.paging import number, page_of
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply
from airflow_voice_agents.emulator.state import SeedError, format_stamp, parse_stamp

_AGENT_CONVERSATIONS = "/v1/agents/{agentId}/conversations"
_CALLER = "+447700900000"
_MOST = 1000
_STEP = timedelta(minutes=5)
_LONGEST = timedelta(days=7)


def list_agent_conversations(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Conversations of all environments, newest first, as the host of the Agents API tells them."""
    found = _newest_first(store, exchange)
    shown, limit, offset = page_of(exchange, found, most=50)
    summaries = [_summary(store, exchange, record) for record in shown]
    return Reply(200, {"conversations": summaries, "count": len(found), "limit": limit, "offset": offset})


def get_conversation(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One conversation with its turns and what its functions did."""
    key = exchange.params["conversationId"]
    record = store.agent(exchange)["conversations"].get(key)
    if record is None:
        raise Problem(404, "Conversation ID does not exist.", "CONVERSATIONS_NOT_FOUND")
    events = {"0": [{"name": name, "error": "Exception"} for name in record["failures"]]}
    detail = {
        **_summary(store, exchange, record | {"id": key}),
        "turns": _turns(record, with_latency=True),
        "metrics": record["metrics"],
        "functionEvents": events,
    }
    return Reply(200, detail)


def list_conversations(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Conversations of one environment, newest first, as the runtime host tells them."""
    limit = number(exchange, "limit", _MOST)
    if not 1 <= limit <= _MOST:
        raise Problem(400, f"limit must be from 1 to {_MOST}")
    found = [record for record in _of_environment(store, exchange) if _asked_for(exchange, record)]
    after = _position(exchange.query.get("cursor"))
    if after is not None:
        found = [record for record in found if _place(record) < after]
    shown = found[:limit]
    cursor = _cursor(shown[-1]) if len(found) > limit else None
    items = [_item(store, exchange, record) for record in shown]
    return Reply(200, {"conversations": items, "cursor": cursor})


def get_concurrency(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """The most conversations at once in each five minutes; the newest ones come late, by the switch."""
    first, last = (_moment(exchange, name) for name in ("start_time", "end_time"))
    if first is None or last is None:
        raise Problem(400, "start_time and end_time are required")
    if not timedelta(0) <= last - first <= _LONGEST:
        raise Problem(400, "start_time and end_time must be no more than 1 week apart")
    spans = [_span(store, record) for record in _of_environment(store, exchange)]
    known = store.clock.present() - timedelta(seconds=store.switches.concurrency_lag)
    intervals = [
        {"time": format_stamp(time), "max_concurrent_conversations": _most_at_once(spans, time)}
        for time in _steps(first, last)
        if time <= known
    ]
    slug, account = exchange.agent or "", store.agent(exchange)["account"]
    ids = {"account_id": store.show_account_id(account), "project_id": store.show_agent_id(slug)}
    return Reply(200, {**ids, "intervals": intervals})


def _newest_first(store: PolyAIStore, exchange: EmulatorRequest) -> list[Record]:
    records = store.agent(exchange)["conversations"].items()
    return sorted((record | {"id": key} for key, record in records), key=_place, reverse=True)


def _of_environment(store: PolyAIStore, exchange: EmulatorRequest) -> list[Record]:
    environment, variant = exchange.query.get("client_env", "live"), exchange.query.get("variant_id")
    if environment not in ENVIRONMENTS:
        raise Problem(400, f"client_env must be one of {', '.join(ENVIRONMENTS)}")
    return [
        record
        for record in _newest_first(store, exchange)
        if record["environment"] == environment and variant in (None, record["variantId"])
    ]


def _asked_for(exchange: EmulatorRequest, record: Record) -> bool:
    query, began = exchange.query, _began(record)
    first, last = (_moment(exchange, name) for name in ("start_time", "end_time"))
    return (
        (first is None or first <= began)
        and (last is None or began <= last)
        and query.get("channel") in (None, record["channel"])
        and query.get("in_progress") in (None, "true" if record["inProgress"] else "false")
    )


def _began(record: Record) -> datetime:
    return parse_stamp(record["startedAt"])


def _place(record: Record) -> tuple[datetime, str]:
    return _began(record), record["id"]


def _moment(exchange: EmulatorRequest, name: str) -> datetime | None:
    text = exchange.query.get(name)
    if text is None:
        return None
    try:
        return parse_stamp(text)
    except SeedError:
        raise Problem(400, f"{name} must be a date and time in ISO 8601") from None


def _cursor(record: Record) -> str:
    began, key = _place(record)
    return base64.urlsafe_b64encode(f"{began.isoformat()}|{key}".encode()).decode()


def _position(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    try:
        began, _, key = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        return datetime.fromisoformat(began).astimezone(UTC), key
    except (binascii.Error, ValueError):
        raise Problem(400, "The cursor is malformed") from None


def _span(store: PolyAIStore, record: Record) -> tuple[datetime, datetime]:
    began = _began(record)
    ended = began + timedelta(seconds=record["duration"])
    return began, max(ended, store.clock.present() + _STEP) if record["inProgress"] else ended


def _steps(first: datetime, last: datetime) -> Iterator[datetime]:
    step = _STEP.total_seconds()
    time = datetime.fromtimestamp(first.timestamp() // step * step, UTC)
    while time < last:
        yield time
        time += _STEP


def _most_at_once(spans: list[tuple[datetime, datetime]], time: datetime) -> int:
    """The number of spans at once is largest at the start of one of them, or of the interval."""
    looks = [time, *(began for began, _ in spans if time <= began < time + _STEP)]
    return max(sum(began <= look < ended for began, ended in spans) for look in looks)


def _turns(record: Record, *, with_latency: bool) -> list[Record]:
    said = {"user_input": "marker of what a caller said", "agent_response": "marker of what was answered"}
    return [said | ({"latency": value} if with_latency else {}) for value in record["latencies"]]


def _summary(store: PolyAIStore, exchange: EmulatorRequest, record: Record) -> Record:
    slug = exchange.agent or ""
    shown = store.switches.conversation_deployments == "shown"
    return {
        "conversationId": record["id"],
        **store.owned_by(slug),
        "projectId": store.show_agent_id(slug),
        "startedAt": record["startedAt"],
        "channel": record["channel"],
        "fromNumber": _CALLER,
        "variantId": record["variantId"],
        "clientEnv": record["environment"],
        "totalDuration": record["duration"],
        "inProgress": record["inProgress"],
        "handoff": record["handoff"],
        "handoffReason": record["handoffReason"] or None,
        "polyScore": record["polyScore"],
        "deploymentId": record["deploymentId"] if shown else None,
    }


def _item(store: PolyAIStore, exchange: EmulatorRequest, record: Record) -> Record:
    slug = exchange.agent or ""
    return {
        "id": record["id"],
        "account_id": store.show_account_id(store.agents[slug]["account"]),
        "project_id": store.show_agent_id(slug),
        "variant_id": record["variantId"] or "",
        "environment": record["environment"],
        "started_at": record["startedAt"],
        "channel": record["channel"],
        "from_number": _CALLER,
        "in_progress": record["inProgress"],
        "num_turns": len(record["latencies"]),
        "total_duration": record["duration"],
        "handoff": record["handoff"],
        "handoff_reason": record["handoffReason"],
        "num_silences": record["silences"],
        "num_ood": record["outOfDomain"],
        "metrics": record["metrics"],
        "turns": _turns(record, with_latency=exchange.query.get("include_latency") == "true"),
    }


OPERATIONS = (
    python_operation(
        "list agent conversations", "GET", _AGENT_CONVERSATIONS, list_agent_conversations, writes=False
    ),
    python_operation(
        "get conversation",
        "GET",
        f"{_AGENT_CONVERSATIONS}/{{conversationId}}",
        get_conversation,
        writes=False,
    ),
    runtime_operation(
        "list conversations",
        "GET",
        "/v3/{accountId}/{projectId}/conversations",
        list_conversations,
        writes=False,
    ),
    runtime_operation(
        "get concurrency",
        "GET",
        "/v1/{accountId}/{projectId}/conversations/concurrency",
        get_concurrency,
        writes=False,
    ),
)
