"""Builds the wheel and imports every module of it in a clean environment, without this checkout."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT_ALL = """
import importlib, importlib.metadata, pkgutil, sys
import airflow_voice_agents as ours
assert sys.prefix in ours.__file__, ours.__file__
names = [each.name for each in pkgutil.walk_packages(ours.__path__, ours.__name__ + ".")]
kept = [name for name in names if ".emulator" not in name]
for name in kept:
    importlib.import_module(name)
entries = importlib.metadata.entry_points(group="apache_airflow_provider")
(entry,) = [each for each in entries if each.value.startswith("airflow_voice_agents.")]
assert entry.load()()["versions"] == [importlib.metadata.version("airflow-provider-voice-agents")]
print(len(kept), "modules imported")
"""
"""The emulator needs packages of its extra, which a plain install does not bring."""


def main() -> None:
    """Build, install and import."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
            str(ROOT),
        )
        (wheel,) = here.glob("*.whl")
        run(sys.executable, "-m", "venv", str(here / "venv"))
        python = str(here / "venv" / "bin" / "python")
        run(python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel))
        run(python, "-W", "ignore", "-c", IMPORT_ALL, home=str(here / "home"))


def run(*command: str, home: str = "") -> None:
    """Run a command outside the checkout."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": home or str(Path.home()), "AIRFLOW_HOME": home}
    subprocess.run(command, cwd=tempfile.gettempdir(), check=True, env=environment if home else None)


if __name__ == "__main__":
    main()
