"""Types shared by the code that builds API requests and the hook that sends them."""

from __future__ import annotations

from typing import Final, TypeVar

from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.omnia_voice.api import fallback_verb, is_update
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import ApiError

T = TypeVar("T")

METHOD_NOT_ALLOWED: Final = 405
"""The one status that says for certain that nothing was applied and another verb may be."""


class VerbFallback:
    """Tries an update with its other verb, once, when it is answered 405, and remembers what worked.

    :param send: sends a call.
    """

    def __init__(self, send: Sender) -> None:
        self._send = send
        self._refused: set[str] = set()

    async def __call__(self, call: ApiRequest[T]) -> T:
        """Send a call; one that is no update goes as it is.

        :param call: what to send.
        :raises CallError: as the sender does; the first 405 when both verbs are refused.
        """
        if not is_update(call):
            return await self._send(call)
        if call.method in self._refused:
            return await self._send(fallback_verb(call))
        try:
            return await self._send(call)
        except ApiError as error:
            if error.status != METHOD_NOT_ALLOWED:
                raise
            refusal = error
        return await self._with_other_verb(call, refusal)

    async def _with_other_verb(self, call: ApiRequest[T], refusal: ApiError) -> T:
        try:
            answer = await self._send(fallback_verb(call))
        except ApiError as error:
            if error.status == METHOD_NOT_ALLOWED:
                raise refusal from None
            self._refused.add(call.method)
            raise
        self._refused.add(call.method)
        return answer
