"""Projects, tokens, scopes and error bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

NUMBERS = "/api/relay/rest/phone_numbers"
PROJECT = "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21"
BANK = ("9b0d3c44-1e5a-4a7f-8b62-0c9f2d4e6a83", "demo-token-bank")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer demo-token-hotels"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic /w=="},
        {"Authorization": "Basic"},
    ],
)
def test_anything_but_basic_credentials_is_unauthorized(
    server: EmulatorServer, anonymous: httpx.Client, headers: dict[str, str]
) -> None:
    response = anonymous.get(NUMBERS, headers=headers)

    assert (response.status_code, response.json()) == (401, {"error": "Unauthorized"})


@pytest.mark.parametrize(
    "auth",
    [
        (PROJECT, "wrong"),
        (PROJECT, ""),
        (PROJECT, "demo-token-bank"),
        (PROJECT, "demo-token-revoked"),
        (BANK[0], "demo-token-hotels"),
        ("unknown", "demo-token-hotels"),
    ],
)
def test_wrong_foreign_and_revoked_tokens_are_unauthorized(
    server: EmulatorServer, anonymous: httpx.Client, auth: tuple[str, str]
) -> None:
    assert anonymous.get(NUMBERS, auth=auth).status_code == 401


@pytest.mark.parametrize(
    ("status", "body"), [("403", {"error": "Forbidden"}), ("401", {"error": "Unauthorized"})]
)
def test_a_token_without_the_scope_is_refused_with_either_status(
    server: EmulatorServer, anonymous: httpx.Client, status: Any, body: dict[str, str]
) -> None:
    server.switches.signalwire_missing_scope = status

    response = anonymous.get(NUMBERS, auth=(PROJECT, "demo-token-voice-only"))

    assert (response.status_code, response.json()) == (int(status), body)


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/e911_address"), ("DELETE", "/e911_address")],
)
def test_numbers_of_another_project_are_not_found(
    carrier: httpx.Client, path_of: Callable[[str], str], method: str, suffix: str
) -> None:
    response = carrier.request(method, path_of("+441632960035") + suffix, json={"name": "x"})

    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})


def test_a_token_lists_its_own_project_only(server: EmulatorServer, anonymous: httpx.Client) -> None:
    found = anonymous.get(NUMBERS, auth=BANK).json()["data"]

    assert {record["number"] for record in found} == {"+441632960035", "+441632960036", "+441632960037"}


def test_search_is_not_taken_for_an_id_and_no_id_for_a_search(carrier: httpx.Client) -> None:
    assert "id" not in carrier.get(f"{NUMBERS}/search").json()["data"][0]
    assert carrier.put(f"{NUMBERS}/search", json={"name": "x"}).status_code == 404
    assert carrier.delete(f"{NUMBERS}/search").status_code == 404
    assert carrier.get(f"{NUMBERS}/+441632960005").status_code == 404


def test_ids_are_found_in_either_case(carrier: httpx.Client, path_of: Callable[[str], str]) -> None:
    root, _, number_id = path_of("+441632960005").rpartition("/")

    assert carrier.get(f"{root}/{number_id.upper()}").json()["number"] == "+441632960005"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_no_object_is_a_bad_request(
    carrier: httpx.Client, path_of: Callable[[str], str], method: str, body: bytes
) -> None:
    path = NUMBERS if method == "POST" else path_of("+441632960005")

    response = carrier.request(method, path, content=body)

    assert (response.status_code, response.json()) == (400, {"error": "Bad Request"})


def test_patch_is_not_allowed(carrier: httpx.Client, path_of: Callable[[str], str]) -> None:
    assert carrier.patch(path_of("+441632960005"), json={"name": "x"}).status_code == 405


def test_items_of_a_422_are_texts_throughout(carrier: httpx.Client) -> None:
    response = carrier.post(NUMBERS, json={})

    assert response.status_code == 422
    assert response.json() == {
        "errors": [
            {
                "detail": "number is required",
                "status": "422",
                "title": "Unprocessable Entity",
                "code": "missing_required_parameter",
            }
        ]
    }


def test_codes_may_be_the_status(server: EmulatorServer, carrier: httpx.Client) -> None:
    server.switches.signalwire_codes = "status"

    assert carrier.post(NUMBERS, json={}).json()["errors"][0]["code"] == "422"
    assert carrier.get(f"{NUMBERS}/x").json() == {"error": "Not Found"}


def test_request_id_comes_back_or_is_made_up(carrier: httpx.Client) -> None:
    given = carrier.get(NUMBERS, headers={"X-Request-Id": "run-17"})
    made = {carrier.get(f"{NUMBERS}/x").headers["X-Request-Id"] for _ in range(3)}

    assert given.headers["X-Request-Id"] == "run-17"
    assert len(made) == 3
