"""Masks sensitive names, and credentials inside URLs of any text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

MASK = "***"

SENSITIVE_NAMES = (
    "access_key", "access_token", "api_key", "apikey", "auth_header", "authorization", "bearer",
    "connection_string", "credential", "dsn", "keyfile", "keyfile_dict", "passphrase", "passwd", "password",
    "private_key", "proxies", "proxy", "proxy_password", "secret", "service_account", "service_key", "token",
    "webhook_url",
)  # fmt: skip
"""A key whose name holds one of these is sensitive; Airflow masks by the same names."""

QUERY_NAMES = frozenset({
    "accountkey", "assertion", "auth", "code", "cred", "creds", "hash", "hmac", "jsessionid", "jwt", "key", "mac",
    "nonce", "otp", "pass", "passcode", "phpsessid", "pin", "pw", "pwd", "refresh", "session", "sessionid",
    "sharedkey", "sid", "sig", "signature", "ticket",
})  # fmt: skip
"""Last words of names that are sensitive in the query of a URL, and say nothing elsewhere."""

LONGEST_NAME_KEPT = 100
"""Characters of a name up to which the verdict on it is kept in memory."""

DECODINGS = 3
"""Layers of percent-encoding that are looked through; a word with more of them is masked whole."""

_CANDIDATE = re.compile(r"[@=%]|(?i:hook|telegram)")
_WORD = re.compile(r"\S+")
_SLASHES = re.compile(r"[/\\]{2,}")
_SLASHES_OR_START = re.compile(r"\A[/\\]*|[/\\]{2,}")
_END_OF_AUTHORITY = re.compile(r"[/\\?#]")
_SIP = re.compile(r"(?i)\bsips?:[^:@/]*:")
_THIN = re.compile(r"(?i)(?<=:thin:)([^/@:]+)/.+@")
"""User and password of an Oracle address."""
_HOOK = re.compile(
    r"(?i)(hooks\.slack\.com/[a-z]+/|/webhooks?/[0-9a-z-]+/|webhook\.office\.com/webhookb?2?/|//api\.telegram\.org/bot)"
    r"[^?#\s]+"
)
"""Addresses whose path is the credential."""
_RANDOM = re.compile(r"(?=[^\d]*\d[^\d]*\d)(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[\w.~+/-]{16,}={0,2}", re.ASCII)
"""A value that nobody has typed, whatever its name is."""
_NAME_OF_A_PERSON = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}")
"""Longer user names may be keys: some platforms take one in the place of the name."""
_OUTSIDE_OF_A_NAME = re.compile(r"[^\w.%~+\[\]-]+")
_BEFORE_A_PARAMETER = re.compile(r"(?=[?#;])")


def is_sensitive(name: str, more: tuple[str, ...] = ()) -> bool:
    """Tell whether the value of a key with this name is masked, whatever case and signs the name is written in.

    :param name: the key.
    :param more: sensitive names beside :data:`SENSITIVE_NAMES`.
    """
    decide = _is_sensitive if len(name) <= LONGEST_NAME_KEPT else _is_sensitive.__wrapped__
    return decide(name, more)


def mask_credentials(text: str, more: tuple[str, ...] = ()) -> str:
    """Return a text with the credentials of the URLs in it masked, in time that is linear in its length.

    User info becomes ``user:***@``, or ``***@`` when the user name may be a key itself. Of parameters with a
    sensitive name the value is masked, outside of URLs too.

    :param text: any text.
    :param more: sensitive names beside :data:`SENSITIVE_NAMES`.
    """
    return _masked(text, more, DECODINGS) if _CANDIDATE.search(text) else text


@lru_cache(maxsize=8192)
def _is_sensitive(name: str, more: tuple[str, ...]) -> bool:
    plain, compact = _plain(name), _compact(name)
    return any(
        word in plain or ("_" in word and _compact(word) in compact)
        for word in (*SENSITIVE_NAMES, *(_plain(word) for word in more if _compact(word)))
    )


def _masked(text: str, more: tuple[str, ...], decodings: int) -> str:
    return _WORD.sub(lambda word: _masked_word(word.group(), more, decodings), text)


def _masked_word(word: str, more: tuple[str, ...], decodings: int) -> str:
    masked = _without_parameters(_without_other_passwords(_without_user_info(word)), more)
    decoded = unquote(masked) if "%" in masked else masked
    if decoded == masked:
        return masked
    if not decodings:
        return MASK
    again = _masked(decoded, more, decodings - 1)
    return masked if again == decoded else again


def _without_user_info(word: str) -> str:
    if "@" not in word:
        return word
    before, *urls = word.split("://")
    parts = [_without_user_info_after(before, _SLASHES.finditer(before))]
    parts += [_without_user_info_after(url, _SLASHES_OR_START.finditer(url)) for url in urls]
    return "://".join(parts)


def _without_user_info_after(text: str, starts: Iterator[re.Match[str]]) -> str:
    parts, done, last = [], 0, text.rfind("@")
    for start in (found.end() for found in starts):
        if done <= start <= last and (end := _end_of_user_info(text, start, last)) is not None:
            parts += [text[done:start], _masked_user_info(text[start:end])]
            done = end
    return "".join([*parts, text[done:]])


def _end_of_user_info(text: str, start: int, last: int) -> int | None:
    """Return where the ``@`` stands: the last one, for a password may hold what should have been encoded."""
    found = _END_OF_AUTHORITY.search(text, start)
    authority = text[start : found.start() if found else len(text)]
    user, at, _ = authority.rpartition("@")
    if at:
        return last if ":" in user else start + len(user)
    _, colon, port = authority.rpartition(":")
    return last if colon and not port.isdecimal() and not authority.startswith("[") else None


def _masked_user_info(user_info: str) -> str:
    user, _, password = user_info.partition(":")
    return f"{user}:{MASK}" if password and _NAME_OF_A_PERSON.fullmatch(user) else MASK


def _without_other_passwords(word: str) -> str:
    word = _THIN.sub(rf"\1/{MASK}@", word) if "@" in word else word
    return _HOOK.sub(rf"\1{MASK}", _without_sip_password(word))


def _without_sip_password(word: str) -> str:
    found, last = _SIP.search(word), word.rfind("@")
    return f"{word[: found.end()]}{MASK}{word[last:]}" if found and found.end() <= last else word


def _without_parameters(word: str, more: tuple[str, ...]) -> str:
    if "=" not in word:
        return word
    return "&".join(
        "".join(_masked_parameters(part, more, in_query=place > 0))
        for place, part in enumerate(word.split("&"))
    )


def _masked_parameters(part: str, more: tuple[str, ...], *, in_query: bool) -> Iterator[str]:
    """Yield what stands between two ``&``, up to the first sensitive name: the rest may all be its value."""
    for parameter in _BEFORE_A_PARAMETER.split(part):
        fields = parameter.split("=")
        bare = in_query or parameter[:1] in ("?", "#", ";")
        for place, field in enumerate(fields[:-1]):
            name = _OUTSIDE_OF_A_NAME.split(field)[-1]
            if is_sensitive(name, more) or (bare and not place and _is_secret(name, fields[place + 1])):
                yield "=".join([*fields[: place + 1], MASK])
                return
        yield parameter


def _is_secret(name: str, value: str) -> bool:
    return _last_word(name) in QUERY_NAMES or bool(_RANDOM.fullmatch(value[:LONGEST_NAME_KEPT]))


def _last_word(name: str) -> str:
    return re.split(r"[-_.]", name.lower())[-1]


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().lower())


def _compact(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
