"""The error bodies of SignalWire: one word for most statuses, a list of items for what cannot be processed."""

from __future__ import annotations

from http import HTTPStatus

from airflow_voice_agents.emulator.request import Problem, Record


def plain(status: int) -> Problem:
    """A refusal that says nothing but its status."""
    title = HTTPStatus(status).phrase
    return Problem(status, title, body={"error": title})


def refused(*items: tuple[str, str], status: int = 422) -> Problem:
    """A refusal with items.

    :param items: pairs of a symbolic code and a text.
    """
    # Newer Pythons call 422 "Unprocessable Content".
    title = "Unprocessable Entity" if status == 422 else HTTPStatus(status).phrase
    errors: list[Record] = [
        {"detail": detail, "status": str(status), "title": title, "code": code} for code, detail in items
    ]
    return Problem(status, items[0][1], items[0][0], body={"errors": errors})


def with_plain_codes(body: Record) -> Record:
    """The same body with the status in the place of symbolic codes."""
    if "errors" not in body:
        return body
    return {"errors": [item | {"code": item["status"]} for item in body["errors"]]}
