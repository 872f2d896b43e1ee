"""Read the tests, chats, conversations and alert rules of seeds and state files.

Of an agent, all optional::

    "testCases": {"CASE-1": {"name": "Books a table"}},
    "testRuns": {},                          # runs so far
    "testOutcome": "failed",                 # how this agent's runs end, whatever the switch says
    "chat": {
      "greeting": "Hello from Leeds",
      "answers": [                           # the first whose "when" is in the message answers
        {"when": "open", "say": "From {opening_hours.monday.open}", "topics": ["opening_hours"]},
        {"when": "bye", "say": "Goodbye", "ends": true},
        {"when": "book", "say": "One moment", "fails": "find_booking"}   # a function that fails
      ],
      "otherwise": "Sorry?"
    },
    "chats": {},                             # debug chats so far
    "conversations": {
      "CA01": {"environment": "live", "startedAt": -600, "duration": 95, "handoff": true,
               "handoffReason": "asked for a person", "deploymentId": "...", "variantId": "...",
               "channel": "VOICE-SIP", "inProgress": false, "polyScore": 4.2, "latencies": [0.8, 1.1],
               "failures": ["find_booking"], "metrics": {}, "silences": 0, "outOfDomain": 0}
    }

``{a.b}`` in what a chat says is the value at that place of the config page of the chat's environment.
Beside the agents::

    "alertRules": {
      "ar_0Errors": {"account": "demo-uk", "name": "Errors", "agent": "harbour-hotels", "metric": "api_errors",
                     "operator": ">", "threshold": 5, "window": "5m", "enabled": true, "state": "ok",
                     "since": -86400, "lastEvaluatedAt": -30, "currentValue": 0}
    }

A moment is an ISO 8601 time, or a number of seconds after the server's present (so mostly negative): that of
loading the seed, but for ``lastEvaluatedAt``, which stays as far away as it is, because the platform
evaluates all the time. Without ``lastEvaluatedAt`` a rule was never evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_voice_agents.emulator.reading import choice_at, known_keys, object_at
from airflow_voice_agents.emulator.request import Record
from airflow_voice_agents.emulator.state import CLOCK_START, SeedError, format_stamp, parse_stamp

TEST_OUTCOMES = (
    *("passed", "failed", "error", "errored", "timed_out"),
    *("completed", "completed_failed", "cancelled", "never"),
)
ALERT_STATES = ("ok", "alert", "no_data", "unknown")
METRICS = (
    *("turn_latency_p50", "turn_latency_p95", "api_errors"),
    *("function_errors", "call_crashes", "call_volume"),
)
OBSERVATION_KEYS = {"testCases", "testRuns", "testOutcome", "chat", "chats", "conversations"}
"""Keys of an agent that this module reads."""

_CONVERSATION: Record = {
    "startedAt": 0,
    "duration": 60,
    "inProgress": False,
    "channel": "VOICE-SIP",
    "variantId": None,
    "deploymentId": None,
    "handoff": False,
    "handoffReason": "",
    "polyScore": None,
    "latencies": [],
    "failures": [],
    "metrics": {},
    "silences": 0,
    "outOfDomain": 0,
}
_RULE: Record = {
    "agent": None,
    "operator": ">",
    "threshold": 0,
    "window": "5m",
    "enabled": True,
    "state": "ok",
    "since": None,
    "lastEvaluatedAt": None,
    "currentValue": None,
    "createdAt": CLOCK_START,
    "updatedAt": CLOCK_START,
}
_ANSWER_KEYS = {"when", "say", "topics", "ends", "fails"}


def read_observations(place: str, agent: Mapping[str, Any]) -> Record:
    """What an agent of a seed says of these matters, with defaults filled in.

    :raises SeedError: naming the place and what is wrong there.
    """
    outcome = agent.get("testOutcome")
    if outcome is not None:
        choice_at(f"{place}.testOutcome", outcome, TEST_OUTCOMES)
    conversations = object_at(f"{place}.conversations", agent.get("conversations", {}))
    return {
        "testCases": dict(object_at(f"{place}.testCases", agent.get("testCases", {}))),
        "testRuns": dict(object_at(f"{place}.testRuns", agent.get("testRuns", {}))),
        "testOutcome": outcome,
        "chat": _read_chat(f"{place}.chat", agent.get("chat", {})),
        "chats": dict(object_at(f"{place}.chats", agent.get("chats", {}))),
        "conversations": {
            key: read_conversation(f"{place}.conversations.{key}", record)
            for key, record in conversations.items()
        },
    }


def read_conversation(place: str, raw: Any) -> Record:
    """One conversation of a seed, with defaults filled in; the caller checks its environment.

    :raises SeedError: naming the place and what is wrong there.
    """
    record = known_keys(place, raw, {"environment", *_CONVERSATION})
    return {**_CONVERSATION, **record}


def read_alert_rules(raw: Any, accounts: Mapping[str, Any], agents: Mapping[str, Any]) -> dict[str, Record]:
    """The alert rules of a seed, with defaults filled in.

    :raises SeedError: naming the place and what is wrong there.
    """
    rules = {}
    for key, value in object_at("polyai.alertRules", raw).items():
        place = f"polyai.alertRules.{key}"
        rule = known_keys(place, value, {"account", "name", "metric", *_RULE})
        if rule.get("account") not in accounts:
            raise SeedError(f"{place}.account: no account {rule.get('account')!r} in polyai.accounts")
        if rule.get("agent") is not None and rule["agent"] not in agents:
            raise SeedError(f"{place}.agent: no agent {rule['agent']!r} in polyai.agents")
        choice_at(f"{place}.metric", rule.get("metric"), METRICS)
        choice_at(f"{place}.state", rule.get("state", "ok"), ALERT_STATES)
        rules[key] = {"name": key, **_RULE, **rule}
    return rules


def settled(record: Record, name: str, present: datetime) -> Record:
    """A record whose moment of that name is a time, and no longer a number of seconds from the present.

    :raises SeedError: for what is neither.
    """
    return record | {name: stamp_of(record[name], present)}


def stamp_of(moment: Any, present: datetime) -> str | None:
    """A moment as replies show it.

    :param moment: an ISO 8601 time, seconds from the present, or ``None``.
    :raises SeedError: for anything else.
    """
    if moment is None:
        return None
    if isinstance(moment, int | float) and not isinstance(moment, bool):
        return format_stamp(present + timedelta(seconds=moment))
    return format_stamp(parse_stamp(moment))


def _read_chat(place: str, raw: Any) -> Record:
    chat = known_keys(place, raw, {"greeting", "answers", "otherwise"})
    answers = chat.get("answers", [])
    for index, answer in enumerate(answers):
        known_keys(f"{place}.answers[{index}]", answer, _ANSWER_KEYS)
    defaults = {"greeting": "Hello, how can I help?", "otherwise": "Sorry, could you say that again?"}
    return {**defaults, **chat, "answers": answers}
