"""The receiver of PolyAI's webhooks: it proves a delivery by its signature or secret, and makes an asset event of it.

It is the one part of the page's app that asks no Airflow user for rights, and it is not there unless it is configured.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic, time
from typing import Any, Literal

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from airflow_voice_agents.airflow_compat import conf, create_asset_events
from airflow_voice_agents.bases.hook import extra_of
from airflow_voice_agents.polyai.assets import webhook_uri
from airflow_voice_agents.polyai.webhooks import LIMITS, Delivery, WebhookSecrets, agents_of, read_agents
from airflow_voice_agents.state.webhook_events import WebhookEvents
from airflow_voice_agents.transport.errors import VoiceAgentsError

log = logging.getLogger(__name__)

SECTION, CONN_ID, AGENTS = "voice_agents", "webhook_conn_id", "webhook_agents"
"""Section and options of Airflow's configuration that switch the receiver on."""
PATH = "/webhooks"
"""Where the receiver lies below the page's address."""
READ_SECONDS = 10.0
"""Time for a request's body to come in."""
SECRETS_KEPT, FAILURE_KEPT = 60.0, 10.0
"""Seconds for which secrets, or that they cannot be read, are remembered: no sender decides how often they are read."""
ACCEPTED_PER_MINUTE = 60
"""Most deliveries of each kind that one process accepts in a minute."""
LOG_SECONDS = 60.0
"""Seconds between two lines of the log about the same."""

Kind = Literal["account", "agent"]
ACCEPTED, REFUSED, TOO_MANY, UNAVAILABLE = 204, 403, 429, 503


@dataclass
class KeptSecrets:
    """Secrets of an Airflow connection, read again once a minute.

    :param conn_id: id of the connection.
    :param clock: seconds of a clock that never goes back.
    """

    conn_id: str
    clock: Callable[[], float] = monotonic
    _until: float = field(default=float("-inf"), init=False)
    _found: WebhookSecrets | None = field(default=None, init=False, repr=False)
    _reading: Lock = field(default_factory=Lock, init=False, repr=False)

    def __call__(self) -> WebhookSecrets | None:
        """Return the secrets, or ``None`` where they cannot be read."""
        is_first = self._until == float("-inf")
        # A slow backend holds up one request, and not all threads of the API server.
        if self.clock() >= self._until and self._reading.acquire(blocking=is_first):
            try:
                if self.clock() >= self._until:
                    self._found = self._read()
                    self._until = self.clock() + (SECRETS_KEPT if self._found else FAILURE_KEPT)
            finally:
                self._reading.release()
        return self._found

    def _read(self) -> WebhookSecrets | None:
        from airflow.sdk import BaseHook

        try:
            return WebhookSecrets.read(self.conn_id, extra_of(BaseHook.get_connection(self.conn_id)))
        except VoiceAgentsError as error:
            log.error("Webhooks are not accepted: %s.", error)
        except Exception as error:  # noqa: BLE001  a secrets backend raises what it likes, with what it likes in it
            log.error(
                "Webhooks are not accepted: connection %s cannot be read (%s).",
                self.conn_id,
                type(error).__name__,
            )
        return None


@dataclass
class SparseLog:
    """Writes one line a minute about the same, with the count of those left out.

    :param clock: seconds of a clock that never goes back.
    """

    clock: Callable[[], float] = monotonic
    _last: dict[str, float] = field(default_factory=dict, init=False)
    _left_out: dict[str, int] = field(default_factory=dict, init=False)

    def __call__(self, line: str) -> None:
        """Write a line, or count it.

        :param line: one of a fixed set; nothing of a request is in it.
        """
        at = self.clock()
        if at - self._last.get(line, float("-inf")) < LOG_SECONDS:
            self._left_out[line] = self._left_out.get(line, 0) + 1
            return
        self._last[line] = at
        log.warning("%s (%d more since the last such line)", line, self._left_out.pop(line, 0))


@dataclass
class Quota:
    """How many deliveries of a kind are accepted.

    :param clock: seconds of a clock that never goes back.
    """

    clock: Callable[[], float] = monotonic
    _accepted: deque[float] = field(default_factory=lambda: deque(maxlen=ACCEPTED_PER_MINUTE), init=False)

    def take(self) -> bool:
        """Return whether one more is accepted."""
        at = self.clock()
        if len(self._accepted) == ACCEPTED_PER_MINUTE and at - self._accepted[0] < 60:
            return False
        self._accepted.append(at)
        return True


class Receiver(msgspec.Struct):
    """Decides on deliveries.

    :param agents: id -> name of the asset, of the agents whose webhooks count.
    :param secrets: returns the secrets, or ``None`` where they cannot be read.
    :param events: remembers signed deliveries.
    :param emit: makes events of the assets with a URI, and returns of how many.
    :param clock: seconds since 1970.
    :param say: writes to the log.
    """

    agents: Mapping[str, str]
    secrets: Callable[[], WebhookSecrets | None]
    events: WebhookEvents
    emit: Callable[[str, Mapping[str, Any]], int] = create_asset_events
    clock: Callable[[], float] = time
    say: Callable[[str], None] = msgspec.field(default_factory=SparseLog)
    quotas: Mapping[Kind, Quota] = msgspec.field(
        default_factory=lambda: {"account": Quota(), "agent": Quota()}
    )

    def receive(self, kind: Kind, delivery: Delivery) -> int:
        """Act on a delivery; return the status of the answer.

        :param kind: which webhook it claims to come from.
        :param delivery: the delivery.
        """
        known = self.secrets()
        if known is None:
            return UNAVAILABLE
        # Both are worked out for either kind and for every fault, so that each refusal costs the same.
        found = {
            "account": delivery.account_faults(known, self.clock()),
            "agent": delivery.agent_faults(known),
        }
        if faults := [fault for fault, is_there in found[kind].items() if is_there]:
            self.say(f"A request to the {kind} webhook was refused: {faults[0]}. Nothing was done")
            return REFUSED
        if not self.quotas[kind].take():
            self.say(
                f"More than {ACCEPTED_PER_MINUTE} webhooks of kind {kind} in a minute: the rest is refused"
            )
            return TOO_MANY
        try:
            return self._once(delivery) if kind == "account" else self._wake(kind, delivery)
        except Exception as error:  # noqa: BLE001  the database or the storage; an error may hold what was sent
            self.say(f"A webhook could not be acted on ({type(error).__name__}). Its next attempt counts")
            return UNAVAILABLE

    def _once(self, delivery: Delivery) -> int:
        if not self.events.claim(delivery.identities):
            return ACCEPTED
        try:
            return self._wake("account", delivery)
        except BaseException:
            self.events.release(delivery.identities)
            raise

    def _wake(self, kind: Kind, delivery: Delivery) -> int:
        signed = kind == "account"
        named = agents_of(delivery.body, self.agents, anywhere=signed)
        uris = [webhook_uri(each) for each in named] + ([webhook_uri()] if signed else [])
        emitted = sum(self.emit(uri, {"webhook": kind, "verified": signed}) for uri in uris)
        if not emitted:
            self.say(
                f"A webhook of kind {kind} was accepted, but names no agent of [{SECTION}] {AGENTS} on whose asset a "
                "DAG is scheduled"
            )
        return ACCEPTED


def configured_receiver() -> Receiver | None:
    """Return the receiver that Airflow's configuration describes, or ``None`` where it is off or wrongly described."""
    conn_id = str(conf.get(SECTION, CONN_ID, fallback="") or "").strip()
    if not conn_id:
        return None
    try:
        agents = read_agents(str(conf.get(SECTION, AGENTS, fallback="") or ""))
        events = WebhookEvents(None, time)
    except VoiceAgentsError as error:
        log.error("Webhooks are off: [%s] %s: %s.", SECTION, AGENTS, error)
        return None
    return Receiver(agents, KeptSecrets(conn_id), events)


def create_receiver_app(receiver: Receiver) -> FastAPI:
    """Return the app with an address for each kind of webhook.

    :param receiver: decides on deliveries.
    """
    app = FastAPI(title="Webhooks", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    async def answer(kind: Kind, request: Request) -> Response:
        delivery = await read_delivery(request)
        return Response(status_code=await run_in_threadpool(receiver.receive, kind, delivery))

    @app.post("/polyai/account")
    async def account(request: Request) -> Response:
        return await answer("account", request)

    @app.post("/polyai/agent")
    async def agent(request: Request) -> Response:
        return await answer("agent", request)

    return app


async def read_delivery(request: Request) -> Delivery:
    """Return a request as far as its size and time are within the limits.

    :param request: the request.
    """
    body, complete = b"", False
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                body += chunk[: LIMITS.size + 1 - len(body)]
                if len(body) > LIMITS.size:
                    break
            else:
                complete = True
    except Exception:  # noqa: BLE001  the sender went away or was too slow
        complete = False
    return Delivery(tuple(request.headers.items()), body[: LIMITS.size], complete)
