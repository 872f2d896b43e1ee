"""Parses phone numbers from people and spreadsheets; an ambiguous text is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from airflow_voice_agents.transport.errors import InputError

EXTRA = "pip install 'airflow-provider-voice-agents[phonenumbers]'"
"""Command that installs the numbering plans."""

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""A number as it is sent."""
_BLANKS = " \t\u00a0\u2007\u2009\u202f"
_DASHES = "-\u2010\u2011\u2012\u2013"
_WRITTEN = re.compile(rf"\+?(?:[0-9]|\([0-9]+\)|[{_BLANKS}.{re.escape(_DASHES)}])+")
_MOST_CHARACTERS = 64
_YEAR, _MONTH, _DAY = r"(?:19|20)[0-9]{2}", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12][0-9]|3[01])"
_DATE = re.compile(
    rf"{_YEAR}([-. ]){_MONTH}\1{_DAY}|{_DAY}([-. ]){_MONTH}\2{_YEAR}|{_MONTH}([-. ]){_DAY}\3{_YEAR}"
)
_EXTENSION = re.compile(r"[0-9)\s](?:x|ext|extn|extension|durchwahl|poste)[.:]?\s*[0-9]|#", re.IGNORECASE)


class NotANumber(ValueError):
    """Says why a text is not one phone number; the reason never holds the text."""


def read_number(value: object, region: str | None = None) -> str:
    """Return a number in E.164. The digits are those that were written, the national prefix aside.

    Blanks, dots, hyphens and parentheses between digits are separators. ``00`` in front is ``+``. Letters,
    extensions, decimals, dates and several numbers are refused, and so is a length that no number of the country has.

    :param value: the number, as text.
    :param region: two-letter region, as :func:`check_region` returns it, for numbers in national form.
    :raises NotANumber: with the reason, for anything that is not surely one number.
    """
    if isinstance(value, str) and E164.fullmatch(value):
        return _with_possible_length(value)
    text = _as_written(value)
    digits = "".join(character for character in text if character in "0123456789")
    if text.startswith("+"):
        return _international(text, digits)
    if digits.startswith("00") and (region is None or _dials_abroad(region, "00")):
        return _after_double_zero(digits[2:])
    if region is None:
        raise NotANumber(
            "has no country code; write it with +, or name the region where an argument takes it"
        )
    return _national(digits, region)


def check_region(value: object, *, name: str = "default_region") -> str:
    """Check a region of numbers in national form, once for all numbers.

    :param value: two letters, in either case.
    :param name: what to call the argument in the error.
    :raises InputError: for anything but a region that has a numbering plan, and when the extra is missing.
    """
    plans = library()
    if plans is None:
        raise InputError(f"{name} needs the numbering plans. Nothing was sent. Install them: {EXTRA}")
    region = value.upper() if isinstance(value, str) else value
    if region in plans.SUPPORTED_REGIONS:
        return str(region)
    hint = "; the United Kingdom is GB" if region == "UK" else ""
    shown = repr(value) if isinstance(value, str) and len(value) <= 20 else type(value).__name__
    raise InputError(
        f"{name} must be the two letters of a region with phone numbers, such as GB or US, not {shown}{hint}. "
        "Nothing was sent."
    )


def library() -> Any:
    """Return the library of numbering plans, or ``None`` where it is not installed."""
    try:
        import phonenumbers
    except ImportError:
        return None
    return phonenumbers


def _as_written(value: object) -> str:
    """Return a text that holds digits and separators only."""
    if isinstance(value, (int, float)):
        raise NotANumber(
            "is a number and not a text, so that + and leading zeros may be lost; put it in quotes"
        )
    if not isinstance(value, str):
        raise NotANumber(f"is not a text but {type(value).__name__}")
    text = value.strip(_BLANKS)
    if reason := _fault(text):
        raise NotANumber(reason)
    return text


def _fault(text: str) -> str:
    """Say what keeps a text from being digits and separators only; empty if nothing does."""
    return next((reason for is_wrong, reason in _FAULTS if is_wrong(text)), "")


def _is_strange(text: str) -> bool:
    return len(text) > _MOST_CHARACTERS or not _WRITTEN.fullmatch(text) or text[0] in f".{_DASHES}"


_FAULTS: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda text: not text, "is empty"),
    (
        lambda text: _EXTENSION.search(text[:_MOST_CHARACTERS]),
        "has an extension, which cannot be sent; remove it",
    ),
    (lambda text: any(map(str.isalpha, text)), "has letters"),
    (
        lambda text: text.count("+") > 1 or any(character in ",;/|&\n\r" for character in text),
        "looks like several numbers or a list; give each its own entry",
    ),
    (lambda text: text.count(".") == 1, "has a decimal point; format the column as text"),
    (_DATE.fullmatch, "looks like a date"),
    (_is_strange, "has other characters than digits, +, blanks, dots, hyphens and parentheses"),
)
"""What is wrong with a text, the first one that holds, and how to say so."""


def _international(text: str, digits: str) -> str:
    if "(0)" in text:
        return _without_trunk_zero(digits)
    return _with_possible_length(f"+{digits}")


def _with_possible_length(number: str) -> str:
    if not E164.fullmatch(number):
        raise NotANumber("has not 7 to 15 digits after the +, the first not 0")
    if library() is not None and not _is_possible(number[1:4], len(number) - 1):
        raise NotANumber("has more or fewer digits than numbers of that country have")
    return number


@lru_cache(maxsize=4096)
def _is_possible(lead: str, length: int) -> bool:
    """Return whether numbers that begin with these three digits can have that many; unknown countries may."""
    plans = library()
    known = plans.COUNTRY_CODE_TO_REGION_CODE
    code = next((lead[:size] for size in (1, 2, 3) if int(lead[:size]) in known), None)
    if code is None:
        return True
    some = plans.PhoneNumber(country_code=int(code), national_number=int("1" * (length - len(code))))
    return bool(plans.is_possible_number_with_reason(some) == plans.ValidationResult.IS_POSSIBLE)


def _without_trunk_zero(digits: str) -> str:
    """Read ``+44 (0)20 …``, where the zero is dialed within the country only."""
    plans = _needed("'(0)'")
    parsed = _parsed(plans, f"+{digits}", None)
    found = _e164(plans, parsed)
    code, national = str(parsed.country_code), plans.national_significant_number(parsed)
    if digits not in (found[1:], f"{code}0{national}"):
        raise NotANumber("has a (0) in an unexpected place; leave it out")
    return _with_possible_length(found)


def _after_double_zero(digits: str) -> str:
    plans = _needed("a number that begins with 00")
    number = _with_possible_length(f"+{digits}")
    parsed = _parsed(plans, number, None)
    if _e164(plans, parsed) != number or not plans.is_valid_number(parsed):
        raise NotANumber("begins with 00 and is in no numbering plan; write it with + if it is right")
    return number


def _national(digits: str, region: str) -> str:
    plans = _needed("a number in national form")
    parsed = _parsed(plans, digits, region)
    number, national = _e164(plans, parsed), plans.national_significant_number(parsed)
    if plans.is_possible_number_with_reason(parsed) != plans.ValidationResult.IS_POSSIBLE:
        raise NotANumber(f"has more or fewer digits than numbers of {region} have")
    usual = "".join(filter(str.isdigit, plans.format_number(parsed, plans.PhoneNumberFormat.NATIONAL)))
    prefix = plans.ndd_prefix_for_region(region, True) or ""
    abroad = digits.removesuffix(number[1:])
    if digits == national and usual != digits:
        raise NotANumber(f"lacks the {prefix or 'prefix'} in front that numbers of {region} have")
    if digits not in (national, prefix + national, number[1:]) and not _dials_abroad(region, abroad):
        raise NotANumber(f"is not written as numbers of {region} are; its digits would change")
    if not plans.is_valid_number(parsed) and not (digits == usual != national and _is_usual(plans, parsed)):
        raise NotANumber(f"is in no numbering plan of {region}; write it with + if it is right")
    return str(number)


def _is_usual(plans: Any, parsed: Any) -> bool:
    kinds = (plans.PhoneNumberType.FIXED_LINE, plans.PhoneNumberType.MOBILE)
    return any(
        plans.is_possible_number_for_type_with_reason(parsed, kind) == plans.ValidationResult.IS_POSSIBLE
        for kind in kinds
    )


def _dials_abroad(region: str, digits: str) -> bool:
    prefix = (
        _needed("a number in national form").PhoneMetadata.metadata_for_region(region).international_prefix
    )
    return bool(prefix and re.fullmatch(prefix, digits))


def _parsed(plans: Any, text: str, region: str | None) -> Any:
    try:
        return plans.parse(text, region)
    except plans.NumberParseException:
        raise NotANumber(f"is not a number of {region or 'any country'}") from None


def _e164(plans: Any, parsed: Any) -> str:
    return str(plans.format_number(parsed, plans.PhoneNumberFormat.E164))


def _needed(what: str) -> Any:
    if (plans := library()) is None:
        raise NotANumber(
            f"is {what}, which needs the numbering plans; write it with +, or install them: {EXTRA}"
        )
    return plans
