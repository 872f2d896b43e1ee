"""Snapshots: of one kind, of several, of version 1, and none that somebody changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.snapshot import Snapshot
from airflow_voice_agents.transport.errors import InputError
from support.fake_engine import JsonKind
from support.json_values import JSON, NAMES, bounded

HERE, THERE = Resource("k", "o", "here"), Resource("k", "o", "there")
PAGE = Resource("page", "o", "here")


PLAIN: Any = JsonKind()
KINDS: Kinds = {"k": JsonKind(lambda state: {"n": state}, lambda value: int(value["n"])), "page": PLAIN}

VERSION_1: dict[str, Any] = {
    "version": 1,
    "kind": "k",
    "resources": [
        {"owner": "o", "name": "here", "state": {"n": 1}, "note": {"mark": 1}},
        {"owner": "o", "name": "there", "state": None},
    ],
    "digest": "05cde6646915ab6c29e41c1d2ead63a7781d76097abb30e969424728c8a279d9",
}


def through_json(document: Any) -> Any:
    return json.loads(json.dumps(document))


def test_states_and_notes_come_back() -> None:
    snapshot = Snapshot({HERE: 1, THERE: None}, {HERE: {"mark": 1}})
    document = snapshot.document(KINDS)

    assert Snapshot.from_document(through_json(document), KINDS) == snapshot
    assert "note" not in document["resources"][1]


def test_a_snapshot_may_hold_several_kinds_each_in_its_own_spelling() -> None:
    snapshot: Snapshot[Any] = Snapshot({HERE: 1, PAGE: {"greeting": "hello"}, THERE: None})
    document = through_json(snapshot.document(KINDS))

    assert [entry["state"] for entry in document["resources"]] == [{"n": 1}, {"greeting": "hello"}, None]
    assert Snapshot.from_document(document, KINDS) == snapshot


@bounded(100)
@given(
    st.dictionaries(st.builds(Resource, NAMES, st.text(max_size=3), st.text(max_size=3)), JSON, max_size=4)
)
def test_whatever_was_kept_comes_back(states: dict[Resource, Any]) -> None:
    kinds = {resource.kind: PLAIN for resource in states}

    back = Snapshot.from_document(through_json(Snapshot(states).document(kinds)), kinds)

    assert back.states == states


def test_a_snapshot_of_version_1_is_still_read() -> None:
    back = Snapshot.from_document(VERSION_1, KINDS)

    assert back == Snapshot({HERE: 1, THERE: None}, {HERE: {"mark": 1}})


@pytest.mark.parametrize("document", [None, [], {}, {"version": 3}, {"version": "1"}, "text"])
def test_what_is_no_snapshot_is_refused(document: Any) -> None:
    with pytest.raises(InputError, match="no snapshot of version 2"):
        Snapshot.from_document(document, KINDS)


@pytest.mark.parametrize("of", [VERSION_1, Snapshot({HERE: 1, PAGE: 2}).document(KINDS)])
def test_a_kind_that_is_not_expected_is_named(of: Any) -> None:
    with pytest.raises(InputError, match="snapshot of 'k', not of 'page'"):
        Snapshot.from_document(of, {"page": PLAIN})


@pytest.mark.parametrize("key", ["note", "state", "kind", "owner"])
def test_a_snapshot_that_was_changed_is_unusable(key: str) -> None:
    document = Snapshot({HERE: 1}, {HERE: 1}).document(KINDS)
    document["resources"][0][key] = "page"

    with pytest.raises(InputError, match="was changed"):
        Snapshot.from_document(document, KINDS)
