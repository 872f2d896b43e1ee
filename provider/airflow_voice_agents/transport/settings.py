"""Client settings, validated on construction."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from airflow_voice_agents.transport.errors import ConnectionSettingsError


@dataclass(frozen=True)
class ClientSettings:
    """Where requests go, under which key, and within which limits.

    :param system: the platform's name, such as ``polyai``.
    :param base_url: scheme and host, optionally a path that every call's path is put behind; https
        unless the host is loopback.
    :param headers: sent with every request; holds the key, never shown.
    :param secrets: what must never appear in a text, and what requests are counted by.
    :param user_agent: names this provider and its version.
    :param max_concurrency: requests of this key in flight at once in this process.
    :param requests_per_second: pace of this key in this process, or ``None`` for no limit.
    :param deadline: total seconds per call: waiting in line, resends and reading included.
    :param connect_timeout: seconds to connect.
    :param read_timeout: seconds without a byte of the answer; a call with a deadline of its own may
        stay silent that long.
    :param max_attempts: requests per call at most.
    :param max_response_bytes: decompressed bytes of one response at most.
    :param correlation_header: carries a fresh id per request.
    :param rate_limit_reset_header: response header that says, in unix seconds, when a spent rate limit
        starts anew; read where a 429 comes without ``Retry-After``. ``None`` where the platform has none.
    :param advice: what to do next after a refusal, by the platform's code in lower case or by status, where
        that is to be said in the platform's own terms.
    :raises ConnectionSettingsError: when a setting cannot work or is unsafe.
    """

    system: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    user_agent: str
    max_concurrency: int = 4
    requests_per_second: float | None = None
    deadline: float = 60.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    max_attempts: int = 5
    max_response_bytes: int = 32 * 1024 * 1024
    correlation_header: str = "X-PolyAI-Correlation-Id"
    rate_limit_reset_header: str | None = None
    advice: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _check_url(self.base_url)
        for name, value in {**self.headers, "User-Agent": self.user_agent}.items():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise ConnectionSettingsError(
                    f"the value of header {name} must be printable ASCII without surrounding white space"
                )
        for name in ("max_concurrency", "max_attempts", "max_response_bytes"):
            if getattr(self, name) < 1:
                raise ConnectionSettingsError(f"{name} must be at least 1")
        for name in ("deadline", "connect_timeout", "read_timeout", "requests_per_second"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConnectionSettingsError(f"{name} must be a positive number")

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine."""
        return is_loopback(urlsplit(self.base_url).hostname or "")


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is this machine by name or address, without asking a resolver.

    :param host: host name or address, without port and brackets.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_url(base_url: str) -> None:
    parts = _split(base_url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConnectionSettingsError("the base URL must have the form https://host")
    if parts.username is not None or parts.password is not None:
        raise ConnectionSettingsError("the base URL must not hold a user name or password")
    if parts.query or parts.fragment:
        raise ConnectionSettingsError("the base URL must not hold a query or a fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConnectionSettingsError(f"the base URL must use https: {parts.hostname} is not this machine")


def _split(base_url: str) -> SplitResult | None:
    if not base_url.isprintable() or any(c.isspace() or c == "\\" for c in base_url):
        return None
    try:
        parts = urlsplit(base_url)
        _ = parts.port
    except ValueError:
        return None
    return parts
