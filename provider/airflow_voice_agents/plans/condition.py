"""The protocol of conditions of sensors and triggers: reads, and a decision from the responses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import VoiceAgentsError
from airflow_voice_agents.transport.records import Record
from airflow_voice_agents.transport.text import one_line

if TYPE_CHECKING:
    from airflow_voice_agents.transport.client import Client

T = TypeVar("T")

Found = tuple[bool, dict[str, Any]]
"""The result of one poll: whether the condition holds, and the XCom value to return."""


class WaitFailed(VoiceAgentsError):
    """The condition can no longer come to hold.

    :param reason: what happened; it may hold words of the platform, so it becomes one printable line.
    """

    permanent = True

    def __init__(self, reason: str) -> None:
        super().__init__(one_line(reason, None))


class Reader(Protocol):
    """Sends requests over one connection: a hook of any system."""

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send one request and return what it reads.

        :param call: the request, from the system's ``api`` module.
        """

    async def aclient(self) -> Client:
        """Return the client that sends, for its base URL and its redaction."""


class Read(Record, Generic[T], frozen=True):
    """One read-only question, however many requests its answer takes.

    A list that comes in pages is one read, whose answer is the complete list.

    :param key: identity of the question; over one connection, reads with equal keys share one answer.
    :param fetch: sends the requests and returns the complete answer.
    :param narrow: a read that answers the same for this condition alone, with less to send or to keep; it is
        asked while no other wait could share the answer.
    """

    not_shown = ("key", "fetch", "narrow")
    not_compared = ("fetch", "narrow")

    key: Hashable
    fetch: Callable[[Reader], Awaitable[T]]
    narrow: Read[T] | None = None

    @classmethod
    def of(cls, read: AnyRead[T]) -> Read[T]:
        """Return a read; one request becomes the read that sends it.

        :param read: a read, or a read-only request.
        """
        if isinstance(read, Read):
            return read
        body = None if read.body is None else json.dumps(read.body, sort_keys=True)
        return cls((read.operation, read.key, body), lambda reader: reader.asend(read))

    @property
    def alone(self) -> Read[T]:
        """The read for a wait that shares its answer with no other."""
        return self.narrow or self


AnyRead = ApiRequest[T] | Read[T]
"""A read, or the read-only request that is all there is to send for it."""


class Condition(Protocol):
    """A state of a platform that can be waited for."""

    def reads(self) -> Sequence[AnyRead[Any]]:
        """Return the read-only questions that tell."""

    def holds(self, answers: Sequence[Any]) -> Found:
        """Decide whether the condition holds.

        :param answers: answers to :meth:`reads`, in order.
        :raises VoiceAgentsError: when the answers do not tell, or the condition can no longer come to hold.
        """

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON for the trigger, without secrets or config values."""


async def fetch_all(reads: Iterable[Read[Any]], reader: Reader) -> list[Any]:
    """Fetch the answers to some reads, one after the other.

    :param reads: what to ask.
    :param reader: sends the requests.
    :raises VoiceAgentsError: when one could not be answered.
    """
    return [await read.fetch(reader) for read in reads]
