"""What a ``polyai`` connection says, turned into client settings; free of Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_voice_agents import __version__
from airflow_voice_agents.http.errors import ConnectionSettingsError
from airflow_voice_agents.http.settings import ClientSettings

REGIONS = ("us", "eu", "uk", "studio")
KEY_HEADER = "X-API-KEY"
BARE_HOST = "api.poly.ai"
MAX_CONCURRENCY = 64


@dataclass(frozen=True, slots=True)
class ConnectionFields:
    """The fields of an Airflow connection of type ``polyai``.

    :param conn_id: its id, for messages.
    :param api_key: the password field.
    :param host: host override: a host name or a URL; empty for a region's own host.
    :param port: port of the host override.
    :param extra: ``region``, ``account_id``, ``requests_per_second``, ``max_concurrency``, ``timeout``;
        an empty text is unset.
    """

    conn_id: str
    api_key: str | None
    host: str | None
    port: int | None
    extra: Mapping[str, Any]

    @property
    def account_id(self) -> str | None:
        """Account that operations on a whole account address, or ``None``."""
        return self._text("account_id")

    @property
    def region(self) -> str | None:
        """Region of account and key, or ``None``."""
        region = self._text("region")
        if region is not None and region not in REGIONS:
            raise self._error(f"region must be one of {', '.join(REGIONS)}, not {region!r}")
        return region

    def client_settings(self) -> ClientSettings:
        """Return what a client needs.

        :raises ConnectionSettingsError: naming the connection and the field that is wrong.
        """
        key = self._key()
        try:
            return ClientSettings(
                system="polyai",
                base_url=self._base_url(),
                headers={KEY_HEADER: key},
                secrets=(key,),
                user_agent=f"airflow-provider-voice-agents/{__version__}",
                max_concurrency=self._concurrency(),
                requests_per_second=self._number("requests_per_second"),
                deadline=self._number("timeout") or ClientSettings.deadline,
            )
        except ConnectionSettingsError as error:
            raise error if str(error).startswith("connection ") else self._error(str(error)) from None

    def _key(self) -> str:
        if not self.api_key:
            raise self._error("the API key (password) is missing")
        if any(character.isspace() for character in self.api_key):
            raise self._error(
                "the API key (password) holds white space; paste it without spaces or line ends"
            )
        return self.api_key

    def _base_url(self) -> str:
        host = (self.host or "").strip()
        if not host:
            if self.region is None:
                raise self._error(
                    f"region is missing: one of {', '.join(REGIONS)}; a key works only in its own"
                )
            return f"https://api.{self.region}.poly.ai"
        url = host if "://" in host else f"https://{host}"
        if self.port and urlsplit(url).port is None:
            url = f"{url.rstrip('/')}:{self.port}"
        if urlsplit(url).hostname == BARE_HOST:
            raise self._error(
                f"{BARE_HOST} without a region does not exist; leave host empty and choose a region"
            )
        return url

    def _concurrency(self) -> int:
        value = self._number("max_concurrency")
        if value is None:
            return ClientSettings.max_concurrency
        if not value.is_integer() or not 1 <= value <= MAX_CONCURRENCY:
            raise self._error(f"max_concurrency must be a whole number from 1 to {MAX_CONCURRENCY}")
        return int(value)

    def _number(self, name: str) -> float | None:
        value = self.extra.get(name)
        if value is None or value == "":
            return None
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not 0 < number < float("inf"):
            raise self._error(f"{name} must be a number above 0")
        return number

    def _text(self, name: str) -> str | None:
        value = self.extra.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self._error(f"{name} must be a text")
        return value

    def _error(self, what: str) -> ConnectionSettingsError:
        return ConnectionSettingsError(f"connection {self.conn_id!r}: {what}")


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
