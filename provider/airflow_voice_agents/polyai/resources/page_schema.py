"""JSON Schema (Draft 7) of config pages: checks that fetch nothing and show no value.

:mod:`.plain_schema` answers what is simple. All else is evaluated in :mod:`.schema_process`, within limits of time and
memory; an event loop does not wait for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from glob import escape
from typing import Any
from urllib.parse import unquote

from airflow_voice_agents.plans.canonical import canonical
from airflow_voice_agents.polyai.resources import schema_process
from airflow_voice_agents.polyai.resources.plain_schema import SCHEMAS_KEPT
from airflow_voice_agents.polyai.resources.schema_process import NotEvaluated
from airflow_voice_agents.polyai.resources.shared_schemas import facts_of

Pattern = tuple[str, ...]

VERDICTS_KEPT = 20_000
"""Questions about a schema whose answer is kept in memory: a page is asked about when it is planned and when it is
written, and the pages of a fleet are often alike."""

PLACES_WALKED = 20_000
"""Places of a schema that are searched for secrets, those behind references included."""
EVERYTHING: tuple[Pattern, ...] = (("*",), ("$schema", "*"))
"""The paths that count as secret where a schema is too large to be searched."""
_BELOW_A_NAME: dict[str, Pattern] = {"properties": (), "patternProperties": ("*",)}
_BELOW: dict[str, Pattern] = {
    **dict.fromkeys(("additionalProperties", "items", "additionalItems", "contains"), ("*",)),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "if", "then", "else"), ()),
}
_LITERALS = ("const", "default", "enum", "examples")
"""Members of a schema that hold values of what it describes."""


class _TooLargeError(Exception):
    """A schema has more places than are searched."""


def schema_problems(schema: Any) -> list[str]:
    """Say what is wrong with a schema itself; empty when it is a valid Draft 7 schema.

    :param schema: the schema of a config page.
    :raises NotEvaluated: when that cannot be found out within limits of time and memory.
    """
    facts = facts_of(schema)
    return [] if facts.plain else _ask("schema", facts.canonical)


def value_problems(schema: Mapping[str, Any] | None, variables: Mapping[str, Any] | None) -> list[str]:
    """Say where values break a schema; empty when they are valid or there is no schema.

    References to other documents are never fetched: a schema that needs one cannot be checked, and
    that is reported as a problem.

    :param schema: Draft 7 schema, or ``None``.
    :param variables: top-level keys and values; ``None`` counts as none.
    :raises NotEvaluated: when that cannot be found out within limits of time and memory.
    """
    if not schema:
        return []
    facts, values = facts_of(schema), dict(variables or {})
    if facts.plain and facts.plain.surely_matches(values):
        return []
    return _ask("values", facts.canonical, canonical(values))


def unchecked_patterns(schema: Mapping[str, Any] | None) -> list[str]:
    """Name the places of patterns that cannot be checked here.

    :param schema: Draft 7 schema, or ``None``.
    :raises NotEvaluated: when that cannot be found out within limits of time and memory.
    """
    facts = facts_of(schema)
    return [] if not schema or facts.plain else _ask("patterns", facts.canonical)


def sensitive_patterns(schema: Mapping[str, Any] | None) -> list[Pattern]:
    """List the paths whose values a schema marks as secret (``writeOnly`` or ``format: password``).

    Defaults, examples and allowed values that the schema itself gives for them are listed below ``$schema``.

    :param schema: Draft 7 schema, or ``None``.
    """
    return list(_sensitive_patterns(facts_of(schema).comparable)) if schema else []


@lru_cache(maxsize=SCHEMAS_KEPT)
def _sensitive_patterns(schema: bytes | str) -> tuple[Pattern, ...]:
    """List the marked paths of a schema given as JSON."""
    plain = json.loads(schema)
    if not _marks(plain):
        return ()
    try:
        found = [
            *_Walk(plain).secrets(plain, (), frozenset()),
            *_literals(plain, ("$schema",), secret=False),
        ]
    except (_TooLargeError, RecursionError):
        return EVERYTHING
    return tuple(dict.fromkeys(found))


class _Verdicts:
    """Answers by question, the newest last."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, ...], list[str] | NotEvaluated] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...]) -> list[str] | NotEvaluated | None:
        """Return an answer, if it is known."""
        with self._lock:
            return self.kept.pop(key, None)

    def keep(self, key: tuple[str, ...], verdict: list[str] | NotEvaluated) -> None:
        """Remember an answer, and forget those that nobody asked for the longest."""
        with self._lock:
            self.kept[key] = verdict
            while len(self.kept) > VERDICTS_KEPT:
                self.kept.pop(next(iter(self.kept)))

    def unlock(self) -> None:
        """Let go of a lock that another thread held when this process was forked."""
        self._lock = threading.Lock()


_verdicts = _Verdicts()
os.register_at_fork(after_in_child=_verdicts.unlock)


def _ask(what: str, schema: str, values: str | None = None) -> list[str]:
    key = (what, _digest(schema), "" if values is None else _digest(values))
    verdict = _verdicts.get(key)
    if verdict is None:
        try:
            verdict = schema_process.PROCESS.ask({"ask": what, "schema": schema, "values": values})
        except NotEvaluated as error:
            if not error.lasting:
                raise
            verdict = error.again()
    _verdicts.keep(key, verdict)
    if isinstance(verdict, NotEvaluated):
        raise verdict.again()
    return list(verdict)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _marks(schema: Any) -> bool:
    """Whether anything in a document could mark a value as secret."""
    if isinstance(schema, list):
        return any(map(_marks, schema))
    return isinstance(schema, Mapping) and (_is_secret(schema) or any(map(_marks, schema.values())))


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return schema.get("writeOnly") is True or schema.get("format") == "password"


class _Walk:
    """A search of a schema for the paths of what it marks as secret.

    :param root: the schema, which references point into.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._visits = 0
        self._walked: set[tuple[Pattern, str]] = set()
        """Paths with the references that were followed from them: what is found there is known already."""

    def secrets(self, schema: Any, path: Pattern, followed: frozenset[str]) -> Iterator[Pattern]:
        """Yield the paths of secrets in a part of the schema.

        :param schema: the part.
        :param path: its path.
        :param followed: references on the way to it.
        """
        if not isinstance(schema, Mapping):
            return
        self._visits += 1
        if self._visits > PLACES_WALKED:
            raise _TooLargeError
        if path and _is_secret(schema):
            yield path
        for step, below in _subschemas(schema):
            yield from self.secrets(below, (*path, *step), followed)
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield from self._referred(reference, path, followed)

    def _referred(self, reference: str, path: Pattern, followed: frozenset[str]) -> Iterator[Pattern]:
        if reference in followed:
            if path:  # a schema that contains itself: secrets may stand at any depth from here on
                yield path
        elif (path, reference) not in self._walked:
            self._walked.add((path, reference))
            yield from self.secrets(_local(self._root, reference), path, followed | {reference})


def _literals(schema: Any, path: Pattern, *, secret: bool) -> Iterator[Pattern]:
    """Yield where a schema gives values of what it marks."""
    if isinstance(schema, list):
        for place, below in enumerate(schema):
            yield from _literals(below, (*path, str(place)), secret=secret)
    elif isinstance(schema, Mapping):
        secret = secret or _is_secret(schema)
        for name, below in schema.items():
            if secret and name in _LITERALS:
                yield (*path, name)
            else:
                yield from _literals(below, (*path, escape(name)), secret=secret)


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[Pattern, Any]]:
    for word, step in _BELOW_A_NAME.items():
        for name, below in _members(schema.get(word)):
            yield step or (escape(name),), below
    for word, step in _BELOW.items():
        below = schema.get(word)
        for each in below if isinstance(below, list) else [below]:
            yield step, each
    for _, below in _members(schema.get("dependencies")):
        yield (), below


def _members(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _local(root: Any, reference: str) -> Any:
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    found = root
    for part in reference[2:].split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        found = _member(found, name)
    return found


def _member(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else None
