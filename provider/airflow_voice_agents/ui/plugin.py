"""The Airflow plugin of the page; every Airflow process loads it, so it imports nothing of the page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from airflow_voice_agents.airflow_compat import conf

NAME = "Voice agents"
PREFIX = "/voice-agents"


class LazyApp:
    """An ASGI app that is made at its first request, in the API server alone."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request.

        :param scope: as ASGI has it, and so for the others.
        """
        if self._app is None:
            from airflow_voice_agents.ui.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


def base_path() -> str:
    """Return the path below which Airflow is served, without a slash at its end."""
    return urlsplit(str(conf.get("api", "base_url", fallback="") or "")).path.rstrip("/")


class VoiceAgentsPlugin(AirflowPlugin):
    """Adds the page to Airflow's navigation."""

    name: str = "voice_agents"
    fastapi_apps: list[Any] = [  # noqa: RUF012  as Airflow declares it
        {"app": LazyApp(), "url_prefix": PREFIX, "name": NAME}
    ]
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": NAME,
            "href": f"{base_path()}{PREFIX}/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "voice-agents",
            "icon": f"{base_path()}{PREFIX}/static/icon.svg",
            "icon_dark_mode": f"{base_path()}{PREFIX}/static/icon-dark.svg",
        }
    ]


entry_point = VoiceAgentsPlugin if conf.getboolean("core", "lazy_discover_providers", fallback=True) else None
"""Airflow reads ``plugins`` of a provider's metadata only where it does not discover providers lazily; else this."""
