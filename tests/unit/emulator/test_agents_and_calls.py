from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

ACCOUNT = "/v1/accounts/demo-uk/agents"
CALLS = "/v1/agents/harbour-hotels/telephony/outbound-calls"
NEW = {"name": "New", "agentId": "brand-new", "responseSettings": {"greeting": "Hello"}}
CALL = {"toNumber": "+447700900111", "environment": "live"}


def test_list_is_a_bare_array_of_what_the_key_may_use(api: httpx.Client) -> None:
    def slugs(key: str, account: str = "demo-uk") -> list[str]:
        reply = api.get(f"/v1/accounts/{account}/agents", headers={"X-API-KEY": key})
        return [agent["agentId"] for agent in reply.json()]

    assert slugs("demo-key-uk") == ["harbour-hotels", "rosa-restaurants", "northgate-bank"]
    assert slugs("demo-key-hotels") == ["harbour-hotels"]
    assert slugs("demo-key-us", "demo-us") == []


def test_agent_is_created_and_deleted_with_its_numbers(api: httpx.Client) -> None:
    created = api.post(ACCOUNT, json=NEW)
    numbers = {"phoneNumbers": ["+441632960900"], "clientEnv": "live"}
    api.post("/v1/agents/brand-new/telephony/phone-numbers", json=numbers)

    assert created.status_code == 200
    assert created.json()["agentId"] == "brand-new"
    assert api.post(ACCOUNT, json=NEW).status_code == 409
    deleted = api.delete("/v1/agents/brand-new")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert api.delete("/v1/agents/brand-new").status_code == 404
    reused = api.post("/v1/agents/harbour-hotels/telephony/phone-numbers", json=numbers)
    assert reused.status_code == 201


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, NEW | {"agentId": "a/b"}, NEW | {"colour": "red"}, NEW | {"name": ""}]
)
def test_bad_agents_are_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    response = api.post(ACCOUNT, json=body)

    assert (response.status_code, set(response.json())) == (400, {"message", "errors"})


def test_agents_without_a_given_id_get_one_each(api: httpx.Client) -> None:
    body = {key: value for key, value in NEW.items() if key != "agentId"}

    ids = {api.post(ACCOUNT, json=body).json()["agentId"] for _ in range(2)}

    assert len(ids) == 2
    assert all(agent_id.startswith("PROJECT-") for agent_id in ids)


@pytest.mark.parametrize("copies", [False, True])
def test_duplicate_copies_variants_and_maybe_config_pages(
    server: EmulatorServer, api: httpx.Client, copies: bool
) -> None:
    server.switches.duplicate_configs = copies
    body = {"newAgentName": "Copy", "newAgentId": "copy"}

    assert api.post("/v1/agents/harbour-hotels/duplicate", json=body).json()["agentName"] == "Copy"

    path = "real-time-configs/live"
    page, source = (api.get(f"/v1/agents/{agent}/{path}").json() for agent in ("copy", "harbour-hotels"))
    assert page["variables"] == (source["variables"] if copies else None)
    assert len(api.get("/v1/agents/copy/branches/main/variants").json()["variants"]) == 6
    assert api.get("/v1/agents/copy/telephony/connectors").json() == {"connectors": []}
    assert api.get("/v1/agents/copy/deployments/active").json()["activeDeployments"]["live"] is None


@pytest.mark.parametrize("outcome", ["SUCCESS", "FAILURE"])
def test_call_goes_from_queued_over_calling_to_its_end(
    server: EmulatorServer, api: httpx.Client, outcome: Any
) -> None:
    server.switches.call_outcome = outcome
    call = api.post(CALLS, json=CALL).json()

    path = f"{CALLS}/{call['callSid']}/status"
    seen = [api.get(path, params={"environment": "live"}).json() for _ in range(4)]

    assert call["status"] == "QUEUED"
    assert [each["status"] for each in seen] == ["QUEUED", "CALLING", outcome, outcome]
    assert ("reason" in seen[-1]) == (outcome == "FAILURE")


def test_status_needs_the_environment_of_the_call(api: httpx.Client) -> None:
    path = f"{CALLS}/{api.post(CALLS, json=CALL).json()['callSid']}/status"

    assert api.get(path).status_code == 400
    assert api.get(path, params={"environment": "sandbox"}).status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"toNumber": "07700900111"}, 400),
        ({"environment": "staging"}, 400),
        ({"variantId": "VARIANT-X"}, 400),
        ({"metadata": {"a": 1}}, 400),
        ({"metadata": {"a": "x" * 26_000}}, 400),
    ],
)
def test_bad_calls_are_refused(api: httpx.Client, change: dict[str, Any], status: int) -> None:
    assert api.post(CALLS, json=CALL | change).status_code == status


def test_call_needs_a_connector_of_the_environment(api: httpx.Client) -> None:
    api.post(ACCOUNT, json=NEW)

    assert api.post("/v1/agents/brand-new/telephony/outbound-calls", json=CALL).status_code == 404


def test_called_number_is_kept_nowhere(server: EmulatorServer, api: httpx.Client) -> None:
    api.post(CALLS, json=CALL)

    assert CALL["toNumber"] not in str(server.state.snapshot())
    assert CALL["toNumber"] not in str(server.journal.as_dict())
