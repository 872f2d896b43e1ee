"""State of the SignalWire room: projects with their numbers, and the numbers that can be bought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.request import EmulatorRequest, Record
from airflow_voice_agents.emulator.signalwire.errors import plain
from airflow_voice_agents.emulator.signalwire.fields import shown, with_resources
from airflow_voice_agents.emulator.signalwire.seed import read_number, read_section
from airflow_voice_agents.emulator.state import Clock, SeedError, State


class SignalWireStore:
    """Projects and available numbers.

    Records are replaced, never changed in place. Tests use :meth:`number`, :meth:`edit_number`,
    :meth:`add_number`, :meth:`remove_number` and :meth:`withdraw` from their own thread, as a colleague
    uses the vendor's dashboard.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.projects: dict[str, Record] = {}
        self.available: dict[str, Record] = {}
        self._project_of: dict[str, str] = {}
        self._number_of_id: dict[str, str] = {}

    def load(self, section: Mapping[str, Any]) -> None:
        """Replace everything by a seed's section.

        :raises SeedError: where the section cannot be used.
        """
        self.projects, self.available = read_section(section)
        self._project_of, self._number_of_id = {}, {}
        for project_id, project in self.projects.items():
            for number, record in project["numbers"].items():
                if number in self._project_of or record["id"] in self._number_of_id:
                    raise SeedError(f"signalwire.projects.{project_id}.numbers: {number} or its id is taken")
                self._index(project_id, record)

    def dump(self) -> Record:
        """The section in the seed's format, sharing its records."""
        return {"projects": self.projects, "available": self.available}

    @property
    def switches(self) -> Behaviors:
        """The live switches."""
        return self.state.switches

    @property
    def clock(self) -> Clock:
        """The logical clock."""
        return self.state.clock

    # --- what handlers use

    def project(self, exchange: EmulatorRequest) -> Record:
        """The project of the caller; the room made sure that there is one."""
        return self.projects[exchange.agent or ""]

    def require(self, exchange: EmulatorRequest) -> Record:
        """The record that a request addresses.

        :raises Problem: 404 for an id that the caller's project does not have.
        """
        number = self._number_of_id.get(exchange.params["id"].lower(), "")
        record: Record | None = self.project(exchange)["numbers"].get(number)
        if record is None:
            raise plain(404)
        return record

    def newest_first(self, exchange: EmulatorRequest) -> list[Record]:
        """All numbers of the caller's project; of those created at one time, the last comes first."""
        records = sorted(self.project(exchange)["numbers"].values(), key=lambda each: str(each["created_at"]))
        return records[::-1]

    def show(self, record: Record) -> Record:
        """A record as answers show it."""
        return shown(record, e911_status=self.switches.signalwire_e911_status == "shown")

    def is_taken(self, number: str) -> bool:
        """Whether any project has a number."""
        return number in self._project_of

    def put(self, project_id: str, record: Record) -> Record:
        """Add a record or replace it, stamped and with the ids that the server derives."""
        stamped = with_resources(record) | {"updated_at": self.state.touch()}
        self.keep(project_id, stamped)
        self._index(project_id, stamped)
        return stamped

    def keep(self, project_id: str, record: Record) -> None:
        """Replace a record without counting it as a change."""
        self.projects[project_id]["numbers"][record["number"]] = record

    def drop(self, record: Record) -> None:
        """Take a number from its project."""
        del self.projects[self._project_of.pop(record["number"])]["numbers"][record["number"]]
        del self._number_of_id[record["id"]]
        self.state.touch()

    # --- what tests use

    def number(self, number: str) -> Record:
        """The record of a number, whichever project has it.

        :param number: E.164.
        :raises KeyError: where no project has it.
        """
        with self.state.lock:
            record: Record = dict(self.projects[self._project_of[number]]["numbers"][number])
        return record

    def edit_number(self, number: str, **fields: Any) -> Record:
        """Set fields of a number, unchecked, and stamp it.

        :raises KeyError: where no project has it.
        """
        with self.state.lock:
            return dict(self.put(self._project_of[number], self.number(number) | fields))

    def add_number(self, project_id: str, number: str, **fields: Any) -> Record:
        """Give a project a number that it did not buy here, such as one that was ported.

        :raises SeedError: for a field that a record does not have.
        """
        with self.state.lock:
            given = {"created_at": self.clock.now(), "id": self.clock.new_uuid(), **fields}
            return dict(self.put(project_id, read_number("add_number", number, given)))

    def remove_number(self, number: str) -> None:
        """Take a number from its project.

        :raises KeyError: where no project has it.
        """
        with self.state.lock:
            self.drop(self.number(number))

    def withdraw(self, number: str) -> None:
        """Let somebody else buy an available number.

        :raises KeyError: where it is not available.
        """
        with self.state.lock:
            del self.available[number]
            self.state.touch()

    def _index(self, project_id: str, record: Record) -> None:
        self._project_of[record["number"]] = project_id
        self._number_of_id[record["id"]] = record["number"]
