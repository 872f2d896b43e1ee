"""Convert the fields of a ``polyai`` connection to client settings, without importing Airflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow_voice_agents import __version__
from airflow_voice_agents.polyai.error_codes import ADVICE, CORRELATION_HEADER, ERROR_FORMAT
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.fields import FieldReader
from airflow_voice_agents.transport.settings import ClientSettings

REGIONS = ("us", "eu", "uk", "studio")
KEY_HEADER = "X-API-KEY"
ROUTES = "/v1/agents"
"""Beginning of the paths of requests."""
BARE_HOST = "api.poly.ai"
RUNTIME_HOSTS = {
    "us": "api.us-1.platform.polyai.app",
    "eu": "api.euw-1.platform.polyai.app",
    "uk": "api.uk-1.platform.polyai.app",
    "studio": "api.studio.poly.ai",
}
"""The host of each region for conversations and concurrency; it takes its own keys."""


@dataclass(frozen=True, slots=True)
class ConnectionFields(FieldReader):
    """The fields of an Airflow connection of type ``polyai``.

    :param conn_id: its id, for messages.
    :param api_key: the password field.
    :param host: host override: a host name or a URL; empty for a region's own host.
    :param port: port of the host override.
    :param extra: ``region``, ``account_id``, ``runtime_api_key``, ``runtime_host``, ``requests_per_second``,
        ``max_concurrency``, ``timeout``; an empty text is unset.
    """

    conn_id: str
    api_key: str | None = field(repr=False)
    host: str | None
    port: int | None
    extra: Mapping[str, Any] = field(repr=False)
    names: ClassVar[tuple[str, ...]] = ("region", "account_id", "runtime_api_key", "runtime_host")

    @property
    def account_id(self) -> str | None:
        """Account that operations on a whole account address, or ``None``."""
        return self.text("account_id")

    @property
    def region(self) -> str | None:
        """Region of account and key, or ``None``."""
        return self.choice("region", REGIONS)

    def client_settings(self) -> ClientSettings:
        """Return what a client needs.

        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        key = self.secret(self.api_key, "the API key (password)")
        return self._settings(key, self._base_url)

    def runtime_settings(self) -> ClientSettings:
        """Return what a client of the runtime host needs, which takes only keys of its own.

        The key of one host is never sent to the other: without ``runtime_api_key``, or where the host is
        overridden and ``runtime_host`` is not given, there is nothing to send with or to.

        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        given = self.text("runtime_api_key")
        if given is None:
            raise self.error(
                "runtime_api_key is missing: reading conversations and concurrency takes a key of the "
                "project for the runtime host, and the API key is not sent there"
            )
        return self._settings(self.secret(given, "runtime_api_key"), self._runtime_url)

    def _settings(self, key: str, base_url: Callable[[], str]) -> ClientSettings:
        try:
            return ClientSettings(
                system="polyai",
                base_url=base_url(),
                headers={KEY_HEADER: key},
                secrets=(key,),
                user_agent=f"airflow-provider-voice-agents/{__version__}",
                **self.limits(),
                correlation_header=CORRELATION_HEADER,
                error_format=ERROR_FORMAT,
                advice=ADVICE,
            )
        except ConnectionSettingsError as error:
            raise self.named(error) from None

    def _base_url(self) -> str:
        host = (self.host or "").strip()
        return self._url(host, self.port, "host") if host else f"https://api.{self._own_region()}.poly.ai"

    def _runtime_url(self) -> str:
        host = (self.text("runtime_host") or "").strip()
        if host:
            return self._url(host, None, "runtime_host")
        if (self.host or "").strip():
            raise self.error("runtime_host is missing: where the host is overridden, it must be named too")
        return f"https://{RUNTIME_HOSTS[self._own_region()]}"

    def _own_region(self) -> str:
        if self.region is None:
            raise self.error(f"region is missing: one of {', '.join(REGIONS)}; a key works only in its own")
        return self.region

    def _url(self, host: str, port: int | None, name: str) -> str:
        try:
            parts = urlsplit(host if "://" in host else f"https://{host}")
            if port and parts.port is None:
                parts = parts._replace(netloc=f"{parts.netloc}:{port}")
        except ValueError:
            raise self.error(f"{name} must be a host name, or a URL of the form https://host") from None
        if parts.hostname == BARE_HOST:
            raise self.error(
                f"{BARE_HOST} without a region does not exist; leave {name} empty and choose a region"
            )
        return self.refuse_doubled(parts.geturl().rstrip("/"), ROUTES, name)


def refused_advice(fields: ConnectionFields) -> str:
    """Say what may be wrong when the platform refuses the key or does not know the account."""
    if fields.host:
        return (
            "Check the API key, the account id, and that the host override is the one the key was made for."
        )
    return (
        f"A key works only in its own region, and this connection uses {fields.region}: check the region "
        "first, then the key and the account id. A key that was just made can take some seconds to work."
    )
