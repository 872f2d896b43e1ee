"""The JSON Schema of a promotion spec, for editors and for checks of a pull request.

``python -m airflow_voice_agents.polyai.spec_schema`` prints it. The file ``promotion.schema.json`` beside this module
is the same, so that an editor can be pointed to it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from airflow_voice_agents.polyai.spec import PromotionSpec

SCHEMA_FILE = Path(__file__).with_name("promotion.schema.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ROLE = re.compile(r":\w+:`\.?([^`]+)`|``([^`]*)``")


def json_schema() -> dict[str, Any]:
    """Return the schema of :class:`.PromotionSpec`, with a description of each field."""
    schema = PromotionSpec.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        _describe(part)
    return {"$schema": DIALECT, **schema, "title": "Promotion"}


def text() -> str:
    """Return the schema as the text of the file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _describe(part: dict[str, Any]) -> None:
    """Move the descriptions of fields from the description of the whole to the fields."""
    whole, *fields = re.split(r"\n\s*:param ", part.get("description", ""))
    if whole:
        part["description"] = _plain(whole)
    for field in fields:
        name, _, said = field.partition(":")
        described = part["properties"][name]
        described.pop("title", None)
        described["description"] = _plain(said)


def _plain(said: str) -> str:
    return _ROLE.sub(lambda found: found[1] or found[2], " ".join(said.split()))


if __name__ == "__main__":
    print(text(), end="")  # noqa: T201
