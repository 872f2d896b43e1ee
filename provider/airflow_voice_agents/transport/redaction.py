"""Masks keys, sent values and the numbers of called people in every text that leaves the process."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"

_USERINFO = re.compile(r"(?<=://)[^/\s?#@]+@")
_QUERY = re.compile(r"(?<=[?&])([^=&#\s]+)=[^&#\s]*")
_NUMBER = re.compile(r"\+?\d(?:[ ().-]{0,2}\d){6,16}")
_PREFIX = 12


class Redactor:
    """Masks known secrets, in the forms in which they travel, and the userinfo of URLs.

    :param secrets: API keys, tokens, passwords; empty ones are ignored.
    """

    __slots__ = ("_forms",)

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return _USERINFO.sub(f"{MASK}@", text) if "@" in text else text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._forms)} masked forms)"


def redact_url(url: str) -> str:
    """Return ``url`` without userinfo, with every query value masked and the names kept.

    :param url: an absolute or relative URL.
    """
    return _QUERY.sub(rf"\1={MASK}", _USERINFO.sub(f"{MASK}@", url))


def mask_person_number(text: str) -> str:
    """Mask each telephone number in ``text``: ``+447911123456`` becomes ``+4479…56``.

    For the numbers of people who are called; the business's own numbers are identifiers.

    :param text: a number or a sentence that holds some.
    """
    return _NUMBER.sub(_shortened, text)


def sent_values(value: object, shown: Collection[str] = ()) -> Iterator[str]:
    """Yield, as text, each scalar in a request body except those under fields that can be shown.

    :param value: decoded JSON.
    :param shown: names of fields whose values are identifiers and can be quoted.
    """
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(inner for name, inner in item.items() if name not in shown)
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
        elif isinstance(item, bool):
            yield from (str(item), str(item).lower())
        elif item is not None:
            yield str(item)


def mask_values(text: str, values: Iterable[str]) -> str:
    """Mask sent values wherever ``text`` quotes them: whole, escaped, or by a long beginning.

    :param text: text from the server.
    :param values: the sent values, as :func:`sent_values` yields them.
    """
    found = {form for value in values for form in _quoted_forms(value) if form[:_PREFIX] in text}
    for form in sorted(found, key=len, reverse=True):
        text = _mask_beginnings(text, form) if len(form) > _PREFIX else _mask_word(text, form)
    return text


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}


def _quoted_forms(value: str) -> set[str]:
    if not value.strip():
        return set()
    return {value, repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}


def _mask_word(text: str, word: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", MASK, text)


def _mask_beginnings(text: str, value: str) -> str:
    parts, end = [], 0
    while (start := text.find(value[:_PREFIX], end)) >= 0:
        parts += [text[end:start], MASK]
        end = start + _common_length(text, start, value)
    return "".join([*parts, text[end:]])


def _common_length(text: str, start: int, value: str) -> int:
    length = _PREFIX
    while length < len(value) and text[start + length : start + length + 1] == value[length]:
        length += 1
    return length


def _shortened(match: re.Match[str]) -> str:
    number = match.group()
    return f"{number[:5]}…{number[-2:]}" if len(number) >= 11 else f"…{number[-2:]}"
