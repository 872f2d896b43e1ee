"""One object for the schemas that the pages of a fleet share, and what was found out about each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from airflow_voice_agents.plans.canonical import canonical, comparable
from airflow_voice_agents.polyai.resources.plain_schema import SCHEMAS_KEPT, PlainSchema, plain_schema
from airflow_voice_agents.transport.strict_json import is_deeper

Schema = Mapping[str, Any]


class SchemaFacts:
    """What is known about one schema, found out when it is first asked for.

    :param schema: the schema; nobody changes it.
    """

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema

    @cached_property
    def canonical(self) -> str:
        """The canonical spelling.

        :raises ValueError: for what is not JSON.
        """
        return canonical(self.schema)

    @cached_property
    def comparable(self) -> bytes | str:
        """JSON to compare with that of other schemas.

        :raises ValueError: for what is not JSON.
        """
        return comparable(self.schema)

    @cached_property
    def plain(self) -> PlainSchema | None:
        """The schema to match values with, or ``None`` where it is not plain.

        :raises ValueError: for what is not JSON.
        """
        return plain_schema(self.comparable)

    @cached_property
    def too_deep(self) -> bool:
        """Whether it is nested too deeply to be worked on."""
        return is_deeper([self.schema])


def share(schema: Schema | None) -> Schema | None:
    """Return the same object for schemas of the same spelling.

    Each of thousands of pages would keep its own schema otherwise, and have it looked at again.

    :param schema: the schema of a page that was read; nobody changes it.
    """
    if not schema:
        return schema
    try:
        spelling = msgspec.json.encode(schema)
    except (TypeError, OverflowError, ValueError, RecursionError):
        return schema  # half of a surrogate pair, an integer that is too large, too many levels
    if spelling not in _shared:
        if len(_shared) >= SCHEMAS_KEPT:
            _shared.clear()
            _facts.clear()
        _facts[id(schema)] = SchemaFacts(schema)
    return _shared.setdefault(spelling, schema)


def facts_of(schema: Schema | None) -> SchemaFacts:
    """Return what is known about a schema: a shared one is looked at once.

    :param schema: the schema, or ``None`` when unset.
    """
    known = _facts.get(id(schema))
    return known if known is not None and known.schema is schema else SchemaFacts(schema)


_shared: dict[bytes, Schema] = {}
_facts: dict[int, SchemaFacts] = {}
"""Facts by the identity of a schema, which each of them keeps."""
