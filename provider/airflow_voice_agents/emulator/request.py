"""Requests, replies, errors and operations, as the middleware hands them to the vendors' apps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol
from urllib.parse import parse_qsl, unquote

Record = dict[str, Any]
"""A JSON object."""


class Problem(Exception):
    """A refusal that a room turns into its own error body.

    :param status: HTTP status.
    :param message: text for the client.
    :param code: the vendor's error code, or ``None`` where none is documented.
    :param fields: ``(field, message)`` pairs for error shapes that list them.
    :param body: a complete body to send instead of an error shape.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        body: Any = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.fields = tuple(fields)
        self.body = body


@dataclass(slots=True)
class Reply:
    """An answer: a JSON body (``None`` sends none), or ``text`` with its own content type."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None

    def content(self) -> bytes:
        """The encoded body."""
        if self.text is not None:
            return self.text.encode()
        return b"" if self.body is None else encode(self.body)

    def content_type(self) -> str:
        """The content type that goes with the body."""
        return "application/json" if self.text is None else "text/html; charset=utf-8"


@dataclass(slots=True)
class EmulatorRequest:
    """One request on its way through the server.

    :param method: HTTP verb in upper case.
    :param path: the path as sent, still percent-encoded.
    :param query: decoded query parameters; the last of equal names counts.
    :param headers: headers by lower-case name.
    :param body: the raw body.
    :param operation: what the path and method address, if anything.
    :param system: name of the room that the operation belongs to.
    :param params: decoded path parameters.
    :param content: the checked JSON body, filled in by the room.
    :param agent: the addressed project, as the room knows it; for the journal.
    :param caller: who asks, as the room knows them.
    :param trace_id: correlation id, given by the client or made by the room.
    :param spoils: given the name of a batch item, return whether a fault makes it fail.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    operation: Operation | None = None
    system: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    content: Any = None
    agent: str | None = None
    caller: Record = field(default_factory=dict)
    trace_id: str = ""
    spoils: Callable[[str], bool] = lambda _: False

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any], body: bytes) -> EmulatorRequest:
        """Build from an ASGI scope and the body that was read."""
        return cls(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=body,
        )


Handler = Callable[[Any, EmulatorRequest], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint that the server answers.

    :param name: the operation in words, as journal and faults call it.
    :param method: HTTP verb.
    :param route: path template.
    :param handle: called with the room's store and the exchange.
    :param writes: whether the operation is there to change something.
    """

    name: str
    method: str
    route: str
    handle: Handler
    writes: bool = field(kw_only=True)


class Limiter(Protocol):
    """Counts requests, and refuses those that exceed what a caller may send."""

    def refuse(self, exchange: EmulatorRequest) -> Reply | None:
        """Count the request; a reply where it exceeds the caller's limit."""

    def clear(self) -> None:
        """Forget all requests."""


class Room(Protocol):
    """One vendor's API: its operations, its part of the state, its way to refuse."""

    @property
    def name(self) -> str:
        """Key of the room's section in seeds and state files."""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every endpoint of the room."""

    @property
    def limiter(self) -> Limiter | None:
        """The room's own rate limit; ``None`` where the gate's is the vendor's."""

    def load(self, section: Mapping[str, Any]) -> None:
        """Replace the room's state; the documents inside ``section`` are shared, never changed."""

    def dump(self) -> Record:
        """The room's state in the format that :meth:`load` takes, sharing its documents."""

    def latest_stamp(self) -> str:
        """The newest time stamp in the room's state (ISO 8601, UTC), or an empty string."""

    def admit(self, exchange: EmulatorRequest) -> None:
        """Note on the exchange who asks for what; refuses nothing yet."""

    def answer(self, exchange: EmulatorRequest) -> Reply:
        """Handle the exchange; refusals come back as replies."""

    def headers(self, exchange: EmulatorRequest) -> dict[str, str]:
        """Headers that go with every answer of the room, refusals and faults included."""


class RouteTable:
    """Finds the operation that a method and a path address.

    Templates with fewer parameters win, method by method, so that ``POST …/phone-numbers/batch`` is
    not taken for a number while ``DELETE …/phone-numbers/batch`` is.
    """

    def __init__(self, rooms: Iterable[Room]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], Operation, Room]]] = {}
        for room in rooms:
            for operation in room.operations:
                segments = tuple(operation.route.split("/"))
                self._by_length.setdefault(len(segments), []).append((segments, operation, room))
        for entries in self._by_length.values():
            entries.sort(key=lambda entry: sum(segment.startswith("{") for segment in entry[0]))

    def find(self, exchange: EmulatorRequest) -> Room:
        """Set operation, system and parameters on the exchange and return its room.

        :raises Problem: 404 for an unknown path, 405 for a known path with another method.
        """
        given = exchange.path.split("/")
        known_path = False
        for segments, operation, room in self._by_length.get(len(given), ()):
            params = _parameters(segments, given)
            if params is None:
                continue
            if operation.method == exchange.method:
                exchange.operation, exchange.system, exchange.params = operation, room.name, params
                return room
            known_path = True
        if known_path:
            raise Problem(405, "Method Not Allowed", body={"message": "Method Not Allowed"})
        raise Problem(404, "no route", body={"message": "no Route matched with those values"})


def _parameters(segments: tuple[str, ...], given: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for segment, value in zip(segments, given, strict=True):
        if segment.startswith("{"):
            if not value:
                return None
            params[segment[1:-1]] = unquote(value)
        elif segment != value:
            return None
    return params


def encode(document: Any) -> bytes:
    """JSON bytes of a document: UTF-8, or ASCII where a lone surrogate cannot be encoded."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def decode(body: bytes) -> Any:
    """The JSON document in a body.

    :raises ValueError: for anything that is not strict JSON, ``NaN`` and bottomless nesting included.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
