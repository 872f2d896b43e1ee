"""The page at the root: what the server holds and what was asked of it lately."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from airflow_voice_agents.emulator.core import Emulator

SHOWN_PROJECTS = 50
SHOWN_NUMBERS = 20
SHOWN_REQUESTS = 25
SHOWN_CHARACTERS = 80

_CONTROL_ROUTES = ("state", "journal", "faults", "switches")
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1d2733}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
table{border-collapse:collapse;width:100%}td:first-child{white-space:nowrap}
th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;
border-bottom:1px solid #dde3ea;overflow-wrap:anywhere}th{font-weight:600;background:#f5f7fa}
.note{color:#5b6b7c}code{font-size:.9em}
"""


def render(emulator: Emulator) -> str:
    """The overview as HTML; everything that comes from state or requests is escaped."""
    with emulator.state.lock:
        projects = emulator.polyai.overview(SHOWN_PROJECTS)
        total = len(emulator.polyai.summary()["agents"])
        carrier = emulator.signalwire.overview(SHOWN_NUMBERS)
        workspaces = emulator.omnia_voice.overview(SHOWN_NUMBERS)
    shown = f"the first {len(projects)} of {total}" if total > len(projects) else str(total)
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Voice agents emulator</title>',
            f"<style>{_STYLE}</style></head><body><h1>Voice agents emulator</h1>",
            '<p class="note">A development tool on loopback; not for production. Control routes: ',
            *(f'<a href="/_emulator/{name}">{name}</a> ' for name in _CONTROL_ROUTES),
            f"</p><h2>Projects ({shown})</h2>",
            *map(_project, projects),
            "<h2>SignalWire</h2>",
            *map(_carrier_project, carrier),
            "<h2>Omnia Voice</h2>",
            *map(_workspace, workspaces),
            f"<h2>Last requests</h2>{_requests(emulator)}</body></html>",
        ]
    )


def _project(project: dict[str, Any]) -> str:
    environments = project["environments"]
    facts = [
        ["deployed version", *(env["version"] or "–" for env in environments.values())],
        ["connectors", *(str(env["connectors"]) for env in environments.values())],
        ["phone numbers", *(str(env["numbers"]) for env in environments.values())],
        ["config written", *(env["last_updated"] or "never" for env in environments.values())],
    ]
    keys = sorted({key for env in environments.values() for key in env["values"]})
    values = [[key, *(_value(env["values"], key) for env in environments.values())] for key in keys]
    title = f"<h3>{escape(project['name'])} <code>{escape(project['agent'])}</code></h3>"
    return title + _table(["", *environments], facts + values)


def _carrier_project(project: dict[str, Any]) -> str:
    note = f"{_count(project)}, {project['billed']} bought here"
    title = f"<h3>{escape(project['name'])} <code>{escape(project['space'])}</code></h3><p>{note}</p>"
    head = ["number", "name", "call handler", "leads to", "E911"]
    return title + _table(head, [list(record.values()) for record in project["numbers"]])


def _workspace(workspace: dict[str, Any]) -> str:
    title = f"<h3>{escape(workspace['name'])}</h3><p>{_count(workspace)}</p>"
    head = ["id", "number", "name", "status", "agent"]
    return title + _table(head, [list(record.values()) for record in workspace["numbers"]])


def _count(owner: dict[str, Any]) -> str:
    total, shown = owner["total"], len(owner["numbers"])
    return f"{total} numbers" if shown == total else f"the first {shown} of {total} numbers"


def _value(values: dict[str, Any], key: str) -> str:
    if key not in values:
        return "–"
    text = json.dumps(values[key], ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _requests(emulator: Emulator) -> str:
    entries = emulator.journal.entries()[-SHOWN_REQUESTS:]
    if not entries:
        return '<p class="note">None yet.</p>'
    rows = [
        [
            str(entry.number),
            entry.method,
            entry.path,
            entry.operation or "–",
            "dropped" if entry.status is None else str(entry.status),
            "changed" if entry.changed else "",
            entry.fault or "",
        ]
        for entry in reversed(entries)
    ]
    return _table(["#", "method", "path", "operation", "status", "state", "fault"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    header = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"
