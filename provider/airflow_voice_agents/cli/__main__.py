"""``airflow voice-agents`` as ``python -m airflow_voice_agents.cli``, for Airflow before 3.2."""

from __future__ import annotations

import sys

from airflow_voice_agents.airflow_compat import run_airflow
from airflow_voice_agents.cli.definition import get_voice_agents_cli_commands

if __name__ == "__main__":
    run_airflow(get_voice_agents_cli_commands(), ["voice-agents", *sys.argv[1:]])
