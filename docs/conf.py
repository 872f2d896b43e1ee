"""Configuration of the documentation site, built by ``make docs``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_voice_agents import __version__
from airflow_voice_agents.get_provider_info import get_provider_info

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Airflow provider for voice agents"
author = "The authors of the provider"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = project
html_static_path: list[str] = []
exclude_patterns = ["_build"]
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": False, "exclude-members": "__init__, execute"}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"

GENERATED = "reference-api"
"""Folder of the pages made from docstrings; they are not kept."""

OTHERS = {
    "Task groups": ["airflow_voice_agents.polyai.task_groups"],
    "Promotion specs": ["airflow_voice_agents.polyai.spec"],
    "Approval, notifications and retries": [
        "airflow_voice_agents.bases.approval",
        "airflow_voice_agents.polyai.notifications",
        "airflow_voice_agents.bases.retry_policy",
    ],
    "Errors": ["airflow_voice_agents.transport.errors"],
    "Local server": ["airflow_voice_agents.emulator.server"],
}
"""Public modules that the provider's metadata does not list."""


def setup(app: Sphinx) -> None:
    """Write the pages of the API reference before Sphinx looks for pages."""
    folder = Path(app.srcdir) / GENERATED
    folder.mkdir(exist_ok=True)
    pages = dict(_pages())
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
    for file in folder.glob("*.rst"):
        if file.stem not in pages:
            file.unlink()


def _pages() -> Iterator[tuple[str, str]]:
    info: dict[str, Any] = get_provider_info()
    titles = {
        f"{each['integration-name']} {sort}": each["python-modules"]
        for sort in ("operators", "sensors", "triggers", "hooks")
        for each in info.get(sort, ())
    }
    names = []
    for title, modules in {**titles, **OTHERS}.items():
        name = title.lower().replace(",", "").replace(" ", "-")
        names.append(name)
        yield (
            name,
            _heading(title, "=")
            + "".join(_heading(f"``{module}``", "-") + f".. automodule:: {module}\n\n" for module in modules),
        )
    yield (
        "index",
        _heading("API reference", "=") + ".. toctree::\n\n" + "".join(f"   {each}\n" for each in names),
    )


def _heading(text: str, underline: str) -> str:
    return f"{text}\n{underline * len(text)}\n\n"
