"""Fixtures of the tests of what outlives a run."""

from __future__ import annotations

from support.fixtures import fernet_key

__all__ = ["fernet_key"]
