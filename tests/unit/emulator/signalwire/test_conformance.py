"""Answers measured against the vendor's published document, where that is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.emulator.signalwire import fields
from airflow_voice_agents.emulator.signalwire.app import SignalWireRoom

_ROOT = Path(__file__).resolve().parents[4]
_DOCUMENT = _ROOT.parent / "shared" / "reference" / "signalwire-phone-numbers.openapi.json"

pytestmark = pytest.mark.skipif(not _DOCUMENT.exists(), reason="the vendor's document is not at hand")

NUMBERS = "/api/relay/rest/phone_numbers"
ADDRESS = "c7d1e3f4-1b2c-4d3e-8f4a-5b6c7d8e9f00"
NUMBER = "+12065550190"

Check = Callable[..., Any]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    return loaded


class Checker:
    """Sends requests and checks status and body of each answer against the document."""

    def __init__(self, carrier: httpx.Client, document: dict[str, Any]) -> None:
        self._carrier = carrier
        self._document = document
        self.seen: set[tuple[str, str]] = set()

    def __call__(self, status: int, method: str, path: str, body: Any = None) -> Any:
        response = self._carrier.request(method, path, json=body)
        template = self._template(method, path.partition("?")[0])
        declared = self._document["paths"][template][method.lower()]["responses"]
        assert response.status_code == status, (method, path, response.text)
        assert str(status) in declared
        self.seen.add((method, template))
        content = self._resolved(declared[str(status)]).get("content")
        if content is None:
            assert response.content == b""
            return None
        self._validate(response.json(), content["application/json"]["schema"])
        return response.json()

    def _template(self, method: str, path: str) -> str:
        candidates: list[str] = [
            template
            for template, item in self._document["paths"].items()
            if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        return min(candidates, key=lambda template: template.count("{"))

    def _resolved(self, response: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in response:
            return response
        found: dict[str, Any] = self._document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        return found

    def _validate(self, body: Any, schema: dict[str, Any]) -> None:
        whole = schema | {"components": self._document["components"]}
        Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)


@pytest.fixture
def check(carrier: httpx.Client, document: dict[str, Any]) -> Checker:
    return Checker(carrier, document)


def test_operations_are_the_documents(document: dict[str, Any]) -> None:
    declared = {
        (method.upper(), route)
        for route, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }

    assert {(each.method, each.route) for each in SignalWireRoom.operations} == declared


def test_fields_and_enums_are_the_documents(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert (
        list(fields.SHOWN) == schemas["PhoneNumber"]["required"] == list(schemas["PhoneNumber"]["properties"])
    )
    assert set(fields.WRITABLE) == set(schemas["UpdatePhoneNumber"]["properties"])
    assert set(fields.CALL_HANDLERS) == set(schemas["CallHandler"]["enum"])
    assert set(fields.COMPANIONS) == set(schemas["CallHandlerWritable"]["enum"])
    assert set(fields.MESSAGE_COMPANIONS) == set(schemas["MessageHandler"]["enum"])
    assert set(fields.CAPABILITIES) == set(schemas["Capability"]["enum"])


def test_every_operation_answers_as_declared(check: Checker, path_of: Callable[[str], str]) -> None:
    path = path_of(NUMBER)
    first = check(200, "GET", f"{NUMBERS}?page_size=10")
    check(200, "GET", first["links"]["next"])
    check(200, "GET", f"{NUMBERS}/search?areacode=512")
    check(200, "POST", NUMBERS, {"number": "+12065550100"})
    for number in (
        "+441632960005",
        "+441632960027",
        "+441632960108",
        "+441632960109",
        "+18005550100",
        NUMBER,
    ):
        check(200, "GET", path_of(number))
    script = {"call_handler": "relay_script", "call_relay_script_url": "https://swml.example/x"}
    check(200, "PUT", path, script)
    check(200, "POST", f"{path}/e911_address", {"e911_address_id": ADDRESS})
    check(200, "DELETE", f"{path}/e911_address")
    check(204, "DELETE", path)

    assert check.seen == {(operation.method, operation.route) for operation in SignalWireRoom.operations}


def test_refusals_look_as_declared(check: Checker, path_of: Callable[[str], str]) -> None:
    path = path_of(NUMBER)
    check(400, "GET", f"{NUMBERS}?page_size=0")
    check(400, "POST", NUMBERS, [])
    check(422, "POST", NUMBERS, {"number": "x"})
    check(404, "GET", f"{NUMBERS}/{ADDRESS}")
    check(422, "PUT", path, {"call_handler": "relay_script"})
    check(422, "DELETE", path_of("+441632960107"))
    check(422, "POST", f"{path}/e911_address", {"e911_address_id": "x"})


def test_a_missing_token_is_refused_as_declared(
    server: EmulatorServer, anonymous: httpx.Client, document: dict[str, Any]
) -> None:
    checker = Checker(anonymous, document)

    for operation in SignalWireRoom.operations:
        checker(401, operation.method, operation.route.replace("{id}", ADDRESS))
