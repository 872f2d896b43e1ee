from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

NUMBERS = "/v1/agents/harbour-hotels/telephony/phone-numbers"
KNOWN = "+441632960005"
OTHER_PROJECTS = "+441632960030"
FRESH = ["+441632960900", "+441632960901"]


def one(number: str) -> str:
    return f"{NUMBERS}/{number.replace('+', '%2B')}"


def batch_import(api: httpx.Client, numbers: list[str], **more: str) -> httpx.Response:
    return api.post(NUMBERS, json={"phoneNumbers": numbers, **more})


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


def test_import_goes_to_live_unless_told_otherwise(api: httpx.Client) -> None:
    assert batch_import(api, FRESH[:1]).status_code == 201
    assert batch_import(api, FRESH[1:], clientEnv="sandbox").json() == {"imported": FRESH[1:]}

    assert [api.get(one(number)).json()["clientEnv"] for number in FRESH] == ["live", "sandbox"]


def test_import_names_repeated_numbers_once_and_keeps_the_order(api: httpx.Client) -> None:
    imported = batch_import(api, [FRESH[1], FRESH[0], FRESH[1]]).json()["imported"]

    assert imported == [FRESH[1], FRESH[0]]


@pytest.mark.parametrize("mode", ["default", "none"])
def test_imported_number_gets_the_environments_first_connector_or_none(
    server: EmulatorServer, api: httpx.Client, mode: Any
) -> None:
    server.switches.import_connector = mode

    batch_import(api, FRESH, clientEnv="live")

    expected = "conn_hh_live_main" if mode == "default" else None
    assert [api.get(one(number)).json().get("connectorId") for number in FRESH] == [expected] * 2


@pytest.mark.parametrize("existing", [KNOWN, OTHER_PROJECTS])
def test_existing_number_rejects_the_batch(api: httpx.Client, existing: str) -> None:
    response = batch_import(api, [FRESH[0], existing])

    assert code(response) == (409, "PHONE_NUMBERS_ALREADY_EXISTS")
    assert api.get(one(FRESH[0])).status_code == 404


@pytest.mark.parametrize("existing", [KNOWN, OTHER_PROJECTS])
def test_existing_number_may_be_left_out_silently(
    server: EmulatorServer, api: httpx.Client, existing: str
) -> None:
    server.switches.import_existing = "partial"

    assert batch_import(api, [FRESH[0], existing]).json() == {"imported": FRESH[:1]}


@pytest.mark.parametrize(
    "bad", ["0044163", "+0441632960900", "+44 1632 960900", "", "+441632960900\n", "+٤٤١٦٣٢٩٦٠"]
)
def test_malformed_number_rejects_the_batch_or_is_left_out(
    server: EmulatorServer, api: httpx.Client, bad: str
) -> None:
    rejected = batch_import(api, [FRESH[0], bad])
    server.switches.import_invalid = "skip"

    assert code(rejected) == (400, "PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT")
    assert batch_import(api, [FRESH[0], bad]).json() == {"imported": FRESH[:1]}


@pytest.mark.parametrize("body", [{}, {"phoneNumbers": []}, {"phoneNumbers": FRESH, "clientEnv": "staging"}])
def test_malformed_import_is_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    assert api.post(NUMBERS, json=body).status_code == 400


def test_single_import_and_its_refusals(api: httpx.Client) -> None:
    assert api.post(one(FRESH[0]), json={"clientEnv": "sandbox"}).json() == {"imported": FRESH[0]}
    assert api.get(one(FRESH[0])).json()["clientEnv"] == "sandbox"
    assert code(api.post(one(KNOWN), json={})) == (409, "PHONE_NUMBERS_ALREADY_EXISTS")
    assert code(api.post(one("123"), json={})) == (400, "PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT")


def test_batch_get_does_not_find_numbers_of_other_projects(api: httpx.Client) -> None:
    body = {"phoneNumbers": [KNOWN, OTHER_PROJECTS, FRESH[0], KNOWN]}

    reply = api.post(f"{NUMBERS}/batch", json=body).json()

    assert [record["number"] for record in reply["found"]] == [KNOWN]
    assert reply["notFound"] == [OTHER_PROJECTS, FRESH[0]]


def test_batch_get_refuses_malformed_numbers(api: httpx.Client) -> None:
    response = api.post(f"{NUMBERS}/batch", json={"phoneNumbers": [KNOWN, "x"]})

    assert code(response) == (400, "PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT")


def test_number_is_assigned_to_a_connector_of_its_environment(api: httpx.Client) -> None:
    response = api.patch(one(KNOWN), json={"connectorId": "conn_hh_live_groups"})

    assert response.json()["connectorId"] == "conn_hh_live_groups"
    assert api.get(one(KNOWN)).json() == response.json()


@pytest.mark.parametrize(("mode", "environment"), [("follow", "sandbox"), ("keep", "live"), ("refuse", None)])
def test_number_given_a_connector_of_another_environment(
    server: EmulatorServer, api: httpx.Client, mode: Any, environment: str | None
) -> None:
    server.switches.reassign_environment = mode

    response = api.patch(one(KNOWN.replace("005", "006")), json={"connectorId": "conn_hh_sandbox"})

    assert response.json().get("clientEnv") == environment
    assert response.status_code == (400 if mode == "refuse" else 200)


@pytest.mark.parametrize("connector_id", ["nope", "conn_rr_live_main"])
def test_number_cannot_be_assigned_to_what_the_project_does_not_have(
    api: httpx.Client, connector_id: str
) -> None:
    response = api.patch(one(KNOWN), json={"connectorId": connector_id})

    assert code(response) == (404, "PHONE_NUMBERS_CONNECTOR_DOES_NOT_EXIST")


def test_bulk_delete_reports_each_number_on_its_own(api: httpx.Client) -> None:
    mixed = api.request("DELETE", NUMBERS, json={"phoneNumbers": [KNOWN, FRESH[0]]}).json()
    clean = api.request("DELETE", NUMBERS, json={"phoneNumbers": ["+441632960006"]}).json()

    assert mixed["deleted"] == [KNOWN]
    assert [item["phoneNumber"] for item in mixed["errors"]] == [FRESH[0]]
    assert clean == {"deleted": ["+441632960006"]}


def test_delete_removes_and_says_so_once(api: httpx.Client) -> None:
    assert api.delete(one(KNOWN)).json() == {"deleted": KNOWN}
    assert code(api.delete(one(KNOWN))) == (404, "PHONE_NUMBERS_NOT_FOUND")


def test_list_can_be_narrowed_to_a_connector(api: httpx.Client) -> None:
    all_numbers = api.get(NUMBERS).json()["phoneNumbers"]
    narrowed = api.get(NUMBERS, params={"connectorId": "conn_hh_sandbox"}).json()["phoneNumbers"]

    assert len(all_numbers) == 18
    assert narrowed == [record for record in all_numbers if record.get("connectorId") == "conn_hh_sandbox"]


def test_a_number_called_batch_is_addressed_by_the_methods_that_batch_lacks(api: httpx.Client) -> None:
    assert code(api.delete(f"{NUMBERS}/batch")) == (404, "PHONE_NUMBERS_NOT_FOUND")
    assert "error_code" in api.post(f"{NUMBERS}/batch", json={"clientEnv": "live"}).json()
