"""Reads typed settings out of the fields of a connection; free of Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.transport.errors import ConnectionSettingsError, InputError
from airflow_voice_agents.transport.settings import ClientSettings
from airflow_voice_agents.transport.strict_json import decode_json

MAX_CONCURRENCY = 64


class FieldReader:
    """Base of every system's connection fields; each error names the connection and the field.

    A subclass has ``conn_id``, the id of the connection, and ``extra``, its decoded extra. An empty string in
    the extra is unset.
    """

    __slots__ = ()

    conn_id: str
    extra: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Take an extra that was encoded twice for what it says.

        :raises ConnectionSettingsError: for anything but a JSON object.
        """
        if isinstance(self.extra, str):
            object.__setattr__(self, "extra", self._decoded(self.extra))
        if not isinstance(self.extra, Mapping):
            raise self.error('extra must be a JSON object, such as {"timeout": 30}')

    def _decoded(self, text: str) -> Any:
        try:
            return decode_json(text, where="extra")
        except InputError as error:
            reason = str(error)
        raise self.error(f"extra is a text within JSON; write the JSON object itself ({reason})")

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

        :raises ConnectionSettingsError: for anything but a number in range.
        """
        return {
            "max_concurrency": self._concurrency(),
            "requests_per_second": self.number("requests_per_second"),
            "deadline": self.number("timeout") or ClientSettings.deadline,
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
            return ClientSettings.max_concurrency
        if not value.is_integer() or not 1 <= value <= MAX_CONCURRENCY:
            raise self.error(f"max_concurrency must be a whole number from 1 to {MAX_CONCURRENCY}")
        return int(value)
