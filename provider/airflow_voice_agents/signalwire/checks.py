"""Checks of arguments before any request; errors name the argument and show no confidential value."""

from __future__ import annotations

import re
import uuid
from reprlib import repr as shorten
from urllib.parse import SplitResult, urlsplit

from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.redaction import MASK, redact_url
from airflow_voice_agents.transport.settings import is_loopback
from airflow_voice_agents.transport.validation import parse_text

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def parse_uuid(value: object, *, name: str) -> str:
    """Check an id of SignalWire's, which is a UUID, and return it in lower case.

    :param value: the id.
    :param name: what to call the argument in the error.
    :raises InputError: for anything else, a phone number and the word ``search`` included.
    """
    if isinstance(value, str) and _UUID.fullmatch(value):
        return str(uuid.UUID(value))
    raise InputError(f"{name} must be a UUID such as {uuid.UUID(int=0)}, not {shorten(value)}")


def parse_digits(value: object, *, name: str, least: int, most: int) -> str:
    """Check a run of ASCII digits.

    :param value: the digits, as text.
    :param name: what to call the argument in the error.
    :param least: fewest digits.
    :param most: most digits.
    :raises InputError: for anything else.
    """
    if isinstance(value, str) and re.fullmatch(rf"[0-9]{{{least},{most}}}", value):
        return value
    raise InputError(f"{name} must be a text of {least} to {most} digits, not {shorten(value)}")


def parse_url(value: object, *, name: str) -> str:
    """Check a URL that SignalWire is to call: https, except where the host is loopback.

    A user name and password inside are allowed, and never shown.

    :param value: an absolute URL in printable ASCII, so with everything else percent-encoded.
    :param name: what to call the argument in the error.
    :raises InputError: for anything else.
    """
    url = parse_text(value, name=name)
    if not url.isascii() or not url.isprintable() or any(character in ' \\"<>' for character in url):
        raise InputError(f"{name} must be a URL in ASCII, with everything else percent-encoded")
    parts = _split(url)
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        raise InputError(f"{name} must have the form https://host/path")
    if parts.netloc.count("@") > 1:
        raise InputError(f"{name} must have the '@' in its user name or password encoded as %40")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InputError(f"{name} must use https: {parts.hostname} is not this machine")
    return url


def holds_credentials(url: str) -> bool:
    """Tell whether a URL has a user name or password inside.

    :param url: an absolute URL.
    """
    parts = _split(url)
    return parts is None or "@" in parts.netloc


def masked_url(url: str) -> str:
    """Return a URL fit to be shown: no user name, no password, no value of its query.

    :param url: a URL, as SignalWire or an author gives it; one that cannot be read is masked whole.
    """
    parts = _split(url)
    if parts is None:
        return MASK
    _, at, host = parts.netloc.rpartition("@")
    netloc = f"{MASK}@{host}" if at else host
    return redact_url(parts._replace(netloc=netloc, fragment="").geturl())


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
