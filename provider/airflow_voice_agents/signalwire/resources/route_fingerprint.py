"""The desired route of each number, and the digest that a route leaves on a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from airflow_voice_agents.plans.canonical import salted_digest
from airflow_voice_agents.signalwire.models import SDK_ONLY
from airflow_voice_agents.signalwire.resources.phone_number import RouteState
from airflow_voice_agents.signalwire.routes import Route, parse_route
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_number_keys


class RouteFingerprint(msgspec.Struct, frozen=True):
    """The fields that a route sets, and the digest of their values.

    What a route does not set may differ. Fields that no record shows are left out.

    :param fields: names of the fields.
    :param digest: digest of names and values.
    :param salt: salt of the digest, where it is to be stored in the open; empty for none.
    """

    fields: tuple[str, ...]
    digest: str
    salt: str = ""

    @classmethod
    def of(cls, route: Route, salt: str = "") -> RouteFingerprint:
        """Return what a route leaves.

        :param route: the route.
        :param salt: salt of the digest, where it is to be stored in the open.
        """
        values = {name: value for name, value in route.changes().items() if name not in SDK_ONLY}
        return cls(tuple(values), salted_digest(values, salt), salt)

    def is_on(self, state: RouteState) -> bool:
        """Tell whether a number's routing is what the route leaves.

        :param state: the routing.
        """
        shown = {name: state.value(name) for name in self.fields}
        return salted_digest(shown, self.salt) == self.digest

    def plain(self) -> dict[str, Any]:
        """Return plain JSON."""
        plain = {"fields": list(self.fields), "digest": self.digest}
        return {**plain, "salt": self.salt} if self.salt else plain

    @classmethod
    def from_plain(cls, plain: object) -> RouteFingerprint:
        """Return the mark that :meth:`plain` returned as plain JSON.

        :param plain: decoded JSON.
        :raises InputError: for anything else.
        """
        match plain:
            case {"fields": [*names], "digest": str(value), **more} if all(
                isinstance(each, str) for each in names
            ):
                return cls(tuple(names), value, str(more.get("salt") or ""))
        raise InputError("the mark of a route must have fields and digest")


class Routes(msgspec.Struct, frozen=True):
    """The desired routes: one route for all numbers, or one per number.

    :param all: the route of all numbers, or ``None``.
    :param each: number -> route, when there is no route for all.
    """

    all: Route | None = None
    each: Mapping[str, Route] = msgspec.field(default_factory=dict)

    @classmethod
    def parse(cls, route: object, routes: object) -> Routes | None:
        """Read what an operator was given.

        :param route: a route, or
        :param routes: mapping of numbers to routes.
        :raises InputError: when both are given, or one is wrong; never shows a URL.
        :returns: ``None`` when neither is given.
        """
        if route is not None and routes is not None:
            raise InputError("give either route or routes")
        if route is not None:
            return cls(all=parse_route(route))
        if routes is None:
            return None
        if not isinstance(routes, Mapping) or not routes:
            raise InputError("routes must be a mapping of at least one number to its route")
        named = parse_number_keys(routes, name="routes")
        return cls(each={number: parse_route(own, name=f"routes[{number}]") for number, own in named.items()})

    def of(self, number: str) -> Route:
        """Return the route of a number."""
        return self.each[number] if self.all is None else self.all

    def marks(self, numbers: Iterable[str], salt: str = "") -> dict[str, RouteFingerprint]:
        """Return what the routes leave on those of the numbers that they speak of.

        :param numbers: the numbers.
        :param salt: salt of the digests, where they are to be stored in the open.
        """
        if self.all is not None:
            return dict.fromkeys(numbers, RouteFingerprint.of(self.all, salt))
        return {
            number: RouteFingerprint.of(self.each[number], salt) for number in numbers if number in self.each
        }
