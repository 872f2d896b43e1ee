from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

HOTELS = "/v1/agents/harbour-hotels/deployments"
ROSA = "/v1/agents/rosa-restaurants/deployments"
BANK = "/v1/agents/northgate-bank/deployments"


def records(api: httpx.Client, path: str, environment: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(path, params={"environment": environment, **query}).json()[
        "deployments"
    ]
    return found


def active(api: httpx.Client, path: str) -> dict[str, Any]:
    deployments: dict[str, Any] = api.get(f"{path}/active").json()["activeDeployments"]
    return deployments


def promote(api: httpx.Client, path: str, source: str, **body: str) -> httpx.Response:
    return api.post(f"{path}/{active(api, path)[source]['id']}/promote", json=body)


def test_list_is_newest_first_and_can_be_cut(api: httpx.Client) -> None:
    found = records(api, HOTELS, "sandbox")

    created = [record["createdAt"] for record in found]
    assert len(found) == 3
    assert created == sorted(created, reverse=True)
    assert records(api, HOTELS, "sandbox", limit=1) == found[:1]


@pytest.mark.parametrize("query", [{}, {"environment": "staging"}, {"environment": "live", "limit": "many"}])
def test_list_needs_an_environment_and_a_whole_limit(api: httpx.Client, query: dict[str, str]) -> None:
    assert api.get(HOTELS, params=query).status_code == 400


def test_active_shows_null_where_nothing_is_deployed(server: EmulatorServer, api: httpx.Client) -> None:
    assert active(api, BANK)["live"] is None

    server.switches.response_nulls = "omit"

    assert sorted(active(api, BANK)) == ["pre-release", "sandbox"]


def test_promote_copies_the_version_into_a_new_record(api: httpx.Client) -> None:
    source = active(api, HOTELS)["sandbox"]

    response = promote(
        api, HOTELS, "sandbox", targetEnvironment="pre-release", deploymentMessage="For acceptance"
    )

    deployment = response.json()["deployment"]
    assert response.status_code == 200
    assert deployment["id"] != source["id"]
    assert (deployment["version"], deployment["environment"]) == (source["version"], "pre-release")
    assert deployment["metadata"] == {
        "deployment_type": "promotion",
        "deployment_message": "For acceptance",
    }
    assert deployment["createdBy"] == "Demo UK"
    assert active(api, HOTELS)["pre-release"] == deployment
    assert deployment["createdAt"] > source["createdAt"]


def test_promote_adds_a_record_even_for_the_same_version(api: httpx.Client) -> None:
    before = len(records(api, HOTELS, "pre-release"))

    ids = [
        promote(api, HOTELS, "sandbox", targetEnvironment="pre-release").json()["deployment"]["id"]
        for _ in range(2)
    ]

    assert ids[0] != ids[1]
    assert len(records(api, HOTELS, "pre-release")) == before + 2


def test_promote_without_target_takes_the_next_stage(api: httpx.Client) -> None:
    assert promote(api, HOTELS, "sandbox").json()["deployment"]["environment"] == "pre-release"
    assert promote(api, HOTELS, "pre-release").json()["deployment"]["environment"] == "live"


@pytest.mark.parametrize(
    ("source", "target"), [("pre-release", "pre-release"), ("live", "live"), ("live", None)]
)
def test_promote_goes_forward_only(api: httpx.Client, source: str, target: str | None) -> None:
    body = {"targetEnvironment": target} if target else {}

    response = promote(api, HOTELS, source, **body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "targetEnvironment"


@pytest.mark.parametrize(
    "body", [{"targetEnvironment": "sandbox"}, {"target": "live"}, {"deploymentMessage": 1}]
)
def test_promote_takes_declared_fields_only(api: httpx.Client, body: Any) -> None:
    response = promote(api, HOTELS, "sandbox", **body)

    assert response.status_code == 400
    assert set(response.json()) == {"message", "errors"}


@pytest.mark.parametrize(("mode", "status"), [("allow", 200), ("precondition", 412)])
def test_sandbox_straight_to_live(server: EmulatorServer, api: httpx.Client, mode: Any, status: int) -> None:
    server.switches.sandbox_to_live = mode

    response = promote(api, HOTELS, "sandbox", targetEnvironment="live")

    assert response.status_code == status
    assert ("ErrPreReleaseNotReady" in response.text) == (status == 412)


def test_precondition_is_met_once_pre_release_runs_the_version(
    server: EmulatorServer, api: httpx.Client
) -> None:
    server.switches.sandbox_to_live = "precondition"
    promote(api, HOTELS, "sandbox", targetEnvironment="pre-release")

    assert promote(api, HOTELS, "sandbox", targetEnvironment="live").status_code == 200


@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_unknown_deployment_comes_with_the_declared_envelope(api: httpx.Client, verb: str) -> None:
    response = api.post(f"{HOTELS}/nope/{verb}", json={})

    assert (response.status_code, response.json()["error_code"]) == (404, "DEPLOYMENT_NOT_FOUND")


def test_rollback_adds_a_record_in_the_targets_environment_and_loses_the_message(
    server: EmulatorServer, api: httpx.Client
) -> None:
    oldest = records(api, HOTELS, "sandbox")[-1]

    reply = api.post(f"{HOTELS}/{oldest['id']}/rollback", json={"deploymentMessage": "Undo"}).json()

    assert reply["deployment"]["metadata"] is None
    assert reply["deployment"]["version"] == oldest["version"]
    now = active(api, HOTELS)["sandbox"]
    assert now["id"] == reply["deployment"]["id"] != oldest["id"]
    assert now["metadata"] == {"deployment_type": "rollback", "deployment_message": "First version"}


def test_rollback_without_nulls_leaves_metadata_out(server: EmulatorServer, api: httpx.Client) -> None:
    server.switches.response_nulls = "omit"

    target = records(api, HOTELS, "sandbox")[-1]["id"]

    assert "metadata" not in api.post(f"{HOTELS}/{target}/rollback").json()["deployment"]


def test_rollback_of_sandbox_moves_the_draft(api: httpx.Client) -> None:
    first = records(api, ROSA, "sandbox")[-1]
    api.post(f"{ROSA}/{first['id']}/rollback", json={})

    assert api.post(f"{ROSA}/publish", json={}).status_code == 409


def test_publish_deploys_the_draft_to_sandbox(api: httpx.Client) -> None:
    response = api.post(f"{ROSA}/publish", json={"deploymentMessage": "Christmas"})

    deployment = response.json()["deployment"]
    assert response.status_code == 201
    assert deployment["environment"] == "sandbox"
    assert deployment["metadata"] == {"deployment_type": "publish", "deployment_message": "Christmas"}
    assert active(api, ROSA)["sandbox"] == deployment


@pytest.mark.parametrize("mode", ["conflict", "already"])
def test_publish_with_nothing_new(server: EmulatorServer, api: httpx.Client, mode: Any) -> None:
    server.switches.publish_again = mode

    response = api.post(f"{HOTELS}/publish", json={"environment": "sandbox"})

    expected = {
        "conflict": (409, "DEPLOYMENTS_ALREADY_PUBLISHED"),
        "already": (200, "DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED"),
    }
    assert (response.status_code, response.json()["error_code"]) == expected[mode]
    assert response.json()["success"] is False
    assert len(records(api, HOTELS, "sandbox")) == 3


def test_publish_to_an_unknown_environment_is_refused(api: httpx.Client) -> None:
    response = api.post(f"{ROSA}/publish", json={"environment": "staging"})

    assert (response.status_code, response.json()["error_code"]) == (400, "DEPLOYMENTS_INVALID_ENVIRONMENT")


@pytest.mark.parametrize(("mode", "status"), [("refuse", 400), ("allow", 201)])
def test_page_that_breaks_its_schema_blocks_publishing(
    server: EmulatorServer, api: httpx.Client, mode: Any, status: int
) -> None:
    server.switches.publish_invalid_page = mode
    schema = {"schema": {"required": ["missing"]}}
    api.put("/v1/agents/rosa-restaurants/real-time-configs/live/schema", json=schema)

    assert api.post(f"{ROSA}/publish", json={}).status_code == status


@pytest.mark.parametrize(("running", "status"), [([], 200), (["harbour-hotels"], 409)])
def test_ab_test_blocks_promotion_to_live(
    server: EmulatorServer, api: httpx.Client, running: list[str], status: int
) -> None:
    server.switches.ab_test = running
    live = active(api, HOTELS)["live"]["id"]

    assert promote(api, HOTELS, "pre-release", targetEnvironment="live").status_code == status
    assert api.post(f"{HOTELS}/{live}/rollback").status_code == status
    assert promote(api, HOTELS, "sandbox", targetEnvironment="pre-release").status_code == 200


def test_simplified_project_promotes_stale_sandbox_content_over_live(
    server: EmulatorServer, api: httpx.Client
) -> None:
    server.switches.simplified = ["rosa-restaurants"]
    stale = active(api, ROSA)["sandbox"]
    assert api.post("/v1/agents/rosa-restaurants/branches/BRANCH-1F0C77D2/merge").status_code == 200
    merged = active(api, ROSA)["live"]["version"]

    response = api.post(f"{ROSA}/{stale['id']}/promote", json={"targetEnvironment": "live"})

    assert response.status_code == 200
    assert active(api, ROSA)["live"]["version"] == stale["version"] != merged
    assert api.post(f"{ROSA}/{stale['id']}/rollback").status_code == 400


def test_test_runs_are_started_where_suites_are_wired(api: httpx.Client) -> None:
    assert len(promote(api, HOTELS, "sandbox").json()["testRunIds"]) == 1
    assert promote(api, ROSA, "sandbox").json()["testRunIds"] == []
