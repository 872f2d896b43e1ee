"""The metadata of the distribution, as an index shows it."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import airflow_voice_agents

ROOT = Path(airflow_voice_agents.__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def described() -> dict[str, Any]:
    """The metadata after the build hook."""
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    metadata: dict[str, Any] = {"urls": PROJECT["urls"]}
    module.ReadmeLinks(str(ROOT), {}).update(metadata)
    return metadata


def test_links_of_the_readme_are_absolute_where_an_index_shows_it() -> None:
    text = described()["readme"]["text"]
    links = LINK.findall(text)

    assert any(link.endswith("/blob/main/docs/promotion.md") for link in links)
    assert [link for link in links if not link.startswith(("https://", "http://", "#"))] == []
    assert len(links) == len(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))


def test_the_project_names_its_authors_and_pages() -> None:
    assert PROJECT["authors"]
    assert {"Source", "Documentation", "Changelog", "Issues"} <= set(PROJECT["urls"])
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())


def test_every_python_that_is_classified_is_one_that_is_allowed() -> None:
    minors = [
        int(found[1])
        for each in PROJECT["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", each))
    ]

    assert minors == [11, 12, 13, 14]
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"


def test_the_version_is_written_once() -> None:
    assert "version" in PROJECT["dynamic"]
    written = f'"{airflow_voice_agents.__version__}"'
    found = [
        path.name
        for path in (ROOT / "provider").rglob("*.py")
        if f"= {written}" in path.read_text(encoding="utf-8")
    ]

    assert found == ["__init__.py"]


def test_the_floor_is_the_first_airflow_that_keeps_nested_values_of_alias_events() -> None:
    assert "apache-airflow>=3.1.3,<4" in PROJECT["dependencies"]
    assert "apache-airflow-providers-standard>=1.12.2" in PROJECT["dependencies"]
