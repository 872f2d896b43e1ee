"""Sanitizes text from outside: keys, sent values, called numbers, credentials, control characters.

A :class:`Redactor` does all of it at once, for every field alike: messages, codes, labels, paths and hosts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.transport.masking import MASK, mask_credentials
from airflow_voice_agents.transport.spellings import Needle, Readings, Span, fold, replace_spans
from airflow_voice_agents.transport.text import one_line

if TYPE_CHECKING:
    from airflow_voice_agents.transport.api_request import ApiRequest

__all__ = [
    "LONGEST",
    "MASK",
    "Redactor",
    "mask_numbers",
    "mask_person_number",
    "mask_values",
    "redact_url",
    "sent_values",
]

LONGEST = 8192
"""Characters of a text from outside that are looked at; what is longer is left out as a whole."""

_USERINFO = re.compile(r"(?<=://)[^/\s?#@]+@")
_QUERY = re.compile(r"(?<=[?&])([^=&#\s]+)=[^&#\s]*")
_URL = re.compile(r"\S*://\S*")
_NUMBER = re.compile(r"\+?\d(?:[ ().-]{0,2}\d){6,16}")
_TELEPHONE = re.compile(r"(?<!\w)\+?\(?\d(?:[\W_]{0,3}\d){6,16}(?!\w)")
_SENT_NUMBER = re.compile(r"\s*\+?[\d\s().\-/]{7,30}\s*")
_GAP = r"[\W_]{0,3}"
_LOCAL = 7
"""Last digits of a number by which it is recognized; those before may be missing or written in another way."""


class Redactor:
    """Makes a text from outside fit to be shown: one line, without what must not be shown.

    It masks the client's secrets, the values that a request sent and the numbers of people who are called, in
    any spelling, and credentials inside URLs; and it removes control and direction characters.

    :param secrets: API keys, tokens, passwords; empty ones are ignored.
    """

    __slots__ = ("_kept", "_numbers", "_people", "_secrets", "_values")

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(Needle(secret, whole_words=False) for secret in secrets if secret)
        self._values: tuple[Needle, ...] = ()
        self._numbers: tuple[re.Pattern[str], ...] = ()
        self._people = False
        self._kept: frozenset[str] = frozenset()

    def about(self, request: ApiRequest[Any]) -> Redactor:
        """Return a redactor for the texts that answer a request, which also masks what the request sent.

        :param request: the request; values of the fields that it names as ``shown`` stay.
        """
        query = (value for name, value in request.query if name not in request.shown)
        values = list(dict.fromkeys([*query, *sent_values(request.body, request.shown)]))
        made = Redactor(())
        made._secrets = self._secrets
        made._values = tuple(map(Needle, values))
        made._numbers = tuple(_number_pattern(value) for value in values if _is_number(value))
        made._people = request.people
        made._kept = frozenset(_names(request.body)) | {name for name, _ in request.query}
        return made

    def __call__(self, text: str, limit: int | None = None) -> str:
        """Return the text, cleaned.

        :param text: text from outside.
        :param limit: maximum number of characters to keep; ``None`` keeps all.
        """
        return self._clean(text, self._values, limit)

    def label(self, text: str, limit: int | None = None) -> str:
        """Return the name of a field or a path, cleaned; a name that the request itself used stays.

        :param text: text from outside.
        :param limit: maximum number of characters to keep; ``None`` keeps all.
        """
        return self._clean(text, [each for each in self._values if each.text not in self._kept], limit)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._secrets)} keys, {len(self._values)} values)"

    def _clean(self, text: str, values: Iterable[Needle], limit: int | None) -> str:
        if len(text) > LONGEST:
            return f"a text of {len(text)} characters, left out"
        readings = Readings(text)
        numbers = [*self._numbers, *([_TELEPHONE] if self._people else [])]
        spans = chain(
            *(needle.spans(readings) for needle in chain(self._secrets, values)),
            _number_spans(readings, numbers),
        )
        return one_line(_without_credentials(one_line(replace_spans(text, spans, MASK), None)), limit)


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


def mask_numbers(text: str, mask: str = MASK) -> str:
    """Mask whatever could be a telephone number, in any spelling, and return one printable line.

    :param text: text from outside, about a person whose number is not known here.
    :param mask: what stands in the place of a number.
    """
    readings = Readings(text)
    return one_line(replace_spans(text, _number_spans(readings, [_TELEPHONE]), mask), None)


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
    """Mask sent values wherever ``text`` quotes them: whole, in another spelling, or by a long part.

    :param text: text from the server.
    :param values: the sent values, as :func:`sent_values` yields them.
    """
    readings = Readings(text)
    return replace_spans(text, chain(*(Needle(value).spans(readings) for value in values)), MASK)


def _names(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield from item
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)


def _without_credentials(text: str) -> str:
    masked = _USERINFO.sub(f"{MASK}@", mask_credentials(text))
    return _URL.sub(lambda url: redact_url(url.group()), masked)


def _is_number(value: str) -> bool:
    return bool(_SENT_NUMBER.fullmatch(value)) and 7 <= len(_digits(value)) <= 15


def _digits(value: str) -> str:
    return "".join(filter(str.isdecimal, fold(value)))


def _number_pattern(value: str) -> re.Pattern[str]:
    """Return a pattern for a number in every spelling: with and without country code, prefixes and gaps."""
    digits = _digits(value)
    head, tail = digits[:-_LOCAL], digits[-_LOCAL:]
    optional = "".join(rf"(?:\(?0\)?{_GAP})?(?:{digit}{_GAP})?" for digit in head)
    return re.compile(rf"(?:(?:\+|00|011){_GAP})?{optional}(?:\(?0\)?{_GAP})?{_GAP.join(tail)}")


def _number_spans(readings: Readings, patterns: Iterable[re.Pattern[str]]) -> Iterator[Span]:
    for pattern in patterns:
        for reading in readings.folded:
            for found in pattern.finditer(reading.text):
                yield reading.span(found.start(), found.end())


def _shortened(match: re.Match[str]) -> str:
    number = match.group()
    return f"{number[:5]}…{number[-2:]}" if len(number) >= 11 else f"…{number[-2:]}"
