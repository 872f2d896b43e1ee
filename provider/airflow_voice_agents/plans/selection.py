"""Select the keys to promote, and merge values from several places.

A **selector** is a dotted path of shell patterns from the top: ``opening_hours``, ``flags.*``,
``settings.mock_dnis``. A leading ``**.`` matches at any depth: ``**.mock_*``. A selector stands for the
whole value below it. Arrays are single values; selectors do not reach into them.

A part in double quotes is a JSON string and means exactly that key, as a plan prints unusual keys:
``"ivr.mock_mode"``, ``menu."room[1]"``. Without quotes, a key that is spelled like the selector wins over keys
that fit it as a pattern, and a dotted key is found where no nested one is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum, StrEnum, auto
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.diff import ABSENT
from airflow_voice_agents.transport.errors import InputError

ANY_DEPTH = "**"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PART = re.compile(rf'(?:(?P<quoted>{_QUOTED})(?P<index>(?:\[\d+\])*)|(?P<pattern>[^."][^.]*))(?P<end>\.|$)')
_ARRAY = re.compile(rf'((?:{_QUOTED}|[^"\[])+)\[\d+\]')

Keys = tuple[str, ...]
"""Object keys from the top of a page."""


class Unmatched(StrEnum):
    """What to do about a selector that reaches nothing."""

    FAIL = "fail"
    WARN = "warn"
    IGNORE = "ignore"

    @classmethod
    def by_default(cls, *, live: bool) -> Unmatched:
        """Return what is done where nobody has said it.

        :param live: whether callers are on the environment that is written.
        """
        return cls.FAIL if live else cls.WARN


class _Owner(Enum):
    SOURCE = auto()
    TARGET = auto()
    SHARED = auto()


class _Fit(Enum):
    WHOLE = auto()
    SPLIT = auto()
    """When dotted keys are split."""
    NOT = auto()


class Selection(msgspec.Struct, frozen=True):
    """Which keys are taken from the source; all others stay as the target has them.

    :param include: selectors of what is taken; ``None`` takes everything not excluded.
    :param exclude: selectors of what is never taken; they win over ``include``.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def on(self, paths: Mapping[Keys, bool]) -> Selection:
        """Return the selection with its selectors as they are meant on a page.

        :param paths: the paths of the page, as :func:`page_paths` returns them.
        """
        include = None
        if self.include is not None:
            include = tuple(each for one in self.include for each in meant(one, paths) or (one,))
        exclude = (each for one in self.exclude for each in meant(one, paths, indexed=True) or (one,))
        return replace(self, include=include, exclude=tuple(exclude))

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
    """Tell whether a selector names exactly this path; at any depth, a dotted key is a path as well.

    :param selector: a selector.
    :param path: object keys from the top.
    """
    any_depth, parts = _parts(selector)
    if not any_depth:
        return len(parts) == len(path) and _fit(parts, path)
    return any(
        len(each) >= len(parts) and _fit(parts, each[len(each) - len(parts) :]) for each in _spellings(path)
    )


def may_mean(selector: str, path: Sequence[str]) -> bool:
    """Tell whether a selector can be read as this path in any way, array places included.

    It errs on the side of yes, for what is masked.

    :param selector: a selector.
    :param path: object keys and array places from the top, as texts.
    """
    if matches(selector, path):
        return True
    split = tuple(piece for key in path for piece in key.split("."))
    _, parts = _parts(selector)
    if ".".join(path) == ".".join(part.text for part in parts) or _fits_at_depth(selector, split):
        return True
    plain = re.sub(r"\[(\d+)\]", r".\1", selector)
    return plain != selector and _is_selector(plain) and _fits_at_depth(plain, path)


def page_paths(*pages: Mapping[str, Any]) -> dict[Keys, bool]:
    """Return all paths of object keys on some pages, each with whether an array stands there.

    :param pages: top-level keys and values.
    """
    paths: dict[Keys, bool] = {}
    for page in pages:
        _collect((), page, paths)
    return paths


def meant(selector: str, paths: Mapping[Keys, bool], *, indexed: bool = False) -> Keys:
    """Return the selectors that say what one means on a page; nothing when it reaches nothing there.

    A path that is spelled like the selector wins over paths that fit it as a pattern, and those win over dotted
    keys that fit it.

    :param selector: a selector.
    :param paths: the paths of the page, as :func:`page_paths` returns them.
    :param indexed: whether a place in an array stands for the whole array.
    """
    any_depth, parts = _parts(selector)
    spelled = tuple(part.text for part in parts)
    if not any_depth and spelled in paths:
        return (exact(spelled),)
    is_plain = not any_depth and not any(part.literal for part in parts)
    if dotted := [path for path in paths if is_plain and ".".join(path) == selector]:
        return tuple(map(exact, dotted))
    fits = [_fit_of(selector, path) for path in paths]
    if _Fit.WHOLE in fits:
        return (selector,)
    if _Fit.SPLIT in fits:
        return tuple(exact(path) for path, fit in zip(paths, fits, strict=True) if fit is _Fit.SPLIT)
    array = array_of(selector) if indexed else None
    return meant(array, paths) if array and paths.get(tuple(part.text for part in _parts(array)[1])) else ()


def array_of(selector: str) -> str | None:
    """Return the selector of the array in which a selector names a place, as plans print it, or ``None``.

    :param selector: such as ``opening_hours.monday[0]``.
    """
    found = _ARRAY.match(selector)
    return found[1] if found and _is_selector(found[1]) else None


def exact(path: Sequence[str]) -> str:
    """Return the selector that means this path and nothing else.

    :param path: object keys from the top.
    """
    return ".".join(map(json.dumps, path))


def parse_selector(value: object, *, name: str) -> str:
    """Check a selector.

    :param value: the selector.
    :param name: what to call it in the error.
    :raises InputError: for anything but a dotted path of shell patterns and quoted keys.
    """
    if isinstance(value, str) and _is_selector(value):
        return value
    raise InputError(
        f"{name} must be a dotted path of keys or shell patterns, such as opening_hours.monday. "
        'A key with dots or quotes is written in double quotes, such as "ivr.mock_mode"'
    )


def reached_names(patterns: Iterable[str], names: Collection[str]) -> dict[str, list[str]]:
    """Return which names each shell pattern reaches; a name that is spelled like the pattern wins.

    :param patterns: shell patterns.
    :param names: the names that there are.
    """
    return {
        pattern: [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
        for pattern in patterns
    }


class _Part(msgspec.Struct, frozen=True):
    """One part of a selector: a key, or a shell pattern."""

    text: str
    literal: bool

    def fits(self, name: str) -> bool:
        return name == self.text if self.literal else fnmatchcase(name, self.text)


@lru_cache(maxsize=1024)
def _parts(selector: str) -> tuple[bool, tuple[_Part, ...]]:
    """Return whether a selector matches at any depth, and its parts; a text that is no selector is one key."""
    parts = _split(selector) or [_Part(selector, literal=True)]
    is_any_depth = parts[0] == _Part(ANY_DEPTH, literal=False)
    return is_any_depth, tuple(parts[1:] if is_any_depth else parts)


def _split(selector: str) -> list[_Part]:
    """Split a selector; empty for a text that is not a selector."""
    parts: list[_Part] = []
    end = 0
    while (found := _PART.match(selector, end)) is not None:
        try:
            parts.append(
                _Part(json.loads(found["quoted"]), literal=True)
                if found["quoted"]
                else _Part(found["pattern"], literal=False)
            )
        except ValueError:
            return []
        end = found.end()
        if not found["end"]:
            return parts
    return []


def _is_selector(text: str) -> bool:
    return bool(_split(text))


def _fit(parts: Sequence[_Part], path: Sequence[str]) -> bool:
    return all(part.fits(key) for part, key in zip(parts, path, strict=True))


def _fits_at_depth(selector: str, path: Sequence[str]) -> bool:
    any_depth, parts = _parts(selector)
    if not any_depth:
        return len(parts) == len(path) and _fit(parts, path)
    return len(path) >= len(parts) and _fit(parts, path[len(path) - len(parts) :])


@lru_cache(maxsize=16384)
def _fit_of(selector: str, path: Keys) -> _Fit:
    """Return how a selector fits a path; the pages of a fleet have most paths in common."""
    if matches(selector, path):
        return _Fit.WHOLE
    return _Fit.SPLIT if any(_fits_at_depth(selector, each) for each in _spellings(path)) else _Fit.NOT


def _spellings(path: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield a path, and the paths that its last key spells where it is dotted (``ivr.mock_mode``)."""
    yield path
    if any("." in key for key in path):
        *above, last = ([key] if "." not in key else key.split(".") for key in path)
        before = [piece for pieces in above for piece in pieces]
        for length in range(1, len(last) + 1):
            yield [*before, *last[:length]]


def _collect(above: Keys, members: Mapping[str, Any], paths: dict[Keys, bool]) -> None:
    for key, value in members.items():
        path = (*above, key)
        paths[path] = isinstance(value, list)
        if type(value) is dict or isinstance(value, Mapping):
            _collect(path, value, paths)


def _same(left: Any, right: Any) -> bool:
    return left is right if ABSENT in (left, right) else same(left, right)


@lru_cache(maxsize=4096)
def _any_match(selectors: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether one of them names this path; the targets of a fleet have most paths in common."""
    return any(matches(selector, path) for selector in selectors)


def _may_match_below(selector: str, path: Sequence[str]) -> bool:
    any_depth, parts = _parts(selector)
    return any_depth or (len(parts) > len(path) and _fit(parts[: len(path)], path))
