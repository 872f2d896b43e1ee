"""Keys, error bodies, correlation ids and forms of ids."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.polyai.app import PolyAIRoom
from airflow_voice_agents.emulator.server import EmulatorServer

PAGE = "/v1/agents/harbour-hotels/real-time-configs/live"
ENVELOPE = {"success", "error", "error_id", "error_code", "error_message", "data"}


@pytest.mark.parametrize("key", [None, "", "unknown", "demo-key-expired"])
@pytest.mark.parametrize("path", [PAGE, "/v1/accounts/demo-uk/agents", "/v1/agents/nope/branches"])
def test_missing_unknown_and_expired_keys_are_refused_before_anything_else(
    server: EmulatorServer, anonymous: httpx.Client, key: str | None, path: str
) -> None:
    headers = {"X-API-KEY": key} if key is not None else {}

    response = anonymous.get(path, headers=headers)

    assert response.status_code == 401
    assert set(response.json()) == ENVELOPE
    assert response.json()["error_code"] == "AUTH_USER_INVALID_TOKEN"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("demo-key-us", PAGE),
        ("demo-key-hotels", "/v1/agents/rosa-restaurants/branches"),
        ("demo-key-us", "/v1/accounts/demo-uk/agents"),
    ],
)
def test_what_belongs_to_others_is_forbidden(api: httpx.Client, key: str, path: str) -> None:
    response = api.get(path, headers={"X-API-KEY": key})

    assert (response.status_code, response.json()["error_code"]) == (403, "FORBIDDEN")


def test_a_key_may_lack_single_operations(server: EmulatorServer, api: httpx.Client) -> None:
    def deny(data: dict[str, Any]) -> None:
        data["polyai"]["keys"]["demo-key-uk"]["denied"] = [
            "update real-time config schema",
            "delete connector",
        ]

    server.state.edit(deny)

    refused = api.put(f"{PAGE}/schema", json={"schema": {}})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "REAL_TIME_CONFIG_FORBIDDEN_ACCESS")
    assert api.delete("/v1/agents/harbour-hotels/telephony/connectors/x").status_code == 403
    assert api.patch(f"{PAGE}/variables", json={"variables": {}}).status_code == 200


def test_unknown_account_is_not_found(api: httpx.Client) -> None:
    response = api.get("/v1/accounts/nobody/agents")

    assert (response.status_code, "ACCOUNT_NOT_FOUND" in response.text) == (404, True)


def test_unknown_project_is_not_found_in_the_words_of_either_service(api: httpx.Client) -> None:
    python = api.get("/v1/agents/nope/real-time-configs")
    node = api.get("/v1/agents/nope/branches")

    assert (python.status_code, python.json()["error_code"]) == (404, "PROJECT_NOT_FOUND")
    assert (node.status_code, set(node.json())) == (404, {"message", "errors"})


@pytest.mark.parametrize(("mode", "keys"), [("fields", {"message", "errors"}), ("envelope", ENVELOPE)])
def test_node_service_refuses_in_either_shape(
    server: EmulatorServer, api: httpx.Client, mode: Any, keys: set[str]
) -> None:
    server.switches.node_errors = mode

    assert set(api.get("/v1/agents/harbour-hotels/branches/nope/variants").json()) == keys


def test_correlation_id_comes_back_in_header_and_error(api: httpx.Client) -> None:
    headers = {"X-PolyAI-Correlation-Id": "run-17"}

    fine = api.get(PAGE, headers=headers)
    refused = api.get("/v1/agents/nope/real-time-configs", headers=headers)

    assert fine.headers["X-PolyAI-Correlation-Id"] == "run-17"
    assert refused.headers["X-PolyAI-Correlation-Id"] == refused.json()["error_id"] == "run-17"


def test_correlation_id_is_made_up_when_none_is_given(api: httpx.Client) -> None:
    made = {api.get(PAGE).headers["X-PolyAI-Correlation-Id"] for _ in range(3)}

    assert len(made) == 3


@pytest.mark.parametrize("form", ["slug", "prefixed"])
def test_requests_take_both_forms_of_ids_and_replies_use_one(
    server: EmulatorServer, api: httpx.Client, form: Any
) -> None:
    server.switches.response_ids = form
    agent, account = ("harbour-hotels", "demo-uk") if form == "slug" else ("PROJECT-5A1E9C07", "ws-7c41d0aa")

    for reference in ("harbour-hotels", "PROJECT-5A1E9C07"):
        root = f"/v1/agents/{reference}"
        connector = api.get(f"{root}/telephony/connectors").json()["connectors"][0]
        number = api.get(f"{root}/telephony/phone-numbers").json()["phoneNumbers"][0]
        deployment = api.get(f"{root}/deployments/active").json()["activeDeployments"]["live"]
        assert (connector["projectId"], connector["accountId"]) == (agent, account)
        assert (number["projectId"], number["accountId"]) == (agent, account)
        assert (deployment["agentId"], deployment["accountId"]) == (agent, account)
    for reference in ("demo-uk", "ws-7c41d0aa"):
        listed = api.get(f"/v1/accounts/{reference}/agents").json()[0]
        assert (listed["agentId"], listed["accountId"]) == (agent, account)


def test_unknown_paths_and_methods_are_answered_by_the_gateway(api: httpx.Client) -> None:
    assert (api.get("/v1/nothing").status_code, api.put(PAGE).status_code) == (404, 405)


@pytest.mark.parametrize(
    "path", ["/v1/agents//real-time-configs", f"{PAGE}/", "/v1/agents/harbour-hotels/branches/"]
)
def test_empty_segments_lead_nowhere(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 404


def test_encoded_slash_stays_inside_its_segment(api: httpx.Client) -> None:
    response = api.get("/v1/agents/harbour-hotels/telephony/connectors/a%2Fb")

    assert response.json()["error_code"] == "CONNECTORS_NOT_FOUND"


def test_oversized_body_is_refused(api: httpx.Client) -> None:
    response = api.patch(f"{PAGE}/variables", content=b" " * (17 * 1024 * 1024))

    assert response.status_code == 413


def test_all_forty_four_operations_and_their_neighbours_are_there_under_distinct_names(
    server: EmulatorServer,
) -> None:
    operations = PolyAIRoom.operations

    assert len(PolyAIRoom.agents_api) == 44
    assert len(operations) == len({operation.name for operation in operations}) == 44 + 19
    assert len({(operation.method, operation.route) for operation in operations}) == 44 + 19
