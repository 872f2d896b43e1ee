"""Validation errors of pydantic models in plain words: the place as it was written, and the expected value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, get_args, get_origin

from airflow_voice_agents.transport.suggestions import did_you_mean

PROBLEMS_SHOWN: Final = 10
_PLAIN_KEY = re.compile(r"[^\s.\[\]\"']+")
_KEY_MARK: Final = "[key]"
_OWN_WORDS: Final = frozenset({"value_error", "assertion_error"})

_EXPECTED: Final[Mapping[str, str]] = {
    "missing": "it is missing",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "set_type": "it must be a list",
    "mapping_type": "it must be a mapping of keys to values",
    "dict_type": "it must be a mapping of keys to values",
    "model_type": "it must be a mapping of keys to values",
    "model_attributes_type": "it must be a mapping of keys to values",
    "string_type": "it must be a text: put it in quotes",
    "string_too_short": "it must not be empty",
    "string_too_long": "it must have at most {max_length} characters",
    "string_pattern_mismatch": "it does not have the form that is expected here",
    "bool_type": "it must be true or false, without quotes",
    "bool_parsing": "it must be true or false, without quotes",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a finite number",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "too_short": "it must hold at least {min_length}",
    "too_long": "it must hold at most {max_length}",
    "literal_error": "it must be {expected}",
    "enum": "it must be {expected}",
    "none_required": "it must be left out",
    "union_tag_not_found": "it must say its kind under {discriminator}",
    "union_tag_invalid": "{discriminator} must be {expected_tags}",
}


def explain_all(error: Any, given: Any, model: Any, *, name: str = "") -> str:
    """Return what is wrong with a value, in one line: each place, what is expected, and what was likely meant.

    :param error: pydantic's ``ValidationError``.
    :param given: the value that was validated; only its keys are shown, and words near to a choice.
    :param model: the type that it was validated as.
    :param name: what the value is called, in front of each place.
    """
    found = error.errors(include_url=False)
    return listed([f"{name}{_explained(each, given, model)}" for each in found if not _follows(each, found)])


def listed(problems: Sequence[str]) -> str:
    """Return the first problems, and how many more there are.

    :param problems: one line each.
    """
    more = f"; and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
    return "; ".join(problems[:PROBLEMS_SHOWN]) + more


def place(path: Iterable[int | str]) -> str:
    """Return a place as it is written: ``targets[0].overrides``; unusual keys are quoted.

    :param path: keys and places in lists, from the top.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            quoted = json.dumps(part)
            text += f".{quoted}" if text else quoted
    return text


def _follows(problem: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a list is only too short because its members are wrong."""
    own = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(each["loc"]) > len(own) and each["loc"][: len(own)] == own for each in found
    )


def _explained(problem: Mapping[str, Any], given: Any, model: Any) -> str:
    path, places = _written(problem["loc"], given)
    where = place(path)
    kind, context = problem["type"], problem.get("ctx") or {}
    if kind == "extra_forbidden":
        what = "there is no such key here." + _suggestion(path, problem["loc"], model)
    elif kind in _OWN_WORDS:
        what = str(context.get("error") or problem["msg"])
    else:
        what = _EXPECTED.get(kind, "it is not what is expected here").format(**context)
        what += _nearest_choice(kind, problem, context)
    if places and places[-1] == _KEY_MARK:
        what = f"as a key, {what}"
    return f"{where}: {what}" if where else what


def _written(loc: Sequence[int | str], given: Any) -> tuple[list[int | str], list[str]]:
    """Return the part of a place that the author wrote, and pydantic's own marks in it."""
    path: list[int | str] = []
    marks: list[str] = []
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        if part == _KEY_MARK or (isinstance(part, str) and not is_last and not _is_key(part, given)):
            marks.append(str(part))
            continue
        if is_last and isinstance(part, str) and not isinstance(given, Mapping):
            marks.append(part)
            continue
        path.append(part)
        given = _below(given, part)
    return path, marks


def _is_key(part: str, given: Any) -> bool:
    return isinstance(given, Mapping) and part in given


def _below(given: Any, part: int | str) -> Any:
    if isinstance(given, Mapping):
        return given.get(part)
    if isinstance(given, Sequence) and not isinstance(given, str) and isinstance(part, int):
        return given[part] if -len(given) <= part < len(given) else None
    return getattr(given, str(part), None)


def _nearest_choice(kind: str, problem: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    words = {"literal_error": "expected", "enum": "expected", "union_tag_invalid": "expected_tags"}
    if kind not in words:
        return ""
    choices = re.findall(r"'([^']*)'", str(context.get(words[kind], "")))
    said = context.get("tag") if kind == "union_tag_invalid" else problem.get("input")
    near = did_you_mean(said, choices) if isinstance(said, str) else ""
    return f".{near}" if near else ""


def _suggestion(path: Sequence[int | str], loc: Sequence[int | str], model: Any) -> str:
    """Return what an unknown key may have meant: a key of the same place, or a place where it is known."""
    name = path[-1]
    if not isinstance(name, str):
        return ""
    here = _fields_at(model, loc[:-1])
    if near := did_you_mean(name, here):
        return near
    known = [where for where in _places_of(model) if where.split(".")[-1] == name]
    if known:
        return f" Did you mean {' or '.join(known[:2])}?"
    return f" Known are {', '.join(here)}." if here else ""


def _fields_at(model: Any, loc: Sequence[int | str]) -> list[str]:
    kinds = _models_in(model)
    for part in loc:
        below = [each for kind in kinds for each in _step(kind, part)]
        kinds = below or kinds
    return list(dict.fromkeys(name for kind in kinds for name in kind.model_fields))


def _step(kind: Any, part: int | str) -> list[Any]:
    if part in kind.model_fields:
        return _models_in(kind.model_fields[part].annotation)
    tags = [field.default for field in kind.model_fields.values()]
    return [kind] if part in tags else []


def _models_in(annotation: Any) -> list[Any]:
    """Return the models that a type holds, through options, lists and mappings."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    origin = get_origin(annotation)
    if origin is Annotated:
        return _models_in(get_args(annotation)[0])
    if origin is not None:
        return [each for inner in get_args(annotation) for each in _models_in(inner)]
    return []


@lru_cache(maxsize=32)
def _places_of(model: Any) -> tuple[str, ...]:
    """Return the places of all keys, the shallow ones first: ``config.overrides``, ``targets[].overrides``."""
    found: list[str] = []
    waiting: list[tuple[str, Any]] = [("", each) for each in _models_in(model)]
    while waiting and len(found) < 500:
        above, kind = waiting.pop(0)
        for name, field in kind.model_fields.items():
            where = f"{above}{name}"
            found.append(where)
            mark = "[]" if get_origin(_bare(field.annotation)) in (tuple, list) else ""
            waiting += [(f"{where}{mark}.", each) for each in _models_in(field.annotation)]
    return tuple(found)


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
