"""Convert the fields of an ``omniavoice`` connection to client settings, without importing Airflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from urllib.parse import SplitResult, urlsplit

from airflow_voice_agents import __version__
from airflow_voice_agents.omnia_voice.api import UpdateVerb
from airflow_voice_agents.transport.error_format import ErrorFormat
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.fields import FieldReader
from airflow_voice_agents.transport.settings import ClientSettings

BASE_URL: Final = "https://api.omnia-voice.com/api/v1"
"""The address in the vendor's documentation. A connection must still set its host explicitly."""
ROUTES: Final = ("/numbers", "/agents")
"""Beginnings of the paths of requests."""
KEY_HEADER: Final = "X-API-Key"
REQUEST_ID_HEADER: Final = "X-Request-Id"
RATE_LIMIT_RESET_HEADER: Final = "X-RateLimit-Reset"

ERROR_FORMAT: Final = ErrorFormat(members=frozenset({"error"}))
"""The errors of the Omnia Voice API: its codes are hints, so the HTTP status alone decides."""

ADVICE: Final = {
    "401": "Check the connection's API key; it is shown once, when it is made.",
    "402": "The workspace is out of credits; top it up.",
    "404": "Check the id, and that the key is of the workspace that the object belongs to; a key sees no other.",
    "405": "The platform takes this update with neither PATCH nor PUT; check the connection's base URL.",
}
"""Advice for the user by HTTP status. The platform's error codes are only hints."""

_OWN_HOSTS = ("api.omnia-voice.com", "dashboard.omnia-voice.com")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADERS_IN_USE = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "cookie", "host"),
        *("transfer-encoding", "user-agent", REQUEST_ID_HEADER.lower()),
    }
)


@dataclass(frozen=True, slots=True)
class ConnectionFields(FieldReader):
    """The fields of an Airflow connection of type ``omniavoice``.

    :param conn_id: its id, for messages.
    :param api_key: the password field.
    :param host: the base URL, path included; required.
    :param port: port of the base URL, where that does not hold it.
    :param extra: ``api_key_header``, ``update_method``, ``requests_per_second``, ``max_concurrency``,
        ``timeout``; an empty text is unset.
    """

    conn_id: str
    api_key: str | None = field(repr=False)
    host: str | None
    port: int | None
    extra: Mapping[str, Any] = field(repr=False)
    names: ClassVar[tuple[str, ...]] = ("api_key_header", "update_method")

    @property
    def update_verb(self) -> UpdateVerb:
        """Verb that updates are sent with.

        ``PATCH`` unless the connection says otherwise: the platform's newer pages agree on it, and where a
        server takes both, it is the one that leaves alone what an update does not name.
        """
        given = self.choice("update_method", (UpdateVerb.PATCH.value, UpdateVerb.PUT.value))
        return UpdateVerb.PATCH if given is None else UpdateVerb(given)

    @property
    def platform(self) -> str:
        """Host, and port if there is one, of the base URL: the owner of numbers in plans and reports."""
        parts = urlsplit(self._base_url())
        host = parts.hostname or ""
        return f"{host}:{parts.port}" if parts.port else host

    def client_settings(self) -> ClientSettings:
        """Return what a client needs.

        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        _, key = self.update_verb, self.secret(self.api_key, "the API key (password)")
        try:
            return ClientSettings(
                system="omniavoice",
                base_url=self._base_url(),
                headers={self._key_header(): key},
                secrets=(key,),
                user_agent=f"airflow-provider-voice-agents/{__version__}",
                **self.limits(),
                correlation_header=REQUEST_ID_HEADER,
                rate_limit_reset_header=RATE_LIMIT_RESET_HEADER,
                error_format=ERROR_FORMAT,
                advice=ADVICE,
            )
        except ConnectionSettingsError as error:
            raise self.named(error) from None

    def _key_header(self) -> str:
        name = self.text("api_key_header") or KEY_HEADER
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HEADERS_IN_USE:
            raise self.error(f"api_key_header must be the name of a header that is free, not {name!r}")
        return name

    def _base_url(self) -> str:
        host = (self.host or "").strip()
        if not host:
            raise self.error(f"the base URL (host) is missing; Omnia Voice's own is {BASE_URL}")
        url = host if "://" in host else f"https://{host}"
        parts = self._split(url)
        if parts.hostname in _OWN_HOSTS and not parts.path.strip("/"):
            raise self.error(f"the base URL (host) lacks its path: https://{parts.hostname}/api/v1")
        for routes in ROUTES:
            self.refuse_doubled(url, routes, "the base URL (host)")
        if parts.path.count("/api/v1") > 1:
            raise self.error("the base URL (host) holds /api/v1 twice. Remove one /api/v1")
        if self.port and parts.port is None:
            url = parts._replace(netloc=f"{parts.netloc}:{self.port}").geturl()
        return url

    def _split(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise self.error("the base URL (host) must have the form https://host/path") from None
        return parts


def refused_advice(fields: ConnectionFields) -> str:
    """Say what may be wrong when the platform refuses the key or does not know the route."""
    advice = (
        "A key works in one workspace only and is shown once: check the key, and that the base URL is the "
        f"API's with its path, as {BASE_URL}"
    )
    name = fields.extra.get("api_key_header")
    return f"{advice}; it was sent in the header {name}." if name else f"{advice}."
