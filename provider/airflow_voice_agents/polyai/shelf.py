"""Exported files, read from Airflow's object storage."""

from __future__ import annotations

from functools import lru_cache

from airflow_voice_agents.edge.shelf import read
from airflow_voice_agents.polyai.files import Shelf, shelf_of

REMEMBERED = 64
"""Most environments of which the files are not read again when they are asked for again."""


def shelf() -> Shelf:
    """Return what reads the files of an export; several threads may use it.

    The same files are read once as long as few others come between, and are the same for as long. The one
    who asks gets ``InputError`` where there are none, or they are wrong.
    """
    return lru_cache(maxsize=REMEMBERED)(shelf_of(read))
