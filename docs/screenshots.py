"""Take the pictures of the status page for the documentation, in both themes, from a state folder that never changes.

Needs Chromium on the path (``apt-get install chromium``) and the extra ``emulator`` for its web server:

    python docs/screenshots.py

The page is served on this machine alone and without Airflow: nobody is asked for rights here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
VIEWS = {
    "status-page": ("", 1280, 800),
    "status-page-panel": ("?project=harbour-hotels", 1280, 720),
}
LARGEST = 200_000
"""Bytes that a picture may have."""


def main() -> int:
    """Take every picture, and return how many are too large."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit(
            "Chromium is not on the path. Install it (apt-get install chromium), then run this again."
        )
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIRFLOW_HOME", f"{folder}/airflow")
        address = serve(Path(folder) / "state")
        taken = [
            take(browser, f"{address}/{query}", IMAGES / f"{name}-{theme}.png", theme, (width, height))
            for name, (query, width, height) in VIEWS.items()
            for theme in ("light", "dark")
        ]
    for path in taken:
        print(f"{path.relative_to(IMAGES.parent)}: {path.stat().st_size:,} bytes")
    return sum(path.stat().st_size > LARGEST for path in taken)


def take(browser: str, url: str, path: Path, theme: str, size: tuple[int, int]) -> Path:
    """Take one picture.

    :param browser: Chromium's executable.
    :param url: what is shown.
    :param path: where the picture goes.
    :param theme: ``light`` or ``dark``.
    :param size: width and height of the window, in pixels.
    """
    dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if theme == "dark" else []
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}"),
            *("--virtual-time-budget=2000", f"--window-size={size[0]},{size[1]}", f"--screenshot={path}"),
            *dark,
            url,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path


def serve(state: Path) -> str:
    """Serve the page from the demo's state folder and return its address.

    :param state: where the state folder is written.
    """
    import socket

    import uvicorn

    app = page(state)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def page(state: Path, *, more: int = 20) -> Any:
    """Return the page as an app, without Airflow's users.

    :param state: where the state folder is written.
    :param more: number of further projects in sync.
    """
    sys.path.insert(0, str(Path(__file__).parent))
    import demo_state
    from airflow.api_fastapi.core_api import security

    from airflow_voice_agents.ui import app as ui
    from airflow_voice_agents.ui.records import StateReader

    class Everybody:
        def get_authorized_dag_ids(self, **_: Any) -> set[str]:
            return {"watch_for_drift", "promote_with_approval", "release_pipeline", "b_promote_25"}

        def is_authorized_dag(self, **_: Any) -> bool:
            return True

    for module in (security, ui):
        module.get_auth_manager = Everybody  # type: ignore[attr-defined]
    demo_state.write(state, more=more)
    app = ui.create_app(StateReader(f"file://{state}"), clock=lambda: demo_state.NOW, stopped=lambda _: None)
    app.dependency_overrides[security.get_user] = lambda: None
    return app


if __name__ == "__main__":
    sys.exit(main())
