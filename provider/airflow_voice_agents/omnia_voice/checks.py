"""Checks of arguments before anything is sent, and the one spelling of numbers that platforms show."""

from __future__ import annotations

import re

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
