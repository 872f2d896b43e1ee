"""Request bodies: read as strict JSON and checked against what the operation declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jsonschema import Draft7Validator

from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, decode

TEXT: Record = {"type": "string"}
NAME: Record = {"type": "string", "minLength": 1}
FREE: Record = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Body:
    """What an operation takes.

    :param validator: of the whole body.
    :param code: error code of a refusal.
    :param required: whether there must be a body at all.
    """

    validator: Draft7Validator
    code: str
    required: bool

    def read(self, exchange: EmulatorRequest) -> Any:
        """The checked document; an empty object when there is no body and none is required.

        :raises Problem: 400 with a field and a message per error.
        """
        if not exchange.body and not self.required:
            document: Any = {}
        else:
            document = self._decode(exchange.body)
        errors = sorted(self.validator.iter_errors(document), key=lambda error: list(map(str, error.path)))
        if errors:
            fields = [(".".join(map(str, error.absolute_path)) or "body", error.message) for error in errors]
            raise Problem(400, "; ".join(f"{name}: {text}" for name, text in fields[:3]), self.code, fields)
        return document

    def _decode(self, body: bytes) -> Any:
        if not body:
            raise Problem(400, "A request body is required", self.code, [("body", "is required")])
        try:
            return decode(body)
        except ValueError:
            raise Problem(400, "The body is not valid JSON", self.code, [("body", "invalid JSON")]) from None


def open_body(*required: str, code: str = "VALIDATION_FAILED", properties: dict[str, Record]) -> Body:
    """A body that must be there and may hold unknown keys (Python service)."""
    return Body(_validator(required, properties, closed=False), code, required=True)


def closed_body(*required: str, properties: dict[str, Record]) -> Body:
    """A body that may be missing and refuses unknown keys (Node service)."""
    return Body(_validator(required, properties, closed=True), "VALIDATION_FAILED", required=False)


def closed_object(*required: str, properties: dict[str, Record]) -> Record:
    """Schema of an object that refuses unknown keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def list_of(item: Record) -> Record:
    """Schema of a list with at least one item."""
    return {"type": "array", "minItems": 1, "items": item}


def _validator(required: tuple[str, ...], properties: dict[str, Record], *, closed: bool) -> Draft7Validator:
    schema = closed_object(*required, properties=properties)
    return Draft7Validator(schema if closed else schema | {"additionalProperties": True})
