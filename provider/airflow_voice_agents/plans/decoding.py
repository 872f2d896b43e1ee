"""JSON and YAML that people may have written, read strictly; no error shows a value."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import yaml  # type: ignore[import-untyped]

from airflow_voice_agents.transport.errors import InputError

_NUMBER = r"-?(?:0|[1-9][0-9]*)"
_FIRST_OF_NUMBER = list("-0123456789")
_PLAIN = (
    ("null", r"(?:null|~|)", ["n", "~", ""]),
    ("bool", r"(?:true|false)", ["t", "f"]),
    ("int", _NUMBER, _FIRST_OF_NUMBER),
    ("float", _NUMBER + r"(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", _FIRST_OF_NUMBER),
    ("merge", r"<<", ["<"]),
)
"""YAML tag, its spelling without quotes, and what that begins with."""


def decode_json(text: str, *, where: str) -> Any:
    """Read JSON, and nothing that only looks like it.

    :param text: the JSON.
    :param where: file that it is from, for errors.
    :raises InputError: when it is not JSON, repeats a key in an object, or holds NaN or an infinity.
    """

    def distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InputError(f"{where}: an object has the key {key!r} twice")
            found[key] = value
        return found

    def refuse(_: str) -> NoReturn:
        raise InputError(f"{where}: NaN and infinities are not JSON")

    try:
        return json.loads(text, object_pairs_hook=distinct, parse_constant=refuse)
    except InputError:
        raise
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not JSON (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; nested too deeply
        raise InputError(f"{where} is not JSON that can be read ({type(error).__name__})") from None


def decode_yaml(text: str, *, where: str) -> Any:
    """Read YAML whose plain scalars mean what they mean in JSON, and are texts otherwise.

    So ``17:30`` is a text and no number of minutes, ``no`` is a text and not false, and a date is a text.

    :param text: the YAML, one document.
    :param where: file that it is from, for errors.
    :raises InputError: when it is not YAML, repeats a key in a mapping, or has tags of other languages.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader
    except _RepeatedKey as error:
        raise InputError(f"{where}: a mapping has a key twice{_at(error)}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{where} is not YAML that can be read{_at(error)}") from None
    except (ValueError, LookupError, AttributeError, RecursionError) as error:  # a tag that its text belies
        raise InputError(f"{where} is not YAML that can be read ({type(error).__name__})") from None


class _RepeatedKey(yaml.MarkedYAMLError):  # type: ignore[misc]
    pass


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  filled below, instead of YAML 1.1's

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Compose a mapping; repeated keys show before merges are laid under it."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            spelled = (key.tag, str(key.value))
            if spelled in seen:
                raise _RepeatedKey(problem_mark=key.start_mark)
            seen.add(spelled)
        return node


for _tag, _spelling, _first in _PLAIN:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^{_spelling}$"), _first)


def _at(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
