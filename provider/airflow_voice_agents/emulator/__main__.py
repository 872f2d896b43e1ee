"""Entry point of ``python -m airflow_voice_agents.emulator``."""

from __future__ import annotations

import sys

from airflow_voice_agents.emulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
