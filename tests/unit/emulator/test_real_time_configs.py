from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

PAGES = "/v1/agents/harbour-hotels/real-time-configs"


@pytest.fixture
def blank(api: httpx.Client) -> str:
    """Path of the pages of an agent that has none yet."""
    body = {"name": "Blank", "agentId": "blank", "responseSettings": {"greeting": "Hello"}}
    assert api.post("/v1/accounts/demo-uk/agents", json=body).status_code == 200
    return "/v1/agents/blank/real-time-configs"


def patch(api: httpx.Client, page: str, **variables: Any) -> httpx.Response:
    return api.patch(f"{page}/variables", json={"variables": variables})


def put(api: httpx.Client, page: str, **schema: Any) -> httpx.Response:
    return api.put(f"{page}/schema", json={"schema": schema})


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


def test_one_get_returns_the_pages_of_all_environments(api: httpx.Client) -> None:
    pages = api.get(PAGES).json()["configPages"]

    assert [page["clientEnv"] for page in pages] == ["sandbox", "pre-release", "live"]
    assert pages[2] == api.get(f"{PAGES}/live").json()


def test_patch_merges_at_the_top_level_only(api: httpx.Client) -> None:
    before = api.get(f"{PAGES}/live").json()

    after = patch(api, f"{PAGES}/live", settings={"use_mock_api": False}).json()

    assert after["variables"] == before["variables"] | {"settings": {"use_mock_api": False}}
    assert after == api.get(f"{PAGES}/live").json()
    assert after["schema"] == before["schema"]


def test_writes_to_one_environment_leave_the_others_alone(api: httpx.Client) -> None:
    before = api.get(PAGES).json()["configPages"]

    patch(api, f"{PAGES}/live", csat_enabled=True)
    put(api, f"{PAGES}/live", type="object")

    assert api.get(PAGES).json()["configPages"][:2] == before[:2]


def test_last_updated_moves_with_both_writes_and_repeats_from_run_to_run(
    server: EmulatorServer, api: httpx.Client
) -> None:
    def stamps() -> list[str]:
        server.reset()
        page = f"{PAGES}/live"
        return [
            api.get(page).json()["lastUpdated"],
            patch(api, page, csat_enabled=True).json()["lastUpdated"],
            put(api, page, type="object").json()["lastUpdated"],
        ]

    first = stamps()

    assert first == sorted(set(first))
    assert first == stamps()


def test_unset_page_shows_nulls(api: httpx.Client, blank: str) -> None:
    assert api.get(f"{blank}/live").json() == {"clientEnv": "live", "variables": None, "schema": None}


def test_unset_page_without_nulls_shows_nothing(
    server: EmulatorServer, api: httpx.Client, blank: str
) -> None:
    server.switches.response_nulls = "omit"

    assert api.get(f"{blank}/live").json() == {"clientEnv": "live"}


def test_unset_page_can_be_not_found_until_it_is_written(
    server: EmulatorServer, api: httpx.Client, blank: str
) -> None:
    server.switches.unset_page = "not_found"

    assert api.get(f"{blank}/live").status_code == 404
    assert patch(api, f"{blank}/live", a=1).status_code == 200
    assert api.get(f"{blank}/live").status_code == 200


def test_page_without_schema_takes_anything(api: httpx.Client, blank: str) -> None:
    page = patch(api, f"{blank}/live", a=1, b={"c": None}).json()

    assert page["variables"] == {"a": 1, "b": {"c": None}}
    assert page["schema"] is None


def test_numbers_and_text_come_back_as_they_were_sent(api: httpx.Client, blank: str) -> None:
    values = '{"a":1,"b":1.0,"c":true,"d":"Größe – 営業","e":"\\ud800","f":12345678901234567890,"g":""}'

    body = f'{{"variables":{values}}}'.encode()
    response = api.patch(f"{blank}/live/variables", content=body)

    shown = response.json()["variables"]
    assert [(type(value), value) for value in shown.values()] == [
        (int, 1),
        (float, 1.0),
        (bool, True),
        (str, "Größe – 営業"),
        (str, "\ud800"),
        (int, 12345678901234567890),
        (str, ""),
    ]


def test_values_that_break_the_stored_schema_are_refused_and_change_nothing(api: httpx.Client) -> None:
    before = api.get(f"{PAGES}/live").json()

    response = patch(api, f"{PAGES}/live", csat_enabled="yes")

    assert code(response) == (400, "REAL_TIME_CONFIG_INVALID_FOR_SCHEMA")
    assert api.get(f"{PAGES}/live").json() == before


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [("merged", (200, 400)), ("patch", (200, 200)), ("patch_required", (400, 400))],
)
def test_validation_looks_at_the_merged_page_or_at_the_patch(
    server: EmulatorServer, api: httpx.Client, blank: str, mode: Any, statuses: tuple[int, int]
) -> None:
    page = f"{blank}/live"
    patch(api, page, a=1, b=1)
    not_both = {"not": {"properties": {"a": {"const": 5}, "b": {"const": 1}}, "required": ["a", "b"]}}
    put(api, page, type="object", required=["a", "b"], **not_both)
    server.switches.variables_validation = mode

    part, contradiction = patch(api, page, a=2), patch(api, page, a=5)

    assert (part.status_code, contradiction.status_code) == statuses


@pytest.mark.parametrize(("checks", "status"), [(False, 200), (True, 400)])
def test_put_schema_may_check_the_stored_values(
    server: EmulatorServer, api: httpx.Client, checks: bool, status: int
) -> None:
    server.switches.schema_checks_data = checks

    assert put(api, f"{PAGES}/live", required=["not_there_yet"]).status_code == status


@pytest.mark.parametrize(("mode", "kept"), [("store", {"a": 1, "b": None}), ("delete", {"a": 1})])
def test_null_is_stored_or_deletes(
    server: EmulatorServer, api: httpx.Client, blank: str, mode: Any, kept: dict[str, Any]
) -> None:
    server.switches.null_variable = mode
    patch(api, f"{blank}/live", a=1, b=2)

    assert patch(api, f"{blank}/live", b=None).json()["variables"] == kept


def test_put_schema_replaces_it_whole(api: httpx.Client) -> None:
    assert put(api, f"{PAGES}/live", type="object").json()["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "unheard-of"},
        {"properties": {"a": {"pattern": "("}}},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"properties": {"a": {"$ref": "file:///etc/hostname"}}},
    ],
)
def test_unusable_schema_is_refused(api: httpx.Client, schema: dict[str, Any]) -> None:
    response = put(api, f"{PAGES}/live", **schema)

    assert code(response) == (400, "REAL_TIME_CONFIG_INVALID_SCHEMA")


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/definitions/missing"}, {"$ref": "#"}, {"$id": "http://x.invalid/", "$ref": "#/d"}]
)
def test_schema_that_leads_nowhere_refuses_values_instead_of_failing(
    api: httpx.Client, blank: str, schema: dict[str, Any]
) -> None:
    assert put(api, f"{blank}/live", **schema).status_code == 200

    assert code(patch(api, f"{blank}/live", a=1)) == (400, "REAL_TIME_CONFIG_INVALID_FOR_SCHEMA")


def test_local_references_and_the_meta_schema_are_followed(api: httpx.Client, blank: str) -> None:
    put(
        api,
        f"{blank}/live",
        definitions={"n": {"type": "integer"}},
        properties={
            "a": {"$ref": "#/definitions/n"},
            "s": {"$ref": "http://json-schema.org/draft-07/schema#"},
        },
    )

    assert patch(api, f"{blank}/live", a=1, s={"type": "string"}).status_code == 200
    assert patch(api, f"{blank}/live", a="1").status_code == 400
    assert patch(api, f"{blank}/live", s={"type": 5}).status_code == 400


@pytest.mark.parametrize("environment", ["staging", "Live", "pre_release"])
def test_unknown_environment_is_refused_everywhere(api: httpx.Client, environment: str) -> None:
    page = f"{PAGES}/{environment}"

    for response in (api.get(page), put(api, page, type="object"), patch(api, page, a=1)):
        assert code(response) == (400, "REAL_TIME_CONFIG_UNKNOWN_CLIENT_ENVIRONMENT")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"variables": []}', b'{"variables": null}', b'{"variables": {"a": NaN}}', b"{}"],
)
def test_malformed_bodies_are_refused(api: httpx.Client, body: bytes) -> None:
    response = api.patch(f"{PAGES}/live/variables", content=body)

    assert code(response) == (400, "REAL_TIME_CONFIG_INVALID_FOR_SCHEMA")


def test_bottomless_nesting_is_refused(api: httpx.Client) -> None:
    response = api.patch(f"{PAGES}/live/variables", content=b'{"variables":' + b"[" * 200_000)

    assert response.status_code == 400


def test_unknown_keys_of_a_body_are_ignored(api: httpx.Client) -> None:
    body = {"variables": {"csat_enabled": True}, "comment": "hello"}

    assert api.patch(f"{PAGES}/live/variables", json=body).status_code == 200


def test_sandbox_of_a_simplified_project_reads_as_empty(server: EmulatorServer, api: httpx.Client) -> None:
    server.switches.simplified = ["harbour-hotels"]

    page = api.get(f"{PAGES}/sandbox").json()

    assert (page["variables"], page["schema"]) == (None, None)
    assert api.get(f"{PAGES}/live").json()["variables"]
