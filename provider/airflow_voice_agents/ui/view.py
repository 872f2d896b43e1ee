"""The page's view: what a URL asks for, and the rows, texts and links that answer it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import asdict, replace

from airflow_voice_agents.ui.board import COLUMNS, OTHER, SYSTEMS, Board, Project, State, Target

PER_PAGE = (25, 50, 100)
SORTS = ("urgency", "project", "age", "promoted")
GROUPED = ("change", "system", "none")
TEXT_LENGTH = 200
KEYS_SHOWN = 40
NUMBERS_SHOWN = 40
DESTINATIONS_SHOWN = 3
"""Most destinations of numbers that a cell lists."""
LOOK_ALIKE = 2
"""Least number of projects with the same change that share a row."""


class Query(msgspec.Struct, frozen=True):
    """What a URL asks for; a value that is not known counts as the default.

    :param text: part of a project's name.
    :param state: the state that is filtered by, or ``None``.
    :param system: the system that is filtered by, or an empty text.
    :param change: digest of the change that is filtered by, or an empty text.
    :param sort: one of ``SORTS``.
    :param group: ``change`` shows projects with the same change in one row, ``system`` those of one system together.
    :param page: the page, from 1.
    :param per: rows per page.
    :param project: the project in the side panel.
    """

    text: str = ""
    state: State | None = None
    system: str = ""
    change: str = ""
    sort: str = "urgency"
    group: str = "change"
    page: int = 1
    per: int = 50
    project: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Query:
        """Read a query string.

        :param given: its parameters.
        """
        state = given.get("state", "")
        return cls(
            given.get("q", "")[:TEXT_LENGTH].strip(),
            State(state) if state in set(State) else None,
            given.get("system", "") if given.get("system") in SYSTEMS else "",
            given.get("change", "")[:TEXT_LENGTH],
            _choice(given.get("sort"), SORTS),
            _choice(given.get("group"), GROUPED),
            max(_number(given.get("page"), 1), 1),
            _number(given.get("per"), 50) if given.get("per") in {str(each) for each in PER_PAGE} else 50,
            given.get("project", "")[:TEXT_LENGTH],
        )

    def url(self, **changed: Any) -> str:
        """Return the link to the same view with something changed; another filter begins at the first page.

        :param changed: fields, by their names here.
        """
        kept = self if "page" in changed or "project" in changed else replace(self, page=1)
        other = replace(kept, **changed)
        default = Query()
        names = {"text": "q"}
        pairs = {
            names.get(field, field): str(value)
            for field, value in asdict(other).items()
            if value != getattr(default, field)
        }
        return f"?{urlencode(pairs)}"


class Row(msgspec.Struct, frozen=True):
    """A row of the table: a project, or several with the same change.

    :param projects: the projects.
    """

    projects: tuple[Project, ...]

    @property
    def first(self) -> Project:
        """The project that is shown."""
        return self.projects[0]

    @property
    def title(self) -> str:
        """The name, or the first and the last."""
        names = [project.name for project in self.projects]
        return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"

    @property
    def sub(self) -> str:
        """What stands below the name."""
        return "" if len(self.projects) == 1 else f"{len(self.projects)} projects, same change"


class View(msgspec.Struct, frozen=True, dict=True):
    """What one page shows.

    :param board: everything that the user may see.
    :param query: what is asked for.
    :param now: the present moment.
    :param airflow: path of Airflow, without a slash at its end.
    """

    board: Board
    query: Query
    now: datetime
    airflow: str = ""

    @cached_property
    def matching(self) -> list[Project]:
        """The projects that the filters let through, sorted."""
        text, state, change = self.query.text.lower(), self.query.state, self.query.change
        found = [
            project
            for project in self.board.projects
            if text in project.name.lower()
            and (state is None or state in project.states)
            and (not self.query.system or project.system == self.query.system)
            and (not change or project.change == change)
        ]
        found.sort(key=_SORT_KEYS[self.query.sort], reverse=self.query.sort in ("age", "promoted"))
        if self.query.group == "system":
            order = {name: place for place, name in enumerate(SYSTEMS)}
            found.sort(key=lambda project: order.get(project.system, len(order)))
        return found

    @cached_property
    def rows(self) -> list[Row]:
        """All rows of the result, on all pages."""
        if self.query.group != "change":
            return [Row((project,)) for project in self.matching]
        groups: dict[str, list[Project]] = {}
        for project in self.matching:
            alone = project.state is State.UNKNOWN or OTHER in project.targets
            groups.setdefault(project.name if alone else project.change, []).append(project)
        return [
            row
            for same in groups.values()
            for row in ([Row(tuple(same))] if len(same) >= LOOK_ALIKE else [Row((each,)) for each in same])
        ]

    @property
    def pages(self) -> int:
        """Number of pages."""
        return max(-(-len(self.rows) // self.query.per), 1)

    @property
    def page(self) -> int:
        """The page that is shown."""
        return min(self.query.page, self.pages)

    @property
    def shown(self) -> Sequence[Row]:
        """The rows of this page."""
        start = (self.page - 1) * self.query.per
        return self.rows[start : start + self.query.per]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The environments that any project of this page has, in the order of promotion.

        What is no environment has a column of its own where it stands alone, or beside environments of its project.
        """
        shown = [row.first.targets for row in self.shown]
        there = {name for targets in shown for name in targets if name != OTHER}
        beside = any(OTHER in targets and (len(targets) > 1 or not there) for targets in shown)
        return tuple(name for name in COLUMNS if name in there or (beside and name == OTHER))

    def spans(self, project: Project) -> bool:
        """Return whether a project's one target is no environment and takes the width of all of them.

        :param project: the project.
        """
        return OTHER in project.targets and OTHER not in self.columns

    @cached_property
    def selected(self) -> Project | None:
        """The project of the side panel."""
        return next((each for each in self.board.projects if each.name == self.query.project), None)

    # --------------------------------------------------------------------------------------------- texts

    def age(self, at: str) -> str:
        """Return how long ago something was, in words.

        :param at: the moment in ISO 8601.
        """
        moment = parse_moment(at)
        return "" if moment is None else age_text((self.now - moment).total_seconds())

    def step(self, target: Target) -> tuple[str, str]:
        """Return how a target stands to its source: a sign and a few words.

        :param target: the target.
        """
        count, what = target.key_count, "key"
        if target.number_count:
            count, what = target.compared.get("changed_count", 0), "number"
        keys = f"{count} {what}{'s' * (count != 1)}" if count and target.state is not State.IN_SYNC else ""
        keys = ", ".join(filter(None, (keys, "version" if target.version_differs else "")))
        sign = {State.IN_SYNC: "=", State.READY: "→", State.WAITING: "→", State.RUNNING: "…"}
        if target.state in (State.EDITED, State.DIVERGED):
            return "≠", keys
        if not target.compared:
            return "", ""
        return sign.get(target.state, "→" if keys else "?"), keys

    def progress(self, target: Target) -> str:
        """Return how far a rollout is.

        :param target: a target that a run works on.
        """
        wave, reached = target.applied.get("wave"), target.applied.get("reached")
        if not (wave and reached):
            return ""
        return f"wave {min(wave[0] + 1, wave[1])} of {wave[1]} · {reached[0]}/{reached[1]}"

    def sections(self, project: Project) -> Iterator[Target]:
        """Yield the targets that the panel shows: live first, where callers are.

        :param project: the project.
        """
        for name in reversed(COLUMNS):
            target = project.targets.get(name)
            if target is not None and (target.sections or target.hold):
                yield target

    def numbers(self, target: Target) -> list[tuple[str, tuple[str, str]]]:
        """Return the phone numbers of a target that are listed, with where their calls go and are to go.

        :param target: the target.
        """
        items = [each for each in target.compared.get("items", ()) if each.get("destinations")]
        return [(str(each["name"]), target.destination(each)) for each in items][:NUMBERS_SHOWN]

    def source(self, target: Target) -> str:
        """Return where a target takes its state from, for people.

        :param target: the target.
        """
        source = str(target.compared.get("source") or "")
        mine = f"{target.project}/"
        return source.removeprefix(mine) if source.startswith(mine) else source

    def keys(self, target: Target) -> Iterator[tuple[str, list[tuple[str, str]], int]]:
        """Yield the kinds that differ, each with signs and keys, and how many keys are not listed.

        :param target: the target.
        """
        for item in target.compared.get("items", ()):
            listed = [(str(sign), str(key)) for sign, key in item.get("keys", ())][:KEYS_SHOWN]
            if listed and not item.get("destinations"):
                many = [each for each in target.compared["items"] if each["kind"] == item["kind"]]
                name = item["kind"] if len(many) == 1 else f"{item['kind']} {item['name']}"
                yield name, listed, item.get("key_count", len(listed)) - len(listed)

    # --------------------------------------------------------------------------------------------- links

    def run_link(self, run: Mapping[str, Any]) -> str:
        """Return the address of a DAG run, in Airflow.

        :param run: ids of the run.
        """
        parts = (quote(str(run[name]), safe="") for name in ("dag_id", "run_id"))
        dag, run_id = parts
        return f"{self.airflow}/dags/{dag}/runs/{run_id}"

    def action(self, project: Project) -> tuple[str, str, bool]:
        """Return the next action: its words, its address, and whether that is a page of Airflow.

        :param project: the project.
        """
        target = project.worst
        panel = self.query.url(project=project.name)
        if target.state is State.WAITING and target.approval:
            run = target.approval["run"]
            task = quote(str(run["task_id"]), safe="")
            index = run.get("map_index", -1)
            mapped = f"/mapped/{index}" if isinstance(index, int) and index >= 0 else ""
            return "Review and approve", f"{self.run_link(run)}/tasks/{task}{mapped}/required_actions", True
        if target.state in (State.RUNNING, State.FAILED) and target.applied:
            words = "Open run" if target.state is State.RUNNING else "See what failed"
            return words, self.run_link(target.applied["run"]), True
        words = {
            State.HOLD: "Release…",
            State.DIVERGED: "Compare",
            State.EDITED: "Show the edit",
            State.READY: "Show the change",
        }.get(target.state, "")
        return words, panel, False

    def commands(self, project: Project) -> list[str]:
        """Return commands for a terminal.

        :param project: the project.
        """
        found = [f"airflow voice-agents status --project {shlex.quote(project.name)}"]
        for target in project.targets.values():
            if target.hold is not None:
                found.append(f"airflow voice-agents release-hold {shlex.quote(target.name)}")
        compared = project.worst.compared
        if compared:
            found.append(f"airflow dags trigger {shlex.quote(str(compared['run']['dag_id']))}")
        return found


def parse_moment(at: str) -> datetime | None:
    """Return a moment, in UTC where it names no zone; ``None`` for a text that is none.

    :param at: the moment in ISO 8601.
    """
    try:
        moment = datetime.fromisoformat(at)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def age_text(seconds: float) -> str:
    """Return a span as people say it.

    :param seconds: the span.
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def _choice(value: str | None, choices: Sequence[str]) -> str:
    return value if value is not None and value in choices else choices[0]


def _number(value: str | None, default: int) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 9 else default


_SORT_KEYS: dict[str, Any] = {
    "urgency": lambda project: (list(State).index(project.state), project.name),
    "project": lambda project: project.name,
    "age": lambda project: (project.at, project.name),
    "promoted": lambda project: (project.last_promotion.get("at", ""), project.name),
}
