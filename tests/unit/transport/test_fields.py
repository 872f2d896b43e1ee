"""The extra of a connection: an object, also when it was encoded twice."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.omnia_voice.connection import ConnectionFields as OmniaVoiceFields
from airflow_voice_agents.polyai.connection import ConnectionFields as PolyAIFields
from airflow_voice_agents.signalwire.connection import ConnectionFields as SignalWireFields
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.fields import FieldReader


def fields(extra: Any) -> list[FieldReader]:
    return [
        PolyAIFields("conn", "key", "https://x.example", None, extra),
        SignalWireFields("conn", "acme.signalwire.com", "project", "token", None, extra),
        OmniaVoiceFields("conn", "key", "https://x.example", None, extra),
    ]


def test_an_extra_that_was_encoded_twice_is_read() -> None:
    assert [each.number("timeout") for each in fields('{"timeout": 7}')] == [7, 7, 7]


@pytest.mark.parametrize(
    "extra", ['{"runtime_api_key": "hunter2"', '{"a": "hunter2", "a": 1}', '"hunter2"', ["a"], None]
)
def test_any_other_extra_is_refused_without_showing_it(extra: Any) -> None:
    for kind in (PolyAIFields, OmniaVoiceFields):
        with pytest.raises(ConnectionSettingsError, match=r"^connection 'conn': extra ") as caught:
            kind("conn", "key", "https://x.example", None, extra)
        assert "hunter2" not in str(caught.value)
        assert caught.value.permanent
