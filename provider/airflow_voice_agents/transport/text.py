"""Display of text from outside: one line, without control characters or markup."""

from __future__ import annotations

import re
import unicodedata

MESSAGE_LIMIT = 300

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Characters without width that Unicode does not count among its controls."""

_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "*": "∗", "~": "∼", "`": "ˋ", "|": "¦", "[": "❲", "]": "❳"})
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_SCHEME = re.compile(r"(?<=\w):(?=//)")


def is_unseen(character: str) -> bool:
    """Tell whether a character has no shape of its own: a control, a direction mark, no width.

    :param character: one character.
    """
    if character.isascii():
        return not character.isprintable()
    return (
        character in _FILLERS
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0000" <= character <= "\U000e0fff"
        or unicodedata.category(character) in _UNSEEN
    )


def visible(text: str) -> str:
    """Escape what a terminal or a reader's eye could be fooled by: control and direction characters.

    :param text: any text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if is_unseen(character) else character for character in text)


def one_line(text: str, limit: int | None = MESSAGE_LIMIT) -> str:
    """Make one printable line of ``text``, cut to ``limit`` characters.

    :param text: anything a server sent.
    :param limit: maximum number of characters to keep; ``None`` keeps all.
    """
    line = " ".join("".join(c if c.isprintable() and not is_unseen(c) else " " for c in text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def unmarked(text: str) -> str:
    """Return text that no chat, mail or Markdown reader takes for a mention, a link or other markup.

    Signs with a meaning are replaced by signs that look alike, which no channel has to decode, and addresses
    are taken apart (``https[:]//host``).

    :param text: any text.
    """
    return _SCHEME.sub("[:]", _EDGE_UNDERSCORE.sub("＿", visible(text).translate(_LOOKALIKES)))


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))
