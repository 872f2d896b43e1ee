"""Numbers that can be bought: the search, which reserves nothing, and the purchase, which is billed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from airflow_voice_agents.emulator.reading import E164
from airflow_voice_agents.emulator.request import EmulatorRequest, Operation, Record, Reply
from airflow_voice_agents.emulator.signalwire.bodies import read_object, whole_number
from airflow_voice_agents.emulator.signalwire.errors import refused
from airflow_voice_agents.emulator.signalwire.fields import CAPABILITIES, national_digits, new_record
from airflow_voice_agents.emulator.signalwire.listing import NUMBERS
from airflow_voice_agents.emulator.signalwire.store import SignalWireStore

_SEARCH = f"{NUMBERS}/search"
_MAX_RESULTS = 100
_DEFAULT_RESULTS = 50
_PIECES = ("starts_with", "contains", "ends_with")
_BILLING_DAYS = 30

_PIECE = re.compile(r"[0-9]{3,7}", re.ASCII)
_REGION = re.compile(r"[A-Za-z]{2}", re.ASCII)
_REFUSALS = {
    "could_not_purchase": "The phone number could not be purchased",
    "insufficient_balance": "The balance is not sufficient",
    "account_limit_exceeded": "The project has as many phone numbers as it may have",
}


def search_available(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """Numbers that can be bought at this moment."""
    query = {name: value for name, value in exchange.query.items() if value}
    _check_search(query)
    limit = int(query.get("max_results", _DEFAULT_RESULTS))
    found = [
        {"number": number} | {name: record[name] for name in _SHOWN if record[name] is not None}
        for number, record in store.available.items()
        if _fits(number, record, query)
    ][:limit]
    links = {"self": _SEARCH, "first": _SEARCH}
    absent = not found and store.switches.signalwire_empty_search == "absent"
    return Reply(200, {"links": links} | ({} if absent else {"data": found}))


def purchase(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """Buy a number, without any routing yet."""
    project, number = store.project(exchange), read_object(exchange).get("number")
    if number is None:
        raise refused(("missing_required_parameter", "number is required"))
    if not isinstance(number, str) or not E164.fullmatch(number):
        raise refused(("invalid_number_format", "number must be in E.164 format"))
    outcome: str = store.switches.signalwire_purchase
    if outcome == "ok" and len(project["numbers"]) >= project["max_numbers"]:
        outcome = "account_limit_exceeded"
    elif outcome == "ok" and (number not in store.available or store.is_taken(number)):
        outcome = "could_not_purchase"
    if outcome != "ok":
        raise refused((outcome, _REFUSALS[outcome]))
    project["billed"] += 1
    return Reply(200, store.show(_add(store, exchange, number, store.available.pop(number))))


def _add(store: SignalWireStore, exchange: EmulatorRequest, number: str, offer: Record) -> Record:
    now = store.state.touch()
    has = offer["capabilities"]
    record = new_record(
        number,
        store.clock.new_uuid(),
        now,
        {
            "capabilities": [name for name in CAPABILITIES if has.get(name)],
            "number_type": "toll-free" if offer["number_type"] == "toll-free" else "longcode",
            "next_billed_at": _later(now, _BILLING_DAYS),
        },
    )
    return store.put(exchange.agent or "", record)


def _later(stamp: str, days: int) -> str:
    return (datetime.fromisoformat(stamp) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


_SHOWN = ("region", "city", "rate_center", "lata", "capabilities")


def _check_search(query: dict[str, str]) -> None:
    given = [name for name in _PIECES if name in query]
    if len(given) > 1:
        raise refused(("incompatible_parameters", f"{' and '.join(given)} exclude each other"))
    for name in given:
        if not _PIECE.fullmatch(query[name]):
            raise refused(("invalid_parameter", f"{name} must be 3 to 7 digits"))
    if query.get("number_type", "local") not in ("local", "toll-free"):
        raise refused(("invalid_parameter", "number_type must be local or toll-free"))
    if not 1 <= (whole_number(query.get("max_results", "1")) or 0) <= _MAX_RESULTS:
        raise refused(("invalid_parameter", f"max_results must be from 1 to {_MAX_RESULTS}"))
    _check_place(query)


def _check_place(query: dict[str, str]) -> None:
    if ("region" in query or "city" in query) and query.get("number_type") == "toll-free":
        raise refused(("incompatible_parameters", "region and city are for local numbers only"))
    if "city" in query and "region" not in query:
        raise refused(("must_specify_related_parameter", "city requires region"))
    if not _REGION.fullmatch(query.get("region", "TX")):
        raise refused(("invalid_parameter", "region must be two letters"))


def _fits(number: str, record: Record, query: dict[str, str]) -> bool:
    digits = national_digits(number)
    return (
        record["number_type"] == query.get("number_type", "local")
        and digits.startswith(query.get("areacode", ""))
        and digits.startswith(query.get("starts_with", ""))
        and query.get("contains", "") in digits
        and digits.endswith(query.get("ends_with", ""))
        and all(
            query[name].casefold() == (record[name] or "").casefold()
            for name in ("region", "city")
            if name in query
        )
    )


OPERATIONS = (
    Operation("search available phone numbers", "GET", _SEARCH, search_available, writes=False),
    Operation("purchase phone number", "POST", NUMBERS, purchase, writes=True),
)
