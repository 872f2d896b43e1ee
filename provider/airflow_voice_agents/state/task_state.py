"""The task state store: Airflow's own, or files in the state folder where Airflow has none (before 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_voice_agents.airflow_compat import task_state as airflow_task_state
from airflow_voice_agents.state.files import StateFiles, file_name, from_bytes, to_bytes
from airflow_voice_agents.state.folder import state_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.engine.run_context import TaskState


def task_state(context: Context) -> TaskState:
    """Return the values that the running task instance remembers across its tries.

    :param context: the task's context. Values outlive a cleared task: delete a key once its work is done.
    """
    return airflow_task_state(context) or FileTaskState.of(context)


class FileTaskState:
    """Values of one task instance, one file per key; they outlive its tries, as Airflow's own do.

    :param files: the files of all tasks.
    :param owner: DAG, run, task and map index.
    """

    def __init__(self, files: StateFiles, owner: tuple[Any, ...]) -> None:
        self._files = files
        self._owner = owner

    @classmethod
    def of(cls, context: Context) -> FileTaskState:
        """Return the store of the running task instance, in its operator's state folder or the configured one.

        :param context: the task's context.
        """
        ti = context["ti"]
        folder = getattr(context["task"], "state_folder", None) or None
        map_index = -1 if ti.map_index is None else ti.map_index
        return cls(StateFiles(state_folder(folder, "tasks")), (ti.dag_id, ti.run_id, ti.task_id, map_index))

    def get(self, key: str) -> Any:
        """Return the stored JSON value, or ``None``; a file that is not readable JSON counts as none."""
        content = self._files.read(self._name(key))
        if content is None:
            return None
        try:
            return from_bytes(content)["value"]
        except (ValueError, KeyError, TypeError):
            return None

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value other than ``None``."""
        owner = dict(zip(("dag_id", "run_id", "task_id", "map_index"), self._owner, strict=True))
        self._files.write(self._name(key), to_bytes({**owner, "key": key, "value": value}))

    def delete(self, key: str) -> None:
        """Forget the key; a missing key is not an error."""
        self._files.remove(self._name(key))

    def _name(self, key: str) -> str:
        return file_name("/".join(str(part) for part in (*self._owner, key)))
