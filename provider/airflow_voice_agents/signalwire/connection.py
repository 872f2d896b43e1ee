"""Convert the fields of a ``signalwire`` connection to client settings, without importing Airflow."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from airflow_voice_agents import __version__
from airflow_voice_agents.transport.error_format import ErrorFormat
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.fields import FieldReader
from airflow_voice_agents.transport.settings import ClientSettings, is_loopback

DOMAIN: Final = "signalwire.com"
SCOPE: Final = "Numbers"
ROUTES: Final = "/api/relay/rest/phone_numbers"
"""Beginning of the paths of requests."""
REQUEST_ID_HEADER: Final = "X-Request-Id"

ERROR_FORMAT: Final = ErrorFormat(codes={"rate_limit_exceeded": 429}, members=frozenset({"error", "errors"}))
"""The errors of the SignalWire API: other codes mean only what the HTTP status beside them says."""

ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "401": f"Check the project id, the API token, and that the token has the scope {SCOPE}: a token "
        "without it may be refused like a wrong one.",
        "403": f"The API token lacks the scope {SCOPE}; give it the scope in the space's API credentials, or "
        "use another connection.",
        "404": "Check the id and the space: a token sees only the numbers of its own project.",
        "purchased_too_recently": "SignalWire lets go of a number 14 days after its purchase at the "
        "earliest, 30 days in a trial project; release it then.",
        "insufficient_balance": "The project's balance does not cover it; add funds, then run again.",
        "account_limit_exceeded": "The project has as many numbers as it may; release some, or ask "
        "SignalWire to raise the limit.",
        "could_not_purchase": "The number is most likely gone; search again and buy another one.",
        "not_voice_capable": "The number cannot take calls; choose one whose capabilities include voice.",
        "resource_assigned_as_handler": "Something still points at it; point that elsewhere first.",
    }
)
"""Advice for the user, by the platform's error code or by HTTP status."""

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class ConnectionFields(FieldReader):
    """The fields of an Airflow connection of type ``signalwire``.

    :param conn_id: its id, for messages.
    :param space: the host field: the space's label (``acme``), its host (``acme.signalwire.com``), or the
        URL of what stands in for SignalWire.
    :param project_id: the login field.
    :param api_token: the password field.
    :param port: port, where the host field does not hold it.
    :param extra: ``requests_per_second``, ``max_concurrency``, ``timeout``; an empty text is unset.
    """

    conn_id: str
    space: str | None
    project_id: str | None
    api_token: str | None = field(repr=False)
    port: int | None
    extra: Mapping[str, Any] = field(repr=False)

    def client_settings(self) -> ClientSettings:
        """Return what a client needs.

        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        project, token = self._project_id(), self.secret(self.api_token, "the API token (password)")
        pair = base64.b64encode(f"{project}:{token}".encode()).decode("ascii")
        try:
            return ClientSettings(
                system="signalwire",
                base_url=self._base_url(),
                headers={"Authorization": f"Basic {pair}"},
                secrets=(token,),
                user_agent=f"airflow-provider-voice-agents/{__version__}",
                **self.limits(),
                correlation_header=REQUEST_ID_HEADER,
                error_format=ERROR_FORMAT,
                advice=ADVICE,
            )
        except ConnectionSettingsError as error:
            raise self.named(error) from None

    def _project_id(self) -> str:
        if not self.project_id:
            raise self.error("the project id (login) is missing")
        if ":" in self.project_id or any(c.isspace() or not c.isprintable() for c in self.project_id):
            raise self.error(
                "the project id (login) must not hold a colon, white space or control characters"
            )
        return self.project_id

    def _base_url(self) -> str:
        space = (self.space or "").strip().rstrip("/")
        if not space:
            raise self.error(f"the space (host) is missing: a label such as acme, or acme.{DOMAIN}")
        if _LABEL.fullmatch(space) and not is_loopback(space):
            space = f"{space.lower()}.{DOMAIN}"
        url = space if "://" in space else f"https://{space}"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise self.error("the space (host) is neither a label, a host name nor a URL") from None
        if parts.hostname in (DOMAIN, f"www.{DOMAIN}"):
            raise self.error(f"{parts.hostname} is not a space; it must be acme.{DOMAIN} or the label acme")
        self.refuse_doubled(url, ROUTES, "the space (host)")
        return f"{url}:{self.port}" if self.port and port is None and not parts.path else url


def space_of(base_url: str) -> str:
    """Return the label of a space, or host and port of what stands in for SignalWire.

    :param base_url: where calls are sent.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").removesuffix(f".{DOMAIN}")
    return f"{host}:{parts.port}" if parts.port else host
