from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

CONNECTORS = "/v1/agents/harbour-hotels/telephony/connectors"
LIVE = "conn_hh_live_main"


def connector(api: httpx.Client, connector_id: str = LIVE, agent: str = "harbour-hotels") -> httpx.Response:
    return api.get(f"/v1/agents/{agent}/telephony/connectors/{connector_id}")


def numbers(api: httpx.Client, agent: str, connector_id: str) -> list[str]:
    path = f"/v1/agents/{agent}/telephony/phone-numbers"
    found = api.get(path, params={"connectorId": connector_id}).json()["phoneNumbers"]
    return [record["number"] for record in found]


def variant_id(api: httpx.Client, name: str, agent: str = "harbour-hotels") -> str:
    variants = api.get(f"/v1/agents/{agent}/branches/main/variants").json()["variants"]
    return next(variant["id"] for variant in variants if variant["name"] == name)


def test_list_get_and_batch_get_show_the_same_record(api: httpx.Client) -> None:
    listed = {each["connectorId"]: each for each in api.get(CONNECTORS).json()["connectors"]}
    batch = api.post(f"{CONNECTORS}/batch", json={"connectorIds": [LIVE, "nope", LIVE]}).json()

    assert len(listed) == 5
    assert listed[LIVE] == connector(api).json() == batch["found"][0]
    assert (len(batch["found"]), batch["notFound"]) == (1, ["nope"])


def test_variant_is_unassigned_by_null_and_reads_back_as_empty_text(api: httpx.Client) -> None:
    response = api.patch(f"{CONNECTORS}/{LIVE}", json={"variantId": None})

    assert response.json()["variantId"] == ""
    assert connector(api).json() == response.json()


def test_absent_fields_stay_and_the_speech_language_follows_the_voice(api: httpx.Client) -> None:
    before = connector(api).json()

    after = api.patch(f"{CONNECTORS}/{LIVE}", json={"voiceName": "de-DE-Wavenet-A"}).json()

    assert after == before | {"voiceName": "de-DE-Wavenet-A", "ttsLangCode": "de-DE"}


@pytest.mark.parametrize(
    "change",
    [
        {"variantId": "VARIANT-UNKNOWN"},
        {"voiceName": "Rachel"},
        {"voiceName": None},
        {"asrLangCode": "english please"},
        {"asrLangCode": 7},
    ],
)
def test_bad_values_are_refused_and_change_nothing(api: httpx.Client, change: dict[str, Any]) -> None:
    before = connector(api).json()

    response = api.patch(f"{CONNECTORS}/{LIVE}", json=change)

    assert (response.status_code, response.json()["error_code"]) == (400, "CONNECTORS_VALIDATION_FAILED")
    assert connector(api).json() == before


def test_batch_answers_200_with_a_result_per_item_whatever_became_of_it(api: httpx.Client) -> None:
    updates = [
        {"connectorId": LIVE, "variantId": variant_id(api, "Whitby")},
        {"connectorId": "nope", "asrLangCode": "en-GB"},
        {"connectorId": LIVE, "voiceName": "Rachel"},
    ]

    response = api.patch(f"{CONNECTORS}/batch", json={"updates": updates})

    results = response.json()["results"]
    assert response.status_code == 200
    assert [(item["connectorId"], item["success"]) for item in results] == [
        (LIVE, True),
        ("nope", False),
        (LIVE, False),
    ]
    assert results[0]["data"] == connector(api).json()
    assert isinstance(results[1]["error"], str)
    assert "data" not in results[1]


@pytest.mark.parametrize("body", [{}, {"updates": []}, {"updates": [{"variantId": None}]}])
def test_malformed_batch_is_refused_whole(api: httpx.Client, body: dict[str, Any]) -> None:
    assert api.patch(f"{CONNECTORS}/batch", json=body).status_code == 400


def test_lookup_finds_the_connector_that_a_number_rings(api: httpx.Client) -> None:
    number = numbers(api, "harbour-hotels", LIVE)[0]

    def look_up(number: str) -> httpx.Response:
        return api.post(f"{CONNECTORS}/lookup", json={"phoneNumber": number})

    assert look_up(number).json()["connectorId"] == LIVE
    assert look_up("+441632960999").json()["error_code"] == "PHONE_NUMBERS_NOT_FOUND"
    assert look_up("0123").json()["error_code"] == "PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT"


def test_lookup_of_a_number_without_connector_finds_none(api: httpx.Client) -> None:
    path = "/v1/agents/harbour-hotels/telephony/phone-numbers"
    unrouted = next(n for n in api.get(path).json()["phoneNumbers"] if "connectorId" not in n)

    response = api.post(f"{CONNECTORS}/lookup", json={"phoneNumber": unrouted["number"]})

    assert (response.status_code, response.json()["error_code"]) == (404, "CONNECTORS_NOT_FOUND")


def test_delete_releases_the_connectors_numbers(api: httpx.Client) -> None:
    its_numbers = numbers(api, "harbour-hotels", LIVE)

    reply = api.delete(f"{CONNECTORS}/{LIVE}").json()

    assert reply == {"deletedConnector": LIVE, "deletedPhoneNumbers": its_numbers}
    assert connector(api).json()["error_code"] == "CONNECTORS_NOT_FOUND"
    body = {"phoneNumbers": its_numbers}
    path = "/v1/agents/harbour-hotels/telephony/phone-numbers"
    assert api.post(f"{path}/batch", json=body).json()["notFound"] == its_numbers
    assert api.post(path, json=body | {"clientEnv": "live"}).status_code == 201


@pytest.mark.parametrize("mode", ["follow", "stay"])
def test_move_takes_the_numbers_along_or_leaves_them(
    server: EmulatorServer, api: httpx.Client, mode: Any
) -> None:
    server.switches.move_numbers = mode
    its_numbers = numbers(api, "harbour-hotels", LIVE)

    moved = api.patch(f"{CONNECTORS}/{LIVE}", json={"projectId": "rosa-restaurants"}).json()

    assert moved == connector(api, agent="rosa-restaurants").json()
    assert (moved["projectId"], moved["clientEnv"]) == ("rosa-restaurants", "live")
    assert connector(api).status_code == 404
    assert numbers(api, "rosa-restaurants", LIVE) == (its_numbers if mode == "follow" else [])
    assert numbers(api, "harbour-hotels", LIVE) == []
    path = f"/v1/agents/harbour-hotels/telephony/phone-numbers/{its_numbers[0].replace('+', '%2B')}"
    assert api.get(path).status_code == (404 if mode == "follow" else 200)


@pytest.mark.parametrize("mode", ["clear", "keep"])
def test_move_clears_or_keeps_the_variant(server: EmulatorServer, api: httpx.Client, mode: Any) -> None:
    server.switches.move_variant = mode
    before = connector(api).json()["variantId"]

    moved = api.patch(f"{CONNECTORS}/{LIVE}", json={"projectId": "rosa-restaurants"}).json()

    assert before
    assert moved["variantId"] == ("" if mode == "clear" else before)


def test_move_checks_other_fields_against_the_target(api: httpx.Client) -> None:
    def move(variant: str) -> httpx.Response:
        body = {"projectId": "rosa-restaurants", "variantId": variant}
        return api.patch(f"{CONNECTORS}/{LIVE}", json=body)

    assert move(variant_id(api, "Whitby")).status_code == 400
    assert move(variant_id(api, "Leith", "rosa-restaurants")).status_code == 200


def test_move_needs_a_key_for_both_projects(api: httpx.Client) -> None:
    path = f"{CONNECTORS}/{LIVE}"

    refused = api.patch(
        path, json={"projectId": "rosa-restaurants"}, headers={"X-API-KEY": "demo-key-hotels"}
    )
    unknown = api.patch(path, json={"projectId": "nowhere"})

    assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "PROJECT_NOT_FOUND")
    assert connector(api).status_code == 200


def test_move_to_the_own_project_is_no_move(api: httpx.Client) -> None:
    before = connector(api).json()

    assert api.patch(f"{CONNECTORS}/{LIVE}", json={"projectId": "PROJECT-5A1E9C07"}).json() == before
