"""Checks of arguments before any request; errors name the argument and the reason."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from reprlib import repr as shorten
from typing import Any, TypeVar

from airflow_voice_agents.transport.api_request import path_segment
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.phone_numbers import E164, NotANumber, read_number
from airflow_voice_agents.transport.strict_json import LIMITS, decode_json, is_deeper
from airflow_voice_agents.transport.suggestions import did_you_mean

T = TypeVar("T")

_PLAIN_IDENTIFIER = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_to_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}

NAMED_AT_MOST = 10
"""Most numbers that an error names."""

RECORD_KEYS = ("phone_number", "number")
"""Fields in which records of platforms and carriers hold their number, the first one first."""


def parse_identifier(value: object, *, name: str) -> str:
    """Check an id by the rules for a segment of a path, wherever it is sent.

    :param value: the id.
    :param name: what to call the argument in the error.
    :raises InputError: if it could not be one segment of a path.
    """
    if isinstance(value, str) and _PLAIN_IDENTIFIER.fullmatch(value):
        return value  # thousands of items come here
    path_segment(name, value)
    return str(value)


def parse_text(value: object, *, name: str, max_length: int | None = None) -> str:
    """Check one line of text: not empty, no white space around it, no control characters.

    :param value: the text.
    :param name: what to call the argument in the error.
    :param max_length: characters allowed, where the vendor sets a limit.
    :raises InputError: for anything else.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string, not {type(value).__name__}")
    if not value or value != value.strip():
        raise InputError(f"{name} must not be empty or have surrounding white space")
    if any(unicodedata.category(character) in _CONTROL for character in value):
        raise InputError(f"{name} must not hold control characters, line ends or halves of surrogate pairs")
    if max_length is not None and len(value) > max_length:
        raise InputError(f"{name} must have at most {max_length} characters, not {len(value)}")
    return value


def parse_slug(value: object, *, name: str) -> str:
    """Check an id for a new resource.

    :param value: the id.
    :param name: what to call the argument in the error.
    :raises InputError: for anything but ASCII letters, digits and hyphens.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[a-zA-Z0-9-]+", value):
        raise InputError(f"{name} must hold nothing but ASCII letters, digits and hyphens")
    return value


def parse_lines(value: object, *, name: str) -> str:
    """Check text of any number of lines, empty text included.

    :param value: the text.
    :param name: what to call the argument in the error.
    :raises InputError: for another type, a null byte, or text that UTF-8 cannot hold.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} must not hold halves of surrogate pairs") from None
    if "\0" in value:
        raise InputError(f"{name} must not hold a null byte")
    return value


def parse_batch(values: object, parse: Callable[[Any, str], T], *, name: str) -> list[T]:
    """Check each member of a list that must have at least one.

    :param values: the list; any sequence but a string.
    :param parse: checks one member, given the member and what to call it in the error.
    :param name: what to call the argument in the error.
    :raises InputError: for another type or an empty list, and whatever ``parse`` raises.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise InputError(f"{name} must be a list, not {type(values).__name__}")
    if not values:
        raise InputError(f"{name} must not be empty")
    return [parse(value, f"{name}[{index}]") for index, value in enumerate(values)]


def parse_count(value: object, *, name: str, most: int | None = None) -> int:
    """Check a count: a whole number from 1.

    :param value: the number.
    :param name: what to call the argument in the error.
    :param most: the largest one allowed, where there is a limit.
    :raises InputError: for anything else, ``True`` included.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= (most or value):
        return value
    bounds = f"from 1 to {most}" if most else "of at least 1"
    raise InputError(f"{name} must be a whole number {bounds}, not {shorten(value)}")


def parse_choice(value: object, *, name: str, choices: Collection[str]) -> str:
    """Check one of a few words.

    :param value: the word.
    :param name: what to call the argument in the error.
    :param choices: the words allowed.
    :raises InputError: for anything else.
    """
    if isinstance(value, str) and value in choices:
        return value
    near = did_you_mean(value, choices) if isinstance(value, str) else ""
    raise InputError(f"{name} must be one of {', '.join(choices)}, not {shorten(value)}.{near}".rstrip("."))


def parse_e164(text: object, *, name: str = "phone_number", private: bool = False) -> str:
    """Check the shape of an E.164 number: ``+``, then 7 to 15 ASCII digits, the first not 0.

    :param text: the number.
    :param name: what to call the argument in the error.
    :param private: the number belongs to a person who is called, and the error must not show it.
    :raises InputError: for anything else, surrounding white space included.
    """
    if isinstance(text, str) and E164.fullmatch(text):
        return text
    shown = "" if private else f", not {shorten(text)}"
    raise InputError(f"{name} must be an E.164 number: '+' and 7 to 15 digits without leading zero{shown}")


def parse_phone_number(value: object, *, name: str = "phone_number", private: bool = False) -> str:
    """Return a number that a person wrote in E.164; separators are taken, anything doubtful is refused.

    :param value: the number, with ``+`` or ``00`` and the country code.
    :param name: what to call the argument in the error.
    :param private: the number belongs to a person who is called, and the error must not show it.
    :raises InputError: for anything else, with the reason.
    """
    try:
        return read_number(value)
    except NotANumber as problem:
        reason = str(problem)
    shown = "" if private else f", not {shorten(value)}"
    raise InputError(
        f"{name} must be an E.164 number: '+' and 7 to 15 digits without leading zero{shown}; it {reason}"
    )


def parse_numbers(
    value: object, *, name: str = "phone_numbers", region: str | None = None
) -> tuple[str, ...]:
    """Check phone numbers, and drop repeats.

    :param value: a list of numbers, or of records that hold one under ``phone_number`` or ``number``; or a
        text: JSON, or one number per line or separated by commas.
    :param name: what to call the argument in the error.
    :param region: region of numbers in national form, as :func:`.check_region` returns it.
    :raises InputError: naming every malformed number, its place and the reason.
    """
    return tuple(dict.fromkeys(read_numbers(number_cells(value, name=name), name=name, region=region)))


def number_cells(value: object, *, name: str) -> list[tuple[str, object]]:
    """Return phone numbers as they were given, each with its place.

    :param value: what :func:`parse_numbers` takes.
    :param name: what to call the argument in the error.
    :raises InputError: for what is not a list of at least one.
    """
    if isinstance(value, str):
        value = decode_list(value, name=name, lines=True)
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise InputError(f"{name} must be a list of numbers, not {type(value).__name__}")
    return [(f"{name}[{index}]", _number_in(item)) for index, item in enumerate(value)]


def decode_list(text: str, *, name: str, lines: bool = False) -> Any:
    """Return what a text that a template rendered holds: JSON, or else the parts between commas.

    :param text: the text.
    :param name: what to call the argument in the error.
    :param lines: whether the ends of lines separate as well.
    :raises InputError: for a text that begins as JSON and is not.
    """
    if not text.lstrip().startswith(("[", "{")):
        pieces = text.splitlines() if lines else [text]
        return [part.strip() for piece in pieces for part in piece.split(",") if part.strip()]
    try:
        return decode_json(text, where=name)
    except InputError as error:
        raise InputError(
            f"{name} looks like JSON and is not; add | tojson to the template. {error}"
        ) from None


def read_numbers(cells: Sequence[tuple[str, object]], *, name: str, region: str | None = None) -> list[str]:
    """Return numbers in E.164, in order and with repeats.

    :param cells: place and number of each, as :func:`number_cells` returns them.
    :param name: what to call the argument in the error.
    :param region: region of numbers in national form, as :func:`.check_region` returns it.
    :raises InputError: naming every malformed number, its place and the reason.
    """
    if not cells:
        raise InputError(f"{name} is empty; there is nothing to do")
    numbers, wrong, places = [], [], []
    for place, item in cells:
        try:
            numbers.append(read_number(item, region))
        except NotANumber as problem:
            wrong.append(shorten(item))
            places.append(f"{place} {problem}")
    if wrong:
        raise InputError(
            f"{name} holds {len(wrong)} number(s) that are not E.164 ('+' and 7 to 15 digits): "
            f"{summarize_list(wrong)}. Nothing was sent. Correct them: {summarize_list(places)}."
        )
    return numbers


def parse_number_keys(value: Mapping[Any, T], *, name: str) -> dict[str, T]:
    """Return a mapping with its keys, which are phone numbers, in E.164.

    :param value: phone number -> anything.
    :param name: what to call the argument in the error.
    :raises InputError: naming every malformed number, and one that is there in two spellings.
    """
    numbers = read_numbers(
        [(f"{name} key {position}", key) for position, key in enumerate(value, 1)], name=name
    )
    require_distinct(numbers, name=name)
    return dict(zip(numbers, value.values(), strict=True))


def differing(numbers: Sequence[str], expected: Sequence[str]) -> str:
    """Name the numbers in which two lists differ as sets; empty when they do not.

    :param numbers: the numbers asked for.
    :param expected: the numbers announced.
    """
    asked, announced = set(numbers), set(expected)
    surplus = [number for number in numbers if number not in announced]
    missing = sorted(announced - asked)
    parts = [f"{len(surplus)} not expected ({summarize_list(surplus)})"] if surplus else []
    parts += [f"{len(missing)} expected and not asked for ({summarize_list(missing)})"] if missing else []
    return "; ".join(parts)


def summarize_list(names: Sequence[str]) -> str:
    """Return the first few of many names and the count of the others.

    :param names: any number of names.
    """
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"{', '.join(names[:NAMED_AT_MOST])}{more}"


def require_distinct(keys: Iterable[str], *, name: str) -> None:
    """Refuse a batch that names something twice.

    :param keys: the ids or numbers of the batch.
    :param name: what to call the argument in the error.
    :raises InputError: naming each repeat.
    """
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        raise InputError(f"{name} must name each only once, and repeats {', '.join(repeated)}")


def parse_json_object(value: object, *, name: str) -> dict[str, Any]:
    """Copy a JSON object, so that what is sent stays what was checked; ``1``, ``1.0``, ``true`` stay apart.

    :param value: a mapping with string keys and JSON values.
    :param name: what to call the argument in the error.
    :raises InputError: for another type, a key that is not a string, NaN, infinity, a null byte,
        text that UTF-8 cannot hold, or a value that contains itself; names the place.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{name} must be a JSON object, not {type(value).__name__}")
    copied = _plain_copy(value)
    try:
        copied = _object(value, name) if copied is None else copied
    except RecursionError:
        raise InputError(f"{name} is nested too deeply or contains itself") from None
    if is_deeper(copied):
        raise InputError(f"{name} is nested deeper than {LIMITS.depth} levels")
    return copied


def parse_string_map(value: object, *, name: str) -> dict[str, str]:
    """Copy a JSON object that has nothing but strings.

    :param value: a mapping of strings to strings.
    :param name: what to call the argument in the error.
    :raises InputError: as ``parse_json_object`` does, and for a value of another type.
    """
    checked = parse_json_object(value, name=name)
    for key, item in checked.items():
        if not isinstance(item, str):
            raise InputError(f"{name}.{key} must be a string, not {type(item).__name__}")
    return checked


def _plain_copy(value: object) -> dict[str, Any] | None:
    """Copy plain JSON the quick way; ``None`` for everything that has to be looked at closely."""
    try:
        text = _to_text(value)
        text.encode()
        copied: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return copied if "\\u0000" not in text and copied == value else None


def _object(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    return {
        parse_lines(key, name=f"a key of {where}"): _value(item, f"{where}.{key}")
        for key, item in value.items()
    }


def _value(value: object, where: str) -> Any:
    if isinstance(value, str):
        return parse_lines(value, name=where)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping):
        return _object(value, where)
    if isinstance(value, list | tuple):
        return [_value(item, f"{where}[{index}]") for index, item in enumerate(value)]
    kind = "NaN or infinity" if isinstance(value, float) else type(value).__name__
    raise InputError(f"{where} must be a JSON value, which {kind} is not")


def _number_in(item: object) -> object:
    """A record's number, or the item itself; a record without one is shown by its keys only."""
    if not isinstance(item, Mapping):
        return item
    found = next((item[key] for key in RECORD_KEYS if key in item), None)
    return f"a record with {', '.join(map(str, item))}" if found is None else found
