"""The audit of leaks: canaries, the spellings in which a platform could echo them, and the places that are searched.

``python tests/security/leaks.py`` runs the audit and prints its table; ``test_leaks.py`` asserts that it has no hit.
"""

from __future__ import annotations

import base64
import functools
import html
import io
import json
import logging
import pickle
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import structlog

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import CallError
from support.transport import FakeTime, Script, make_call, make_settings

KEY = "sk-live_Qx7/Zt+4mW9=cR2vL8nB5kY3"
PASSWORD = "pw-Hv6jT1sXe0QaUd"
PROMPT = 'Grüße, dear caller! Say "Æsop & Sons" and ask for the secret word.'
PERSON = "+447700900123"

CANARIES = {"key": KEY, "password": PASSWORD, "prompt": PROMPT, "number": PERSON}


def _each(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(byte) for byte in text.encode())


def _units(text: str) -> Iterator[int]:
    raw = text.encode("utf-16-be")
    return (int.from_bytes(raw[place : place + 2], "big") for place in range(0, len(raw), 2))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "URL": lambda text: quote(text, safe=""),
    "URL, lower": lambda text: re.sub(r"%..", lambda m: m.group().lower(), quote(text, safe="")),
    "URL of a form": quote_plus,
    "URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "URL, all": _each("%{:02X}"),
    "HTML": html.escape,
    "HTML decimal": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "HTML hex": lambda text: "".join(f"&#x{ord(character):X};" for character in text),
    "JSON": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "JSON twice": lambda text: json.dumps(json.dumps(text)),
    r"\u": lambda text: "".join(f"\\u{unit:04x}" for unit in _units(text)),
    r"\x": _each("\\x{:02x}"),
    "Python": lambda text: repr(text.encode())[2:-1],
    "base64": _base64,
    "base64, shifted": lambda text: _base64("u:" + text + "!"),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, colons": lambda text: text.encode().hex(":").upper(),
    "reversed": lambda text: text[::-1],
    "quoted-printable": _each("={:02X}"),
    "zero width": "\u200b".join,
    "wrapped": lambda text: "\r\n ".join(text[place : place + 5] for place in range(0, len(text), 5)),
    "cut": lambda text: text[: max(13, len(text) // 2)] + "…",
}
"""How a platform could spell what it was sent."""

NUMBERS: Mapping[str, str] = {
    "E.164": "+447700900123",
    "without plus": "447700900123",
    "international": "+44 7700 900123",
    "national": "07700900123",
    "grouped": "(07700) 900 123",
    "00": "0044 7700 900-123",
    "trunk zero": "+44 (0)7700 900123",
    "dots": "44.7700.900.123",
    "tel": "tel:+44-7700-900-123",
    "subscriber": "7700900123",
    "full width": "+４４７７００９００１２３",
    "no-break": "07700\u00a0900\u2011123",
}
"""How a platform could spell the number that was called."""

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    **{name: tuple(map(encode, CANARIES.values())) for name, encode in ENCODINGS.items()},
    **{f"number, {name}": (number,) for name, number in NUMBERS.items()},
    "URL, user and query": (f"https://ann:{PASSWORD}@host.example/x?token={quote(KEY)}&x={PASSWORD}",),
    "URL, query and user": (
        f"wss://host.example/?to={quote(PERSON)}&api_key={KEY}#https://{PASSWORD}@b.example",
    ),
}
"""Name of a spelling -> the texts that a platform echoes, one per canary."""


# ------------------------------------------------------------------------------------- the search


def hits(text: str) -> list[str]:
    """Return the canaries of which a text holds a spelling, or a long part of one."""
    found = [name for name, canary in CANARIES.items() if name != "number" and _holds(text, canary)]
    digits = re.sub(r"\D", "", text.translate({0xFF10 + digit: str(digit) for digit in range(10)}))
    return found + (["number"] if "7700900123" in digits or _holds(text, PERSON) else [])


def _holds(text: str, canary: str) -> bool:
    """Search without regard to case, and in the letters and digits alone."""
    lowered, bare = text.casefold(), _bare(text)
    return any(part in lowered or (len(short) > 9 and short in bare) for part, short in _parts(canary))


@functools.cache
def _parts(canary: str) -> list[tuple[str, str]]:
    """Return beginning and end of each spelling of a canary, and their letters and digits."""
    forms = [encode(canary).casefold() for encode in ENCODINGS.values()]
    parts = [part for form in forms for part in ([form] if len(form) < 24 else [form[:24], form[-24:]])]
    return [(part, _bare(part)) for part in dict.fromkeys(parts)]


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


# ------------------------------------------------------------------------- what a platform can say

Echo = Callable[[str], httpx.Response | Exception]

ECHOES: Mapping[str, Echo] = {
    "error message": lambda text: _refusal(error_message=f"refused: {text} is wrong"),
    "error code": lambda text: _refusal(error_code=text),
    "symbolic code": lambda text: httpx.Response(400, json={"code": text, "error": "no"}),
    "field label": lambda text: httpx.Response(422, json={"errors": [{"field": text, "message": text}]}),
    "field path": lambda text: httpx.Response(422, json={"detail": [{"loc": ["body", text], "msg": "no"}]}),
    "named errors": lambda text: httpx.Response(422, json={"details": {"fieldErrors": {text: [text]}}}),
    "list of errors": lambda text: httpx.Response(400, json=[{"field": text, "message": "no", "code": text}]),
    "merge conflict": lambda text: httpx.Response(
        409, json={"hasConflicts": True, "conflicts": [{"path": ["topics", text], "type": text}]}
    ),
    "error id": lambda text: _refusal(error_id=text[:80]),
    "plain text": lambda text: httpx.Response(502, content=f"upstream: {text}".encode()),
    "page": lambda text: httpx.Response(403, content=f"<html>{text}</html>".encode()),
    "redirect": lambda text: httpx.Response(302, headers={"Location": _location(text)}),
    "headers": lambda text: httpx.Response(
        429, headers={"Retry-After": _header(text), "X-Echo": _header(text)}
    ),
    "success": lambda text: httpx.Response(200, json={"error_code": text, "error_message": text}),
    "unreadable": lambda text: httpx.Response(200, json={"things": {text: text}}),
    "broken connection": lambda text: httpx.RemoteProtocolError(f"illegal status line: {text!r}"),
    "refused proxy": lambda text: httpx.ProxyError(f"407 for https://{PASSWORD}@proxy.example: {text}"),
}
"""Every place of an answer in which a platform can say something of its own."""


def _refusal(**fields: str) -> httpx.Response:
    return httpx.Response(400, json={"success": False, "data": None, **fields})


def _header(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isprintable())


def _location(text: str) -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", _header(text))
    return f"https://{host}.example/{quote(text)}"


# ----------------------------------------------------------------------------------- the transport

TRANSPORT_PLACES = ("error text", "repr and pickle", "log at DEBUG", "traceback with locals")


def requests() -> list[ApiRequest[Any]]:
    """Return requests that hold prompt, number and value in each part of a request."""
    body = {"toNumber": PERSON, "prompt": {"text": [PROMPT, {"pin": PASSWORD}]}, "environment": "live"}

    def read(payload: Any) -> Any:
        raise KeyError(*payload["things"])

    query = (("to", PERSON), ("q", PROMPT), ("p", PASSWORD))
    return [
        make_call(Replay.NEVER, body=body, read=read),
        make_call(Replay.SAFE, query=query, read=read, people=True),
    ]


def search_transport(echo: Echo, text: str) -> dict[str, list[str]]:
    """Let a platform echo a text to each request, and return the hits per place."""
    found: dict[str, list[str]] = {place: [] for place in TRANSPORT_PLACES}
    for request in requests():
        with captured_log() as log:
            error = _failure(echo, text, request)
        texts = {
            "error text": f"{error} {error.error_code} {error.reason}",
            "repr and pickle": f"{error!r} {error.__dict__} {pickle.dumps(error)!r}",
            "log at DEBUG": log.getvalue(),
            "traceback with locals": with_locals(error),
        }
        for place in TRANSPORT_PLACES:
            found[place] += hits(texts[place])
    return found


def _failure(echo: Echo, text: str, request: ApiRequest[Any]) -> CallError:
    answer, time = echo(text), FakeTime()
    client = Client(
        make_settings(key=KEY, max_attempts=1),
        transport=Script(answer),
        clock=time.clock,
        sleep=time.sleep,
        random=lambda: 1.0,
    )
    with client:
        try:
            client.send(request)
        except CallError as error:
            return error
    raise AssertionError("the request was answered")


@contextmanager
def captured_log() -> Iterator[io.StringIO]:
    """Collect every record of every logger from DEBUG up."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def with_locals(error: BaseException) -> str:
    """Return what structlog and Python show of an error, the locals of the provider's frames included."""
    shown = structlog.tracebacks.extract(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        locals_max_length=50,
        locals_max_string=2000,
    )
    frames = [
        frame.locals
        for stack in shown.stacks
        for frame in stack.frames
        if "airflow_voice_agents" in frame.filename and frame.locals
    ]
    return repr(frames) + "".join(traceback.format_exception(error))


# ---------------------------------------------------------------------------------------- the table


def audit_transport() -> dict[str, Counter[str]]:
    """Return the number of hits per place and spelling, over all echoes."""
    table: dict[str, Counter[str]] = {place: Counter() for place in TRANSPORT_PLACES}
    for spelling, texts in SPELLINGS.items():
        for echo in ECHOES.values():
            for text in texts:
                for place, found in search_transport(echo, text).items():
                    table[place][spelling] += len(found)
    return table


def markdown(table: Mapping[str, Counter[str]]) -> str:
    """Return the audit as a Markdown table: a row per spelling, a column per place."""
    places = list(table)
    lines = [f"| Spelling of the echo | {' | '.join(places)} |", "|---|" + "---|" * len(places)]
    lines += [f"| {name} | {' | '.join(str(table[place][name]) for place in places)} |" for name in SPELLINGS]
    total = sum(sum(counts.values()) for counts in table.values())
    head = (
        f"{len(CANARIES)} canaries, {len(SPELLINGS)} spellings, {len(ECHOES)} parts of an answer, "
        f"{len(places)} places searched: {total} hits."
    )
    return "\n".join([head, "", *lines])


HEADER = """# Security audit

This page shows the result of a search for leaked secrets, and the cost of hostile input. `make
security-table` generates it.

A simulated platform returns canaries (an API key, a password, a prompt and the number of a called person) in
every spelling below and in every part of a response: messages, codes, field names, conflict paths, ids,
redirects, headers, pages, broken connections. The table counts the places in which a canary was found
afterwards, whole or in part, in any spelling. The tests in `tests/security/` assert the same, and also search
everything that tasks leave in Airflow: messages to Airflow, rendered templates, XComs, events, logs at DEBUG,
files, notifications, tracebacks with locals, and the bytes of the database.

"""

if __name__ == "__main__":
    logging.lastResort = None
    print(HEADER + markdown(audit_transport()))
