"""The error bodies of the two services behind the vendor's gateway."""

from __future__ import annotations

from airflow_voice_agents.emulator.request import Problem, Record


def envelope(code: str | None, message: str, trace_id: str) -> Record:
    """The error envelope of the Python service, which also comes with status 200."""
    return {
        "success": False,
        "error": message,
        "error_id": trace_id,
        "error_code": code or "UNKNOWN_ERROR",
        "error_message": message,
        "data": None,
    }


def fields_body(problem: Problem) -> Record:
    """The error body of the Node service, which has no place for a code."""
    text = f"{problem.code}: {problem.message}" if problem.code else problem.message
    return {"message": text, "errors": [{"field": field, "message": text} for field, text in problem.fields]}
