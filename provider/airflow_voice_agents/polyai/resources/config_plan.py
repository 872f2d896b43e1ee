"""Plan a config page from another page, from given values, or from both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.diff import ABSENT
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, error, warning
from airflow_voice_agents.plans.selection import Selection, deep_merge, value_at
from airflow_voice_agents.polyai.resources.config_page import UNSET, ConfigPageKind, PageState


class StaleKeys(StrEnum):
    """What to do with keys that only the target has; no request can remove them."""

    FAIL = "fail"
    KEEP = "keep"
    NULL = "null"


class Merge(StrEnum):
    """How given values meet an object that is there already."""

    DEEP = "deep"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a page is made from a source and given values.

    :param selection: which keys come from the source.
    :param overrides: values laid over the result; objects are merged with what is there.
    :param stale_keys: what to do with keys that only the target has.
    :param promote_schema: whether the target takes the source's schema.
    :param allow_empty_source: whether an unset or empty source is meant.
    """

    selection: Selection = field(default_factory=Selection)
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False)
    stale_keys: StaleKeys = StaleKeys.FAIL
    promote_schema: bool = True
    allow_empty_source: bool = False


def plan_promotion(
    kind: ConfigPageKind,
    target: Resource,
    source: PageState | None,
    now: PageState | None,
    rules: Rules,
) -> PlannedItem:
    """Plan a page that takes its schema and values from another page.

    :param kind: the kind of the pages.
    :param target: the page that is written.
    :param source: the page that is taken from; ``None`` where it does not exist.
    :param now: the page as it is; ``None`` where it does not exist.
    :param rules: what is taken, overridden, kept.
    """
    source, before = source or UNSET, now or UNSET
    stale = _stale(source, before, rules)
    after = PageState(_schema(source, before, rules), _values(source.values, before, rules, stale))
    item = kind.item(target, before, after)
    findings = (*_source_findings(source, before, rules), *_stale_findings(stale, rules), *item.findings)
    return replace(
        item,
        source=kind.digest(source),
        stale_keys=tuple(stale),
        kept_keys=tuple(
            ".".join(path)
            for path in rules.selection.kept(source.values, before.values)
            if not _overrides(rules.overrides, path)
        ),
        findings=findings,
    )


def plan_values(
    kind: ConfigPageKind,
    target: Resource,
    values: Mapping[str, Any],
    now: PageState | None,
    merge: Merge,
) -> PlannedItem:
    """Plan a page that takes given values and keeps everything else.

    :param kind: the kind of the page.
    :param target: the page that is written.
    :param values: top-level keys and values.
    :param now: the page as it is; ``None`` where it does not exist.
    :param merge: how a given object meets one that is there.
    """
    before = now or UNSET
    taken = dict(values) if merge is Merge.REPLACE else _overlaid({}, values, before)
    return kind.item(target, before, PageState(before.schema, {**before.values, **taken}))


def _schema(source: PageState, before: PageState, rules: Rules) -> Mapping[str, Any] | None:
    return source.schema if rules.promote_schema and source.schema else before.schema


def _values(
    source: Mapping[str, Any], before: PageState, rules: Rules, stale: list[str]
) -> Mapping[str, Any]:
    taken = _overlaid(rules.selection.merge(source, before.values), rules.overrides, before)
    nulled = (
        {key: _left_of(key, before, rules) for key in stale} if rules.stale_keys is StaleKeys.NULL else {}
    )
    return {**before.values, **nulled, **taken}


def _left_of(key: str, before: PageState, rules: Rules) -> Any:
    """What a stale key is set to: ``null``, or an object of the members that are the target's own."""
    left = rules.selection.remainder(key, before.values[key])
    return None if left is ABSENT else left


def _overlaid(taken: dict[str, Any], overlay: Mapping[str, Any], before: PageState) -> dict[str, Any]:
    """Lay nested values over what is taken, or over what is there where nothing is taken."""
    for key, value in overlay.items():
        base = taken[key] if key in taken else before.values.get(key, ABSENT)
        taken[key] = deep_merge(base, value)
    return taken


def _overrides(overrides: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether overrides give a value to a path, or a plain value to what it is in."""
    ways = [value_at(overrides, path[:end]) for end in range(1, len(path) + 1)]
    return ways[-1] is not ABSENT or any(way is not ABSENT and not isinstance(way, Mapping) for way in ways)


def _stale(source: PageState, before: PageState, rules: Rules) -> list[str]:
    """Keys that only the target has, unless given to the target by the author; ``null`` counts as gone."""
    return [
        key
        for key, value in before.values.items()
        if value is not None
        and key not in source.values
        and key not in rules.overrides
        and rules.selection.takes(key)
        and not same(value, _left_of(key, before, rules))
    ]


def _source_findings(source: PageState, before: PageState, rules: Rules) -> Iterator[Finding]:
    if not source.values and not rules.allow_empty_source:
        yield error(
            "empty_source",
            "The source page is unset or has no values, as the sandbox of a project with simplified "
            "deployments does. Check the source, or pass allow_empty_source=True if meant.",
        )
    if rules.promote_schema and before.schema and not source.schema:
        yield warning("source_without_schema", "The source page has no schema; the target keeps its own.")
    unused = [
        each for each in rules.selection.include or () if not Selection((each,)).merge(source.values, {})
    ]
    if unused and source.values:
        yield error("include_keys", f"include_keys names what the source does not have: {', '.join(unused)}.")


def _stale_findings(stale: list[str], rules: Rules) -> Iterator[Finding]:
    if not stale:
        return
    names = ", ".join(stale)
    if rules.stale_keys is StaleKeys.FAIL:
        yield error(
            "stale_keys",
            f"Only the target has {names}, and no request can remove a key. Pass stale_keys='keep' to leave it, "
            "stale_keys='null' to set it to null, or name it in exclude_keys if it is the target's own.",
        )
    else:
        done = "stays" if rules.stale_keys is StaleKeys.KEEP else "is set to null"
        yield warning(
            "stale_keys", f"Only the target has {names}; it {done}, so the pages will not be equal."
        )


@dataclass(frozen=True, slots=True)
class PromotedPage:
    """The desired page of a promotion.

    :param source: the page that is taken from; ``None`` where it does not exist.
    :param rules: what is taken, overridden and kept.
    """

    source: PageState | None
    rules: Rules

    def item(self, kind: ConfigPageKind, resource: Resource, now: PageState | None) -> PlannedItem:
        """Return the planned item of a page.

        :param kind: the kind of the page.
        :param resource: the page.
        :param now: the present page; ``None`` where it does not exist.
        """
        return plan_promotion(kind, resource, self.source, now, self.rules)


@dataclass(frozen=True, slots=True)
class GivenValues:
    """The desired page of an update: given values, and everything else as it is.

    :param values: top-level keys and values.
    :param merge: how a given object meets a present one.
    """

    values: Mapping[str, Any] = field(repr=False)
    merge: Merge

    def item(self, kind: ConfigPageKind, resource: Resource, now: PageState | None) -> PlannedItem:
        """Return the planned item of a page.

        :param kind: the kind of the page.
        :param resource: the page.
        :param now: the present page; ``None`` where it does not exist.
        """
        return plan_values(kind, resource, self.values, now, self.merge)
