"""Take the pictures of the documentation, in both themes, from records and a local server that never change.

Needs Chromium on the path (``apt-get install chromium``) and the development environment:

    python docs/screenshots.py              # the status page
    python docs/screenshots.py --airflow    # also what Airflow shows: approval, plan in the log, connection form

The status page is served on this machine alone and without Airflow: nobody is asked for rights here. ``--airflow``
starts a whole Airflow with the local server, as ``make demo-ui`` does, and takes two minutes or so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
IMAGES = HERE / "images"
sys.path[:0] = [str(HERE), str(HERE.parent / "tests"), str(HERE.parent / "demo")]

if TYPE_CHECKING:
    from support.chromium import Page

THEMES = ("light", "dark")
VIEWS = {
    "status-page": ("", 1280, 900),
    "status-page-panel": ("?project=harbour-hotels", 1280, 830),
    "status-page-filter": ("?state=ready+to+promote&group=none", 1280, 640),
    "status-page-numbers": ("?group=system&system=signalwire&project=harbour.signalwire.com", 1280, 640),
}
NARROW = ("status-page-narrow", "?project=harbour-hotels", 480, 900)
LARGEST = 200_000
"""Bytes that a picture may have."""
DAG_ID, TASK_ID, RUN_ID = "promote_with_approval", "promotion.approval", "nightly-2026-11-27"
START_LIMIT = 600.0
"""Seconds that Airflow may take to start, and a run to come to its question."""
SETTLE = 1.5
"""Seconds that Airflow's own pages get to draw what they have loaded."""


def main() -> int:
    """Take every picture, and return how many are too large."""
    from PIL import Image

    from support.chromium import browser

    parser = argparse.ArgumentParser(description="Take the pictures of the documentation.")
    parser.add_argument("--airflow", action="store_true", help="also start Airflow, and take its pages")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="take this picture alone; may be repeated"
    )
    options = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        os.environ.setdefault("AIRFLOW_HOME", f"{folder}/airflow")
        addresses = serve(Path(folder) / "state"), serve(Path(folder) / "no", empty=True)
        taken = list(status_page(chromium, *addresses, only=options.only))
        if options.airflow:
            with airflow() as (address, run_id):
                taken += airflow_pages(chromium, address, run_id, only=options.only)
    for path in taken:
        if path.stat().st_size > LARGEST:
            Image.open(path).quantize(256).save(path, optimize=True)
        print(f"{path.relative_to(IMAGES.parent)}: {path.stat().st_size:,} bytes")
    return sum(path.stat().st_size > LARGEST for path in taken)


def status_page(chromium: Page, address: str, empty: str, *, only: list[str] | None) -> Iterator[Path]:
    """Take the pictures of the status page.

    :param chromium: the browser.
    :param address: address of the page with records.
    :param empty: address of the page without any.
    :param only: names of the pictures to take; ``None`` takes all.
    """
    name, query, *size = NARROW
    views = [(name, f"{address}/{query}", *size) for name, (query, *size) in VIEWS.items()]
    views += [(name, f"{address}/{query}", *size), ("status-page-empty", f"{empty}/", 1280, 300)]
    for name, url, width, height in views:
        for theme in THEMES if _is_wanted(name, only) else ():
            chromium.show(url, theme=theme, size=(width, height))
            yield chromium.picture(IMAGES / f"{name}-{theme}.png")


def airflow_pages(chromium: Page, address: str, run_id: str, *, only: list[str] | None) -> Iterator[Path]:
    """Take the pictures of what Airflow shows.

    :param chromium: the browser.
    :param address: Airflow's address.
    :param run_id: a run that waits for an approval.
    :param only: names of the pictures to take; ``None`` takes all.
    """
    run = f"{address}/dags/{DAG_ID}/runs/{run_id}/tasks"
    text = "document.body.innerText"
    views = {
        "approval": (f"{run}/{TASK_ID}/required_actions", f"{text}.includes('Digest')", 1280, 1560),
        "plan-in-the-log": (f"{run}/promotion.plan", f"{text}.includes('Plan: promote')", 1280, 1000),
        "connection-form": (f"{address}/connections", _OPEN_FORM, 1280, 860),
        "voice-agents-in-airflow": (f"{address}/plugin/voice-agents", _FRAME, 1440, 800),
    }
    for name, (url, ready, width, height) in views.items():
        for theme in THEMES if _is_wanted(name, only) else ():
            chromium.show(address, theme=theme, size=(width, height))
            chromium.evaluate(f"localStorage.setItem('theme', '{theme}')")
            chromium.show(url, theme=theme, size=(width, height))
            chromium.wait_for(ready)
            if name == "connection-form":
                choose_polyai(chromium)
            time.sleep(SETTLE)
            yield chromium.picture(IMAGES / f"{name}-{theme}.png")


def _is_wanted(name: str, only: list[str] | None) -> bool:
    return not only or name in only


def choose_polyai(chromium: Page) -> None:
    """Choose the type of the connection in the form.

    :param chromium: the browser, with the form.
    """
    chromium.evaluate("document.querySelector('[role=dialog] input[role=combobox]').focus()")
    chromium.command("Input.insertText", text="polyai")
    time.sleep(SETTLE)
    chromium.press("Enter", 13)
    chromium.wait_for(_FILLED_FORM)


_FRAME = "document.querySelector('iframe')?.contentDocument?.querySelector('h1')"
_OPEN_FORM = """(() => {
  const named = (words) => [...document.querySelectorAll('button')].find((each) => each.innerText.trim() === words);
  if (!document.querySelector('[role=dialog]')) named('Add Connection')?.click();
  return document.querySelector('[role=dialog] input[role=combobox]');
})()"""
_FILLED_FORM = "document.querySelector('[role=dialog]').innerText.includes('API key')"


@contextmanager
def airflow() -> Iterator[tuple[str, str]]:
    """Start Airflow and the local server, and yield its address and a run that waits for an approval."""
    import processes
    from processes import Emulator, Home, Standalone, request

    processes.START_LIMIT = START_LIMIT
    home = Home()
    try:
        emulator = Emulator(home)
        home.connect(emulator.url)
        shutil.copy(HERE.parent / "example_dags" / f"{DAG_ID}.py", home.path / "dags")
        started = Standalone(home, 0)
        started.wait_until_up(DAG_ID)

        def ask(path: str, method: str = "GET", **body: Any) -> dict[str, Any]:
            token = str(request(f"{started.url}/auth/token")["access_token"])
            return dict(request(f"{started.url}/api/v2/dags/{DAG_ID}{path}", method, token, body or None))

        wait_for(lambda: ask("", "PATCH", is_paused=False)["is_paused"] is False)
        wait_for(lambda: _is_there(lambda: ask("/dagRuns", "POST", logical_date=None, dag_run_id=RUN_ID)))
        wait_for(lambda: _waits(ask(f"/dagRuns/{RUN_ID}/taskInstances/{TASK_ID}")))
        yield started.url, RUN_ID
    finally:
        home.end(keep=False)


def _is_there(make: Callable[[], Any]) -> bool:
    """Make something, unless an earlier try whose answer was lost has made it."""
    try:
        make()
    except urllib.error.HTTPError as refusal:
        if refusal.code != 409:
            raise
    return True


def _waits(task: dict[str, Any]) -> bool:
    if task["state"] in ("failed", "success", "upstream_failed"):
        raise SystemExit(f"{TASK_ID} is {task['state']}, and was to wait for a person")
    return task["state"] in ("deferred", "awaiting_input")


def wait_for(ready: Callable[[], bool], limit: float = START_LIMIT) -> None:
    """Wait until something is ready.

    :param ready: asks.
    :param limit: seconds.
    """
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with suppress(OSError):  # a busy machine takes longer than one request may
            if ready():
                return
        time.sleep(1)
    raise SystemExit("Airflow took too long")


def serve(state: Path, *, empty: bool = False) -> str:
    """Serve the page from the demo's state folder and return its address.

    :param state: where the state folder is written.
    :param empty: whether nothing is on record.
    """
    import socket

    import uvicorn

    app = page(state, empty=empty)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def page(state: Path, *, more: int = 20, empty: bool = False) -> Any:
    """Return the page as an app, without Airflow's users.

    :param state: where the state folder is written.
    :param more: number of further projects in sync.
    :param empty: whether nothing is on record.
    """
    import demo_state
    from airflow.api_fastapi.core_api import security

    from airflow_voice_agents.ui import app as ui
    from airflow_voice_agents.ui.records import StateReader

    class Everybody:
        def get_authorized_dag_ids(self, **_: Any) -> set[str]:
            return set(demo_state.DAGS)

        def is_authorized_dag(self, **_: Any) -> bool:
            return True

    for module in (security, ui):
        module.get_auth_manager = Everybody  # type: ignore[attr-defined]
    if not empty:
        demo_state.write(state, more=more)
    app = ui.create_app(StateReader(f"file://{state}"), clock=lambda: demo_state.NOW, stopped=lambda _: None)
    app.dependency_overrides[security.get_user] = lambda: None
    return app


if __name__ == "__main__":
    sys.exit(main())
