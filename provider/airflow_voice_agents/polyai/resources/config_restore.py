"""The way back to a config page that was kept, as far as calls can lead there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem
from airflow_voice_agents.polyai.resources.page_item import plan_page
from airflow_voice_agents.polyai.resources.plan_items import cannot_undo, kept_fields, kept_text
from airflow_voice_agents.transport.errors import InputError

if TYPE_CHECKING:
    from airflow_voice_agents.polyai.resources.config_page import ConfigPageKind, PageState

FIELDS = ("schema", "variables", "last_updated")
_WHAT = "config page"


def plan_restore(kind: ConfigPageKind, target: Resource, kept: PageState, now: PageState) -> PlannedItem:
    """Plan a page that shall be again what it was: its schema, and the value of every key that it had.

    :param kind: the kind of the page.
    :param target: the page.
    :param kept: what it was; an unset page where it did not exist.
    :param now: what it is; an unset page where it does not exist.
    """
    added = [key for key, value in now.values.items() if key not in kept.values and value is not None]
    after = replace(
        now, schema=kept.schema or now.schema, variables={**now.values, **kept.values} or now.variables
    )
    item, losses = plan_page(kind, target, now, after), list(_losses(kept, now, added))
    if item.errors:
        rather = plan_page(kind, target, now, replace(after, schema=now.schema))
        if not rather.errors:
            item = rather
            losses.append(_SCHEMA_STAYS)
    return replace(item, stale_keys=tuple(added), findings=(*losses, *item.findings))


_SCHEMA_STAYS = cannot_undo(
    "With its former schema the page would not be valid, because of what cannot be removed: the present schema stays."
)


def _losses(kept: PageState, now: PageState, added: list[str]) -> Iterator[Finding]:
    if added:
        yield cannot_undo(
            f"The page had no {', '.join(added)} when it was kept, and no call can remove a key: each stays with "
            "the value that it has."
        )
    if now.schema and not kept.schema:
        yield cannot_undo(
            "The page had no schema when it was kept, and no call is documented to take one away: the present "
            "schema stays."
        )


def page_json(state: PageState) -> dict[str, Any]:
    """Return a page as JSON. It holds the values.

    :param state: the page.
    """
    return {name: getattr(state, name) for name in FIELDS}


def page_fields(plain: object) -> dict[str, Any]:
    """Return the fields of a page that :func:`page_json` made JSON of.

    :param plain: decoded JSON.
    :raises InputError: naming the field that is missing, unknown or wrong.
    """
    fields = kept_fields(plain, FIELDS, what=_WHAT)
    return {
        "schema": _object(fields, "schema"),
        "variables": _object(fields, "variables"),
        "last_updated": kept_text(fields, "last_updated", what=_WHAT),
    }


def _object(fields: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = fields[name]
    if value is not None and not isinstance(value, Mapping):
        raise InputError(f"{name} in the kept state of a {_WHAT} must be an object or null")
    return value
