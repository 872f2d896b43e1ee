"""Display of config values in plans: shortened, escaped, and masked if sensitive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.diff import ABSENT, Op, Path
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.selection import may_mean, page_paths
from airflow_voice_agents.transport.masking import is_sensitive, mask_credentials
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.suggestions import did_you_mean
from airflow_voice_agents.transport.text import visible

MASKED = "(sensitive)"
HIDDEN = "(hidden)"
VALUE_WIDTH = 60
LEAD = 20
"""Characters shown before the first difference of two long values that begin alike."""
ALIKE = 3
"""Rows of the same change from which on they are joined."""
_to_text = json.JSONEncoder(ensure_ascii=False).encode
_PLAIN_KEY = re.compile(r"[$A-Za-z_][A-Za-z0-9_-]*")

Patterns = Sequence[tuple[str, ...]]


class Display(msgspec.Struct, frozen=True):
    """What a plan shows of values.

    Masked even when values are shown: what the schema marks (``sensitive`` of an item), values of keys with a
    sensitive name, what ``sensitive_keys`` select, and credentials inside URLs.

    :param show_values: whether values appear at all.
    :param sensitive_keys: selectors of additional values to mask.
    :param sensitive_names: further names that make a key sensitive wherever they stand in it.
    """

    show_values: bool = True
    sensitive_keys: tuple[str, ...] = ()
    sensitive_names: tuple[str, ...] = ()

    def rows(self, item: PlannedItem) -> list[Row]:
        """Return what a plan shows of a target's changes; all changes below one masked place are one row.

        :param item: one target of a plan.
        """
        rows: list[Row] = []
        for change in item.changes:
            place = self._masked_place(change.path, item.sensitive)
            if place is None or place == change.path:
                sides = (side for side in (change.before, change.after) if side is not ABSENT)
                masked = place is not None
                texts = tuple(self._text(side, change.path, item.sensitive, masked=masked) for side in sides)
                row = Row(change.op, show_path(change.path), texts, change.path)
            else:
                row = Row(Op.CHANGE, show_path(place), (MASKED if self.show_values else HIDDEN,) * 2, place)
            if place is None or not rows or row != rows[-1]:
                rows.append(row)
        return rows

    def unreached(self, items: Sequence[PlannedItem]) -> list[str]:
        """Name the ``sensitive_keys`` that mask nothing of what changes and look like a key that does.

        :param items: targets of a plan whose values are shown.
        """
        if not self.sensitive_keys or not self.show_values:
            return []
        paths = {tuple(map(str, path)): path for item in items for path in _changed_paths(item)}
        shown = [show_path(path) for path in paths.values()]
        idle = [each for each in self.sensitive_keys if not any(may_mean(each, names) for names in paths)]
        hints = {each: did_you_mean(each, shown) for each in idle}
        return [
            f"sensitive_keys masks nothing here with {each}.{hint}" for each, hint in hints.items() if hint
        ]

    def _text(self, value: Any, path: Path, patterns: Patterns, *, masked: bool) -> str:
        if not self.show_values:
            return HIDDEN
        if masked:
            return MASKED
        return _to_text(self._masked(value, path, patterns))

    def _masked(self, value: Any, path: Path, patterns: Patterns) -> Any:
        if isinstance(value, str):
            return mask_credentials(value, self.sensitive_names)
        if isinstance(value, dict):
            return {
                mask_credentials(key, self.sensitive_names): self._member(below, (*path, key), patterns)
                for key, below in value.items()
            }
        if isinstance(value, list):
            return [self._member(below, (*path, place), patterns) for place, below in enumerate(value)]
        return value

    def _member(self, value: Any, path: Path, patterns: Patterns) -> Any:
        masked = self._is_masked([str(part) for part in path], patterns)
        return MASKED if masked else self._masked(value, path, patterns)

    def _masked_place(self, path: Path, patterns: Patterns) -> Path | None:
        """Return the shortest beginning of a path whose value is masked as a whole."""
        length = _masked_length(self, tuple(map(str, path)), tuple(patterns))
        return None if length is None else path[:length]

    def _is_masked(self, names: Sequence[str], patterns: Patterns) -> bool:
        return (
            is_sensitive(names[-1], self.sensitive_names)
            or any(may_mean(selector, names) for selector in self.sensitive_keys)
            or any(_fits(pattern, names) for pattern in patterns)
        )


class Row(Record, frozen=True):
    """One line of a plan before it is shortened: a change as far as it may be shown.

    :param op: add, change or remove.
    :param path: the place.
    :param texts: the values, masked: before and after, or the only one.
    :param parts: the place, key by key.
    :param keys: the keys that ``*`` in the path stands for, where several rows were joined.
    """

    not_compared = ("parts",)

    op: Op
    path: str
    texts: tuple[str, ...]
    parts: Path = ()
    keys: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The values, shortened; of two that are masked alike, only that they differ."""
        if HIDDEN in self.texts:
            return HIDDEN
        alike = f"  ({_some(self.keys)})" if self.keys else ""
        if self.op is not Op.CHANGE:
            return _shortened(self.texts[0]) + alike
        before, after = self.texts
        if before != after:
            return " → ".join(_short_pair(before, after)) + alike
        return f"{_shortened(after)}, changed" + (" where it is masked" if after != MASKED else "")


def join_alike(rows: Sequence[Row]) -> list[Row]:
    """Join rows whose places differ in one key and whose change is the same (``hours.*.open``).

    Masked and hidden values stay apart, because nobody can see whether they are the same.

    :param rows: the rows of one target, in order; a joined row stands where the first of its rows stood.
    """
    alike: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        if not any(MASKED in text or text == HIDDEN for text in row.texts):
            for at, part in enumerate(row.parts):
                if isinstance(part, str):
                    alike.setdefault((row.op, row.texts, at, _without(row.parts, at)), []).append(place)
    joined: dict[int, Row] = {}
    taken: set[int] = set()
    for (_, _, at, _), places in sorted(alike.items(), key=lambda each: -len(each[1])):
        if len(places) >= ALIKE and taken.isdisjoint(places):
            first, keys = rows[places[0]], tuple(str(rows[each].parts[at]) for each in places)
            joined[places[0]] = replace(first, path=_starred(first.parts, at), keys=keys)
            taken.update(places)
    return [joined.get(place, row) for place, row in enumerate(rows) if place in joined or place not in taken]


def _without(parts: Path, at: int) -> tuple[tuple[str, str | int], ...]:
    """Return the other keys of a path, those of lists and objects kept apart."""
    return tuple((type(part).__name__, part) for place, part in enumerate(parts) if place != at)


def _starred(parts: Path, at: int) -> str:
    after = show_path(parts[at + 1 :])
    return (
        ".".join(filter(None, (show_path(parts[:at]), "*")))
        + ("." if after and after[0] != "[" else "")
        + after
    )


def _some(keys: Sequence[str]) -> str:
    """Name a few keys, or first and last of many with their number."""
    shown = [show_key(key) for key in keys]
    return ", ".join(shown) if len(shown) <= ALIKE else f"{shown[0]} … {shown[-1]}, {len(shown)} keys"


def show_path(path: Path) -> str:
    """Return a path as text (``opening_hours.monday[0]``); unusual keys are quoted and escaped."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + show_key(part)
    return text


def show_key(key: str) -> str:
    """Return a key as it is, or quoted, masked like a value and escaped when it is not a plain word."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    return visible(_to_text(mask_credentials(key)))


def _short_pair(before: str, after: str) -> tuple[str, str]:
    """Shorten two texts so that their first difference can be seen."""
    short = _shortened(before), _shortened(after)
    if short[0] != short[1]:
        return short
    start = _first_difference(before, after) - LEAD
    return _shortened("…" + before[start:]), _shortened("…" + after[start:])


def _first_difference(left: str, right: str) -> int:
    unlike = (place for place, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1])
    return next(unlike, min(len(left), len(right)))


def _shortened(text: str) -> str:
    return visible(text if len(text) <= VALUE_WIDTH else text[: VALUE_WIDTH - 1] + "…")


def _changed_paths(item: PlannedItem) -> Iterator[Path]:
    for change in item.changes:
        yield change.path
        for side in (change.before, change.after):
            if isinstance(side, dict):
                yield from ((*change.path, *below) for below in page_paths(side))


@lru_cache(maxsize=4096)
def _masked_length(display: Display, names: tuple[str, ...], patterns: Patterns) -> int | None:
    """Return the length of the shortest beginning of a path that is masked; targets of a fleet change alike."""
    ends = range(1, len(names) + 1)
    return next((end for end in ends if display._is_masked(names[:end], patterns)), None)


def _fits(pattern: Sequence[str], names: Sequence[str]) -> bool:
    return len(pattern) == len(names) and all(map(fnmatchcase, names, pattern))
