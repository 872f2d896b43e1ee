"""The transport serves every platform: it names none, and knows the codes and stages of none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_voice_agents.transport

ROOM = Path(airflow_voice_agents.transport.__file__).parent
VENDORS = r"poly[\W_]?ai|signal[\W_]?wire|omnia"
WORDS = (
    r"sandbox|pre[\W_]?release|promot|agent_?id|deployment|real[\W_]?time[\W_]?config|hasConflicts"
    r"|(?<!TCP)connector(?!=self\.dialer)"  # aiohttp has one as well
)
VENDOR = re.compile(f"{VENDORS}|{WORDS}", re.IGNORECASE)


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: path.name)
def test_no_module_names_a_vendor_or_its_things(path):
    found = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if VENDOR.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    "text", ["X-PolyAI-Correlation-Id", "api.poly.ai", "SignalWire", "omnia_voice", "pre_release", "agentId"]
)
def test_the_search_finds_what_it_looks_for(text):
    assert VENDOR.search(text)
