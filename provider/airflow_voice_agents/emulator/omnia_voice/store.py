"""State of the Omnia Voice room: workspaces with their agents and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.omnia_voice.errors import refused
from airflow_voice_agents.emulator.omnia_voice.seed import read_number, read_section
from airflow_voice_agents.emulator.request import EmulatorRequest, Record
from airflow_voice_agents.emulator.state import State


class OmniaVoiceStore:
    """Keys and workspaces.

    Records are replaced, never changed in place. Tests use :meth:`number`, :meth:`edit_number`,
    :meth:`add_number` and :meth:`remove_number` from their own thread, as a colleague uses the dashboard.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.keys: dict[str, Record] = {}
        self.workspaces: dict[str, Record] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def load(self, section: Mapping[str, Any]) -> None:
        """Replace everything by a seed's section.

        :raises SeedError: where the section cannot be used.
        """
        self.keys, self.workspaces = read_section(section)
        self._ids = {
            (name, record["phoneNumber"]): number_id
            for name, workspace in self.workspaces.items()
            for number_id, record in workspace["numbers"].items()
        }

    def dump(self) -> Record:
        """The section in the seed's format, sharing its records."""
        return {"keys": self.keys, "workspaces": self.workspaces}

    @property
    def switches(self) -> Behaviors:
        """The live switches."""
        return self.state.switches

    # --- what handlers use

    def workspace(self, exchange: EmulatorRequest) -> Record:
        """The workspace of the caller; the room made sure that there is one."""
        return self.workspaces[exchange.caller["workspace"]]

    def require(self, exchange: EmulatorRequest) -> Record:
        """The record of the number that a request addresses.

        :raises Problem: 404 for an id that the workspace does not have.
        """
        record: Record | None = self.workspace(exchange)["numbers"].get(exchange.params["id"])
        if record is None:
            raise refused(404, "NOT_FOUND", "Phone number not found")
        return record

    def find_id(self, workspace: str, number: str) -> str | None:
        """Id of a number in a workspace."""
        return self._ids.get((workspace, number))

    def put(self, workspace: str, number_id: str, record: Record) -> None:
        """Add a number or replace its record."""
        self.workspaces[workspace]["numbers"][number_id] = record
        self._ids[workspace, record["phoneNumber"]] = number_id
        self.state.touch()

    def create(self, workspace: str, number: str, **fields: Any) -> str:
        """Add a number and return its id."""
        number_id = f"num_{self.state.clock.next_number():08x}"
        given = {"phoneNumber": number, "createdAt": self.state.clock.now(), **fields}
        record = read_number("number", given, self.workspaces[workspace]["agents"])
        self.put(workspace, number_id, record)
        return number_id

    def drop(self, workspace: str, number_id: str) -> None:
        """Take a number from a workspace."""
        record = self.workspaces[workspace]["numbers"].pop(number_id)
        del self._ids[workspace, record["phoneNumber"]]
        self.state.touch()

    # --- what tests use

    def number(self, number: str, workspace: str | None = None) -> Record:
        """The record of a number, with its ``id``.

        :param number: E.164.
        :param workspace: whose; without it, the first one that has the number.
        :raises KeyError: for an unknown key.
        """
        with self.state.lock:
            owner, number_id = self._place(number, workspace)
            return {"id": number_id, **self.workspaces[owner]["numbers"][number_id]}

    def edit_number(self, number: str, workspace: str | None = None, **fields: Any) -> None:
        """Set fields of a number, by the names of the API, unchecked.

        :raises KeyError: for an unknown key.
        """
        with self.state.lock:
            owner, number_id = self._place(number, workspace)
            self.put(owner, number_id, self.workspaces[owner]["numbers"][number_id] | fields)

    def add_number(self, workspace: str, number: str, **fields: Any) -> str:
        """Import a number, as the dashboard does, and return its id.

        :raises SeedError: for a field or an agent that there is not.
        """
        with self.state.lock:
            return self.create(workspace, number, **fields)

    def remove_number(self, number: str, workspace: str | None = None) -> None:
        """Take a number out of its workspace.

        :raises KeyError: for an unknown key.
        """
        with self.state.lock:
            self.drop(*self._place(number, workspace))

    def _place(self, number: str, workspace: str | None) -> tuple[str, str]:
        for name in self.workspaces if workspace is None else (workspace,):
            if (name, number) in self._ids:
                return name, self._ids[name, number]
        raise KeyError(number)
