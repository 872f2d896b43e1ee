"""One spelling per JSON value, so that equality and digests are strict about types.

``1``, ``1.0`` and ``true`` are three values; the order of keys does not count.
Python's ``==`` takes the three values for equal.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import msgspec

_PLAIN = frozenset({str, int, bool, type(None)})
"""Types whose ``==`` is strict once the types are the same; of floats, ``0.0`` and ``-0.0`` are two."""

_NESTED = frozenset({dict, list})
_encode = msgspec.json.Encoder(order="sorted").encode
_to_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: Any) -> str:
    """Return the one spelling of a JSON value: keys sorted, no spaces, non-ASCII kept.

    :param value: a JSON value.
    :raises ValueError: for NaN, infinities and what is not JSON.
    """
    try:
        return _to_text(value)
    except TypeError as error:
        raise ValueError(f"not a JSON value: {error}") from None


def comparable(value: Any) -> bytes | str:
    """Return JSON to compare with that of other values in this process, in a twentieth of the canonical one's time.

    :param value: a JSON value; an infinity or NaN is spelled as null.
    :raises ValueError: for what is not JSON.
    """
    try:
        return _encode(value)
    except (TypeError, OverflowError, ValueError):  # half of a surrogate pair, an integer that is too large
        return canonical(value)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical spelling, as 64 hexadecimal digits."""
    return digest_of_spelling(canonical(value))


def digest_of_spelling(spelling: str) -> str:
    """Return the :func:`digest` of the value that has a canonical spelling.

    :param spelling: what :func:`canonical` returns for the value.
    """
    return hashlib.sha256(spelling.encode("utf-8", "surrogatepass")).hexdigest()


def salted_digest(value: Any, salt: str) -> str:
    """Return a digest that nobody can look up; two of one value are equal only under one salt.

    For what is stored where others read it: the digest of a short value can be found by trying values. It takes
    a secret to keep a value that is easy to guess from somebody who also has the salt.

    :param value: a JSON value.
    :param salt: random text, kept with the digest; without one it is :func:`digest`.
    """
    if not salt:
        return digest(value)
    return hmac.new(salt.encode(), digest(value).encode(), hashlib.sha256).hexdigest()


def same(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are the same, types included."""
    if left is right:
        return True
    if type(left) in _PLAIN or type(right) in _PLAIN:
        return type(left) is type(right) and bool(left == right)
    if type(left) is type(right) and type(left) in _NESTED:
        # What differs even to ``==``, which is quick to tell, is not the same.
        return bool(left == right) and comparable(left) == comparable(right)
    return canonical(left) == canonical(right)
