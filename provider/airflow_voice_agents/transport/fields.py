"""Reads typed settings from the fields of a connection, without importing Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.settings import DEFAULT_CONCURRENCY, DEFAULT_DEADLINE, doubled_path
from airflow_voice_agents.transport.suggestions import escaped, nearest

MAX_CONCURRENCY = 64
LIMITS = ("requests_per_second", "max_concurrency", "timeout")
SURELY_MEANT = 0.8
"""Likeness from which an unknown name is a misspelled one; others are left to whoever put them there."""


class FieldReader:
    """Base of every system's connection fields; each error names the connection and the field.

    A subclass has ``conn_id``, the id of the connection, and ``extra``, its decoded extra. An empty string in
    the extra is unset.
    """

    __slots__ = ()

    conn_id: str
    extra: Mapping[str, Any]

    names: ClassVar[tuple[str, ...]] = ()
    """Names of the system's own fields of the extra."""

    def secret(self, value: str | None, name: str) -> str:
        """Check a key, a token or a password.

        :param value: the field.
        :param name: its name in the form.
        :raises ConnectionSettingsError: when it is missing or holds white space or control characters.
        """
        if not value:
            raise self.error(f"{name} is missing")
        if any(character.isspace() or not character.isprintable() for character in value):
            raise self.error(f"{name} holds white space; paste it without spaces or line ends")
        return value

    def limits(self) -> dict[str, Any]:
        """Return the client settings for pace, concurrency and deadline.

        :raises ConnectionSettingsError: for anything but a number in range, and for a misspelled name in the extra.
        """
        self._refuse_misspelled()
        return {
            "max_concurrency": self._concurrency(),
            "requests_per_second": self.number("requests_per_second"),
            "deadline": self.number("timeout") or DEFAULT_DEADLINE,
        }

    def number(self, name: str) -> float | None:
        """Return a number above 0 from the extra, or ``None`` where it is unset.

        :param name: the field.
        :raises ConnectionSettingsError: for anything else.
        """
        value = self.extra.get(name)
        if value is None or value == "":
            return None
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not 0 < number < float("inf"):
            raise self.error(f"{name} must be a number above 0")
        return number

    def text(self, name: str) -> str | None:
        """Return a text from the extra, or ``None`` where it is unset.

        :param name: the field.
        :raises ConnectionSettingsError: for anything else.
        """
        value = self.extra.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self.error(f"{name} must be a text")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """Return one of a few words from the extra, in the platform's case, or ``None`` where it is unset.

        :param name: the field.
        :param choices: the words, in one case.
        :raises ConnectionSettingsError: for anything else.
        """
        given = self.text(name)
        if given is None:
            return None
        words = {word.lower(): word for word in choices}
        if (found := words.get(given.strip().lower())) is not None:
            return found
        near = nearest(given, choices)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        raise self.error(f"{name} must be {_either(choices)}, not {given!r}{hint}")

    def refuse_doubled(self, base_url: str, route: str, name: str) -> str:
        """Return a base URL, unless it ends with the path that every request begins with.

        :param base_url: the base URL.
        :param route: the beginning of the path of every request.
        :param name: the field that the base URL comes from.
        :raises ConnectionSettingsError: naming the part to remove.
        """
        if (part := doubled_path(base_url, route)) is not None:
            raise self.error(
                f"{name} ends with {part}, which every request adds by itself, so all would go to a path that does "
                f"not exist. Remove {part}"
            )
        return base_url

    def _refuse_misspelled(self) -> None:
        known = (*self.names, *LIMITS)
        for name in (each for each in self.extra if each not in known):
            if near := nearest(name, known, cutoff=SURELY_MEANT):
                raise self.error(f"the extra has no field {escaped(name)}. Did you mean {near[0]!r}?")

    def error(self, what: str) -> ConnectionSettingsError:
        """Return the error for a wrong field of the connection.

        :param what: the field and its fault.
        """
        return ConnectionSettingsError(f"connection {self.conn_id!r}: {what}")

    def named(self, error: ConnectionSettingsError) -> ConnectionSettingsError:
        """Return an error of settings with the name of the connection in front.

        :param error: an error that was raised while settings were made.
        """
        return error if str(error).startswith("connection ") else self.error(str(error))

    def _concurrency(self) -> int:
        value = self.number("max_concurrency")
        if value is None:
            return DEFAULT_CONCURRENCY
        if not value.is_integer() or not 1 <= value <= MAX_CONCURRENCY:
            raise self.error(f"max_concurrency must be a whole number from 1 to {MAX_CONCURRENCY}")
        return int(value)


def _either(choices: tuple[str, ...]) -> str:
    return " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
