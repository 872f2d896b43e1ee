"""Checks of arguments before anything is sent, and the one spelling of numbers that platforms show."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from reprlib import repr as shorten

from airflow_voice_agents.http.arguments import parse_e164
from airflow_voice_agents.http.errors import InputError

NAMED_AT_MOST = 10
"""Numbers that an error names."""

RECORD_KEYS = ("phone_number", "number")
"""Where the records of platforms and carriers hold their number."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_PUNCTUATION = re.compile(r"[\s().\-\u00a0\u2010-\u2015]+")


def number_key(text: str | None) -> str | None:
    """Return the E.164 spelling of a number that a platform shows, or ``None`` for what is none.

    ``+1 (202) 555-0123``, ``0012025550123`` and ``12025550123`` are ``+12025550123``.

    :param text: the number as shown.
    """
    digits = _PUNCTUATION.sub("", text or "")
    digits = f"+{digits[2:]}" if digits.startswith("00") else digits
    digits = digits if digits.startswith("+") else f"+{digits}"
    return digits if _E164.fullmatch(digits) else None


def parse_numbers(value: object, *, name: str = "phone_numbers") -> tuple[str, ...]:
    """Check numbers, and leave out repeats.

    :param value: a list of numbers, or of records that hold one under ``phone_number`` or ``number``; or a
        text: JSON, or one number per line or separated by commas.
    :param name: what to call the argument in the error.
    :raises InputError: naming every malformed number.
    """
    if isinstance(value, str):
        value = _from_text(value, name)
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise InputError(f"{name} must be a list of numbers, not {type(value).__name__}")
    if not value:
        raise InputError(f"{name} is empty; there is nothing to do")
    numbers, wrong = [], []
    for item in map(_number_in, value):
        try:
            numbers.append(parse_e164(item, name=name))
        except InputError:
            wrong.append(shorten(item))
    if wrong:
        raise InputError(
            f"{name} holds {len(wrong)} number(s) that are not E.164 ('+' and 7 to 15 digits): {some(wrong)}. "
            "Nothing was sent."
        )
    return tuple(dict.fromkeys(numbers))


def some(names: Sequence[str]) -> str:
    """Return the first few of many names, and how many more there are."""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"{', '.join(names[:NAMED_AT_MOST])}{more}"


def _number_in(item: object) -> object:
    """A record's number, or the item itself; a record without one is shown by its keys only."""
    if not isinstance(item, Mapping):
        return item
    found = next((item[key] for key in RECORD_KEYS if key in item), None)
    return f"a record with {', '.join(map(str, item))}" if found is None else found


def _from_text(text: str, name: str) -> object:
    if text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text)
        except ValueError:
            raise InputError(f"{name} looks like JSON and is not; add | tojson to the template") from None
    return [part.strip() for line in text.splitlines() for part in line.split(",") if part.strip()]
