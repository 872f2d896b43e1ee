"""The error bodies of Omnia Voice: an object with message and code, or a text beside details."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_voice_agents.emulator.request import Problem, Record


def refused(status: int, code: str, message: str, fields: Mapping[str, str] | None = None) -> Problem:
    """A refusal.

    :param fields: field of the body or the query -> what is wrong with it.
    """
    return Problem(status, message, code, (fields or {}).items())


def error_body(problem: Problem, shape: str) -> Record:
    """The body of a refusal.

    :param shape: ``object`` or ``text``.
    """
    if shape == "object":
        return {"error": {"message": problem.message, "code": problem.code}}
    fields = {name: [text] for name, text in problem.fields}
    return {"error": problem.message, "details": {"formErrors": [], "fieldErrors": fields}}
