"""Select the keys that go from a source to a target, and merge values from several places.

A **selector** is a dotted path of shell patterns from the top: ``opening_hours``, ``flags.*``,
``settings.mock_dnis``. A leading ``**.`` matches at any depth: ``**.mock_*``. A selector stands for the
whole value below it. Arrays are single values; selectors do not reach into them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.diff import ABSENT

ANY_DEPTH = "**"


class _Owner(Enum):
    SOURCE = auto()
    TARGET = auto()
    SHARED = auto()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which keys are taken from the source; all others stay as the target has them.

    :param include: selectors of what is taken; ``None`` takes everything not excluded.
    :param exclude: selectors of what is never taken; they win over ``include``.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def takes(self, key: str) -> bool:
        """Tell whether a top-level key, as a whole, belongs to the source."""
        return self._owner((key,)) is _Owner.SOURCE

    def merge(self, source: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
        """Return the source's top-level keys with what is not selected kept as the target has it.

        Each value is whole: a partly selected object carries the target's members along, because the
        other side replaces top-level values as a whole. Keys of which nothing is selected are left out.

        :param source: top-level keys and values to take from.
        :param target: top-level keys and values that are there now.
        """
        taken = {}
        for key, value in source.items():
            if self._owner((key,)) is _Owner.TARGET:
                continue
            merged = self._take((key,), value, target.get(key, ABSENT))
            if merged is not ABSENT:
                taken[key] = merged
        return taken

    def kept(self, source: Mapping[str, Any], target: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """List the paths where ``exclude``, and nothing else, keeps the target from taking the source's value.

        :param source: as :meth:`merge` takes it.
        :param target: as :meth:`merge` takes it.
        """
        return self._excluded_paths((), source, target)

    def remainder(self, key: str, target: Any) -> Any:
        """Return what stays of a top-level value that only the target has, or ``ABSENT``.

        :param key: the top-level key.
        :param target: the value that is there now.
        """
        return self._take((key,), ABSENT, target)

    def _excluded_paths(self, path: tuple[str, ...], source: Any, target: Any) -> list[tuple[str, ...]]:
        if path and _any_match(self.exclude, path):
            wanted = Selection(self.include)._take(path, source, target)
            return [] if _same(wanted, target) else [path]
        if not isinstance(source, Mapping):
            return []
        below = target if isinstance(target, Mapping) else {}
        return [
            found
            for key, value in source.items()
            for found in self._excluded_paths((*path, key), value, below.get(key, ABSENT))
        ]

    def _take(self, path: tuple[str, ...], source: Any, target: Any) -> Any:
        owner = self._owner(path)
        if owner is _Owner.TARGET:
            return target
        if source is ABSENT and isinstance(target, Mapping):
            members = self._members(path, {}, target)
            return members if members or owner is _Owner.SHARED else ABSENT
        if not isinstance(source, Mapping):
            return source if owner is _Owner.SOURCE else target
        if isinstance(target, Mapping):
            return self._members(path, source, target)
        merged = self._members(path, source, {})
        return target if owner is _Owner.SHARED and not merged else merged

    def _members(
        self, path: tuple[str, ...], source: Mapping[str, Any], target: Mapping[str, Any]
    ) -> dict[str, Any]:
        keys = [*source, *(key for key in target if key not in source)]
        taken = (
            (key, self._take((*path, key), source.get(key, ABSENT), target.get(key, ABSENT))) for key in keys
        )
        return {key: value for key, value in taken if value is not ABSENT}

    def _owner(self, path: tuple[str, ...]) -> _Owner:
        if _any_match(self.exclude, path):
            return _Owner.TARGET
        if self.include is None or any(
            _any_match(self.include, path[:length]) for length in range(1, len(path) + 1)
        ):
            return _Owner.SOURCE
        return _Owner.SHARED if any(_may_match_below(each, path) for each in self.include) else _Owner.TARGET


def deep_merge(base: Any, overlay: Any) -> Any:
    """Return ``base`` with ``overlay`` laid over it, object by object; other values replace.

    :param base: a JSON value or ``ABSENT``.
    :param overlay: a JSON value; ``null`` is a value like any other.
    """
    if not (isinstance(base, Mapping) and isinstance(overlay, Mapping)):
        return overlay
    return {**base, **{key: deep_merge(base.get(key, ABSENT), value) for key, value in overlay.items()}}


def value_at(value: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path of object keys, or ``ABSENT``.

    :param value: a JSON value.
    :param path: object keys from the top.
    """
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return ABSENT
        value = value[key]
    return value


def matches(selector: str, path: Sequence[str]) -> bool:
    """Tell whether a selector names exactly this path."""
    any_depth, parts = _parts(selector)
    if any_depth:
        if len(path) < len(parts):
            return False
        path = path[len(path) - len(parts) :]
    return len(parts) == len(path) and all(map(fnmatchcase, path, parts))


@lru_cache(maxsize=256)
def _parts(selector: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a selector matches at any depth, and its patterns."""
    parts = tuple(selector.split("."))
    return (True, parts[1:]) if parts[0] == ANY_DEPTH else (False, parts)


def _same(left: Any, right: Any) -> bool:
    return left is right if ABSENT in (left, right) else same(left, right)


@lru_cache(maxsize=4096)
def _any_match(selectors: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether one of them names this path; the targets of a fleet have most paths in common."""
    return any(matches(selector, path) for selector in selectors)


def _may_match_below(selector: str, path: Sequence[str]) -> bool:
    any_depth, parts = _parts(selector)
    return any_depth or (len(parts) > len(path) and all(map(fnmatchcase, path, parts)))
