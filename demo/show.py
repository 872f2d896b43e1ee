"""Print the demo's steps."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WIDTH = 120
SIGNS = {"+": "green", "~": "yellow", "-": "red", "!": "red", "✗": "bold red", "=": "dim"}

console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def say(text: str = "") -> None:
    """Print a line as it is."""
    console.print(text, markup=False)


def heading(text: str) -> None:
    """Print a heading."""
    console.print()
    console.print(Text(text, style="bold cyan"))


def plan(text: str) -> None:
    """Print a plan as the task logged it, coloured by sign."""
    title, _, body = text.partition("\n")
    shown = Text(no_wrap=True, overflow="ellipsis")
    for line in body.strip("\n").splitlines():
        shown.append(f"{line}\n", style=SIGNS.get(line.strip()[:1], ""))
    shown.rstrip()
    console.print(Panel(shown, title=title, title_align="left", border_style="cyan"))


def progress(event: Mapping[str, Any]) -> None:
    """Print a task's end."""
    sign, style = ("✓", "green") if event["state"] == "success" else ("✗", "bold red")
    line = Text(f"{sign} ", style=style)
    line.append(f"{event['task']:<24}{event['label']:<18}{event['state']}", style="")
    console.print(line)
    if event["error"]:
        console.print(Text(f"  {event['error']}", style="red"))


def report(title: str, reports: Iterable[Mapping[str, Any]]) -> None:
    """Print the reports of a run, one row per target."""
    rows = [
        (
            f"{item['owner']}/{item['name']}",
            item["status"],
            ", ".join(item.get("changed_keys", [])) or "–",
            ", ".join(item.get("kept_keys", [])) or "–",
            item.get("reason", ""),
        )
        for each in reports
        for item in each["items"]
    ]
    columns = ["Target", "Status", "Changed keys", "Kept as the target has them"]
    told = any(row[-1] for row in rows)
    table(title, [*columns, *(["Reason"] if told else [])], [row if told else row[:-1] for row in rows])


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; a cell that begins with ✓ or ✗ is coloured."""
    drawn = Table(*columns, title=title, title_justify="left", title_style="bold", header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    console.print(drawn)


def panel(title: str, text: str) -> None:
    """Print a text in a frame."""
    console.print(Panel(Text(text), title=title, title_align="left", border_style="green"))


def verdict(text: str, *, right: bool) -> None:
    """Print how it all ended."""
    console.print()
    console.print(Text(text, style="bold green" if right else "bold red"))


def _style(cell: str) -> str:
    return {"✓": "green", "✗": "bold red"}.get(cell[:1], "")
