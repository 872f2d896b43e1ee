"""Plan a config page from another page, from given values, or from both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.diff import ABSENT
from airflow_voice_agents.plans.display import show_key, show_path
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, error, warning
from airflow_voice_agents.plans.selection import (
    Keys,
    Selection,
    Unmatched,
    array_of,
    deep_merge,
    meant,
    page_paths,
    value_at,
)
from airflow_voice_agents.polyai import NEVER_PROMOTE
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.resources.config_page import SCHEMA, UNSET, ConfigPageKind, PageState
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.suggestions import did_you_mean
from airflow_voice_agents.transport.validation import NAMED_AT_MOST, summarize_list


class StaleKeys(StrEnum):
    """What to do with keys that only the target has; no request can remove them."""

    FAIL = "fail"
    KEEP = "keep"
    NULL = "null"


class Merge(StrEnum):
    """How given values meet an object that is there already."""

    DEEP = "deep"
    REPLACE = "replace"


class Rules(Record, frozen=True):
    """How a page is made from a source and given values.

    :param selection: which keys come from the source.
    :param overrides: values laid over the result; objects are merged with what is there.
    :param stale_keys: what to do with keys that only the target has.
    :param promote_schema: whether the target takes the source's schema.
    :param allow_empty_source: whether an unset or empty source is meant.
    :param never_promote: those of the selection's ``exclude`` that are test switches.
    :param unmatched: what to do about a selector that reaches nothing on either page; ``None`` is ``fail`` for
        live and ``warn`` elsewhere.
    """

    not_shown = ("overrides",)

    selection: Selection = msgspec.field(default_factory=Selection)
    overrides: Mapping[str, Any] = msgspec.field(default_factory=dict)
    stale_keys: StaleKeys = StaleKeys.FAIL
    promote_schema: bool = True
    allow_empty_source: bool = False
    never_promote: Keys = NEVER_PROMOTE
    unmatched: Unmatched | None = None


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
    if before.flaw or source.flaw:
        problem = f"{target} {before.flaw}" if before.flaw else f"the source {source.flaw}"
        return kind.unusable(target, before, problem)
    paths = page_paths(source.values, before.values)
    unmatched = tuple(_unmatched(target, source, paths, rules))
    rules = replace(rules, selection=rules.selection.on(paths))
    stale = _stale(source, before, rules)
    after = PageState(_schema(source, before, rules), _values(source.values, before, rules, stale))
    item = kind.item(target, before, after)
    findings = (
        *_source_findings(source, before, rules),
        *unmatched,
        *_stale_findings(stale, rules),
        *item.findings,
    )
    return replace(
        item,
        source=kind.digest(source),
        stale_keys=tuple(stale),
        kept_keys=tuple(
            show_path(path)
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
            "The source page is unset or has no values, as the sandbox of a project on the "
            "branches model does. Check the source, or pass allow_empty_source=True if meant.",
        )
    if rules.promote_schema and before.schema and not source.schema:
        yield warning("source_without_schema", "The source page has no schema; the target keeps its own.")


def _unmatched(
    target: Resource, source: PageState, paths: Mapping[Keys, bool], rules: Rules
) -> Iterator[Finding]:
    """Name every selector that reaches nothing: the source's keys for ``include``, those of either page else."""
    policy = rules.unmatched or Unmatched.by_default(live=target.name == LIVE)
    if policy is Unmatched.IGNORE or not source.values:
        return
    include = rules.selection.include or ()
    of_source = page_paths(source.values) if include else {}
    if unused := [each for each in include if not meant(each, of_source)]:
        what = "include_keys names what the source does not have"
        yield error("include_keys", _sentence(what, unused, of_source))
    say = error if policy is Unmatched.FAIL else warning
    idle = [each for each in rules.selection.exclude if not meant(each, paths, indexed=True)]
    switches = [each for each in idle if each in rules.never_promote]
    own = [each for each in idle if each not in switches]
    for argument, names in (("exclude_keys", own), ("never_promote", switches)):
        if wrong := [each for each in names if each not in NEVER_PROMOTE]:
            what = f"{argument} names what neither page has, so it keeps nothing"
            yield say(argument, _sentence(what, wrong, paths))


def _sentence(what: str, selectors: Sequence[str], paths: Mapping[Keys, bool]) -> str:
    hints = "".join(_suggestion(each, paths) for each in selectors[:NAMED_AT_MOST])
    return f"{what}: {summarize_list(selectors)}.{hints} Correct it, or pass unmatched='ignore' if that is meant."


def _suggestion(selector: str, paths: Mapping[Keys, bool]) -> str:
    """Return what a selector may have meant, as plans print it."""
    if selector.split(".", maxsplit=1)[0] == SCHEMA:
        return " Selectors reach values; promote_schema=False keeps the target's schema."
    shown = {show_path(path): path for path in paths}
    array = array_of(selector)
    if array in shown:
        return f" Did you mean {array!r}? An array is one value."
    if said := did_you_mean(selector, shown):
        return said
    last = selector.rpartition(".")[2]
    deeper = [text for text, path in shown.items() if path[-1] == last][:3]
    if deeper:
        return f" Did you mean {' or '.join(map(repr, deeper))}?"
    near = did_you_mean(last, [path[-1] for path in paths])
    return near if near and last != selector else ""


def _stale_findings(stale: list[str], rules: Rules) -> Iterator[Finding]:
    if not stale:
        return
    names = ", ".join(map(show_key, stale))
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


class PromotedPage(msgspec.Struct, frozen=True):
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


class GivenValues(Record, frozen=True):
    """The desired page of an update: given values, and everything else as it is.

    :param values: top-level keys and values.
    :param merge: how a given object meets a present one.
    """

    not_shown = ("values",)

    values: Mapping[str, Any]
    merge: Merge

    def item(self, kind: ConfigPageKind, resource: Resource, now: PageState | None) -> PlannedItem:
        """Return the planned item of a page.

        :param kind: the kind of the page.
        :param resource: the page.
        :param now: the present page; ``None`` where it does not exist.
        """
        return plan_values(kind, resource, self.values, now, self.merge)
