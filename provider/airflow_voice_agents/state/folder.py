"""Resolves the state folder and its subfolders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from airflow_voice_agents.transport.errors import InputError

Room = Literal["snapshots", "holds", "locks", "baselines", "plans"]

SECTION, OPTION = "voice_agents", "state_folder"
"""Section and option of Airflow's configuration that name the folder."""


def state_folder(explicit: str | None, room: Room) -> str:
    """Return the URL of a room: below what is given, else what is configured, else the Airflow home.

    Airflow's object storage may reach the folder through a connection, named as ``s3://conn_id@bucket/path``.
    Workers on several machines need a folder that all of them see; the Airflow home is none.

    :param explicit: URL of the folder around the rooms; ``None`` or empty takes the configured one.
    :param room: which room.
    :raises InputError: for what is neither a URL nor an absolute path.
    """
    from airflow.sdk import conf

    if explicit:
        return f"{_base(explicit, 'the state folder')}/{room}"
    if configured := conf.get(SECTION, OPTION, fallback=""):
        return f"{_base(configured, f'[{SECTION}] {OPTION} of the Airflow configuration')}/{room}"
    home = Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME") or "~/airflow")).expanduser()
    return f"file://{home.absolute().as_posix()}/voice-agents/{room}"


def _base(value: str, name: str) -> str:
    if not isinstance(value, str) or not ("://" in value or value.startswith("/")):
        raise InputError(
            f"{name} must be a URL or an absolute path, such as s3://aws_default@my-bucket/voice-agents"
        )
    return value.rstrip("/")
