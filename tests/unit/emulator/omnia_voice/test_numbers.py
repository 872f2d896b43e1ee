from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.omnia_voice.seed import PROMPT_MARK
from airflow_voice_agents.emulator.server import EmulatorServer

UNASSIGNED = "/numbers/num_7Qx:01"
RECEPTION = "/numbers/num_7Qx:03"
FRESH = "+441632960900"


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def assign(omnia: httpx.Client, number: Any, agent: Any = "agent_events", **more: Any) -> httpx.Response:
    return omnia.post("/numbers", json={"phoneNumber": number, "agentId": agent, **more})


def test_a_number_holds_its_agent_with_everything(omnia: httpx.Client) -> None:
    record = omnia.get(RECEPTION).json()

    assert set(record) == {"id", "phoneNumber", "friendlyName", "agentId", "status", "createdAt", "agent"}
    assert (record["id"], record["phoneNumber"]) == ("num_7Qx:03", "+441632960102")
    agent = record["agent"]
    assert (agent["id"], agent["name"], agent["workspaceId"]) == (record["agentId"], "Réception", "harbour")
    assert agent["standardConfig"]["systemPrompt"].startswith(PROMPT_MARK)
    assert len(agent["standardConfig"]["systemPrompt"]) > 2000


def test_the_agent_is_absent_where_there_is_none_or_on_demand(
    server: EmulatorServer, omnia: httpx.Client
) -> None:
    unassigned = omnia.get(UNASSIGNED).json()
    server.switches.omnia_agent_object = "absent"

    assert (unassigned["agentId"], "agent" in unassigned) == (None, False)
    assert "agent" not in omnia.get(RECEPTION).json()


def test_an_unknown_number_is_created(server: EmulatorServer, omnia: httpx.Client) -> None:
    created = assign(omnia, FRESH, friendlyName="New")

    assert created.status_code == 201
    assert (created.json()["agentId"], created.json()["friendlyName"]) == ("agent_events", "New")
    assert omnia.get(f"/numbers/{created.json()['id']}").json() == created.json()
    assert server.omnia_voice.number(FRESH)["status"] == "ACTIVE"


def test_an_unknown_number_may_have_to_be_imported_first(server: EmulatorServer, omnia: httpx.Client) -> None:
    server.switches.omnia_assign = "imported"

    assert refusal(assign(omnia, FRESH)) == (404, "RESOURCE_NOT_FOUND")
    number_id = server.omnia_voice.add_number("harbour", FRESH)
    taken = assign(omnia, FRESH)
    assert (taken.status_code, taken.json()["id"]) == (201, number_id)
    assert taken.json()["agentId"] == "agent_events"
    assert refusal(assign(omnia, FRESH)) == (409, "CONFLICT")


@pytest.mark.parametrize("number", ["+441632960100", "+441632960102"])
@pytest.mark.parametrize(
    ("mode", "expected"), [("conflict", (409, "CONFLICT")), ("bad_request", (400, "BAD_REQUEST"))]
)
def test_a_number_that_is_there_is_refused(
    server: EmulatorServer, omnia: httpx.Client, number: str, mode: Any, expected: tuple[int, str]
) -> None:
    server.switches.omnia_duplicate = mode
    before = server.state.read("omnia_voice")

    assert refusal(assign(omnia, number)) == expected
    assert server.state.read("omnia_voice") == before


def test_a_number_that_is_there_may_be_taken_over(server: EmulatorServer, omnia: httpx.Client) -> None:
    server.switches.omnia_duplicate = "upsert"
    before = omnia.get(RECEPTION).json()

    after = assign(omnia, before["phoneNumber"])

    assert (after.status_code, after.json()["id"]) == (201, before["id"])
    assert (after.json()["agentId"], after.json()["friendlyName"]) == ("agent_events", before["friendlyName"])


def test_two_workspaces_may_have_one_number(server: EmulatorServer, omnia: httpx.Client) -> None:
    assert assign(omnia, "+441632960035").status_code == 201
    assert server.omnia_voice.number("+441632960035", "northgate")["agentId"] == "agent_bank"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"phoneNumber": "0123", "agentId": "agent_events"}, (400, "INVALID_BODY")),
        ({"phoneNumber": FRESH}, (400, "INVALID_BODY")),
        ({"phoneNumber": FRESH, "agentId": None}, (400, "INVALID_BODY")),
        ({"phoneNumber": FRESH, "agentId": "agent_events", "friendlyName": 1}, (400, "INVALID_BODY")),
        ({"phoneNumber": FRESH, "agentId": "agent_bank"}, (404, "RESOURCE_NOT_FOUND")),
        ([], (400, "INVALID_BODY")),
    ],
)
def test_what_cannot_be_assigned_is_refused(
    omnia: httpx.Client, body: Any, expected: tuple[int, str]
) -> None:
    assert refusal(omnia.post("/numbers", json=body)) == expected


def test_a_body_that_is_not_json_is_refused(omnia: httpx.Client) -> None:
    assert refusal(omnia.post("/numbers", content=b"{")) == (400, "INVALID_BODY")
    assert refusal(omnia.patch(RECEPTION, content=b"")) == (400, "INVALID_BODY")


@pytest.mark.parametrize(
    ("verb", "statuses"), [("PATCH", [200, 405]), ("PUT", [405, 200]), ("both", [200, 200])]
)
def test_updates_take_one_verb_or_both(
    server: EmulatorServer, omnia: httpx.Client, verb: Any, statuses: list[int]
) -> None:
    server.switches.omnia_update_verb = verb

    sent = [omnia.request(method, RECEPTION, json={"friendlyName": method}) for method in ("PATCH", "PUT")]

    assert [response.status_code for response in sent] == statuses
    names = [method for method, status in zip(("PATCH", "PUT"), statuses, strict=True) if status == 200]
    assert omnia.get(RECEPTION).json()["friendlyName"] == names[-1]
    assert server.journal.count(operation="update number") == 2


def test_an_update_leaves_alone_what_it_does_not_name(omnia: httpx.Client) -> None:
    before = omnia.get(RECEPTION).json()

    after = omnia.patch(RECEPTION, json={"status": "INACTIVE", "phoneNumber": FRESH, "id": "x"}).json()

    assert after == before | {"status": "INACTIVE"}


def test_an_update_takes_the_number_from_another_agent_without_a_word(omnia: httpx.Client) -> None:
    after = omnia.patch(RECEPTION, json={"agentId": "agent_events"}).json()

    assert (after["agentId"], after["agent"]["name"]) == ("agent_events", "Events")
    assert omnia.get("/agents/agent_reception/numbers").json() == {"data": []}


def test_null_unassigns_or_is_refused(server: EmulatorServer, omnia: httpx.Client) -> None:
    after = omnia.patch(RECEPTION, json={"agentId": None})
    assert (after.status_code, after.json()["agentId"]) == (200, None)

    server.switches.omnia_unassign = "refuse"
    assert refusal(omnia.patch(RECEPTION, json={"agentId": None})) == (400, "INVALID_BODY")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"agentId": "nope"}, (404, "RESOURCE_NOT_FOUND")),
        ({"agentId": 7}, (400, "INVALID_BODY")),
        ({"friendlyName": None}, (400, "INVALID_BODY")),
        ({"status": "assigned"}, (400, "INVALID_BODY")),
    ],
)
def test_changes_that_cannot_be_made_are_refused(
    omnia: httpx.Client, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = omnia.get(RECEPTION).json()

    assert refusal(omnia.patch(RECEPTION, json=body)) == expected
    assert omnia.get(RECEPTION).json() == before


def test_writes_may_be_answered_without_a_body(server: EmulatorServer, omnia: httpx.Client) -> None:
    server.switches.omnia_write_body = "empty"

    answers = [assign(omnia, FRESH), omnia.patch(RECEPTION, json={"status": "INACTIVE"})]

    assert [(answer.status_code, answer.content) for answer in answers] == [(201, b""), (200, b"")]
    assert omnia.get(RECEPTION).json()["status"] == "INACTIVE"


@pytest.mark.parametrize("status", ["200", "204"])
def test_a_deletion_has_no_body_and_is_not_found_again(
    server: EmulatorServer, omnia: httpx.Client, status: Any
) -> None:
    server.switches.omnia_delete_status = status

    first, second = omnia.delete(RECEPTION), omnia.delete(RECEPTION)

    assert (first.status_code, first.content) == (int(status), b"")
    assert refusal(second) == (404, "NOT_FOUND")
    assert assign(omnia, "+441632960102").status_code == 201


def test_numbers_of_an_agent_come_whole(server: EmulatorServer, omnia: httpx.Client) -> None:
    for index in range(120):
        server.omnia_voice.add_number("harbour", f"+4416329{index:05}", agentId="agent_events")

    answer = omnia.get("/agents/agent_events/numbers").json()

    assert list(answer) == ["data"]
    assert len(answer["data"]) == 121
    assert {record["agentId"] for record in answer["data"]} == {"agent_events"}
    assert refusal(omnia.get("/agents/nope/numbers")) == (404, "RESOURCE_NOT_FOUND")


def test_ids_are_found_percent_encoded(omnia: httpx.Client) -> None:
    assert omnia.get("/numbers/num_7Qx%3A01").json()["id"] == "num_7Qx:01"
