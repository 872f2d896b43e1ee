"""Settings of a client, checked when they are created."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import msgspec

from airflow_voice_agents.transport.error_format import ErrorFormat
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.records import Record

LONGEST_HOST = 253
"""Most characters of a host name."""
AUTO, HTTPX, AIOHTTP = "auto", "httpx", "aiohttp"
TRANSPORTS = (AUTO, HTTPX, AIOHTTP)
"""Ways over the network; ``auto`` takes aiohttp where the extra ``fast`` is installed, else httpx."""


DEFAULT_CONCURRENCY = 4
"""Requests of a key in flight at once in one process."""
DEFAULT_DEADLINE = 60.0
"""Seconds per request in all."""


class ClientSettings(Record, frozen=True):
    """Address, credentials and limits of a client, and what its platform documents about errors.

    :param system: the platform's name, for limits and logs.
    :param base_url: scheme and host, optionally a path in front of the path of every request; https
        unless the host is loopback.
    :param headers: sent with every request; holds the key, never shown.
    :param secrets: the key, or the parts of it: masked in every text, and identity of the shared limits.
    :param user_agent: names this provider and its version.
    :param max_concurrency: requests of this key in flight at once in this process.
    :param requests_per_second: highest pace of this key among all who share it, or ``None`` for no limit but the
        platform's: in any case a refusal slows down all of them.
    :param deadline: total seconds per request: waiting in line, resends and reading included.
    :param connect_timeout: seconds to connect.
    :param read_timeout: seconds without a byte of the response; a request with its own deadline can stay
        silent that long.
    :param max_attempts: most attempts per request.
    :param max_response_bytes: most bytes of one response, decompressed.
    :param rate_limit_store: URL of the Redis that keeps the key's pace for all machines, or ``None``.
    :param limit_folder: folder in which the processes of this machine share the key's pace, or ``None`` for a pace of
        this process alone.
    :param transport: one of ``TRANSPORTS``.
    :param correlation_header: header that carries a fresh id per attempt; ``None`` sends no id.
    :param rate_limit_reset_header: response header with the time, in unix seconds, at which a spent rate limit
        resets; read where a 429 comes without ``Retry-After``. ``None`` where the platform has none.
    :param error_format: the error codes of the platform, and how it marks and shapes its errors.
    :param advice: what to do next after a refusal, in the platform's own terms, by error code (compared
        without regard to case and underscores) or by HTTP status.
    :raises ConnectionSettingsError: when a setting cannot work or is unsafe.
    """

    not_shown = ("headers", "secrets", "rate_limit_store", "error_format", "advice")

    system: str
    base_url: str
    headers: Mapping[str, str]
    secrets: tuple[str, ...]
    user_agent: str
    max_concurrency: int = DEFAULT_CONCURRENCY
    requests_per_second: float | None = None
    deadline: float = DEFAULT_DEADLINE
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    max_attempts: int = 5
    max_response_bytes: int = 32 * 1024 * 1024
    rate_limit_store: str | None = None
    limit_folder: str | None = None
    transport: str = AUTO
    correlation_header: str | None = None
    rate_limit_reset_header: str | None = None
    error_format: ErrorFormat = msgspec.field(default_factory=ErrorFormat)
    advice: Mapping[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_url(self.base_url)
        if self.rate_limit_store is not None:
            _check_store(self.rate_limit_store)
        _check_transport(self.transport)
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
        """Requests stay on this machine."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def address(self) -> str:
        """Host and port that requests go to, as ``host:port``; safe to show."""
        return address_of(self.base_url)


def address_of(url: str) -> str:
    """Return host and port of a URL as ``host:port``, without user, path and query.

    :param url: absolute URL with the scheme ``http`` or ``https``.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def doubled_path(base_url: str, route: str) -> str | None:
    """Return the end of a base URL's path that is repeated by the routes behind it, or ``None``.

    :param base_url: the base URL.
    :param route: the beginning of every route, such as ``/v1/agents``.
    """
    own = [each for each in urlsplit(base_url).path.split("/") if each]
    routes = [each for each in route.split("/") if each]
    for length in range(min(len(own), len(routes)), 0, -1):
        if [each.lower() for each in own[-length:]] == [each.lower() for each in routes[:length]]:
            return "/" + "/".join(own[-length:])
    return None


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
    if not _is_host(parts.hostname):
        raise ConnectionSettingsError(f"{parts.hostname!r} cannot be the name of a host")
    if parts.query or parts.fragment:
        raise ConnectionSettingsError("the base URL must not hold a query or a fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConnectionSettingsError(f"the base URL must use https: {parts.hostname} is not this machine")


def _check_transport(transport: str) -> None:
    if transport not in TRANSPORTS:
        raise ConnectionSettingsError(
            f"[voice_agents] transport must be one of {', '.join(TRANSPORTS)}, not {transport!r}. Nothing was sent."
        )


def _check_store(url: str) -> None:
    """Refuse a URL that is none of a Redis, without showing it: it may hold a password."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ConnectionSettingsError(
            "[voice_agents] rate_limit_store must be a URL such as redis://host:6379/0 or "
            "rediss://user:password@host:6379/0. Nothing was sent. Correct it, or leave it empty."
        )


def _is_host(name: str) -> bool:
    """Tell whether a name can be looked up: labels of 1 to 63 characters; a dot may end it."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return len(name) <= LONGEST_HOST


def _split(base_url: str) -> SplitResult | None:
    if not base_url.isprintable() or any(c.isspace() or c == "\\" for c in base_url):
        return None
    try:
        parts = urlsplit(base_url)
        _ = parts.port
    except ValueError:
        return None
    return parts
