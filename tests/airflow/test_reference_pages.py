"""The reference pages are made from the code, and name everything that the code has."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.plans.diff import Op
from airflow_voice_agents.plans.display import HIDDEN, MASKED
from airflow_voice_agents.plans.render import FINDING_SIGNS
from support.reference_pages import DOCS, MEANINGS, finding_codes, pages


@pytest.mark.parametrize("name", pages())
def test_a_page_is_as_the_code_has_it(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run make reference"


def test_every_finding_code_is_explained() -> None:
    assert finding_codes().keys() == MEANINGS.keys()


def test_every_symbol_of_a_plan_is_explained() -> None:
    page = (DOCS / "plan-output.md").read_text(encoding="utf-8")

    for sign in (*Op, *FINDING_SIGNS.values(), "=", "!", MASKED, HIDDEN):
        assert f"| `{sign}` |" in page


def test_every_field_of_a_connection_is_explained() -> None:
    info: dict[str, Any] = get_provider_info()
    page = (DOCS / "connections.md").read_text(encoding="utf-8")

    for each in info["connection-types"]:
        for name, field in each["conn-fields"].items():
            assert f"| {field['label']} | `extra.{name}` |" in page
