"""The compared DAG files, written as users write them, and their labels."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass, field
from pathlib import Path

DAGS = Path(__file__).parent / "dags"
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True)
class Contestant:
    """One way to do a job.

    :param letter: short name in tables.
    :param title: what it is.
    :param job: which job its DAG does.
    :param stem: name of its DAG file.
    :param environment: what tells variants of one file apart.
    """

    letter: str
    title: str
    job: str
    stem: str
    environment: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def file(self) -> Path:
        """Its DAG file."""
        return DAGS / f"{self.stem}.py"

    @property
    def dag_id(self) -> str:
        """Id of its DAG, which differs between variants of one file."""
        return "_".join([self.stem, *self.environment.values()])

    @property
    def deferrable(self) -> bool:
        """Whether its tasks wait in the triggerer."""
        return self.environment == DEFERRABLE

    def lines(self) -> int:
        """Lines of code that a user writes: neither blank, nor comment, nor docstring."""
        return len(code_lines(self.file.read_text(encoding="utf-8")))


UNVERIFIED = {"BENCH_READ_BACK": "no"}
DEFERRABLE = {"BENCH_DEFERRABLE": "yes"}

FAST = {"AIRFLOW__VOICE_AGENTS__TRANSPORT": "aiohttp"}

TITLES = {
    "A": "this provider",
    "A+": "this provider with the extra [fast]",
    "A-": "this provider, verify=False",
    "B": "HttpOperator, mapped",
    "C": "HttpOperator, mapped, deferrable",
    "D": "one @task, httpx and gather, reading back",
    "D-": "one @task, httpx and gather",
    "E": "plain loop",
}
STEMS = {"A": "provider", "B": "http", "C": "http", "D": "gather", "E": "loop"}
VARIANTS = {"A+": FAST, "A-": UNVERIFIED, "C": DEFERRABLE, "D-": UNVERIFIED}


def contestant(letter: str, job: str) -> Contestant:
    """Return a contestant for a job.

    :param letter: a key of ``TITLES``.
    :param job: ``promote``, ``connectors`` or ``numbers``.
    """
    stem = f"{job}_{STEMS[letter[0]]}"
    return Contestant(letter, TITLES[letter], job, stem, VARIANTS.get(letter, {}))


def code_lines(text: str) -> set[int]:
    """Return the numbers of the lines that hold code.

    :param text: a module's source.
    """
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {
        line
        for token in tokens
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    documentation = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return code - documentation
