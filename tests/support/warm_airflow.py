"""Runs Airflow's command line with all loaded that the forks of a service need; each would import it by itself."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from airflow.__main__ import main

    import airflow_voice_agents.polyai
    from support import airflow_versions

    loaded = [airflow_versions.task_runner]
    for module in pkgutil.walk_packages(airflow_voice_agents.polyai.__path__, "airflow_voice_agents.polyai."):
        loaded.append(importlib.import_module(module.name))
    main()
