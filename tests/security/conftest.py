"""A local server per test, and the fixtures of the real Airflow home."""

from __future__ import annotations

from support.fixtures import fernet_key, polyai, running_server, server

__all__ = ["fernet_key", "polyai", "running_server", "server"]
