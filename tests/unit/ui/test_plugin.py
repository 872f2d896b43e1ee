"""Airflow finds the plugin in either of its two ways, and loads no more than the plugin."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse
from airflow.plugins_manager import AirflowPlugin

from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.ui import plugin

ROOT = Path(__file__).parents[3]
(LISTED,) = get_provider_info()["plugins"]  # type: ignore[misc]


def test_the_metadata_names_the_plugin_by_its_own_name() -> None:
    module, _, name = LISTED["plugin-class"].rpartition(".")  # type: ignore[index]
    found = getattr(importlib.import_module(module), name)

    assert issubclass(found, AirflowPlugin)
    assert found.name == LISTED["name"]  # type: ignore[index]


@pytest.mark.parametrize("lazily", [True, False])
def test_the_entry_point_stands_in_where_airflow_does_not_read_the_metadata(
    lazily: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both together would be a plugin that is registered twice, which Airflow shows as an import error."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entry = project["entry-points"]["airflow.plugins"]["voice_agents"]
    monkeypatch.setenv("AIRFLOW__CORE__LAZY_DISCOVER_PROVIDERS", str(lazily))
    module, _, name = entry.partition(":")
    reloaded = importlib.reload(importlib.import_module(module))
    try:
        assert inspect.isclass(getattr(reloaded, name)) is lazily
    finally:
        monkeypatch.undo()
        importlib.reload(reloaded)


def test_airflow_takes_the_view_as_it_is() -> None:
    (view,) = plugin.VoiceAgentsPlugin.external_views
    (app,) = plugin.VoiceAgentsPlugin.fastapi_apps
    fields: dict[str, Any] = {
        name: [] for name in PluginResponse.model_fields if name not in ("name", "source")
    }
    answer = PluginResponse(**{**fields, "name": "voice_agents", "source": "", "external_views": [view]})

    assert answer.external_views[0].href == f"{app['url_prefix']}/"
    assert view["icon"].startswith(app["url_prefix"])


def test_the_view_is_below_the_path_that_airflow_is_served_under(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/team/airflow/")

    assert plugin.base_path() == "/team/airflow"


def test_the_plugin_loads_nothing_of_the_page_nor_of_the_platforms() -> None:
    """Every process of Airflow loads plugins, the ones that parse DAG files and run tasks too."""
    code = """
import sys
import airflow.plugins_manager
before = set(sys.modules)
import airflow_voice_agents.ui.plugin
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.splitlines()[-1].split())
    assert not {"fastapi", "jinja2", "rich", "httpx"} & loaded
    assert {name for name in loaded if name.startswith("airflow_voice_agents")} <= {
        *("airflow_voice_agents", "airflow_voice_agents.ui", "airflow_voice_agents.ui.plugin"),
        *("airflow_voice_agents.get_provider_info", "airflow_voice_agents.airflow_compat"),
    }


def test_the_app_is_made_at_the_first_request_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        made.append(scope)

    built: list[int] = []
    monkeypatch.setattr(
        "airflow_voice_agents.ui.app.create_app",
        lambda: built.append(1) or app,  # type: ignore[func-returns-value]
    )
    lazy = plugin.LazyApp()
    assert not built
    for request in (1, 2):
        asyncio.run(lazy(request, None, None))
    assert (made, built) == ([1, 2], [1])
