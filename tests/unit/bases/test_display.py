"""Display settings: an operator's arguments under the deployment's configuration."""

from __future__ import annotations

import pytest
from airflow.sdk._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS, SecretsMasker
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.bases.display import OPTION, display
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.plans.render import Display
from airflow_voice_agents.state.folder import SECTION
from airflow_voice_agents.transport.masking import SENSITIVE_NAMES, is_sensitive
from support.json_values import bounded

SETTING = f"AIRFLOW__{SECTION.upper()}__{OPTION.upper()}"
NAMES = "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES"
WORDS = st.sampled_from(
    [*SENSITIVE_NAMES, "max", "My", "X", "-", "_", " ", ".", "Å", "key", "needs", "number"]
)


@pytest.fixture(autouse=True)
def plain_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    monkeypatch.delenv(NAMES, raising=False)


@pytest.mark.parametrize(
    ("setting", "argument", "shown"),
    [
        (None, None, True),
        (None, True, True),
        (None, False, False),
        ("True", None, True),
        ("True", True, True),
        ("True", False, False),
        ("False", None, False),
        ("False", True, False),
        ("False", False, False),
    ],
)
def test_values_are_shown_where_neither_deployment_nor_operator_hides_them(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, argument: bool | None, shown: bool
) -> None:
    if setting is not None:
        monkeypatch.setenv(SETTING, setting)
    assert display(argument).show_values is shown


def test_a_setting_that_cannot_be_read_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "flase")
    with pytest.raises(Exception, match=f'"{OPTION}" key in "{SECTION}"'):
        display(None)


def test_the_option_is_described_with_the_default_that_holds() -> None:
    config = get_provider_info()["config"]
    assert isinstance(config, dict)
    option = config[SECTION]["options"][OPTION]
    assert option["type"] == "boolean"
    assert option["default"] == str(display(None).show_values) == "True"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", ()),
        ("door_code", ("door_code",)),
        ("door, Vault", ("door", "vault")),
        (" door_code, ,pin ,", ("door_code", "pin")),
    ],
)
def test_the_sensitive_names_of_airflow_are_taken(
    monkeypatch: pytest.MonkeyPatch, names: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv(NAMES, names)
    assert display(None) == Display(True, (), expected)


def test_one_selector_may_be_given_as_a_text() -> None:
    assert display(True, "crm.pin") == display(True, ["crm.pin"]) == Display(True, ("crm.pin",))


def test_all_names_that_airflow_masks_are_sensitive() -> None:
    assert set(SENSITIVE_NAMES) >= DEFAULT_SENSITIVE_FIELDS


@bounded(300)
@given(st.lists(WORDS | st.text(max_size=3), max_size=4).map("".join))
def test_what_airflow_masks_is_masked(name: str) -> None:
    masker = SecretsMasker()
    masker.sensitive_variables_fields = list(DEFAULT_SENSITIVE_FIELDS)
    assert is_sensitive(name) or not masker.should_hide_value_for_key(name)
