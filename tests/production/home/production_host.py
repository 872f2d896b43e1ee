"""What a process is called: the folder of its Airflow home, as a machine of its own has a name of its own."""

from __future__ import annotations

import os
from pathlib import Path


def name() -> str:
    """Return the name."""
    return Path(os.environ["AIRFLOW_HOME"]).name
