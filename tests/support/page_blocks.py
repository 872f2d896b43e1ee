"""The code of the documentation: fenced blocks and inline commands of every page, and the commands of a shell block."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")))
COMMANDS = ("airflow ", "make ", "pip install ", "python -m ")
"""Beginnings of inline code that is a command."""


@dataclass(frozen=True)
class Block:
    """One block of code.

    :param page: name of the page below the repository.
    :param line: line of the page on which the block begins.
    :param language: word after the fence; empty for an indented block and a fence without a word; ``inline`` for a
        command in a sentence.
    :param text: the code.
    :param before: Markdown of the paragraph or heading before the block.
    """

    page: str
    line: int
    language: str
    text: str
    before: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    """Yield every block of every page."""
    for path in PAGES:
        before = ""
        for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
            if token.type == "inline":
                before = token.content
            if token.type in ("fence", "code_block"):
                assert token.map is not None
                name = str(path.relative_to(ROOT))
                yield Block(name, token.map[0] + 1, token.info.partition(" ")[0], token.content, before)


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and the site make them.

    :param path: the page.
    """
    found = set()
    tokens = MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8"))
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            words = re.sub(r"[^\w\s-]", "", following.content.lower())
            found.add(re.sub(r"\s", "-", words.strip()))
    return found


def docstring_blocks() -> Iterator[Block]:
    """Yield the Python in docstrings of the provider."""
    for path in sorted((ROOT / "provider").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for found in re.finditer(
                r"^\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)",
                f"{ast.get_docstring(node)}\n",
                re.MULTILINE,
            ):
                line = getattr(node, "lineno", 1)
                yield Block(str(path.relative_to(ROOT)), line, "python", textwrap.dedent(found[1]))


def inline_commands() -> Iterator[Block]:
    """Yield the commands that stand in sentences; the changelog may name what is gone."""
    for path in PAGES:
        if path.name == "CHANGELOG.md":
            continue
        for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
            for child in token.children or ():
                if child.type == "code_inline" and child.content.startswith(COMMANDS):
                    line = token.map[0] + 1 if token.map else 0
                    yield Block(str(path.relative_to(ROOT)), line, "inline", child.content)


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a shell block as words, without comments, redirections and prompts."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    for raw in text.splitlines():
        if re.match(r"\s*(case .* in|esac)$", raw):
            continue
        line = re.sub(r"^\s*[\w*]+\)|[12]?>&[12]|> *[\w./-]+", "", raw)
        words = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        words.whitespace_split = True
        command: list[str] = []
        for word in words:
            if re.fullmatch("[|&;]+", word):
                if command:
                    yield command
                command = []
            else:
                command.append(word)
        if command:
            yield command
