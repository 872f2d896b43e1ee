"""Permanent faults of TLS, CA bundles, proxies and host names, with their remedy."""

from __future__ import annotations

import functools
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Final, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.settings import AUTO, HTTPX, ClientSettings, address_of, is_loopback

T = TypeVar("T")

BUNDLE_FILE: Final = "SSL_CERT_FILE"
BUNDLE_FOLDER: Final = "SSL_CERT_DIR"
"""Environment variables that replace the public certificate authorities; the file goes before the folder."""

_WRONG_HOST: Final = frozenset({62, 63, 64})
"""OpenSSL's codes for a certificate of another host, mail address or IP address."""
_WRONG_TIME: Final = frozenset({9, 10})
"""OpenSSL's codes for a certificate that is not valid yet, or has expired."""
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}
)
_PROXY_FORM = "it must have the form http://host:port"
_PROXY_SCHEMES: Final = ("http", "https", "socks5", "socks5h")


def tls_advice(error: BaseException, host: str) -> str | None:
    """Return what to do about a TLS fault that every try meets; ``None`` for another fault.

    :param error: the error, with those that it came from.
    :param host: host and port that were asked.
    """
    for each in chain_of(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return _certificate_advice(each.verify_code, host)
        if isinstance(each, ssl.SSLError) and each.reason in _NO_TLS:
            return (
                f"{host} does not speak TLS, or only versions that are not accepted. Nothing was sent. Check the "
                "host and the port of the connection, and the proxy if there is one."
            )
    return None


def open_context(make: Callable[[], T]) -> T:
    """Make a TLS context, whose certificate authorities come from the environment.

    :param make: makes it.
    :raises ConnectionSettingsError: naming the environment variable whose file or folder cannot be used.
    """
    file, folder = os.environ.get(BUNDLE_FILE), os.environ.get(BUNDLE_FOLDER)
    name, place = (BUNDLE_FILE, file) if file else (BUNDLE_FOLDER, folder)
    if not file and folder and not os.path.isdir(folder):  # noqa: PTH112  a check of text from the environment
        raise _unusable_bundle(name, place, "there is no such folder")
    try:
        return make()
    except OSError as error:  # also what OpenSSL says about a file without certificates
        said = error.strerror or type(error).__name__
    raise _unusable_bundle(name, place, "it holds no certificate" if "X509" in said else said)


def open_with_proxy(make: Callable[[str | None], T], base_url: str) -> T:
    """Open a connection, through the environment's proxy if it names one for the host.

    :param make: takes the proxy's URL or ``None``, and returns the connection.
    :param base_url: the URL that its requests go to.
    :raises ConnectionSettingsError: naming the environment variable whose proxy cannot be used.
    """
    proxy = proxy_of(base_url)
    if proxy is None:
        return make(None)
    said = _PROXY_FORM
    try:
        if _is_proxy(proxy):
            return make(proxy if "://" in proxy else f"http://{proxy}")
    except ConnectionSettingsError:
        raise
    except ImportError:
        said = "a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'"
    except Exception:  # noqa: BLE001, S110  httpx has several errors for it, which may show the proxy's password
        pass
    raise ConnectionSettingsError(
        f"the environment's proxy in {_proxy_variable(base_url)} cannot be used: {said}. Nothing was sent. Correct it "
        "for workers and triggerers, or unset it."
    )


def proxy_of(base_url: str) -> str | None:
    """Return the proxy that the environment puts in front of a URL, or ``None``; it may hold a password.

    :param base_url: the URL that requests go to.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all") or None


def takes_aiohttp(settings: ClientSettings) -> bool:
    """Tell whether requests go by way of aiohttp, which they never do where the environment names a proxy.

    :param settings: where requests go, and by which transport.
    :raises ConnectionSettingsError: when aiohttp is asked for and is not installed.
    """
    if settings.transport == HTTPX:
        return False
    if not _has_aiohttp():
        if settings.transport == AUTO:
            return False
        raise ConnectionSettingsError(
            "[voice_agents] transport is aiohttp, which is not installed: pip install "
            "'airflow-provider-voice-agents[fast]'. Nothing was sent."
        )
    return settings.is_loopback or not getproxies().keys() - {"no"}


@functools.cache
def _has_aiohttp() -> bool:
    return find_spec("httpx_aiohttp") is not None


def name_advice(error: BaseException, host: str) -> str | None:
    """Return what to do about a host name that nobody knows; ``None`` for another fault.

    It may be a name server's passing fault, so the request is repeated all the same.

    :param error: the error, with those that it came from.
    :param host: host and port that were asked.
    """
    if any(isinstance(each, socket.gaierror) and each.errno == socket.EAI_NONAME for each in chain_of(error)):
        return f"Nobody knows the name of {host}: check the host of the connection, then the name server."
    return None


def with_system_errors(error: BaseException) -> str:
    """Return the text of an error with those of the system calls behind it, which name each address tried.

    :param error: the error, with those that it came from.
    """
    text = str(error)
    system = [each for each in chain_of(error) if isinstance(each, OSError)]
    found = [each for each in system if each.strerror and each.strerror not in text]
    tried = "; ".join(dict.fromkeys(f"{type(each).__name__}: {each.strerror}" for each in found))
    return f"{text} ({tried})" if text and tried else text or tried


def proxy_on_the_way(settings: ClientSettings) -> str:
    """Name the proxy that the environment puts in front of the platform; empty where it names none.

    :param settings: where requests go.
    """
    if (proxy := proxy_of(settings.base_url)) is None:
        return ""
    try:
        return f" through the proxy {address_of(proxy if '://' in proxy else f'http://{proxy}')}"
    except ValueError:
        return " through the environment's proxy"


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all errors that it came from.

    :param error: the error.
    """
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from chain_of(each)
        error = error.__cause__ or error.__context__


def _certificate_advice(code: int, host: str) -> str:
    if code in _WRONG_HOST:
        what = f"The certificate is for another host than {host}. Check the host of the connection"
    elif code in _WRONG_TIME:
        what = f"The certificate of {host} is out of date, or the clock of this machine is wrong"
    else:
        what = f"The certificate of {host} comes from an authority that is not trusted here"
    given = next((name for name in (BUNDLE_FILE, BUNDLE_FOLDER) if os.environ.get(name)), None)
    now = f" (now {given}={os.environ[given]})" if given else ""
    return (
        f"{what}. Nothing was sent. If your company's proxy inspects TLS, set {BUNDLE_FILE} to a PEM file with its "
        f"certificate authority and the public ones, on workers and triggerers{now}."
    )


def _unusable_bundle(name: str, place: str | None, why: str) -> ConnectionSettingsError:
    return ConnectionSettingsError(
        f"{name} names {place!r}, which cannot be used: {why}. Nothing was sent. Set it to certificate authorities "
        "in PEM form on workers and triggerers, or unset it."
    )


def _proxy_variable(base_url: str) -> str:
    scheme = urlsplit(base_url).scheme
    return _spelled(f"{scheme if getproxies().get(scheme) else 'all'}_proxy")


def _is_proxy(text: str) -> bool:
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        return bool(parts.hostname) and parts.scheme in _PROXY_SCHEMES and (parts.port or 1) > 0
    except ValueError:
        return False


def _spelled(name: str) -> str:
    return name if name in os.environ else name.upper()
