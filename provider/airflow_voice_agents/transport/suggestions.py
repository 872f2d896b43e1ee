"""Suggestions for unknown names: the nearest known ones, and invisible differences."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LOOKED_AT = 2000
"""Most known names that are compared."""
LONGEST = 200
"""Longest name, in characters, that is compared."""
NEAR = 0.6
SUGGESTED = 3


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return a sentence that names what was likely meant, with a space in front; empty when nothing is near.

    A name that differs in case, in surrounding white space, in its Unicode form or in invisible characters is
    named as such.

    :param given: the name that nothing has.
    :param known: the names that there are.
    """
    names = [name for name in dict.fromkeys(known) if name and len(name) <= LONGEST][:LOOKED_AT]
    if twin := invisible_twin(given, names):
        return (
            f" Did you mean {escaped(twin)}? It differs from {escaped(given)} only in white space or "
            "invisible characters."
        )
    near = nearest(given, names)
    return f" Did you mean {' or '.join(map(escaped, near))}?" if near else ""


def hints(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return what was likely meant by several names that nothing has, with a full stop and a space in front.

    :param unknown: the names that nothing has.
    :param known: the names that there are.
    """
    names = list(known)
    said = "".join(dict.fromkeys(did_you_mean(each, names) for each in unknown))
    return f".{said}" if said else ""


def nearest(given: str, known: Iterable[str], *, cutoff: float = NEAR) -> list[str]:
    """Return the known names that are nearest to a name, the best first.

    :param given: the name that nothing has.
    :param known: the names that there are.
    :param cutoff: least likeness, from 0 to 1.
    """
    if len(given) > LONGEST:
        return []
    from difflib import get_close_matches  # nothing is misspelled in most tasks

    spellings: dict[str, list[str]] = {}
    for name in known:
        spellings.setdefault(_plain(name), []).append(name)
    close = get_close_matches(_plain(given), spellings, n=SUGGESTED, cutoff=cutoff)
    return [name for each in close for name in spellings[each]][:SUGGESTED]


def invisible_twin(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks the same as a name and is not it, or ``None``.

    :param given: the name that nothing has.
    :param known: the names that there are.
    """
    seen = _as_seen(given)
    return next((name for name in known if name != given and _as_seen(name) == seen), None)


def escaped(name: str) -> str:
    """Return a name in quotes; where it holds more than meets the eye, with escapes.

    :param name: any text.
    """
    odd = name != _as_seen(name) or unicodedata.normalize("NFC", name) != name
    return ascii(name) if odd or not name.isprintable() else repr(name)


def _as_seen(name: str) -> str:
    """Return what a reader sees of a name: one form of each letter, no format characters, plain spaces."""
    shown = "".join(each for each in name if unicodedata.category(each) not in ("Cf", "Cc") or each.isspace())
    return " ".join(unicodedata.normalize("NFC", shown).split())


def _plain(name: str) -> str:
    return _as_seen(name).casefold()
