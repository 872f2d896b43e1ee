"""Control routes under ``/_emulator/``: state, journal, faults and switches, for tests and people.

They ask for no key. The server listens on the loopback interface only. It answers only requests that were
addressed to a loopback name, the vendors' routes included, and the control routes take only bodies that are
declared as JSON, so that a web page open in a browser on the same machine cannot use them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route, Router

from airflow_voice_agents import __version__
from airflow_voice_agents.emulator.core import Emulator
from airflow_voice_agents.emulator.middleware import LoopbackOnly
from airflow_voice_agents.emulator.page import render
from airflow_voice_agents.emulator.request import decode, encode

MOST_CONVERSATIONS = 10_000
"""Maximum number of conversations that one control request adds."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """A control request that is not carried out."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def build_app(emulator: Emulator) -> LoopbackOnly:
    """The ASGI application: overview page, control routes, and the vendors' APIs for all the rest."""
    control = Control(emulator)
    routes = [
        ("/health", "GET", control.health),
        ("/state", "GET", control.get_state),
        ("/state", "PUT", control.put_state),
        ("/journal", "GET", control.get_journal),
        ("/journal", "DELETE", control.delete_journal),
        ("/faults", "GET", control.get_faults),
        ("/faults", "POST", control.post_faults),
        ("/faults", "DELETE", control.delete_faults),
        ("/switches", "GET", control.get_switches),
        ("/switches", "PATCH", control.patch_switches),
        ("/alert-rules/{rule_id}", "PATCH", control.patch_alert_rule),
        ("/conversations/{agent}", "POST", control.post_conversations),
    ]
    router = Router(
        [
            Route("/", _guarded(control.overview), methods=["GET"]),
            Mount(
                "/_emulator",
                routes=[Route(path, _guarded(end), methods=[verb]) for path, verb, end in routes],
            ),
        ],
        redirect_slashes=False,
        default=emulator.gate,
    )
    return LoopbackOnly(router)


class Control:
    """The endpoints behind the control routes."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def overview(self, _request: Request) -> Response:
        """The page at the root."""
        return HTMLResponse(render(self._emulator))

    async def health(self, _request: Request) -> Response:
        """Whether the server is up, and what it is."""
        return _json({"status": "ok", "version": __version__, "revision": self._emulator.state.revision})

    async def get_state(self, _request: Request) -> Response:
        """The whole state, which is also a seed."""
        with self._emulator.state.lock:
            return _json(self._emulator.state.dump())

    async def put_state(self, request: Request) -> Response:
        """Start over from the seed in the body, or from the first seed without one."""
        seed = await _document(request) if await request.body() else None
        if seed is not None and not isinstance(seed, dict):
            raise Refusal(400, "a seed is a JSON object")
        self._emulator.reset(seed)
        return _json({"reset": True})

    async def get_journal(self, _request: Request) -> Response:
        """All requests and their counts."""
        return _json(self._emulator.journal.as_dict())

    async def delete_journal(self, _request: Request) -> Response:
        """Forget all requests."""
        self._emulator.journal.clear()
        return Response(status_code=204)

    async def get_faults(self, _request: Request) -> Response:
        """The installed faults with their counters."""
        return _json({"faults": self._emulator.faults.as_list()})

    async def post_faults(self, request: Request) -> Response:
        """Install one fault, or a list of them."""
        document = await _document(request)
        described = document if isinstance(document, list) else [document]
        if not all(isinstance(item, dict) for item in described):
            raise Refusal(400, "a fault is a JSON object, several are a list of them")
        added = self._emulator.faults.add_described(described)
        return _json({"faults": [fault.as_dict() for fault in added]}, status=201)

    async def delete_faults(self, _request: Request) -> Response:
        """Remove all faults."""
        self._emulator.faults.clear()
        return Response(status_code=204)

    async def get_switches(self, _request: Request) -> Response:
        """All switches."""
        return _json(self._emulator.state.switches.as_dict())

    async def patch_switches(self, request: Request) -> Response:
        """Set the switches in the body."""
        document = await _document(request)
        if not isinstance(document, dict):
            raise Refusal(400, "switches are a JSON object")
        state = self._emulator.state
        with state.lock:
            state.switches.update(document)
            state.revision += 1
            state.persist()
        return _json(state.switches.as_dict())

    async def patch_alert_rule(self, request: Request) -> Response:
        """Change how a PolyAI alert rule stands: ``state`` and other fields as in a seed."""
        document, store = await _object(request), self._emulator.polyai.store
        rule_id = request.path_params["rule_id"]
        if rule_id not in store.alert_rules:
            raise Refusal(404, f"no alert rule {rule_id}")
        store.set_alert(rule_id, document.pop("state", store.alert_rules[rule_id]["state"]), **document)
        return _json(store.alert_rules[rule_id])

    async def post_conversations(self, request: Request) -> Response:
        """Add a PolyAI conversation, as in a seed; several where ``times`` says so."""
        document, store = await _object(request), self._emulator.polyai.store
        slug = store.find_agent(request.path_params["agent"])
        if slug is None:
            raise Refusal(404, f"no agent {request.path_params['agent']}")
        environment, times = document.pop("environment", None), document.pop("times", 1)
        if not isinstance(times, int) or not 1 <= times <= MOST_CONVERSATIONS:
            raise Refusal(400, f"times is a whole number from 1 to {MOST_CONVERSATIONS}")
        added = [store.add_conversation(slug, environment, **document) for _ in range(times)]
        return _json({"conversations": added}, status=201)


def _guarded(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refusal as refusal:
            return _json({"message": str(refusal)}, status=refusal.status)
        except ValueError as error:
            return _json({"message": str(error)}, status=400)

    return guarded


async def _object(request: Request) -> dict[str, Any]:
    document = await _document(request)
    if not isinstance(document, dict):
        raise Refusal(400, "send a JSON object")
    return document


async def _document(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refusal(415, "send the body as application/json")
    try:
        return decode(await request.body())
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None


def _json(document: Any, status: int = 200) -> Response:
    return Response(encode(document), status, media_type="application/json")
