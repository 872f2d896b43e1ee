"""Finds given texts in text from outside in any spelling: encoded, escaped, in another case, split.

The text is read in several ways: as it is, with its escapes decoded layer by layer, and reduced to letters and
digits. Each reading knows which characters of the original it stands for.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

import msgspec

from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.text import is_unseen

LAYERS = 4
"""Layers of escapes that are decoded."""
GRAM = 12
"""Characters by which a part of a long text is recognized."""
INNER = 2 * GRAM
"""Least length of a part from the middle of a text; beginnings and ends are recognized by :data:`GRAM` characters."""
SHORT = 4
"""Texts below this length are found only as they are."""

Span = tuple[int, int]

_ESCAPE = re.compile(
    r"""
    (?:%|\\x|=)[0-7][0-9a-f]
    | (?P<two>%|\\x|=)[cd][0-9a-f](?P=two)[89ab][0-9a-f]
    | (?P<three>%|\\x|=)e[0-9a-f](?:(?P=three)[89ab][0-9a-f]){2}
    | (?P<four>%|\\x|=)f[0-7](?:(?P=four)[89ab][0-9a-f]){3}
    | (?:%|\\x)[89a-f][0-9a-f]
    | \\+u(?:d[89ab][0-9a-f]{2}\\+ud[c-f][0-9a-f]{2} | [0-9a-f]{4} | \{[0-9a-f]{1,6}\})
    | \\["'\\/bfnrt]
    | &(?:\#[0-9]{1,7} | \#x[0-9a-f]{1,6} | [a-z][a-z0-9]{1,31});?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ENCODED = re.compile(r"[0-9A-Za-z+/_=-]{16}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{2}(?:[^0-9A-Za-z]{0,2}[0-9A-Fa-f]{2}){5}")


class Reading(msgspec.Struct, frozen=True, dict=True):
    """One way to read a text, with the span of the original that each character stands for."""

    text: str
    spans: Sequence[Span]

    @cached_property
    def grams(self) -> dict[str, list[int]]:
        """Return where each run of :data:`GRAM` characters begins."""
        found: dict[str, list[int]] = defaultdict(list)
        for start in range(len(self.text) - GRAM + 1):
            found[self.text[start : start + GRAM]].append(start)
        return dict(found)

    def span(self, start: int, end: int) -> Span:
        """Return the part of the original that some characters stand for."""
        return self.spans[start][0], self.spans[end - 1][1]


class Readings:
    """All readings of one text.

    :param text: the text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded: list[Reading] = []
        """The text and its decoded layers, without regard to case, accents and characters without width."""
        layer = Reading(text, [(place, place + 1) for place in range(len(text))])
        for _ in range(LAYERS):
            self.folded.append(_folded(layer))
            decoded = _decoded(layer)
            if decoded is None:
                break
            layer = decoded
        self.squeezed = [_squeezed(each) for each in self.folded]
        """The same, letters and digits alone."""
        self.holds_encoded = any(
            _ENCODED.search(each.text) or _HEXADECIMAL.search(each.text) for each in self.folded
        ) or any(len(each.text) >= GRAM for each in self.squeezed)


class Needle(Record, frozen=True, dict=True):
    """A text to be found.

    :param text: the text.
    :param whole_words: whether a text of up to :data:`GRAM` characters is found as a word only.
    """

    not_shown = ("text",)

    text: str
    whole_words: bool = True

    def spans(self, readings: Readings) -> Iterator[Span]:
        """Yield where it stands in a text, in the text's own places.

        :param readings: the text.
        """
        if not self.text.strip(" "):
            return
        yield from _as_words(self.text, readings.text, self.whole_words and len(self.text) <= GRAM)
        if len(self.text) < SHORT:
            return
        for reading in readings.folded:
            yield from _in(reading, self._folded, whole_words=self.whole_words)
        for form in self._forms(encoded=readings.holds_encoded):
            for reading in readings.squeezed:
                yield from _in(reading, form, whole_words=False)

    def _forms(self, *, encoded: bool) -> list[str]:
        """Return the letters and digits of the forms that are long enough not to be met by chance."""
        plain = [self._squeezed] if len(self._squeezed) >= GRAM else []
        return plain + (self._encoded if encoded and len(self.text) > SHORT else [])

    @cached_property
    def _folded(self) -> str:
        return fold(self.text)

    @cached_property
    def _squeezed(self) -> str:
        return _letters(self._folded)

    @cached_property
    def _encoded(self) -> list[str]:
        raw = self.text.encode("utf-8", "surrogatepass")
        forms = [raw.hex(), self._folded[::-1], *_bases(raw)]
        return list(dict.fromkeys(form for form in map(_letters, forms) if len(form) >= 6))


def fold(text: str) -> str:
    """Return a text without regard to case, accents, width and characters that have no shape.

    :param text: any text.
    """
    return text.lower() if text.isascii() and text.isprintable() else "".join(map(_fold, text))


def replace_spans(text: str, spans: Iterable[Span], mask: str) -> str:
    """Return a text with parts of it replaced; parts that touch are replaced once.

    :param text: the text.
    :param spans: the parts, in any order.
    :param mask: what stands there instead.
    """
    parts: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if not parts or start > end:
            parts += [text[end:start], mask]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _bases(raw: bytes) -> Iterator[str]:
    """Yield the middle of a text's base64 and base32, which is the same whatever stands before and after it."""
    for ahead in range(3):
        bits = 8 * (ahead + len(raw))
        yield base64.b64encode(bytes(ahead) + raw).decode().lower()[-(-8 * ahead // 6) : bits // 6]
    for ahead in range(5):
        bits = 8 * (ahead + len(raw))
        yield base64.b32encode(bytes(ahead) + raw).decode().lower()[-(-8 * ahead // 5) : bits // 5]


def _as_words(needle: str, text: str, whole_words: bool) -> Iterator[Span]:
    start = text.find(needle)
    while start >= 0:
        end = start + len(needle)
        if not whole_words or _is_word(text, start, end):
            yield start, end
        start = text.find(needle, start + 1)


def _in(reading: Reading, needle: str, *, whole_words: bool) -> Iterator[Span]:
    if not needle:
        return
    if len(needle) <= GRAM:
        for start, end in _as_words(needle, reading.text, whole_words):
            yield reading.span(start, end)
        return
    grams = reading.grams
    for offset in {*range(0, len(needle) - GRAM + 1, GRAM), len(needle) - GRAM}:
        for place in grams.get(needle[offset : offset + GRAM], ()):
            start, end = _common_part(reading.text, place, needle, offset)
            begins, ends = offset - (place - start) == 0, offset + (end - place) == len(needle)
            if begins or ends or end - start >= INNER:
                yield reading.span(start, end)


def _common_part(text: str, place: int, needle: str, offset: int) -> Span:
    """Extend a common run of characters to both sides."""
    start, end = place, place + GRAM
    while (
        start > 0 and offset - (place - start) > 0 and text[start - 1] == needle[offset - (place - start) - 1]
    ):
        start -= 1
    while (
        end < len(text) and offset + end - place < len(needle) and text[end] == needle[offset + end - place]
    ):
        end += 1
    return start, end


def _is_word(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    return not (re.match(r"\w", before) or re.match(r"\w", after))


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).casefold()
    return "".join(
        part
        for part in plain
        if part in "\t\n\r" or not (is_unseen(part) or unicodedata.category(part) == "Mn")
    )


def _folded(reading: Reading) -> Reading:
    if reading.text.isascii() and reading.text.isprintable():
        return Reading(reading.text.lower(), reading.spans)
    parts: list[str] = []
    spans: list[Span] = []
    for character, span in zip(reading.text, reading.spans, strict=True):
        folded = _fold(character)
        parts.append(folded)
        spans += [span] * len(folded)
    return Reading("".join(parts), spans)


def _decoded(reading: Reading) -> Reading | None:
    parts: list[str] = []
    spans: list[Span] = []
    end = 0
    for found in _ESCAPE.finditer(reading.text):
        plain = _unescaped(found.group())
        if plain is None:
            continue
        parts += [reading.text[end : found.start()], plain]
        spans += reading.spans[end : found.start()]
        spans += [reading.span(found.start(), found.end())] * len(plain)
        end = found.end()
    if not parts:
        return None
    return Reading("".join([*parts, reading.text[end:]]), [*spans, *reading.spans[end:]])


def _unescaped(escape: str) -> str | None:
    lead = escape[0]
    if lead == "&":
        plain = html.unescape(escape)
        return None if plain == escape else plain
    if lead in "%=" or escape[:2].lower() == "\\x":
        raw = bytes.fromhex(re.sub(r"\\x|=|%", "", escape, flags=re.IGNORECASE))
        return raw.decode("utf-8" if len(raw) > 1 else "latin-1", "replace")
    if escape[1:2] in ("u", "U", "\\") and len(escape) > 2:
        digits = re.findall(r"[0-9a-f]{1,6}", escape.replace("u", "").replace("U", ""), re.IGNORECASE)
        units = b"".join(int(unit, 16).to_bytes(4 if len(unit) > 4 else 2, "big") for unit in digits)
        return _character(units)
    return _CONTROLS.get(escape[1], escape[1])


def _character(units: bytes) -> str:
    if len(units) == 4 and units[0] == 0:
        code = int.from_bytes(units, "big")
        return chr(code) if code <= 0x10FFFF else "\ufffd"
    return units.decode("utf-16-be", "replace")


def _squeezed(reading: Reading) -> Reading:
    kept = [place for place, character in enumerate(reading.text) if character.isalnum()]
    return Reading("".join(reading.text[place] for place in kept), [reading.spans[place] for place in kept])


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))
