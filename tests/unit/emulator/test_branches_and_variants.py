from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

BRANCHES = "/v1/agents/harbour-hotels/branches"


@pytest.fixture
def branch(api: httpx.Client) -> str:
    response = api.post(BRANCHES, json={"branchName": "spring"})
    assert response.status_code == 201
    return f"{BRANCHES}/{response.json()['branchId']}"


def variants(api: httpx.Client, branch: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"{branch}/variants").json()["variants"]
    return found


def attributes(api: httpx.Client, branch: str) -> dict[str, str]:
    return {each["name"]: each["id"] for each in api.get(f"{branch}/attributes").json()["attributes"]}


def active_versions(api: httpx.Client) -> dict[str, str]:
    deployments = api.get("/v1/agents/harbour-hotels/deployments/active").json()["activeDeployments"]
    return {environment: record["version"] for environment, record in deployments.items()}


def test_branch_starts_as_a_copy_of_main(api: httpx.Client, branch: str) -> None:
    assert variants(api, branch) == variants(api, f"{BRANCHES}/main")
    assert attributes(api, branch) == attributes(api, f"{BRANCHES}/main")
    assert [each["name"] for each in api.get(BRANCHES).json()["branches"]] == ["main", "spring"]


def test_main_is_read_only(api: httpx.Client) -> None:
    main = f"{BRANCHES}/main"
    first = variants(api, main)[0]["id"]

    refused = [
        api.delete(main),
        api.post(f"{main}/merge"),
        api.post(f"{main}/variants", json={"name": "New"}),
        api.patch(f"{main}/variants/{first}", json={"name": "New"}),
        api.delete(f"{main}/variants/{first}"),
        api.post(f"{main}/attributes", json={"name": "new"}),
    ]

    assert {(each.status_code, each.json()["message"]) for each in refused} == {
        (422, "Cannot directly update main branch")
    }


def test_merge_deploys_to_sandbox_and_removes_the_branch(api: httpx.Client, branch: str) -> None:
    before = active_versions(api)
    api.post(f"{branch}/variants", json={"name": "Oban"})

    reply = api.post(f"{branch}/merge", json={"deploymentMessage": "Oban opens"}).json()

    after = active_versions(api)
    assert reply["message"] == "Branch merged to main and deployed to sandbox"
    assert reply["sequence"] == "32"
    assert len(reply["testRunIds"]) == 1
    assert [each["name"] for each in api.get(BRANCHES).json()["branches"]] == ["main"]
    assert "Oban" in [variant["name"] for variant in variants(api, f"{BRANCHES}/main")]
    assert after["sandbox"] != before["sandbox"]
    assert (after["pre-release"], after["live"]) == (before["pre-release"], before["live"])
    assert api.post(f"{branch}/merge").status_code == 404


def test_merge_of_a_simplified_project_goes_straight_to_live(
    server: EmulatorServer, api: httpx.Client, branch: str
) -> None:
    server.switches.simplified = ["harbour-hotels"]

    reply = api.post(f"{branch}/merge").json()

    versions = active_versions(api)
    assert reply["message"].endswith("live")
    assert versions["live"] == versions["sandbox"]


def conflicting(api: httpx.Client, branch: str) -> tuple[str, dict[str, Any]]:
    """Change one variant on two branches and merge the other one first."""
    variant = variants(api, branch)[1]["id"]
    other = f"{BRANCHES}/{api.post(BRANCHES, json={'branchName': 'other'}).json()['branchId']}"
    api.patch(f"{branch}/variants/{variant}", json={"name": "Mine"})
    api.patch(f"{other}/variants/{variant}", json={"name": "Theirs"})
    assert api.post(f"{other}/merge").status_code == 200
    response = api.post(f"{branch}/merge")
    assert response.status_code == 400
    return variant, response.json()


def test_conflicting_merge_lists_the_conflicts_and_changes_nothing(api: httpx.Client, branch: str) -> None:
    variant, body = conflicting(api, branch)

    conflict = body["conflicts"][0]
    assert (body["hasConflicts"], len(body["conflicts"]), body["errors"]) == (True, 1, [])
    assert (conflict["path"], conflict["type"]) == (["variants", variant], "modify")
    assert (conflict["oursValue"]["name"], conflict["theirsValue"]["name"]) == ("Theirs", "Mine")
    assert variants(api, f"{BRANCHES}/main")[1]["name"] == "Theirs"


@pytest.mark.parametrize(
    ("strategy", "name"), [("ours", "Theirs"), ("theirs", "Mine"), ("base", "St Helier")]
)
def test_conflicts_are_resolved_as_told(api: httpx.Client, branch: str, strategy: str, name: str) -> None:
    variant, _ = conflicting(api, branch)
    resolution = {"path": ["variants", variant], "strategy": strategy}

    assert api.post(f"{branch}/merge", json={"conflictResolutions": [resolution]}).status_code == 200
    assert variants(api, f"{BRANCHES}/main")[1]["name"] == name


def test_conflicts_are_resolved_by_a_given_value(api: httpx.Client, branch: str) -> None:
    variant, body = conflicting(api, branch)
    value = body["conflicts"][0]["baseValue"] | {"name": "Agreed"}
    resolution = {"path": ["variants", variant], "strategy": "ours", "value": value}

    assert api.post(f"{branch}/merge", json={"conflictResolutions": [resolution]}).status_code == 200
    assert variants(api, f"{BRANCHES}/main")[1]["name"] == "Agreed"


def test_merge_carries_deletions_over(api: httpx.Client, branch: str) -> None:
    gone = variants(api, branch)[2]["id"]
    api.delete(f"{branch}/variants/{gone}")

    api.post(f"{branch}/merge")

    assert gone not in [variant["id"] for variant in variants(api, f"{BRANCHES}/main")]


def test_branch_names_are_unique_and_limited(api: httpx.Client, branch: str) -> None:
    assert api.post(BRANCHES, json={"branchName": "spring"}).status_code == 409
    assert api.post(BRANCHES, json={"branchName": "x" * 101}).status_code == 400
    assert api.post(BRANCHES, json={"branchName": "x", "from": "main"}).status_code == 400
    assert api.post(BRANCHES).status_code == 201


def test_branch_can_be_deleted_once(api: httpx.Client, branch: str) -> None:
    assert api.delete(branch).json()["message"] == "Branch deleted"
    assert api.delete(branch).status_code == 404


def test_variant_is_created_changed_and_deleted(api: httpx.Client, branch: str) -> None:
    attribute = attributes(api, branch)["site_name"]

    body = {"name": "Oban", "attributeValues": {"values": {attribute: "Harbour Oban"}}, "isDefault": True}
    created = api.post(f"{branch}/variants", json=body)
    oban = created.json()
    changed = api.patch(f"{branch}/variants/{oban['id']}", json={"name": "Oban Bay"}).json()
    deleted = api.delete(f"{branch}/variants/{oban['id']}")

    assert created.status_code == 201
    assert oban == {"id": oban["id"], **body}
    assert changed == oban | {"name": "Oban Bay"}
    assert deleted.json() == {"id": oban["id"]}
    assert [each["isDefault"] for each in variants(api, branch)] == [True, *[False] * 5]


def test_there_is_always_exactly_one_default(api: httpx.Client, branch: str) -> None:
    first, second = (each["id"] for each in variants(api, branch)[:2])

    refused = api.patch(f"{branch}/variants/{first}", json={"isDefault": False})
    api.patch(f"{branch}/variants/{second}", json={"isDefault": True})

    assert refused.status_code == 400
    assert [each["id"] for each in variants(api, branch) if each["isDefault"]] == [second]


def test_last_variant_cannot_be_removed(api: httpx.Client, branch: str) -> None:
    *others, last = (each["id"] for each in variants(api, branch))
    for each in others:
        assert api.delete(f"{branch}/variants/{each}").status_code == 200

    assert api.delete(f"{branch}/variants/{last}").status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "Whitby"}, 409),
        ({"name": "New", "attributeValues": {"values": {"ATTRIBUTE-X": "a"}}}, 400),
        ({"name": "New", "attributeValues": {"values": {"ATTRIBUTE-X": 1}}}, 400),
        ({"name": ""}, 400),
        ({}, 400),
        ({"name": "New", "colour": "red"}, 400),
    ],
)
def test_bad_variants_are_refused_in_the_node_services_words(
    api: httpx.Client, branch: str, body: dict[str, Any], status: int
) -> None:
    response = api.post(f"{branch}/variants", json=body)

    assert response.status_code == status
    assert set(response.json()) == {"message", "errors"}
    assert response.json()["errors"]


def test_attribute_is_created_renamed_and_deleted_with_its_values(api: httpx.Client, branch: str) -> None:
    created = api.post(f"{branch}/attributes", json={"name": "wifi"})
    attribute = created.json()["id"]
    variant = variants(api, branch)[0]["id"]
    body = {"attributeValues": {"values": {attribute: "free"}}}
    api.patch(f"{branch}/variants/{variant}", json=body)

    renamed = api.patch(f"{branch}/attributes/{attribute}", json={"name": "wi-fi"}).json()
    taken = api.patch(f"{branch}/attributes/{attribute}", json={"name": "site_name"})
    deleted = api.delete(f"{branch}/attributes/{attribute}")

    assert created.status_code == 201
    assert renamed == {"id": attribute, "name": "wi-fi"}
    assert taken.status_code == 409
    assert deleted.json() == {"id": attribute}
    assert variants(api, branch)[0]["attributeValues"] == {"values": {}}
    assert api.delete(f"{branch}/attributes/{attribute}").status_code == 404


def test_unknown_branch_is_not_found(api: httpx.Client) -> None:
    assert api.get(f"{BRANCHES}/BRANCH-X/variants").status_code == 404


def test_a_branch_tells_by_the_switch_that_main_has_moved_on(
    server: EmulatorServer, api: httpx.Client, branch: str
) -> None:
    other = api.post(BRANCHES, json={"branchName": "autumn"}).json()["branchId"]
    assert all("isDiverged" not in each for each in api.get(BRANCHES).json()["branches"])

    api.post(f"{branch}/merge")
    server.switches.branch_divergence = "shown"

    shown = {each["branchId"]: each["isDiverged"] for each in api.get(BRANCHES).json()["branches"]}
    assert shown["main"] is False
    assert shown[other] is True


@pytest.mark.parametrize(("merged", "status"), [("merge", 200), ("refuse", 409)])
def test_merging_a_branch_that_has_diverged_is_up_to_the_switch(
    server: EmulatorServer, api: httpx.Client, branch: str, merged: str, status: int
) -> None:
    other = api.post(BRANCHES, json={"branchName": "autumn"}).json()["branchId"]
    api.post(f"{branch}/merge")
    server.switches.diverged_merge = merged  # type: ignore[assignment]

    assert api.post(f"{BRANCHES}/{other}/merge").status_code == status


@pytest.mark.parametrize("environment", ["sandbox", "pre-release"])
@pytest.mark.parametrize("tag", ["shown", "absent"])
def test_staging_holds_one_branch_at_a_time(
    server: EmulatorServer, api: httpx.Client, branch: str, environment: str, tag: str
) -> None:
    other = api.post(BRANCHES, json={"branchName": "autumn"}).json()["branchId"]
    server.switches.update({"staging_environment": environment, "staging_tag": tag})

    server.polyai.give_staging("harbour-hotels", branch.rpartition("/")[2])
    record = server.polyai.give_staging("harbour-hotels", other)

    assert active_versions(api)[environment] == record["version"]
    held = [each["branchId"] for each in api.get(BRANCHES).json()["branches"] if each.get("tag") == "staging"]
    assert held == ([other] if tag == "shown" else [])
    assert ("tag" in record["metadata"]) == (tag == "shown")
