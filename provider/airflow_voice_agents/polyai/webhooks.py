"""Verifies deliveries of PolyAI's webhooks and takes the agents from them; free of Airflow.

An account webhook signs ``{timestamp}.{body}`` and so proves who sent it and when. An agent's webhook only repeats a
fixed secret. Neither is believed: a delivery is a reason to read the platform, and no more.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_voice_agents.transport.errors import ConnectionSettingsError, InputError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.strict_json import Limits, decode_json

TIMESTAMP, SIGNATURE, EVENT_ID = "x-polyai-timestamp", "x-polyai-signature", "x-polyai-event-id"
"""Headers of an account webhook."""
TOKEN = "x-webhook-token"  # noqa: S105  a header's name
"""Header in which an agent's webhook sends its secret."""
CONTENT_TYPE = "application/json"
TOLERANCE = 300.0
"""Seconds that a delivery's time may differ from ours, in either direction."""
LIMITS = Limits(size=64 * 1024, nodes=5_000, depth=20)
"""The largest body that is read."""
MOST_AGENTS = 20
"""Most agents that one delivery wakes."""

SIGNING_FIELDS = ("webhook_signing_secret", "webhook_previous_signing_secret")
TOKEN_FIELDS = ("webhook_token", "webhook_previous_token")
"""Fields of the connection's extra: the present secret, and the former one during a rotation."""
SHORTEST_SECRET = 16

_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_EVENT = re.compile(r"[!-~]{1,256}")
_UNIX_TIME = re.compile(r"[0-9]{9,11}(?:[0-9]{3})?")
_AGENT_KEYS = frozenset({"project_id", "projectId", "agent_id", "agentId"})
_AGENTS_KEYS = frozenset({"project_ids", "projectIds", "agent_ids", "agentIds"})
_NO_SECRET = (secrets.token_bytes(32), secrets.token_bytes(32))
"""Stand in for secrets that are not configured, so that a refusal costs the same; nobody knows them."""


class WebhookSecrets(Record, frozen=True):
    """Secrets of a receiver.

    :param signing: signing secrets of the account's webhook: the present one, and the former one during a rotation.
    :param tokens: the same for the secrets that agents' webhooks send.
    """

    not_shown = ("signing", "tokens")

    signing: tuple[bytes, ...] = ()
    tokens: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, conn_id: str, extra: Mapping[str, Any]) -> WebhookSecrets:
        """Return the secrets of a connection.

        :param conn_id: its id, for messages.
        :param extra: its decoded extra.
        :raises ConnectionSettingsError: naming the field that is wrong, or when there is no secret at all.
        """
        signing, tokens = (
            tuple(found for name in names if (found := _secret(conn_id, extra, name)) is not None)
            for names in (SIGNING_FIELDS, TOKEN_FIELDS)
        )
        if not signing and not tokens:
            raise ConnectionSettingsError(
                f"connection {conn_id!r} has neither {SIGNING_FIELDS[0]} nor {TOKEN_FIELDS[0]} in its extra, so every "
                "webhook is refused"
            )
        return cls(signing, tokens)


def _secret(conn_id: str, extra: Mapping[str, Any], name: str) -> bytes | None:
    value = extra.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) < SHORTEST_SECRET or not re.fullmatch(r"[!-~]+", value):
        raise ConnectionSettingsError(
            f"connection {conn_id!r}: {name} must be a text of at least {SHORTEST_SECRET} visible ASCII characters"
        )
    return value.encode()


class Delivery(Record, frozen=True):
    """A request as it came in.

    :param headers: names in lower case and values, repeated ones included.
    :param body: the raw body, cut where it was too large.
    :param complete: whether the body is whole.
    """

    not_shown = ("headers", "body")

    headers: Sequence[tuple[str, str]]
    body: bytes
    complete: bool = True

    def header(self, name: str) -> str:
        """Return the value of a header; empty where it is not there, or there twice."""
        found = [value for each, value in self.headers if each == name]
        return found[0] if len(found) == 1 else ""

    def account_faults(self, known: WebhookSecrets, at: float) -> dict[str, bool]:
        """Return fault -> whether it is there, of a delivery that claims to come from the account's webhook.

        :param known: the secrets.
        :param at: the present moment in seconds since 1970.
        """
        timestamp, given = self.header(TIMESTAMP), self.header(SIGNATURE).lower().encode("latin-1", "replace")
        signed = b".".join((timestamp.encode("latin-1", "replace"), self.body))
        expected = [hmac.new(key, signed, "sha256").hexdigest().encode() for key in _two(known.signing)]
        return {
            **self._faults(),
            "no known secret signed it": not _equals_one(given, expected),
            "its time is more than five minutes off": not _is_near(timestamp, at),
            "it has no event id": _EVENT.fullmatch(self.header(EVENT_ID)) is None,
        }

    def agent_faults(self, known: WebhookSecrets) -> dict[str, bool]:
        """Return fault -> whether it is there, of a delivery that claims to come from an agent's webhook.

        :param known: the secrets.
        """
        given = self.header(TOKEN).encode("latin-1", "replace")
        keys = [_digest(key) for key in _two(known.tokens)]
        return {**self._faults(), "it does not hold a known secret": not _equals_one(_digest(given), keys)}

    def _faults(self) -> dict[str, bool]:
        kind = self.header("content-type").partition(";")[0].strip().lower()
        return {
            "its body is too large or did not come in": not self.complete,
            "it is not application/json": kind != CONTENT_TYPE,
        }

    @property
    def identities(self) -> tuple[str, str]:
        """What tells a signed delivery from others: its signature, then its event id, which is not signed."""
        return f"signature {self.header(SIGNATURE).lower()}", f"event {self.header(EVENT_ID)}"


def read_agents(text: str) -> dict[str, str]:
    """Return id -> name of the asset, of the agents whose webhooks count.

    :param text: agents, separated by commas or lines; one with another id is written ``slug=PROJECT-1A2B3C4D``.
    :raises InputError: for what is not an agent's id, and for an id that is there twice.
    """
    found: dict[str, str] = {}
    for entry in re.split(r"[,\n]", text):
        ids = [each.strip() for each in entry.split("=")]
        if ids == [""]:
            continue
        for each in ids:
            if not _AGENT.fullmatch(each) or each in found:
                raise InputError(f"{each!r} is not the id of an agent, or is there twice")
            found[each] = ids[0]
    return found


def agents_of(body: bytes, known: Mapping[str, str], *, anywhere: bool) -> list[str]:
    """Return the names of the configured agents that a body names; nothing else of it is used.

    :param body: the raw body.
    :param known: id -> name, as :func:`read_agents` returned it.
    :param anywhere: whether to look at all depths, because the body's schema is not published; else only the
        ``project_id`` at its top is read.
    """
    try:
        document = decode_json(body.decode(), where="the body", limits=LIMITS)
    except ValueError:
        return []
    top = document.get("project_id") if isinstance(document, dict) else None
    named = _named(document) if anywhere else [top]
    found = dict.fromkeys(known[each] for each in named if isinstance(each, str) and each in known)
    return list(found)[:MOST_AGENTS]


def _named(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in _AGENT_KEYS:
                yield each
            elif name in _AGENTS_KEYS and isinstance(each, list):
                yield from each
            else:
                yield from _named(each)


def _two(keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (*keys, *_NO_SECRET)[:2]


def _digest(text: bytes) -> bytes:
    return hmac.new(_NO_SECRET[0], text, "sha256").digest()


def _equals_one(given: bytes, expected: Iterable[bytes]) -> bool:
    return sum(hmac.compare_digest(given, each) for each in expected) > 0  # every one is compared


def _is_near(timestamp: str, at: float) -> bool:
    if not _UNIX_TIME.fullmatch(timestamp):
        return False
    sent = int(timestamp) / (1000 if len(timestamp) > 11 else 1)
    return abs(at - sent) <= TOLERANCE
