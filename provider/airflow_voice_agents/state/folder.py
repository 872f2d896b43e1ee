"""Resolves the state folder and its subfolders."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from airflow_voice_agents.transport.errors import InputError

Room = Literal["snapshots", "holds", "locks", "baselines", "tasks", "status", "plans", "webhooks"]

SECTION, OPTION = "voice_agents", "state_folder"
"""Section and option of Airflow's configuration that name the folder."""

LOCAL_EXECUTORS = frozenset(
    {
        "LocalExecutor",
        "SequentialExecutor",
        "airflow.executors.local_executor.LocalExecutor",
        "airflow.executors.sequential_executor.SequentialExecutor",
    }
)
"""Executors that run every task on the scheduler's machine."""


def state_folder(explicit: str | None, room: Room) -> str:
    """Return the URL of a room: below what is given, else what is configured, else the Airflow home.

    Airflow's object storage may reach the folder through a connection, named as ``s3://conn_id@bucket/path``.
    Workers on several machines need a folder that all of them see; the Airflow home is none.

    :param explicit: URL of the folder around the rooms; ``None`` or empty takes the configured one.
    :param room: which room.
    :raises InputError: for what is neither a URL nor an absolute path.
    """
    return f"{base_folder(explicit)}/{room}"


def base_folder(explicit: str | None) -> str:
    """Return the URL of the folder around the rooms.

    :param explicit: URL of the folder; ``None`` or empty takes the configured one, else one in the Airflow home.
    :raises InputError: for what is neither a URL nor an absolute path.
    """
    from airflow_voice_agents.airflow_compat import conf

    if explicit:
        return _base(explicit, "the state folder")
    if configured := conf.get(SECTION, OPTION, fallback=""):
        return _base(configured, f"[{SECTION}] {OPTION} of the Airflow configuration")
    home = Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME") or "~/airflow")).expanduser()
    return f"file://{home.absolute().as_posix()}/voice-agents"


def is_configured(explicit: str | None) -> bool:
    """Return whether somebody named a state folder.

    :param explicit: the argument of the task.
    """
    from airflow_voice_agents.airflow_compat import conf

    return bool(explicit or conf.get(SECTION, OPTION, fallback=""))


def allows_local_state() -> bool:
    """Return whether ``[voice_agents] allow_local_state`` is set."""
    from airflow_voice_agents.airflow_compat import conf

    return bool(conf.getboolean(SECTION, "allow_local_state", fallback=False))


def remote_executors(own: str | None) -> list[str]:
    """Return the executors that may run tasks on other machines; one that is not known counts as such.

    :param own: executor of the task, or ``None``.
    """
    from airflow_voice_agents.airflow_compat import conf

    listed = re.split(r"[,;]", f"{conf.get('core', 'executor', fallback='')},{own or ''}")
    named = [each.rpartition("=")[2].partition(":")[0].strip() for each in listed]  # team=class:alias
    found = [each for each in named if each and each not in LOCAL_EXECUTORS]
    if os.environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD"):  # whose configuration says LocalExecutor
        found.append("KubernetesExecutor")
    return list(dict.fromkeys(found))


def _base(value: str, name: str) -> str:
    if not isinstance(value, str) or not ("://" in value or value.startswith("/")):
        raise InputError(
            f"{name} must be a URL or an absolute path, such as s3://aws_default@my-bucket/voice-agents"
        )
    return value.rstrip("/")
