"""Alert rules and what of them is firing; nothing is measured, rules stand as they were set."""

from __future__ import annotations

import re

from airflow_voice_agents.emulator.polyai.observation_seed import ALERT_STATES, METRICS, stamp_of
from airflow_voice_agents.emulator.polyai.operation import alerts_operation
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_RULES = "/v1/alert-rules"
_RULE_ID = re.compile(r"ar_[A-Za-z0-9]+", re.ASCII)
_FILTERS = {"metric": METRICS, "state": ALERT_STATES, "enabled": ("true", "false")}


def list_alerts(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """The rules of the account that are firing."""
    firing = [rule for rule in _matching(store, exchange) if rule["state"] == "alert" and rule["enabled"]]
    return Reply(200, {"data": [{"alert_rule_id": rule["id"], **_watched(store, rule)} for rule in firing]})


def list_rules(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """The rules of the account."""
    return Reply(200, {"data": [_show(store, rule) for rule in _matching(store, exchange)]})


def get_rule(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One rule."""
    rule_id = exchange.params["ruleId"]
    if not _RULE_ID.fullmatch(rule_id):
        detail = {"loc": ["path", "rule_id"], "msg": "String should match pattern", "type": "string_pattern"}
        raise Problem(422, "malformed", body={"detail": [detail]})
    rule = store.alert_rules.get(rule_id)
    if rule is None or rule["account"] != exchange.caller["account"]:
        raise Problem(404, "Alert rule not found")
    return Reply(200, _show(store, rule | {"id": rule_id}))


def _matching(store: PolyAIStore, exchange: EmulatorRequest) -> list[Record]:
    query = exchange.query
    for name, choices in _FILTERS.items():
        if query.get(name, choices[0]) not in choices:
            raise Problem(400, f"{name} must be one of {', '.join(choices)}")
    rules = [
        rule | {"id": key}
        for key, rule in store.alert_rules.items()
        if rule["account"] == exchange.caller["account"]
    ]
    return [rule for rule in rules if all(_fits(store, rule, *asked) for asked in query.items())]


def _fits(store: PolyAIStore, rule: Record, name: str, value: str) -> bool:
    """Whether a rule has what a filter asks for; projects only in the form that replies name them in."""
    if name == "project_id":
        return value == _project(store, rule)
    if name == "enabled":
        return bool(rule["enabled"]) == (value == "true")
    return name not in ("metric", "state") or rule[name] == value


def _watched(store: PolyAIStore, rule: Record) -> Record:
    present = store.clock.present()
    return {
        "name": rule["name"],
        "project_id": _project(store, rule),
        "metric": rule["metric"],
        "operator": rule["operator"],
        "threshold_value": rule["threshold"],
        "window_duration": rule["window"],
        "since": rule["since"],
        "last_evaluated_at": stamp_of(rule["lastEvaluatedAt"], present),
        "current_value": rule["currentValue"],
    }


def _show(store: PolyAIStore, rule: Record) -> Record:
    return {
        "id": rule["id"],
        **_watched(store, rule),
        "enabled": rule["enabled"],
        "current_state": rule["state"],
        "created_at": rule["createdAt"],
        "updated_at": rule["updatedAt"],
    }


def _project(store: PolyAIStore, rule: Record) -> str | None:
    slug = rule["agent"]
    return None if slug is None or slug not in store.agents else store.show_agent_id(slug)


OPERATIONS = (
    alerts_operation("list alerts", "GET", "/v1/alerts", list_alerts, writes=False),
    alerts_operation("list alert rules", "GET", _RULES, list_rules, writes=False),
    alerts_operation("get alert rule", "GET", f"{_RULES}/{{ruleId}}", get_rule, writes=False),
)
