from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

NUMBERS = "/api/relay/rest/phone_numbers"
ADDRESS = "c7d1e3f4-1b2c-4d3e-8f4a-5b6c7d8e9f00"
WITHOUT = "+12065550191"
WITH = "+12065550190"

Path = Callable[[str], str]


def assign(carrier: httpx.Client, path: str, address: Any = ADDRESS) -> httpx.Response:
    return carrier.post(f"{path}/e911_address", json={"e911_address_id": address})


def statuses(carrier: httpx.Client, path: str, reads: int = 4) -> list[str]:
    return [carrier.get(path).json()["e911_status"] for _ in range(reads)]


@pytest.mark.parametrize("outcome", ["active", "failed"])
def test_a_registration_ends_after_some_reads(
    server: EmulatorServer, carrier: httpx.Client, path_of: Path, outcome: Any
) -> None:
    server.switches.signalwire_e911 = outcome

    asked = assign(carrier, path_of(WITHOUT))

    assert (asked.status_code, asked.json()["e911_status"]) == (200, "pending")
    assert asked.json()["e911_address_id"] == ADDRESS
    assert statuses(carrier, path_of(WITHOUT)) == ["pending", "pending", outcome, outcome]


def test_the_number_of_reads_is_a_switch_and_pending_may_never_end(
    server: EmulatorServer, carrier: httpx.Client, path_of: Path
) -> None:
    server.switches.signalwire_e911_reads = 0
    assign(carrier, path_of(WITHOUT))
    assert statuses(carrier, path_of(WITHOUT), 1) == ["active"]

    server.switches.signalwire_e911 = "pending"
    assign(carrier, path_of(WITHOUT))
    assert statuses(carrier, path_of(WITHOUT)) == ["pending"] * 4


def test_the_list_is_a_read_as_well(carrier: httpx.Client, path_of: Path) -> None:
    assign(carrier, path_of(WITHOUT))

    def listed() -> str:
        page = carrier.get(NUMBERS, params={"filter_number": WITHOUT}).json()
        return str(page["data"][0]["e911_status"])

    assert [listed() for _ in range(3)] == ["pending", "pending", "active"]


def test_a_removal_answers_with_the_number_and_ends_later(carrier: httpx.Client, path_of: Path) -> None:
    asked = carrier.delete(f"{path_of(WITH)}/e911_address")

    assert (asked.status_code, asked.json()["e911_status"]) == (200, "pending_removal")
    assert asked.json()["e911_address_id"] is not None
    assert statuses(carrier, path_of(WITH), 3) == ["pending_removal", "pending_removal", "unregistered"]
    assert carrier.get(path_of(WITH)).json()["e911_address_id"] is None


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (None, "missing_required_parameter"),
        ("x", "invalid_parameter"),
        (7, "invalid_parameter"),
        ("00000000-0000-4000-8000-000000000000", "invalid_parameter"),
    ],
)
def test_addresses_are_those_of_the_project(
    carrier: httpx.Client, path_of: Path, address: Any, code: str
) -> None:
    response = assign(carrier, path_of(WITHOUT), address)

    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, code)


def test_without_an_address_there_is_nothing_to_remove(carrier: httpx.Client, path_of: Path) -> None:
    assert carrier.delete(f"{path_of(WITHOUT)}/e911_address").status_code == 422
    assert carrier.get(path_of(WITHOUT)).json()["e911_status"] is None


def test_the_young_field_may_be_absent(server: EmulatorServer, carrier: httpx.Client, path_of: Path) -> None:
    server.switches.signalwire_e911_status = "absent"

    assert "e911_status" not in carrier.get(path_of(WITH)).json()
    assert not any("e911_status" in record for record in carrier.get(NUMBERS).json()["data"])


def test_counting_reads_is_no_change_and_the_end_is_one(
    server: EmulatorServer, carrier: httpx.Client, path_of: Path
) -> None:
    assign(carrier, path_of(WITHOUT))

    statuses(carrier, path_of(WITHOUT))

    assert [entry.changed for entry in server.journal.entries()] == [True, False, False, True, False]
