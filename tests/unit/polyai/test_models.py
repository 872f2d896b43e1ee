"""Answers are read leniently and without coercion; inputs are taken strictly."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_voice_agents.polyai.models import (
    Answer,
    Branch,
    ConfigPage,
    Connector,
    ConnectorUpdate,
    ConnectorUpdateResult,
    DeletedPhoneNumbers,
    Deployment,
    DeploymentResult,
    Environment,
    OutboundCallStatus,
    PhoneNumber,
    Variant,
    parse_environment,
)
from airflow_voice_agents.polyai.readers import active_deployments, texts
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_e164

BLANKABLE = [
    (Connector, {"connectorId": "c"}, "variantId", "variant_id"),
    (PhoneNumber, {"number": "+441632960001"}, "connectorId", "connector_id"),
    (Deployment, {"id": "d"}, "version", "version"),
    (Deployment, {"id": "d"}, "metadata", "metadata"),
    (ConfigPage, {"clientEnv": "live"}, "schema", "json_schema"),
    (ConfigPage, {"clientEnv": "live"}, "variables", "variables"),
]


# --------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(("model", "base", "key", "attribute"), BLANKABLE)
def test_null_empty_string_and_absent_all_read_as_none(
    model: type[Answer], base: dict[str, Any], key: str, attribute: str
) -> None:
    for body in (base, base | {key: None}, base | {key: ""}):
        assert getattr(model.model_validate(body), attribute) is None


@pytest.mark.parametrize(("key", "attribute"), [("schema", "json_schema"), ("variables", "variables")])
def test_empty_object_of_a_config_page_stays_apart_from_none(key: str, attribute: str) -> None:
    assert getattr(ConfigPage.model_validate({"clientEnv": "live", key: {}}), attribute) == {}


def test_config_values_keep_their_json_types() -> None:
    values = {"int": 1, "float": 1.0, "true": True, "text": "1", "deep": [{"x": [1, 1.0, True, None, ""]}]}
    page = ConfigPage.model_validate({"clientEnv": "live", "variables": values})
    assert repr(page.variables) == repr(values)


def test_every_field_of_a_connector_lands_in_its_attribute() -> None:
    connector = Connector.model_validate(
        {
            "connectorId": "c",
            "name": "n",
            "accountId": "a",
            "projectId": "p",
            "clientEnv": "pre-release",
            "variantId": "v",
            "asrLangCode": "en-GB",
            "ttsLangCode": "en-US",
            "voiceName": "x",
            "disableHandoff": False,
        }
    )
    assert connector == Connector(
        connector_id="c",
        name="n",
        account_id="a",
        project_id="p",
        client_env="pre-release",
        variant_id="v",
        asr_lang_code="en-GB",
        tts_lang_code="en-US",
        voice_name="x",
        disable_handoff=False,
    )


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (Connector, {"connectorId": 7}),
        (Connector, {"connectorId": "c", "variantId": 7}),
        (Connector, {"connectorId": "c", "disableHandoff": "false"}),
        (Connector, {"connectorId": "c", "disableHandoff": 0}),
        (ConnectorUpdateResult, {"connectorId": "c", "success": "true"}),
        (ConnectorUpdateResult, {"connectorId": "c", "success": 1}),
        (ConnectorUpdateResult, {"connectorId": "c", "success": None}),
        (ConnectorUpdateResult, {"connectorId": "c"}),
        (Deployment, {"id": "d", "version": 12}),
        (Deployment, {"id": None}),
        (PhoneNumber, {"number": 441632960001}),
        (ConfigPage, {"clientEnv": "live", "variables": ["secret-value"]}),
        (DeploymentResult, {"testRunIds": []}),
        (Variant, {"id": "v", "attributeValues": {"values": {"a": 5}}}),
    ],
)
def test_value_of_another_type_is_refused_not_coerced(model: type[Answer], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert "secret-value" not in str(caught.value)
    assert "input_value" not in str(caught.value)


def test_change_stamp_is_opaque_and_may_be_a_number() -> None:
    page = ConfigPage.model_validate({"clientEnv": "live", "lastUpdated": 1767225600})
    assert page.last_updated == "1767225600"


def test_undeclared_call_status_is_read_as_it_is() -> None:
    assert OutboundCallStatus.model_validate({"status": "RINGING"}).status == "RINGING"


def test_active_deployments_tell_nothing_deployed_from_a_deployment() -> None:
    record = {"id": "d", "version": "", "metadata": {"deployment_type": "promotion"}}
    body = {"activeDeployments": {"sandbox": record, "pre-release": "", "live": None}}
    active = active_deployments(body)
    assert active["sandbox"] == Deployment(id="d", metadata={"deployment_type": "promotion"})
    assert (active["pre-release"], active["live"]) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"activeDeployments": None},
        {"activeDeployments": {"live": {"version": "x"}}},
        {"activeDeployments": {"live": 0}},
    ],
)
def test_active_deployments_without_the_member_or_with_a_broken_record_are_refused(body: Any) -> None:
    with pytest.raises(ValueError, match=r"activeDeployments|for Deployment"):
        active_deployments(body)


def test_list_of_texts_with_something_else_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match=r"^the answer's 'imported' holds something else than strings$"):
        texts("imported")({"imported": ["+441632960001", 441632960002]})


@pytest.mark.parametrize("tests", [{}, {"testRunIds": None}, {"testRunIds": []}])
def test_deployment_without_test_runs_has_none_to_wait_for(tests: dict[str, Any]) -> None:
    assert DeploymentResult.model_validate({"deployment": {"id": "d"}} | tests).test_run_ids == ()


@pytest.mark.parametrize("errors", [{}, {"errors": None}, {"errors": []}])
def test_deleted_numbers_without_errors(errors: dict[str, Any]) -> None:
    body = {"deleted": ["+441632960001"]}
    assert DeletedPhoneNumbers.model_validate(body | errors).errors == ()


@pytest.mark.parametrize("data", [{}, None, ""])
def test_failed_update_is_read_whatever_stands_for_no_connector(data: object) -> None:
    body = {"connectorId": "c", "success": False, "data": data, "error": "voice not found"}
    result = ConnectorUpdateResult.model_validate(body)
    assert (result.success, result.data, result.error) == (False, None, "voice not found")


@pytest.mark.parametrize("values", [{}, {"attributeValues": None}, {"attributeValues": {"values": None}}])
def test_variant_without_values_has_an_empty_mapping(values: dict[str, Any]) -> None:
    assert Variant.model_validate({"id": "v"} | values).attribute_values == {}


def test_branch_keeps_what_the_vendor_does_not_declare_and_finds_its_id_under_both_names() -> None:
    for body in ({"branchId": "main", "branchName": "Main"}, {"id": "main", "name": "Main"}):
        branch = Branch.model_validate(body | {"lock": {"by": "x"}})
        assert (branch.branch_id, branch.name) == ("main", "Main")
        assert branch.model_extra == {"lock": {"by": "x"}}


@pytest.mark.parametrize(
    "answer",
    [
        ConfigPage(
            client_env="live", variables={"k": "secret-value"}, json_schema={"default": "secret-value"}
        ),
        Deployment(id="d", metadata={"deployment_message": "secret-value"}),
        Variant(id="v", attribute_values={"a": "secret-value"}),
        OutboundCallStatus(reason="secret-value"),
        Branch.model_validate({"branchId": "b", "notes": "secret-value"}),
    ],
)
def test_repr_shows_no_values(answer: Answer) -> None:
    assert "secret-value" not in repr(answer)
    assert "secret-value" not in str(answer)


def test_answers_are_immutable() -> None:
    with pytest.raises(ValidationError):
        PhoneNumber(number="+441632960001").number = "+441632960002"  # type: ignore[misc]


# -------------------------------------------------------------------------------------- connector updates


@pytest.mark.parametrize(
    ("given", "body", "changes"),
    [
        ({"connector_id": "c"}, {"connectorId": "c"}, {}),
        (
            {"connector_id": "c", "variant_id": None},
            {"connectorId": "c", "variantId": None},
            {"variant_id": None},
        ),
        (
            {"connectorId": "c", "variantId": "v", "asrLangCode": "de-DE"},
            {"connectorId": "c", "variantId": "v", "asrLangCode": "de-DE"},
            {"variant_id": "v", "asr_lang_code": "de-DE"},
        ),
        (
            {"connectorId": "c", "voice_name": "x", "project_id": "p"},
            {"connectorId": "c", "voiceName": "x", "projectId": "p"},
            {"voice_name": "x", "project_id": "p"},
        ),
    ],
)
def test_update_tells_absent_null_and_value_apart_under_both_spellings(
    given: dict[str, Any], body: dict[str, Any], changes: dict[str, Any]
) -> None:
    update = ConnectorUpdate.parse(given)
    assert update.body() == body
    assert update.changes() == changes
    assert update.model_fields_set == {"connector_id", *changes}
    assert update == ConnectorUpdate(**given) == ConnectorUpdate.parse(update)


def test_update_knows_a_move_and_a_change_of_voice() -> None:
    assert ConnectorUpdate(connector_id="c", project_id="p").moves
    assert ConnectorUpdate(connector_id="c", voice_name="v").changes_voice
    other = ConnectorUpdate(connector_id="c", variant_id="v", asr_lang_code="en-GB")
    assert not other.moves
    assert not other.changes_voice


def test_update_survives_pickling_with_what_is_absent() -> None:
    update = pickle.loads(pickle.dumps(ConnectorUpdate(connector_id="c", variant_id=None)))  # noqa: S301
    assert update.body() == {"connectorId": "c", "variantId": None}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"connector_id": "c", "variant_id": ""}, r"variant_id must not be empty: give None \(null\)"),
        ({"connector_id": "c", "variant_id": "a/b"}, "variant_id must not hold a slash"),
        ({"connector_id": "c", "asr_lang_code": None}, "asr_lang_code must be a string, not NoneType"),
        ({"connector_id": "c", "voice_name": None}, "voice_name must be a string, not NoneType"),
        ({"connector_id": "c", "project_id": None}, "project_id must be a string, not NoneType"),
        ({"connector_id": "c", "voiceName": ""}, "voice_name must not be empty"),
        ({"connector_id": "c", "voice_name": "a\x00b"}, "voice_name must not hold control characters"),
        ({"connector_id": "c", "asr_lang_code": "en\n"}, "asr_lang_code must not be empty or have surr"),
        ({"connector_id": "c", "asr_lang_code": 5}, "asr_lang_code must be a string, not int"),
        ({"connector_id": "c", "project_id": "../x"}, "project_id must not hold a slash"),
        ({"connector_id": "a\x00"}, "connector_id must not hold a slash, a backslash or a control"),
        ({"connector_id": ""}, "connector_id must not be empty"),
        ({"connector_id": 5}, "connector_id must be a string, not int"),
        ({"voice_name": "v"}, "connector_id is required"),
        ({"connector_id": "c", "voice_name": "a", "voiceName": "b"}, "repeated field 'voice_name'"),
    ],
)
def test_update_refuses_what_cannot_be_meant(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConnectorUpdate.parse(given)
    with pytest.raises(InputError, match=message):
        ConnectorUpdate(**given)


def test_update_names_the_connector_the_unknown_field_and_those_allowed() -> None:
    with pytest.raises(InputError) as caught:
        ConnectorUpdate.parse({"connectorId": "conn_1", "clientEnv": "secret-value"})
    assert str(caught.value) == (
        "update of connector 'conn_1': unknown or repeated field 'clientEnv', allowed are "
        "connector_id, variant_id, asr_lang_code, voice_name, project_id"
    )


@pytest.mark.parametrize("value", [None, "c", ["connector_id", "c"], {1: "c"}])
def test_update_is_not_parsed_from_something_else_than_a_mapping_of_names(value: object) -> None:
    with pytest.raises(InputError, match="connector update must be a mapping of field names"):
        ConnectorUpdate.parse(value)


# ---------------------------------------------------------------------------------- environments, numbers


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("sandbox", Environment.SANDBOX),
        ("pre-release", Environment.PRE_RELEASE),
        ("pre_release", Environment.PRE_RELEASE),
        ("prerelease", Environment.PRE_RELEASE),
        ("live", Environment.LIVE),
        (Environment.LIVE, Environment.LIVE),
    ],
)
def test_environment_is_one_of_three_names_or_an_alias(text: str, environment: Environment) -> None:
    assert parse_environment(text) is environment


@pytest.mark.parametrize(
    "text", ["Live", "LIVE", " live", "live ", "", "production", "Pre-Release", None, 1, []]
)
def test_other_environment_is_refused_with_the_three_names(text: object) -> None:
    with pytest.raises(InputError, match=r"^client_env must be 'sandbox', 'pre-release' or 'live', not "):
        parse_environment(text, name="client_env")


@pytest.mark.parametrize("number", ["+4412345", "+441632960001", "+123456789012345"])
def test_e164_number_is_taken_as_it_is(number: str) -> None:
    assert parse_e164(number) == number


@pytest.mark.parametrize(
    "number",
    [
        "441632960001",
        "+0441632960001",
        "+441234",
        "+1234567890123456",
        "+44 1632 960001",
        "+441632960001\n",
        " +441632960001",
        "+44(0)1632960001",
        "+४४१६३२९६००",
        "+44163296000\u0661",
        "\uff0b441632960001",
        "+\uff14\uff141632960001",
        "",
        None,
        441632960001,
        b"+441632960001",
    ],
)
def test_other_number_is_refused_and_shown_only_if_it_is_not_private(number: object) -> None:
    with pytest.raises(InputError, match=r"^phone_number must be an E\.164 number") as shown:
        parse_e164(number)
    assert repr(number)[:5] in str(shown.value)
    with pytest.raises(InputError) as hidden:
        parse_e164(number, name="to_number", private=True)
    assert str(hidden.value) == (
        "to_number must be an E.164 number: '+' and 7 to 15 digits without leading zero"
    )


@pytest.mark.parametrize("fields", [{"variant_id": None}, {"voice_name": "v", "asr_lang_code": "en-GB"}, {}])
def test_an_update_of_another_connector_is_the_same_but_for_the_id(fields: dict[str, Any]) -> None:
    update = ConnectorUpdate(connector_id="one", **fields)
    other = update.for_connector("two")

    assert other == ConnectorUpdate(connector_id="two", **fields)
    assert other.model_fields_set == {"connector_id", *fields}
    assert other.body() == other.model_dump(by_alias=True, exclude_unset=True)
    assert other.changes() == fields
    assert update.connector_id == "one"
    with pytest.raises(InputError, match="connector_id must not hold a slash"):
        update.for_connector("a/b")
