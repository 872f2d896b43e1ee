"""Evaluation of JSON Schema (Draft 7) in a separate process that can be killed.

:mod:`.schema_process` runs this module as a program: it reads one question per line, a JSON object, and writes one
answer per line. It ends when nobody can ask any more, when an answer takes too much computing time, or when it needs
too much memory. It must not import Airflow: it has to start at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from queue import SimpleQueue
from typing import Any, BinaryIO

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.polyai.resources import schema_keywords
from airflow_voice_agents.polyai.resources.schema_keywords import (
    STEPS,
    TooManySteps,
    bounded_keywords,
    bounded_steps,
)

SCHEMAS_KEPT = 64
"""Number of parsed schemas kept in memory."""
MEMBERS_KEPT = 20_000
"""Members of objects per schema that are known to be valid."""
PROBLEMS_SHOWN = 10
LONGEST_PROBLEM = 500
"""Characters of a problem; the names in it may be as long as a page."""
OUT_OF_MEMORY = 12
"""Exit code of a process that may not have more memory."""
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def schema_problems(schema: str) -> list[str]:
    """Say what is wrong with a schema itself; empty when it is a valid Draft 7 schema.

    :param schema: the schema as JSON.
    """
    from jsonschema import Draft7Validator, FormatChecker
    from jsonschema.exceptions import SchemaError

    any_pattern = FormatChecker(formats=())  # the library's takes a pattern for one of Python's
    try:
        Draft7Validator.check_schema(json.loads(schema), format_checker=any_pattern)
    except SchemaError as error:
        return [f"{_place(error.absolute_path)}: breaks {error.validator!r} of JSON Schema Draft 7"]
    except RecursionError:
        return ["the schema is nested too deeply to be checked here"]
    return []


def value_problems(schema: str, values: Any) -> list[str]:
    """Say where values break a schema; empty when they are valid.

    :param schema: the schema as JSON.
    :param values: the values.
    :raises TooManySteps: when the evaluation is longer than any that a page in use needs.
    """
    from referencing.exceptions import Unresolvable

    try:
        with bounded_steps(STEPS):
            errors = _validator(schema).iter_errors(values)
            return list(islice(_distinct(map(_problem, errors)), PROBLEMS_SHOWN))
    except (TooManySteps, MemoryError):
        raise
    except Unresolvable as error:
        return [f"the schema refers to {error.ref!r}, which is not inside it and is never fetched"]
    except Exception as error:  # noqa: BLE001  a malformed schema, as a page may hold, breaks the library anyhow
        return [f"the schema cannot be evaluated here ({type(error).__name__})"]


def unchecked_patterns(schema: str) -> list[str]:
    """Name the places of patterns that cannot be checked here.

    :param schema: the schema as JSON.
    """
    return schema_keywords.unchecked_patterns(json.loads(schema))


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a question: ``found`` holds what was found, ``over`` names a limit that was reached.

    :param question: ``ask`` (``schema``, ``values`` or ``patterns``), ``schema`` as JSON, and perhaps ``values``.
    """
    ask, schema = question["ask"], question["schema"]
    try:
        if ask == "values":
            found = value_problems(schema, json.loads(question["values"]))
        elif ask == "schema":
            found = schema_problems(schema)
        else:
            found = unchecked_patterns(schema)
    except TooManySteps:
        return {"over": f"{STEPS:,} steps"}
    return {"found": [text[:LONGEST_PROBLEM] for text in found]}


def serve(seconds: float, memory: int) -> None:
    """Answer the questions on standard input until its end.

    :param seconds: computing time of one answer, after which the system ends this process.
    :param memory: bytes of address space of this process.
    """
    _limit(memory)
    questions: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, questions), daemon=True).start()
    while True:
        try:
            line = questions.get()
            signal.setitimer(
                signal.ITIMER_PROF, seconds
            )  # its signal ends the process, in the midst of C code too
            text = json.dumps(answer(json.loads(line)))
            signal.setitimer(signal.ITIMER_PROF, 0)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _limit(memory: int) -> None:
    import resource

    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # a system that does not know it, or that allows less
            resource.setrlimit(what, (most, most))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("1000")  # where memory is short, the system ends this process before others


def _receive(stream: BinaryIO, questions: SimpleQueue[bytes]) -> None:
    """Take in questions; whoever asked has ended when there is no more to read, even amid an answer."""
    try:
        for line in stream:
            questions.put(line)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    finally:
        os._exit(0)


@lru_cache(maxsize=SCHEMAS_KEPT)
def _validator(schema: str) -> Any:
    """Return what checks values by a schema given in its canonical spelling."""
    from jsonschema import Draft7Validator, validators
    from referencing import Registry

    keywords = {**Draft7Validator.VALIDATORS, "properties": _Members()}
    kind = validators.extend(Draft7Validator, bounded_keywords(keywords))  # type: ignore[no-untyped-call]
    return kind(json.loads(schema), registry=Registry())


class _Members:
    """How ``properties`` is evaluated for one schema: a member known to be valid is not evaluated again.

    Whether a value is valid depends on nothing but the schema, and most pages of a fleet differ in few members.
    """

    def __init__(self) -> None:
        self._valid: set[tuple[int, str]] = set()

    def __call__(self, validator: Any, properties: Any, instance: Any, _: Any) -> Iterator[Any]:
        """Yield what is wrong with the members that are there."""
        if not validator.is_type(instance, "object"):
            return
        for name, schema in properties.items():
            if name in instance:
                yield from self._member(validator, name, schema, instance[name])

    def _member(self, validator: Any, name: str, schema: Any, value: Any) -> Iterator[Any]:
        key = (id(schema), digest(value))  # what the validator holds keeps its identity
        if key in self._valid:
            return
        faultless = True
        for error in validator.descend(value, schema, path=name, schema_path=name):
            faultless = False
            yield error
        if faultless:
            if len(self._valid) >= MEMBERS_KEPT:
                self._valid.clear()
            self._valid.add(key)


def _distinct(texts: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _problem(error: Any) -> str:
    """Name place and rule; the library's own message would quote the value."""
    rule = error.validator
    if rule == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{_place(error.absolute_path)}: lacks required {', '.join(map(repr, missing))}"
    if rule == "type":
        return (
            f"{_place(error.absolute_path)}: must be {error.validator_value}, is {_type_of(error.instance)}"
        )
    if rule == "additionalProperties":
        return f"{_place(error.absolute_path)}: has keys that the schema does not know: {error.message}"
    return f"{_place(error.absolute_path)}: breaks rule {rule!r}"


def _place(path: Any) -> str:
    return ".".join(map(str, path)) or "(top level)"


def _type_of(value: Any) -> str:
    from jsonschema import Draft7Validator

    checker = Draft7Validator.TYPE_CHECKER
    return next((name for name in _TYPES if checker.is_type(value, name)), type(value).__name__)


if __name__ == "__main__":
    serve(float(sys.argv[1]), int(sys.argv[2]))
