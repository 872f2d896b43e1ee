"""Strict parsing of JSON and YAML; no error shows a value."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import yaml  # type: ignore[import-untyped]

from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.strict_json import LIMITS, Limits, check_size, decode_json, too_large

__all__ = ["LIMITS", "YAML_LIMITS", "decode_either", "decode_json", "decode_text", "decode_yaml"]

YAML_LIMITS = Limits(size=4 * 1024 * 1024, nodes=200_000, depth=100, aliases=1_000)
"""Limits of YAML, which takes some hundred times as long to read as JSON."""

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


def decode_text(content: bytes, *, where: str, legacy: bool = False) -> str:
    """Return the text of a file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    :param content: the file's bytes.
    :param where: the file, for errors.
    :param legacy: whether what is not UTF-8 is read as Windows-1252, which spreadsheets of western Europe write.
    :raises InputError: naming the encoding and the first byte that does not fit.
    """
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(f"{where} is a workbook or an archive and not a text; save it as CSV in UTF-8")
    encoding = json.detect_encoding(content)
    try:
        return codecs.decode(content, encoding, "strict")
    except UnicodeDecodeError as error:
        byte, line = error.start, content.count(b"\n", 0, error.start) + 1
    if not encoding.startswith("utf-8"):
        raise InputError(f"{where} cannot be read as {encoding.upper()} (byte {byte}); save it as UTF-8")
    if legacy and (text := _windows(content)) is not None:
        return text
    raise InputError(f"{where} is not UTF-8 (byte {byte}), line {line}; save it as UTF-8")


def _windows(content: bytes) -> str | None:
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return None


def decode_either(text: str, *, where: str) -> Any:
    """Read a text that is JSON, or else YAML.

    :param text: the text.
    :param where: file or argument that it is from, for errors.
    :raises InputError: when it is neither, exceeds the limits, or says something twice.
    """
    try:
        return decode_json(text, where=where)  # YAML takes neither its tabs nor its surrogate pairs
    except InputError as error:
        refused = str(error)
    if text.lstrip().startswith(("{", "[")) and len(text) > YAML_LIMITS.size:
        raise InputError(refused)  # too long for YAML, and hardly meant as such
    return decode_yaml(text, where=where)


def decode_yaml(text: str, *, where: str, limits: Limits = YAML_LIMITS) -> Any:
    """Read YAML whose plain scalars mean what they mean in JSON, and are texts otherwise.

    So ``17:30`` is a text and no number of minutes, ``no`` is a text and not false, and a date is a text.

    :param text: the YAML, one document.
    :param where: file or argument that it is from, for errors.
    :param limits: the largest document that is read.
    :raises InputError: when it is not YAML, exceeds the limits, repeats a key in a mapping, or has tags of other
        languages.
    """
    check_size(text, where=where, limits=limits, kind="YAML")
    loader = _Loader(text, limits) if _is_printable(text) else None
    if loader is None:
        raise InputError(f"{where} is not YAML that can be read (it holds control characters)")
    try:
        return loader.get_single_data()
    except _TooLarge as error:
        raised = too_large(where, str(error), "YAML")
    except _RepeatedKey as error:
        raised = InputError(f"{where}: a mapping has a key twice{_at(error)}")
    except yaml.YAMLError as error:
        raised = InputError(f"{where} is not YAML that can be read{_at(error)}")
    except (ValueError, LookupError, AttributeError, RecursionError) as error:  # a tag that its text belies
        raised = InputError(f"{where} is not YAML that can be read ({type(error).__name__})")
    finally:
        loader.dispose()
    # Raised out here so that the text does not hang on the error as its context.
    raise raised


class _RepeatedKey(yaml.MarkedYAMLError):  # type: ignore[misc]
    pass


class _TooLarge(Exception):
    pass


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  filled below, instead of YAML 1.1's

    def __init__(self, text: str, limits: Limits) -> None:
        super().__init__(text)
        self._limits = limits
        self._nodes = self._depth = self._aliases = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node; what an alias repeats counts again, for whoever walks the values meets it again."""
        if self.check_event(yaml.AliasEvent):
            self._count_alias(self.peek_event())
            return super().compose_node(parent, index)
        before = self._nodes
        self._count(1)
        self._depth += 1
        if self._depth > self._limits.depth:
            raise _TooLarge(f"more than {self._limits.depth} levels of lists and mappings")
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._nodes - before
        return node

    def _count_alias(self, event: Any) -> None:
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise _TooLarge(f"more than {self._limits.aliases:,} aliases")
        if (node := self.anchors.get(event.anchor)) is not None:
            if id(node) not in self._sizes:
                raise yaml.MarkedYAMLError(problem_mark=event.start_mark)  # a value that contains itself
            self._count(self._sizes[id(node)])

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > self._limits.nodes:
            raise _TooLarge(f"more than {self._limits.nodes:,} values, those that aliases repeat included")

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


def _is_printable(text: str) -> bool:
    return yaml.reader.Reader.NON_PRINTABLE.search(text) is None


for _tag, _spelling, _first in _PLAIN:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^{_spelling}$"), _first)


def _at(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
