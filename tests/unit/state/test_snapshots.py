"""Snapshots: bound to where they were taken, never in the clear without consent, and clear about what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.airflow_compat import get_fernet
from airflow_voice_agents.state import snapshots
from airflow_voice_agents.state.snapshots import Origin
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from support.airflow_versions import forget_fernet

HERE = Origin("polyai", "api.uk.poly.ai")
DOCUMENT = {"resources": [{"owner": "harbour-hotels", "name": "live", "state": {"greeting": "Ahoy"}}]}


def keep(folder: Path, origin: Origin = HERE, **options: Any) -> str:
    usual: dict[str, Any] = {"allow_unencrypted": False, "retention": None, "log": lambda _: None}
    return snapshots.save(DOCUMENT, origin=origin, folder=folder.as_uri(), name="x", **{**usual, **options})


@pytest.fixture
def key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An Airflow with the given ``fernet_key``."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", request.param)
    forget_fernet()
    yield
    forget_fernet()


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("key", ["{FERNET_KEY}"], indirect=True)
def test_a_key_that_is_none_is_refused_for_good_and_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(GuardRefused, match="fernet_key of this Airflow is not a Fernet key"):
        keep(tmp_path, allow_unencrypted=True)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("key", [""], indirect=True)
def test_without_a_key_nothing_is_kept_unless_that_was_asked_for(tmp_path: Path) -> None:
    said: list[str] = []

    with pytest.raises(GuardRefused, match=r"in the clear.*Nothing was written.*allow_unencrypted=True"):
        keep(tmp_path)
    assert list(tmp_path.iterdir()) == []

    url = keep(tmp_path, allow_unencrypted=True, log=said.append)
    assert "NOT encrypted" in said[0]
    assert snapshots.load(url, HERE) == DOCUMENT


@pytest.mark.parametrize("url", [None, "", "None"])
def test_a_snapshot_that_was_never_taken_is_called_missing(url: Any) -> None:
    with pytest.raises(InputError, match="snapshot is missing"):
        snapshots.load(url, HERE)


@pytest.mark.usefixtures("fernet_key")
@pytest.mark.parametrize(
    "other",
    [
        Origin("signalwire", "api.uk.poly.ai"),
        Origin("polyai", "api.us.poly.ai"),
        Origin("polyai", "api.uk.poly.ai", "acc-2"),
    ],
)
def test_a_snapshot_of_another_platform_is_refused_by_both_names(tmp_path: Path, other: Origin) -> None:
    taken = Origin("polyai", "api.uk.poly.ai", "acc-1")
    url = keep(tmp_path, taken)

    with pytest.raises(InputError, match="Nothing was written") as refused:
        snapshots.load(url, other)

    assert f"is of {taken} (harbour-hotels), and the task's connection leads to {other}" in str(refused.value)
    assert snapshots.load(url, taken) == DOCUMENT


@pytest.mark.usefixtures("fernet_key")
def test_an_account_that_only_one_connection_names_does_not_tell_platforms_apart(tmp_path: Path) -> None:
    assert snapshots.load(keep(tmp_path), Origin("polyai", "api.uk.poly.ai", "acc-1")) == DOCUMENT


@pytest.mark.usefixtures("fernet_key")
def test_a_snapshot_in_the_place_of_another_one_is_refused_by_both_names(tmp_path: Path) -> None:
    (mine, theirs), one = (keep(tmp_path) for _ in range(2)), "file://"
    Path(mine.removeprefix(one)).write_bytes(Path(theirs.removeprefix(one)).read_bytes())

    with pytest.raises(InputError, match="not the file that it was kept as") as refused:
        snapshots.load(mine)

    assert mine in str(refused.value)
    assert f"it holds {Path(theirs).name}, a snapshot of harbour-hotels" in str(refused.value)
    assert snapshots.load(theirs) == DOCUMENT


@pytest.mark.usefixtures("fernet_key")
def test_a_snapshot_that_moved_to_another_folder_is_read(tmp_path: Path) -> None:
    kept = Path(keep(tmp_path).removeprefix("file://"))
    moved = kept.rename(tmp_path / kept.name)

    assert snapshots.load(moved.as_uri(), HERE) == DOCUMENT


@pytest.mark.usefixtures("fernet_key")
def test_a_snapshot_of_a_former_release_is_read(tmp_path: Path) -> None:
    file = tmp_path / "20260101T000000000000Z-old.snapshot"
    file.write_bytes(get_fernet().encrypt(json.dumps(DOCUMENT).encode()))

    assert snapshots.load(file.as_uri(), HERE) == DOCUMENT
