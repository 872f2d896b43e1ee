"""A deployment's setting for values in plans, and what an operator may say beside it."""

from __future__ import annotations

import pytest

from airflow_voice_agents.bases.display import display


@pytest.mark.parametrize(("asked", "shown"), [(None, True), (True, True), (False, False)])
def test_values_are_shown_unless_the_operator_hides_them(asked: bool | None, shown: bool) -> None:
    assert display(asked).show_values is shown


@pytest.mark.parametrize("asked", [None, True, False])
def test_a_deployment_that_hides_values_hides_them_for_every_dag(
    monkeypatch: pytest.MonkeyPatch, asked: bool | None
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__SHOW_VALUES", "False")
    assert display(asked).show_values is False


def test_airflows_own_sensitive_names_are_sensitive_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES", "door, Vault")
    shown = display(True, ["crm.pin"])
    assert (shown.sensitive_names, shown.sensitive_keys) == (("door", "vault"), ("crm.pin",))
