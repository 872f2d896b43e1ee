"""Policies of a production run: params as in the demo, and retries after seconds."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from demo_settings import dag_policy  # a copy of demo/local_settings.py, laid beside this file

__all__ = ["dag_policy", "task_policy"]


def task_policy(task: Any) -> None:
    """Let the retries of a task come soon."""
    if task.retry_delay > timedelta(seconds=10):
        task.retry_delay = timedelta(seconds=float(os.environ["PRODUCTION_RETRY_SECONDS"]))
