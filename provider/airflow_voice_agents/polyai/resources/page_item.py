"""One config page in a plan: what it is and shall be, whether that is valid, and what must not be shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error
from airflow_voice_agents.polyai.resources.page_schema import (
    schema_problems,
    sensitive_patterns,
    value_problems,
)

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState


def plan_page(kind: ConfigPageKind, target: Resource, before: PageState, after: PageState) -> PlannedItem:
    """Plan a page that shall become another; nothing is checked of one that stays.

    :param kind: the kind of the page.
    :param target: the page.
    :param before: the page as it is.
    :param after: the page to come.
    """
    if kind.digest(before) == kind.digest(after):
        return change(kind, target, before, after)
    item = change(kind, target, before, after, findings=tuple(_validity_findings(kind, before, after)))
    patterns = {*sensitive_patterns(before.schema), *sensitive_patterns(after.schema)}
    return replace(item, sensitive=tuple(sorted(patterns)))


def _validity_findings(kind: ConfigPageKind, before: PageState, after: PageState) -> Iterator[Finding]:
    if not same(before.schema, after.schema) and (problems := schema_problems(after.schema)):
        yield error("invalid_schema", f"The schema to come is not valid: {'; '.join(problems)}")
    elif problems := value_problems(after.schema, after.values):
        yield error(
            "invalid_values",
            "The values to come would break the schema, and an invalid page blocks publishing the agent: "
            + "; ".join(problems),
        )
    elif kind.order(before, after) is None:
        yield error(
            "no_valid_order",
            "Neither order of writes keeps the page valid: the present values break the new schema, and the "
            "new values break the present one. Change one side first, or pass bridge_schema=True to put a "
            "permissive schema in between.",
        )
