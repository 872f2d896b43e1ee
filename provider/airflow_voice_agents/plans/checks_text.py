"""Verdicts as Markdown and as plain text, without values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_voice_agents.plans.markdown import code, prose
from airflow_voice_agents.transport.text import unmarked

SHOWN = 20
"""Most checks that a text lists; the rest is counted."""


def verdict_markdown(found: Mapping[str, Any]) -> str:
    """Return a verdict as Markdown, one line per check.

    :param found: what :func:`.checks.document` returned.
    """
    lines = [
        f"- {code(name)}: **{prose(verdict)}**{_after(prose(reason))}"
        for name, verdict, reason in _checks(found)
    ]
    return f"## Verdict: {prose(_word(found))}\n\n" + "\n".join([*lines, *_more(found)])


def verdict_text(found: Mapping[str, Any]) -> str:
    """Return a verdict as plain text, one line per check; no chat or mail program finds markup in it.

    :param found: what :func:`.checks.document` returned.
    """
    lines = [
        f"{unmarked(name)}: {unmarked(verdict)}{_after(unmarked(reason))}"
        for name, verdict, reason in _checks(found)
    ]
    return "\n".join([f"Verdict: {unmarked(_word(found))}", *lines, *_more(found)])


def _word(found: Mapping[str, Any]) -> str:
    return str(found.get("verdict") or "none")


def _listed(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    checks = found.get("checks")
    return [each for each in checks if isinstance(each, Mapping)] if isinstance(checks, list) else []


def _checks(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (
            str(each.get("name", "")),
            str(each.get("verdict", "")),
            str(each.get("reason") or ""),
        )
        for each in _listed(found)[:SHOWN]
    ]


def _more(found: Mapping[str, Any]) -> list[str]:
    left = len(_listed(found)) - SHOWN
    return [f"… and {left} more check(s)"] if left > 0 else []


def _after(reason: str) -> str:
    return f", {reason}" if reason else ""
