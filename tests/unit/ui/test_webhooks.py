"""The receiver of webhooks: what it lets in, what it refuses, and that neither answer nor log tells anything."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_voice_agents.polyai import webhooks as verification
from airflow_voice_agents.polyai.webhooks import (
    LIMITS,
    MOST_AGENTS,
    WebhookSecrets,
    agents_of,
    read_agents,
)
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.state.webhook_events import PERIOD, WebhookEvents
from airflow_voice_agents.transport.errors import ConnectionSettingsError, InputError
from airflow_voice_agents.ui import webhooks
from airflow_voice_agents.ui.app import create_app
from airflow_voice_agents.ui.records import StateReader
from airflow_voice_agents.ui.webhooks import (
    ACCEPTED_PER_MINUTE,
    FAILURE_KEPT,
    LOG_SECONDS,
    SECRETS_KEPT,
    KeptSecrets,
    Quota,
    Receiver,
    SparseLog,
    configured_receiver,
    read_delivery,
)

from .conftest import Rights

NEW, FORMER, TOKEN, FORMER_TOKEN = (
    f"{name}-0123456789abcdef" for name in ("new", "former", "tok", "tok-old")
)
SECRETS = WebhookSecrets((NEW.encode(), FORMER.encode()), (TOKEN.encode(), FORMER_TOKEN.encode()))
NOW = 1_795_800_000.0
CANARY = "the caller said hunter2"
BODY = json.dumps({"project_id": "harbour-hotels", "note": CANARY}).encode()
HOTEL, ACCOUNT = "polyai://agents/harbour-hotels/webhook", "polyai://account/webhook"
AGENTS = "harbour-hotels, rosa-restaurants=PROJECT-1A2B3C4D"


def signed(
    body: bytes = BODY,
    *,
    key: str = NEW,
    at: float | str = NOW,
    event: str = "evt-1",
    **changed: str | bytes,
) -> dict[str, Any]:
    """A delivery of an account webhook; ``changed`` are headers that replace the right ones."""
    stamp = at if isinstance(at, str) else str(int(at))
    signature = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers: dict[str, Any] = {
        "content-type": "application/json",
        "x-polyai-timestamp": stamp,
        "x-polyai-signature": signature,
        "x-polyai-event-id": event,
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {"content": body, "headers": headers}


def with_token(body: bytes = BODY, *, token: str | bytes = TOKEN, **changed: str) -> dict[str, Any]:
    """A delivery of an agent's webhook."""
    headers: dict[str, Any] = {"content-type": "application/json", "x-webhook-token": token}
    return {
        "content": body,
        "headers": headers | {name.replace("_", "-"): value for name, value in changed.items()},
    }


@dataclass
class Server:
    """An API server process with the receiver, and the asset events that it made."""

    base: str
    secrets: WebhookSecrets | None = SECRETS
    at: float = NOW
    emitted: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    fault: Exception | None = None

    def __post_init__(self) -> None:
        receiver = Receiver(
            read_agents(AGENTS),
            lambda: self.secrets,
            WebhookEvents(self.base, lambda: self.at),
            emit=self.emit,
            clock=lambda: self.at,
            say=SparseLog(lambda: 0.0),
            quotas={"account": Quota(lambda: self.at), "agent": Quota(lambda: self.at)},
        )
        self.client = TestClient(create_app(StateReader(self.base), receiver=lambda: receiver))

    def emit(self, uri: str, extra: Mapping[str, Any]) -> int:
        if self.fault is not None:
            raise self.fault
        self.emitted.append((uri, extra))
        return 1

    def post(self, kind: str, delivery: Mapping[str, Any]) -> Any:
        return self.client.post(f"/webhooks/polyai/{kind}", **delivery)

    @property
    def woken(self) -> list[str]:
        return [uri for uri, _ in self.emitted]


@pytest.fixture
def server(base: str, rights: Rights) -> Server:
    return Server(base)


def test_a_signed_delivery_wakes_the_agent_and_the_account(server: Server, base: str) -> None:
    assert server.post("account", signed()).status_code == 204

    assert server.emitted == [(uri, {"webhook": "account", "verified": True}) for uri in (HOTEL, ACCOUNT)]
    assert CANARY not in "".join(path.read_text() for path in Path(base[7:]).rglob("*") if path.is_file())


@pytest.mark.parametrize("token", [TOKEN, FORMER_TOKEN])
def test_a_token_wakes_the_agent_and_is_no_proof(server: Server, token: str) -> None:
    assert server.post("agent", with_token(token=token)).status_code == 204

    assert server.emitted == [(HOTEL, {"webhook": "agent", "verified": False})]


ACCOUNT_REFUSALS = {
    "forged": signed(key="somebody else's secret"),
    "other body": signed() | {"content": BODY + b" "},
    "other time": signed(x_polyai_timestamp=str(int(NOW) + 1)),
    "old": signed(at=NOW - 301),
    "future": signed(at=NOW + 301),
    "old in milliseconds": signed(at=(NOW - 301) * 1000),
    "no time": signed(at=""),
    "time in words": signed(at="now"),
    "time with a sign": signed(at="+1795800000"),
    "endless time": signed(at="9" * 400),
    "no signature": signed(x_polyai_signature=""),
    "signature of another alphabet": signed(x_polyai_signature=b"\xe9" * 64),
    "no event id": signed(event=""),
    "long event id": signed(event="e" * 257),
    "wrong content type": signed(content_type="text/plain"),
    "no content type": signed(content_type=""),
    "oversized": signed(b'"' + b"x" * LIMITS.size + b'"'),
    "a token": with_token(),
    "nothing": {},
}
AGENT_REFUSALS = {
    "wrong": with_token(token=TOKEN[:-1] + "0"),
    "beginning": with_token(token=TOKEN[:-1]),
    "more": with_token(token=TOKEN + "x"),
    "empty": with_token(token=""),
    "another alphabet": with_token(token=b"\xe9\xff" * 12),
    "wrong content type": with_token(content_type="application/x-www-form-urlencoded"),
    "oversized": with_token(b"x" * (LIMITS.size + 1)),
    "a signature": signed(),
    "nothing": {},
}
REFUSALS = [
    pytest.param(kind, delivery, id=f"{kind}: {name}")
    for kind, found in (("account", ACCOUNT_REFUSALS), ("agent", AGENT_REFUSALS))
    for name, delivery in found.items()
]


@pytest.mark.parametrize(("kind", "delivery"), REFUSALS)
def test_every_refusal_is_the_same_and_does_nothing(
    server: Server, base: str, kind: str, delivery: Mapping[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    common = server.post(kind, {})
    with caplog.at_level(logging.DEBUG):
        answer = server.post(kind, delivery)

    assert (answer.status_code, answer.content) == (403, b"")
    assert answer.headers == common.headers
    assert server.emitted == []
    assert not list(Path(base[7:]).rglob("*"))
    assert CANARY not in caplog.text


@pytest.mark.parametrize("kind", ["account", "agent"])
def test_every_refusal_costs_the_same(server: Server, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests and comparisons are counted, with both secrets, with one and with none."""
    counted = {"new": 0, "compare_digest": 0}

    def count(name: str) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:
            counted[name] += 1
            return getattr(hmac, name)(*arguments)

        return counting

    monkeypatch.setattr(verification, "hmac", SimpleNamespace(**{name: count(name) for name in counted}))
    costs = set()
    for secrets in (SECRETS, WebhookSecrets(SECRETS.signing[:1], SECRETS.tokens[:1]), WebhookSecrets()):
        server.secrets = secrets
        for _, delivery in (each.values for each in REFUSALS):
            counted |= dict.fromkeys(counted, 0)
            if server.post(kind, delivery).status_code == 403:  # type: ignore[arg-type]
                costs.add(tuple(counted.values()))
    assert costs == {(5, 4)}


@pytest.mark.parametrize("at", [NOW - 300, NOW, NOW + 300, NOW * 1000])
def test_five_minutes_either_way_are_near_enough(server: Server, at: float) -> None:
    server.post("account", signed(at=at))

    assert HOTEL in server.woken


@pytest.mark.parametrize("key", [NEW, FORMER])
def test_both_secrets_count_during_a_rotation(server: Server, key: str) -> None:
    assert server.post("account", signed(key=key)).status_code == 204

    assert HOTEL in server.woken


def test_after_a_rotation_the_former_secrets_are_refused(server: Server) -> None:
    server.secrets = WebhookSecrets(SECRETS.signing[:1], SECRETS.tokens[:1])

    assert server.post("account", signed(key=FORMER)).status_code == 403
    assert server.post("agent", with_token(token=FORMER_TOKEN)).status_code == 403


def test_no_secret_of_a_kind_refuses_the_kind(server: Server) -> None:
    server.secrets = WebhookSecrets()

    for key in ("", "None"):
        assert server.post("account", signed(key=key)).status_code == 403
        assert server.post("agent", with_token(token=key)).status_code == 403


def test_a_further_attempt_counts_once_in_all_processes(server: Server, base: str) -> None:
    """A further attempt has the same event id, and a time and a signature of its own."""
    other = Server(base, at=NOW + 60)
    answers = [
        server.post("account", signed()),
        other.post("account", signed(at=NOW + 60)),
        server.post("account", signed()),
    ]

    assert [each.status_code for each in answers] == [204] * 3
    assert (server.woken, other.woken) == ([HOTEL, ACCOUNT], [])


def test_a_replay_under_another_event_id_counts_for_nothing(server: Server) -> None:
    """The event id is not signed."""
    server.post("account", signed())
    server.post("account", signed(event="evt-2"))
    assert server.woken == [HOTEL, ACCOUNT]

    server.post("account", signed(b"{}", event="evt-2"))
    assert server.woken == [HOTEL, ACCOUNT, ACCOUNT]


@pytest.mark.parametrize("is_local", [True, False])
def test_what_was_seen_is_forgotten_in_time(
    tmp_path: Path, is_local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StateFiles, "is_local", is_local)
    at = [NOW // PERIOD * PERIOD + PERIOD - 1]
    events = WebhookEvents(f"file://{tmp_path}", lambda: at[0])
    assert [events.claim(("a", "b")), events.claim(("a", "b")), events.claim(("c", "b"))] == [
        *(True, False, False)
    ]

    at[0] += PERIOD
    assert not events.claim(("a", "b"))
    at[0] += PERIOD
    assert events.claim(("a", "b"))
    assert len(events._files.names()) == 2


def test_a_delivery_that_could_not_be_acted_on_counts_at_its_next_attempt(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault = RuntimeError(CANARY)
    assert server.post("account", signed()).status_code == 503
    assert server.post("agent", with_token()).status_code == 503
    server.fault = None
    assert server.post("account", signed(at=NOW + 60)).status_code == 204

    assert server.woken == [HOTEL, ACCOUNT]
    assert "RuntimeError" in caplog.text
    assert CANARY not in caplog.text


def test_secrets_that_cannot_be_read_ask_the_sender_to_try_again(server: Server) -> None:
    server.secrets = None

    assert server.post("account", signed()).status_code == 503


def test_a_process_accepts_so_many_of_each_kind_in_a_minute(server: Server) -> None:
    codes = [server.post("agent", with_token()).status_code for _ in range(ACCEPTED_PER_MINUTE + 1)]
    assert codes == [204] * ACCEPTED_PER_MINUTE + [429]

    assert server.post("account", signed()).status_code == 204
    server.at += 60
    assert server.post("agent", with_token()).status_code == 204


def test_refusals_do_not_use_up_what_is_accepted(server: Server) -> None:
    for _ in range(ACCEPTED_PER_MINUTE + 1):
        server.post("agent", with_token(token="x"))

    assert server.post("agent", with_token()).status_code == 204


@pytest.mark.parametrize(
    ("body", "anywhere", "found"),
    [
        ({"project_id": "harbour-hotels"}, False, ["harbour-hotels"]),
        ({"project_id": "PROJECT-1A2B3C4D"}, False, ["rosa-restaurants"]),
        ({"project_id": "northgate-bank"}, False, []),
        ({"project_id": ["harbour-hotels"]}, False, []),
        ({"data": {"project_id": "harbour-hotels"}}, False, []),
        (
            {"data": [{"projectId": "harbour-hotels"}, {"agent_ids": ["rosa-restaurants", 5, "x"]}]},
            True,
            None,
        ),
        ({"name": "harbour-hotels"}, True, []),
        ([{"agent_id": "../live"}, {"agent_id": {"agent_id": "harbour-hotels"}}], True, []),
        ("harbour-hotels", True, []),
    ],
)
def test_only_agents_that_are_configured_are_taken_from_a_body(
    body: Any, anywhere: bool, found: list[str] | None
) -> None:
    wanted = ["harbour-hotels", "rosa-restaurants"] if found is None else found

    assert agents_of(json.dumps(body).encode(), read_agents(AGENTS), anywhere=anywhere) == wanted


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[" * 60_000, b'{"project_id": "a", "project_id": "harbour-hotels"}', b"[0," * 9_999],
)
def test_what_is_no_plain_json_names_no_agent(body: bytes) -> None:
    assert agents_of(body, read_agents(AGENTS), anywhere=True) == []


def test_one_delivery_wakes_so_many_agents(server: Server) -> None:
    agents = {f"a{number}": f"a{number}" for number in range(MOST_AGENTS + 5)}
    body = json.dumps({"project_ids": list(agents)}).encode()

    assert agents_of(body, agents, anywhere=True) == list(agents)[:MOST_AGENTS]


@pytest.mark.parametrize("text", ["a/b", "a, ../b", "a b", "a,a", "a=b,b", "é", "=", "a" * 129])
def test_agents_that_are_no_ids_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_agents(text)


def test_a_delivery_without_a_configured_agent_does_nothing(server: Server) -> None:
    assert server.post("agent", with_token(b'{"project_id": "x"}')).status_code == 204
    assert server.emitted == []


def test_what_is_not_signed_names_one_agent_at_its_top_only(server: Server) -> None:
    body = b'{"data": {"project_id": "harbour-hotels"}}'
    server.post("agent", with_token(body))
    assert server.emitted == []

    server.post("account", signed(body))
    assert server.woken == [HOTEL, ACCOUNT]


def test_the_log_says_the_same_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    at = [0.0]
    say = SparseLog(lambda: at[0])
    for _ in range(5):
        say("refused")
    at[0] = LOG_SECONDS
    say("refused")

    assert [each.getMessage() for each in caplog.records] == [
        f"refused ({count} more since the last such line)" for count in (0, 4)
    ]


@pytest.mark.parametrize(
    ("kind", "delivery", "said"),
    [
        ("account", signed(key="x"), "no known secret signed it"),
        ("account", signed(at=NOW - 301), "its time is more than five minutes off"),
        ("account", signed(event=""), "it has no event id"),
        ("account", signed(content_type="text/plain"), "it is not application/json"),
        ("agent", with_token(token="x"), "it does not hold a known secret"),
        ("agent", with_token(b"x" * (LIMITS.size + 1)), "its body is too large or did not come in"),
    ],
)
def test_the_log_says_why_and_the_answer_does_not(
    server: Server, kind: str, delivery: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = server.post(kind, delivery)

    assert (answer.status_code, answer.content) == (403, b"")
    assert [each.getMessage() for each in caplog.records if each.name == webhooks.__name__] == [
        f"A request to the {kind} webhook was refused: {said}. Nothing was done (0 more since the last such line)"
    ]


# ------------------------------------------------------------------------------------ the request


class Stream:
    """A request that sends chunks, and then waits for good."""

    def __init__(self, *chunks: bytes) -> None:
        self.headers = {"content-type": "application/json"}
        self.sent = 0
        self._chunks = chunks

    async def stream(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.sent += 1
            yield chunk
        await asyncio.Event().wait()


async def test_a_body_is_read_no_further_than_the_limit() -> None:
    request = Stream(*[b"x" * LIMITS.size] * 9)

    delivery = await read_delivery(request)  # type: ignore[arg-type]

    assert (request.sent, len(delivery.body), delivery.complete) == (2, LIMITS.size, False)


async def test_a_body_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "READ_SECONDS", 0.0)

    assert not (await read_delivery(Stream(b"{}"))).complete  # type: ignore[arg-type]


def test_a_header_that_is_there_twice_counts_as_missing(server: Server) -> None:
    delivery = with_token()
    delivery["headers"] = [*delivery["headers"].items(), ("x-webhook-token", TOKEN)]

    assert server.post("agent", delivery).status_code == 403


def test_there_is_nothing_but_posts(server: Server) -> None:
    assert server.client.get("/webhooks/polyai/account").status_code == 405
    assert server.client.post("/webhooks/polyai/account/", follow_redirects=False).status_code == 404


# ------------------------------------------------------------------------------------ configuration


def test_the_receiver_is_off_unless_it_is_configured(base: str, rights: Rights) -> None:
    client = TestClient(create_app(StateReader(base)))

    assert configured_receiver() is None
    assert client.post("/webhooks/polyai/account", **signed()).status_code == 404


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, base: str) -> pytest.MonkeyPatch:
    for name, value in {
        "WEBHOOK_CONN_ID": "polyai_webhooks",
        "WEBHOOK_AGENTS": AGENTS,
        "STATE_FOLDER": base,
    }.items():
        monkeypatch.setenv(f"AIRFLOW__VOICE_AGENTS__{name}", value)
    return monkeypatch


def connect(monkeypatch: pytest.MonkeyPatch, **extra: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_POLYAI_WEBHOOKS", json.dumps({"conn_type": "generic", "extra": extra}))


def test_the_configuration_switches_it_on(configured: pytest.MonkeyPatch, rights: Rights) -> None:
    connect(configured, webhook_signing_secret=NEW)
    client = TestClient(create_app())

    assert client.post("/webhooks/polyai/account", **signed()).status_code == 403  # an old delivery by now
    assert client.get("/").status_code == 401


def test_agents_that_cannot_be_read_leave_it_off_and_the_page_on(
    configured: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configured.setenv("AIRFLOW__VOICE_AGENTS__WEBHOOK_AGENTS", "a/b")

    assert configured_receiver() is None
    assert "webhook_agents" in caplog.text


def test_secrets_are_read_once_a_minute(configured: pytest.MonkeyPatch) -> None:
    at = [0.0]
    kept = KeptSecrets("polyai_webhooks", lambda: at[0])
    connect(configured, webhook_signing_secret=FORMER, webhook_token=TOKEN)
    assert kept() == WebhookSecrets((FORMER.encode(),), (TOKEN.encode(),))

    connect(configured, webhook_signing_secret=NEW, webhook_previous_signing_secret=FORMER)
    at[0] = SECRETS_KEPT - 1
    assert kept() == WebhookSecrets((FORMER.encode(),), (TOKEN.encode(),))
    at[0] = SECRETS_KEPT
    assert kept() == WebhookSecrets((NEW.encode(), FORMER.encode()))
    assert NEW not in repr(kept)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({}, "neither webhook_signing_secret nor webhook_token"),
        ({"webhook_token": "short"}, "webhook_token must be a text of at least 16"),
        ({"webhook_signing_secret": f"{NEW}\n"}, "webhook_signing_secret must be a text"),
        ({"webhook_signing_secret": 1234567890123456}, "webhook_signing_secret must be a text"),
    ],
)
def test_a_connection_without_usable_secrets_is_named(
    configured: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, extra: Any, said: str
) -> None:
    at = [0.0]
    kept = KeptSecrets("polyai_webhooks", lambda: at[0])
    connect(configured, **extra)

    assert (kept(), kept()) == (None, None)
    assert caplog.text.count(said) == 1
    assert NEW not in caplog.text
    connect(configured, webhook_token=TOKEN)
    at[0] = FAILURE_KEPT
    assert kept() is not None


def test_a_missing_connection_is_named(
    configured: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert KeptSecrets("no_such_connection")() is None
    assert "no_such_connection" in caplog.text


def test_an_error_names_the_field_only() -> None:
    with pytest.raises(ConnectionSettingsError) as raised:
        WebhookSecrets.read("c", {"webhook_token": "hunter2 hunter2 hunter2"})

    assert "hunter2" not in str(raised.value)
    assert NEW not in repr(SECRETS)
