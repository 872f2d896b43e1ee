"""The page's FastAPI app: each route asks Airflow for the right to read DAGs, and none changes anything.

The receiver of webhooks, where it is configured, is an app of its own below this one, with rights of its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup

from airflow_voice_agents.bases.protections import now, stop_switch
from airflow_voice_agents.plans.freeze import active, windows
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.text import visible
from airflow_voice_agents.ui.board import OTHER, SYSTEMS, Board, State, build
from airflow_voice_agents.ui.plugin import PREFIX
from airflow_voice_agents.ui.records import StateReader, StateRecords
from airflow_voice_agents.ui.view import DESTINATIONS_SHOWN, GROUPED, PER_PAGE, SORTS, Query, View
from airflow_voice_agents.ui.webhooks import PATH, Receiver, configured_receiver, create_receiver_app

HERE = Path(__file__).parent
STATIC = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "icon-dark.svg": "image/svg+xml",
}
BOARDS_KEPT = 16
"""Most boards that are remembered: one per content of the state folder, minute, and set of DAGs a user may read."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


@dataclass
class Boards:
    """Remembers boards, so that a page of results is not computed from all records again.

    :param reader: reads the state folder.
    :param clock: the present moment.
    """

    reader: StateReader
    clock: Callable[[], datetime] = now
    _kept: dict[Any, Board] = field(default_factory=dict, init=False)

    def board(self, readable: set[str]) -> Board:
        """Return the board of a user.

        :param readable: ids of the DAGs that the user may read.
        """
        records: StateRecords = self.reader.read()
        moment = self.clock()
        key = (records.stamp, frozenset(readable), moment.replace(second=0, microsecond=0))
        board = self._kept.get(key)
        if board is None:
            board = build(records, readable, moment)
            self._kept = {**dict(list(self._kept.items())[-(BOARDS_KEPT - 1) :]), key: board}
        return board


def create_app(
    reader: StateReader | None = None,
    *,
    clock: Callable[[], datetime] = now,
    stopped: Callable[[str], str | None] = stop_switch,
    receiver: Callable[[], Receiver | None] = configured_receiver,
) -> FastAPI:
    """Return the app.

    :param reader: reads the state folder; ``None`` reads the configured one.
    :param clock: the present moment.
    :param stopped: returns why a stop switch stops runs, or ``None``.
    :param receiver: returns what decides on webhooks, or ``None`` where they are off.
    """
    app = FastAPI(
        title="Voice agents",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_dag("GET"))],
    )
    boards = Boards(reader or StateReader(), clock)
    template = _templates().get_template("page.html")

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.get("/")
    def page(request: Request, user: BaseUser = Depends(get_user)) -> HTMLResponse:  # noqa: B008
        readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
        airflow = str(request.scope.get("root_path", "")).removesuffix(PREFIX)
        board = boards.board(readable)
        view = View(board, Query.parse(request.query_params), clock(), airflow)
        return HTMLResponse(
            template.render(view=view, freeze=freeze_text(board, clock()), stops=_stops(board, stopped))
        )

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404, "Not found")
        return Response((HERE / "static" / name).read_bytes(), media_type=STATIC[name])

    if (webhooks := receiver()) is not None:
        app.mount(PATH, create_receiver_app(webhooks))
    return app


def freeze_text(board: Board, at: datetime) -> tuple[bool, str]:
    """Return whether a freeze is on, and in words until when, or when the next one begins.

    :param board: the board, with the freeze windows of the runs.
    :param at: the present moment.
    """
    try:
        known = windows(list(board.freeze))
        on = active(known, at)
        following = [each for window in known if (each := window.following(at)) is not None]
    except InputError:
        return True, "a freeze window cannot be read"
    if on is not None:
        why = f" ({on.window.reason})" if on.window.reason else ""
        return True, f"on until {on.until:%d %b %H:%M} UTC{why}"
    if not following:
        return False, "none"
    first = min(following, key=lambda each: each.since)
    return False, f"none · next {first.since:%d %b %H:%M} – {first.until:%d %b %H:%M} UTC"


def _stops(board: Board, stopped: Callable[[str], str | None]) -> list[tuple[str, str]]:
    """Return each stop switch with its position."""
    found = []
    for name in board.stop_variables:
        try:
            found.append((name, "off" if stopped(name) is None else "on"))
        except Exception:  # noqa: BLE001  a secrets backend that fails hides one word of the page, and no more
            found.append((name, "cannot be read"))
    return found


def _shown(value: Any) -> Any:
    """Return what a template prints: characters that are not seen or turn a text around are spelled out."""
    return value if isinstance(value, Markup) else visible(str(value))


def _breakable(text: str) -> Markup:
    """Return a name that a narrow column breaks after its dots, slashes and underscores."""
    return Markup("<wbr>").join(re.split(r"(?<=[./_])", visible(text)))


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=ChainableUndefined,  # a record of another release may lack a field
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"State": State, "SORTS": SORTS, "GROUPED": GROUPED, "PER_PAGE": PER_PAGE}
    environment.globals |= {"SYSTEMS": SYSTEMS, "OTHER": OTHER, "DESTINATIONS_SHOWN": DESTINATIONS_SHOWN}
    environment.globals["breakable"] = _breakable
    return environment
