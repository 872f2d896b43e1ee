"""The answers on the page of the command line are those that the commands give."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "docs" / "command_line.py"


def test_the_page_shows_what_the_commands_answer(tmp_path: Path) -> None:
    """In a process of its own, because it sets up an Airflow of its own."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    spec = importlib.util.spec_from_file_location("command_line", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.PAGE.read_text()
    printed = done.stdout[done.stdout.index("```console") :].removesuffix("\n")

    assert script.with_section(text, printed) == text, "run docs/command_line.py --write"
