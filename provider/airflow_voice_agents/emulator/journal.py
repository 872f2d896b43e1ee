"""The journal of requests in order, for tests that count them."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

from airflow_voice_agents.emulator.request import EmulatorRequest, decode

KEPT = 100_000
"""Entries kept; counters go on beyond that."""


@dataclass(slots=True)
class Entry:
    """One request.

    :param number: position in the order of arrival, from 1.
    :param method: HTTP verb.
    :param path: path as sent.
    :param route: path template, or ``None`` for an unknown path.
    :param operation: the operation's name, or ``None``.
    :param system: the API that the operation belongs to: the name of its room, or ``None``.
    :param writes: whether the operation is there to change something.
    :param agent: the addressed project.
    :param digest: SHA-256 of the body, hex, or ``None`` without one.
    :param status: what was answered; ``None`` while under way or after a dropped connection.
    :param changed: whether state changed.
    :param fault: the fault that took part, if any.
    :param body: the request's body, only with the switch ``record_bodies``.
    """

    number: int
    method: str
    path: str
    route: str | None
    operation: str | None
    system: str | None
    writes: bool
    agent: str | None
    digest: str | None
    status: int | None = None
    changed: bool = False
    fault: str | None = None
    body: Any = None


class Journal:
    """The requests since the start or the last :meth:`clear`; safe to read from other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[tuple[str, str | None, str | None]] = Counter()

    def open(self, exchange: EmulatorRequest, *, keep_body: bool) -> Entry:
        """Record a request on arrival; the gate completes the entry before it answers."""
        operation = exchange.operation
        with self._lock:
            self._number += 1
            entry = Entry(
                number=self._number,
                method=exchange.method,
                path=exchange.path,
                route=operation.route if operation else None,
                operation=operation.name if operation else None,
                system=exchange.system,
                writes=bool(operation and operation.writes),
                agent=exchange.agent,
                digest=hashlib.sha256(exchange.body).hexdigest() if exchange.body else None,
                body=_readable(exchange.body) if keep_body else None,
            )
            self._entries.append(entry)
            self._counts[entry.method, entry.operation, entry.system] += 1
        return entry

    def entries(self) -> list[Entry]:
        """All requests, oldest first."""
        with self._lock:
            return list(self._entries)

    def writes(self) -> list[Entry]:
        """Requests of operations that are there to change something, refused ones included."""
        return [entry for entry in self.entries() if entry.writes]

    def changes(self) -> list[Entry]:
        """Requests that changed state, whether or not they were answered."""
        return [entry for entry in self.entries() if entry.changed]

    def count(
        self, method: str | None = None, operation: str | None = None, system: str | None = None
    ) -> int:
        """Number of requests, of all or of those that fit what is given.

        :param method: HTTP verb.
        :param operation: operation name, such as ``"update variables"``; two APIs may share one.
        :param system: name of an API's room, such as ``"signalwire"``.
        """
        with self._lock:
            return sum(
                count
                for (its_method, its_operation, its_system), count in self._counts.items()
                if method in (None, its_method)
                and operation in (None, its_operation)
                and system in (None, its_system)
            )

    def clear(self) -> None:
        """Forget all requests and reset the counts; requests in progress are not counted."""
        with self._lock:
            self._entries.clear()
            self._counts.clear()
            self._number = 0

    def as_dict(self) -> dict[str, Any]:
        """Entries and counters, JSON-able."""
        with self._lock:
            summed: Counter[tuple[str, str | None]] = Counter()
            for (method, operation, _), count in self._counts.items():
                summed[method, operation] += count
            counts = sorted(summed.items(), key=lambda item: (item[0][0], item[0][1] or ""))
            return {
                "total": summed.total(),
                "counts": [{"method": key[0], "operation": key[1], "count": count} for key, count in counts],
                "entries": [asdict(entry) for entry in self._entries],
            }


def _readable(body: bytes) -> Any:
    if not body:
        return None
    try:
        return decode(body)
    except ValueError:
        return body.decode("utf-8", "replace")
