"""Answers measured against the vendor's published document, where that is at hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from airflow_voice_agents.emulator.polyai.app import PolyAIRoom
from airflow_voice_agents.emulator.server import EmulatorServer

_ROOT = Path(__file__).resolve().parents[3]
_DOCUMENT = _ROOT.parent / "shared" / "reference" / "polyai-agents.openapi.json"

pytestmark = pytest.mark.skipif(not _DOCUMENT.exists(), reason="the vendor's document is not at hand")

AGENT = "/v1/agents/harbour-hotels"
CONNECTOR = f"{AGENT}/telephony/connectors/conn_hh_live_main"
NUMBERS = f"{AGENT}/telephony/phone-numbers"
BRANCH = "/v1/agents/rosa-restaurants/branches/BRANCH-1F0C77D2"
NEW_AGENT = {"name": "New", "agentId": "new", "responseSettings": {"greeting": "Hello"}}
CALL = {"toNumber": "+447700900111", "environment": "live"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    return loaded


class Checker:
    """Sends requests and checks status and body of each answer against the document."""

    def __init__(self, api: httpx.Client, document: dict[str, Any]) -> None:
        self._api = api
        self._document = document
        self.seen: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        response = self._api.request(method, path, json=body, params=query or None)
        template = self._template(method, path)
        declared = self._document["paths"][template][method.lower()]["responses"]
        assert str(response.status_code) in declared, (method, path, response.text)
        assert response.status_code < 400, response.text
        self.seen.add((method, template))
        if not response.content:
            return None
        schema = declared[str(response.status_code)]["content"]["application/json"]["schema"]
        self._validate(response.json(), schema)
        return response.json()

    def _template(self, method: str, path: str) -> str:
        candidates = [
            template
            for template, item in self._document["paths"].items()
            if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        return min(candidates, key=lambda template: template.count("{"))

    def _validate(self, body: Any, schema: dict[str, Any]) -> None:
        whole = schema | {"components": self._document["components"]}
        Draft202012Validator(whole).validate(body)


@pytest.fixture
def check(server: EmulatorServer, api: httpx.Client, document: dict[str, Any]) -> Checker:
    server.switches.response_nulls = "omit"
    return Checker(api, document)


def test_operations_are_the_documents(document: dict[str, Any]) -> None:
    declared = {
        (method.upper(), route)
        for route, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }

    served = {(operation.method, operation.route) for operation in PolyAIRoom.agents_api}
    areas = ("audio-cache", "voice-library", "knowledge-base", "/behavior")
    read = {("GET", route) for _, route in served if route.endswith(("/behavior", "/knowledge-base/topics"))}
    assert len(read) == 2
    assert served == {each for each in declared if each in read or not any(area in each[1] for area in areas)}


BEHAVIOR = {"text": "Be brief."}
TOPICS = {"TOPIC-1": {"name": "Hours", "content": "We open at 8."}}


def test_every_operation_answers_as_declared(server: EmulatorServer, check: Checker) -> None:
    agents = server.polyai.agents
    agents["rosa-restaurants"]["branches"][BRANCH.rpartition("/")[2]] |= {
        "behavior": BEHAVIOR,
        "topics": TOPICS,
    }
    _config_and_telephony(check)
    _deployments_and_content(check)

    assert check.seen == {(operation.method, operation.route) for operation in PolyAIRoom.agents_api}


def _config_and_telephony(check: Checker) -> None:
    check("GET", f"{AGENT}/real-time-configs")
    page = check("GET", f"{AGENT}/real-time-configs/live")
    check("PUT", f"{AGENT}/real-time-configs/live/schema", {"schema": page["schema"]})
    check("PATCH", f"{AGENT}/real-time-configs/live/variables", {"variables": {"csat_enabled": True}})
    check("GET", f"{AGENT}/telephony/connectors")
    check("POST", f"{AGENT}/telephony/connectors/batch", {"connectorIds": ["conn_hh_sandbox", "x"]})
    updates = [{"connectorId": "conn_hh_sandbox", "variantId": None}, {"connectorId": "x"}]
    check("PATCH", f"{AGENT}/telephony/connectors/batch", {"updates": updates})
    check("POST", f"{AGENT}/telephony/connectors/lookup", {"phoneNumber": "+441632960005"})
    check("GET", CONNECTOR)
    check("PATCH", CONNECTOR, {"asrLangCode": "en-US"})
    check("GET", NUMBERS)
    check("POST", NUMBERS, {"phoneNumbers": ["+441632960900"], "clientEnv": "live"})
    check("POST", f"{NUMBERS}/batch", {"phoneNumbers": ["+441632960900", "+441632960901"]})
    check("GET", f"{NUMBERS}/%2B441632960900")
    check("PATCH", f"{NUMBERS}/%2B441632960900", {"connectorId": "conn_hh_live_main"})
    check("POST", f"{NUMBERS}/%2B441632960901", {"clientEnv": "sandbox"})
    check("DELETE", f"{NUMBERS}/%2B441632960901")
    check("DELETE", NUMBERS, {"phoneNumbers": ["+441632960900", "+441632960901"]})
    call = check("POST", f"{AGENT}/telephony/outbound-calls", CALL)
    check("GET", f"{AGENT}/telephony/outbound-calls/{call['callSid']}/status", environment="live")
    check("DELETE", CONNECTOR)


def _deployments_and_content(check: Checker) -> None:
    deployments = check("GET", f"{AGENT}/deployments", environment="sandbox")["deployments"]
    check("GET", f"{AGENT}/deployments/active")
    check("POST", "/v1/agents/rosa-restaurants/deployments/publish", {})
    check("POST", f"{AGENT}/deployments/{deployments[0]['id']}/promote", {"targetEnvironment": "pre-release"})
    check("POST", f"{AGENT}/deployments/{deployments[1]['id']}/rollback")
    check("GET", f"{AGENT}/branches")
    created = check("POST", f"{AGENT}/branches", {"branchName": "x"})
    check("DELETE", f"{AGENT}/branches/{created['branchId']}")
    check("GET", f"{BRANCH}/attributes")
    attribute = check("POST", f"{BRANCH}/attributes", {"name": "wifi"})["id"]
    check("PATCH", f"{BRANCH}/attributes/{attribute}", {"name": "wi-fi"})
    check("GET", f"{BRANCH}/variants")
    check("GET", f"{BRANCH}/behavior")
    check("GET", f"{BRANCH}/knowledge-base/topics")
    values = {"name": "Oban", "attributeValues": {"values": {attribute: "free"}}}
    variant = check("POST", f"{BRANCH}/variants", values)["id"]
    check("PATCH", f"{BRANCH}/variants/{variant}", {"name": "Oban Bay"})
    check("DELETE", f"{BRANCH}/variants/{variant}")
    check("DELETE", f"{BRANCH}/attributes/{attribute}")
    check("POST", f"{BRANCH}/merge", {"deploymentMessage": "x"})
    check("GET", "/v1/accounts/demo-uk/agents")
    check("POST", "/v1/accounts/demo-uk/agents", NEW_AGENT)
    check("POST", "/v1/agents/new/duplicate", {"newAgentName": "Copy"})
    check("DELETE", "/v1/agents/new")


def test_only_the_documented_nulls_depart_from_the_document(
    server: EmulatorServer, api: httpx.Client, document: dict[str, Any]
) -> None:
    active = api.get("/v1/agents/northgate-bank/deployments/active").json()["activeDeployments"]
    page_body = api.post("/v1/accounts/demo-uk/agents", json=NEW_AGENT)
    page = api.get("/v1/agents/new/real-time-configs/live").json()

    assert page_body.status_code == 200
    assert [key for key, value in active.items() if value is None] == ["live"]
    assert [key for key, value in page.items() if value is None] == ["variables", "schema"]
