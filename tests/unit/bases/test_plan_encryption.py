"""What a plan says of its making: open where there is nothing to hide, else only for this Airflow's key."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from airflow_voice_agents.bases.plan_encryption import seal, unseal
from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.transport.errors import GuardRefused, InputError
from support.airflow_versions import forget_fernet
from support.json_values import JSON, bounded

Keys = Callable[[str], None]
SECRET = "correct horse battery staple"
ASKED = {"config": {"overrides": {"pin": SECRET}}}


def new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives Airflow another Fernet key; an empty one means none."""

    def set_key(value: str) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", value)
        forget_fernet()

    yield set_key
    forget_fernet()


def sealed(asked: Any = ASKED, *, holds_values: bool = True, allow_unencrypted: bool = False) -> Any:
    found = seal(asked, holds_values=holds_values, allow_unencrypted=allow_unencrypted)
    return json.loads(json.dumps(found))


@settings(bounded(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_what_is_sealed_comes_back_as_it_was(key: Keys, value: Any) -> None:
    key(FIXED)
    assert same(unseal(sealed(value)), value)
    assert same(unseal(sealed(value, holds_values=False)), value)


FIXED = new_key()


def test_values_are_encrypted_and_small(key: Keys) -> None:
    key(FIXED)
    asked = {"targets": [{"agent_id": "hotel", "overrides": {"pin": SECRET}}] * 500}
    found = sealed(asked)
    assert found["form"] == "sealed"
    assert SECRET not in json.dumps(found)
    assert "hotel" not in json.dumps(found)
    assert len(json.dumps(found)) < len(json.dumps(asked)) / 10
    assert unseal(found) == asked


def test_what_holds_no_values_lies_open_and_asks_for_no_key(key: Keys) -> None:
    key("{FERNET_KEY}")
    found = sealed({"targets": []}, holds_values=False)
    assert found == {"form": "plain", "asked": {"targets": []}}
    assert unseal(found) == {"targets": []}


def test_without_a_key_values_are_refused_unless_that_is_allowed(key: Keys) -> None:
    key("")
    with pytest.raises(GuardRefused, match=r"in the clear.*fernet_key.*allow_unencrypted=True") as caught:
        sealed()
    assert SECRET not in str(caught.value)
    assert unseal(sealed(allow_unencrypted=True)) == ASKED


def test_a_permission_is_not_used_where_there_is_a_key(key: Keys) -> None:
    key(FIXED)
    assert SECRET not in json.dumps(sealed(allow_unencrypted=True))


def test_a_key_that_is_none_is_refused(key: Keys) -> None:
    key("{FERNET_KEY}")
    with pytest.raises(GuardRefused, match="not a Fernet key"):
        sealed(allow_unencrypted=True)


@pytest.mark.parametrize("other", [new_key(), "", "{FERNET_KEY}"], ids=["another", "none", "broken"])
def test_with_another_key_it_cannot_be_opened_and_nothing_is_shown(key: Keys, other: str) -> None:
    key(FIXED)
    found = sealed()
    key(other)
    with pytest.raises(InputError, match="cannot be opened with this Airflow's Fernet key") as caught:
        unseal(found)
    assert caught.value.__cause__ is None
    assert found["asked"][:20] not in str(caught.value)


def test_keys_may_be_rotated(key: Keys) -> None:
    key(FIXED)
    found = sealed()
    key(f"{new_key()},{FIXED}")
    assert unseal(found) == ASKED


@pytest.mark.parametrize(
    "request_",
    [None, "x", [], {}, {"form": "plain"}, {"form": "sealed"}, {"form": "other", "asked": {}}, {"asked": {}}],
)
def test_anything_else_was_not_made_here(request_: Any) -> None:
    with pytest.raises(InputError, match="does not say how it was made"):
        unseal(request_)


@pytest.mark.parametrize("asked", ["", "gAAAA", 5, None, ["x"]])
def test_what_was_cut_off_cannot_be_opened(key: Keys, asked: Any) -> None:
    key(FIXED)
    with pytest.raises(InputError, match="cannot be opened"):
        unseal({"form": "sealed", "asked": asked})
