"""Snapshots that cannot be kept or found: told at once, in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_voice_agents.state import snapshots
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from support.airflow_versions import forget_fernet


@pytest.fixture
def broken_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An Airflow whose key is none, such as one without a configuration file."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "{FERNET_KEY}")
    forget_fernet()
    yield
    forget_fernet()


@pytest.mark.usefixtures("broken_key")
def test_a_key_that_is_none_is_refused_for_good_and_nothing_is_kept(tmp_path: Any) -> None:
    with pytest.raises(GuardRefused, match="fernet_key of this Airflow is not a Fernet key"):
        snapshots.save(
            {"resources": []},
            folder=tmp_path.as_uri(),
            name="lines",
            allow_unencrypted=True,
            retention=None,
            log=print,
        )

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", [None, "", "None"])
def test_a_snapshot_that_was_never_taken_is_called_missing(url: Any) -> None:
    with pytest.raises(InputError, match="snapshot is missing"):
        snapshots.load(url)
