"""Things that go wrong on demand: refusals, dropped connections, broken bodies, waits."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from airflow_voice_agents.emulator.request import EmulatorRequest, Reply

Action = Literal["answer", "reset", "truncate", "not_json", "delay", "items", "kill"]


class FaultError(ValueError):
    """A fault that cannot be installed as described."""


@dataclass(slots=True)
class Fault:
    """One rule: which requests it is for, and what happens to them.

    The actions: ``answer`` sends ``status``, ``headers`` and ``body``; ``reset`` drops the TCP
    connection without an answer; ``truncate`` promises more bytes than it sends; ``not_json`` answers
    200 with a web page; ``delay`` only waits and then lets the request be handled; ``items`` lets it be
    handled but for a share of the items of a batch; ``kill`` ends the server's process.

    :param action: what happens.
    :param apply: whether the request is handled first, so that its effect stays although the answer
        is lost; ``truncate``, ``delay`` and ``items`` always handle it.
    :param method: only this HTTP verb.
    :param operation: only this operation, by name.
    :param route: only paths or route templates in which this regular expression is found.
    :param body_contains: only requests whose body holds this text.
    :param nth: fire from the nth matching request on, counted from 1.
    :param times: fire at most so often; ``None`` for ever.
    :param probability: fire on this share of the requests that are due, drawn from ``seed``.
    :param seed: start of the random draw, so that a run can be repeated.
    :param status: status of ``answer``.
    :param headers: further headers of ``answer``.
    :param body: JSON body of ``answer``; a string is sent as it is, as text.
    :param seconds: wait before the action, or before handling with ``delay``.
    :param share: share of the items that fail with ``items``; whether one does depends on ``seed``, its name
        and how often it was tried, not on the order of requests.
    """

    action: Action
    apply: bool = False
    method: str | None = None
    operation: str | None = None
    route: str | None = None
    body_contains: str | None = None
    nth: int = 1
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 0.0
    share: float = 0.0
    matched: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)
    _draw: random.Random = field(init=False, repr=False)
    _tries: Counter[str] = field(init=False, repr=False, default_factory=Counter)

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise FaultError(f"unknown action {self.action!r}; known are {', '.join(get_args(Action))}")
        shares = (self.probability, self.share)
        if self.nth < 1 or not all(0 <= share <= 1 for share in shares) or self.seconds < 0:
            raise FaultError(
                "nth counts from 1, probability and share lie between 0 and 1, seconds is not negative"
            )
        try:
            re.compile(self.route or "")
        except re.error as error:
            raise FaultError(f"route is not a regular expression: {error}") from None
        self._draw = random.Random(self.seed)  # noqa: S311 - repeatable, not secret

    @property
    def label(self) -> str:
        """Short text for the journal."""
        return f"apply then {self.action}" if self.apply else self.action

    def due(self, exchange: EmulatorRequest) -> bool:
        """Whether the fault fires on this request; counts matches and firings."""
        if not self._matches(exchange):
            return False
        self.matched += 1
        spent = self.times is not None and self.fired >= self.times
        if self.matched < self.nth or spent or self._draw.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def spoils(self, item: str) -> bool:
        """Whether an item of a batch fails.

        :param item: names it; each time it is asked for is a try of its own.
        """
        if self.action != "items":
            return False
        self._tries[item] += 1
        draw = random.Random(f"{self.seed}/{item}/{self._tries[item]}")  # noqa: S311 - repeatable, not secret
        return draw.random() < self.share

    def reply(self) -> Reply:
        """What ``answer`` and ``not_json`` send."""
        if self.action == "not_json":
            return Reply(200, text="<html><body>Please sign in to the network.</body></html>")
        if isinstance(self.body, str):
            return Reply(self.status, headers=dict(self.headers), text=self.body)
        return Reply(self.status, self.body, dict(self.headers))

    def as_dict(self) -> dict[str, Any]:
        """The fault with its counters, JSON-able."""
        return {each.name: getattr(self, each.name) for each in fields(self) if not each.name.startswith("_")}

    def _matches(self, exchange: EmulatorRequest) -> bool:
        operation = exchange.operation
        if self.method not in (None, exchange.method):
            return False
        if self.operation is not None and (operation is None or operation.name != self.operation):
            return False
        if self.route is not None and not any(
            re.search(self.route, text) for text in (exchange.path, operation.route if operation else "")
        ):
            return False
        return self.body_contains is None or self.body_contains.encode() in exchange.body


class Faults:
    """The installed faults, asked in order; the first that is due takes the request."""

    def __init__(self, *, may_kill: bool = False) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._may_kill = may_kill

    def add(self, fault: Fault) -> Fault:
        """Install a fault behind those already there.

        :raises FaultError: for ``kill`` in a server that shares its process with others.
        """
        self._admit(fault)
        with self._lock:
            self._faults.append(fault)
        return fault

    def add_described(self, described: Iterable[Mapping[str, Any]]) -> list[Fault]:
        """Install faults described by dictionaries, all of them or none.

        :raises FaultError: for an unknown field or a value that does not fit.
        """
        known = {each.name for each in fields(Fault) if each.init}
        faults = []
        for description in described:
            unknown = sorted(set(description) - known)
            if unknown or "action" not in description:
                takes = ", ".join(sorted(known))
                raise FaultError(f"a fault needs an action and takes {takes}; unknown here: {unknown}")
            try:
                faults.append(Fault(**description))
            except TypeError as error:
                raise FaultError(f"a value of the fault has the wrong type: {error}") from None
            self._admit(faults[-1])
        return [self.add(fault) for fault in faults]

    def _admit(self, fault: Fault) -> None:
        if fault.action == "kill" and not self._may_kill:
            raise FaultError("kill needs the server to run as its own process")

    def take(self, exchange: EmulatorRequest) -> Fault | None:
        """The first fault due for this request; only the server's own thread asks."""
        with self._lock:
            installed = list(self._faults)
        # Outside the lock: what a test does when a fault is due may install further ones.
        return next((fault for fault in installed if fault.due(exchange)), None)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def as_list(self) -> list[dict[str, Any]]:
        """All installed faults with their counters."""
        with self._lock:
            return [fault.as_dict() for fault in self._faults]
