"""PolyAI requests: exact contents, when they can be resent, and invalid arguments."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import ConnectorUpdate
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import InputError

NUMBER, OTHER = "+441632960001", "+441632960002"
VARIANT = ConnectorUpdate(connector_id="c1", variant_id=None)
VOICE = ConnectorUpdate(connector_id="c2", voice_name="en-GB-Neural2-A")
MOVE = ConnectorUpdate(connector_id="c3", project_id="other")
CONFIG = {"client_env": "live"}
ON_BRANCH = {"branch_id": "BRANCH-1"}


# ------------------------------------------------------------------------------------------ what is sent


def test_absent_settings_are_left_out_of_an_update_and_null_is_sent() -> None:
    call = api.update_connector("a", update=VARIANT)
    assert call.body == {"variantId": None}
    assert call.path == "/v1/agents/a/telephony/connectors/c1"


def test_batch_update_keeps_order_and_names_each_connector() -> None:
    call = api.update_connectors("a", updates=[VOICE, VARIANT])
    assert call.body == {
        "updates": [
            {"connectorId": "c2", "voiceName": "en-GB-Neural2-A"},
            {"connectorId": "c1", "variantId": None},
        ]
    }


def test_number_in_a_path_has_its_plus_encoded() -> None:
    call = api.assign_phone_number("a", phone_number=NUMBER, connector_id="c1")
    assert call.path == "/v1/agents/a/telephony/phone-numbers/%2B441632960001"
    assert call.body == {"connectorId": "c1"}


def test_import_always_names_the_environment() -> None:
    many = api.import_phone_numbers("a", phone_numbers=[NUMBER, OTHER], client_env="prerelease")
    one = api.import_phone_number("a", phone_number=NUMBER, client_env="live")
    assert many.body == {"phoneNumbers": [NUMBER, OTHER], "clientEnv": "pre-release"}
    assert one.body == {"clientEnv": "live"}


def test_environment_goes_into_path_and_query_in_the_apis_spelling() -> None:
    page = api.get_config_page("a", client_env="pre_release")
    history = api.list_deployments("a", environment="pre_release", limit=5)
    assert page.path == "/v1/agents/a/real-time-configs/pre-release"
    assert history.query == (("environment", "pre-release"), ("limit", "5"))


def test_numbers_of_a_connector_are_filtered_by_query() -> None:
    assert api.list_phone_numbers("a", connector_id="c1").query == (("connectorId", "c1"),)
    assert api.list_phone_numbers("a").query == ()


def test_promote_always_names_its_target() -> None:
    call = api.promote_deployment("a", deployment_id="d", target_environment="live")
    assert call.body == {"deploymentMessage": "", "targetEnvironment": "live"}


def test_publish_and_merge_and_rollback_bodies() -> None:
    resolutions = [{"path": ["a"], "strategy": "theirs"}]
    merge = api.merge_branch("a", branch_id="b", message="m", conflict_resolutions=resolutions)
    assert merge.body == {"deploymentMessage": "m", "conflictResolutions": resolutions}
    assert api.publish("a", environment="live").body == {"deploymentMessage": "", "environment": "live"}
    assert api.rollback_deployment("a", deployment_id="d").body == {"deploymentMessage": ""}


def test_agent_is_created_with_only_what_was_given() -> None:
    least = api.create_agent("acme", name="A", greeting="Hello\nthere")
    more = api.create_agent("acme", name="A", greeting="Hi", voice_id="v", language_code="de-DE")
    assert least.body == {"name": "A", "responseSettings": {"greeting": "Hello\nthere"}}
    assert more.body == {
        "name": "A",
        "responseSettings": {"greeting": "Hi", "languageCode": "de-DE"},
        "voiceSettings": {"voiceId": "v"},
    }


def test_config_values_are_sent_with_their_types_and_copied() -> None:
    values = {"i": 1, "f": 1.0, "b": True, "n": None, "deep": {"list": [1, 1.0, False]}}
    call = api.patch_config_variables("a", client_env="live", variables=values)
    before = json.dumps(call.body)
    values["deep"]["list"].append("later")  # type: ignore[index]
    values["i"] = 2
    assert json.dumps(call.body) == before
    assert before == (
        '{"variables": {"i": 1, "f": 1.0, "b": true, "n": null, "deep": {"list": [1, 1.0, false]}}}'
    )


def test_called_number_and_config_values_are_in_the_body_and_nowhere_else() -> None:
    outbound = api.create_outbound_call("a", to_number=NUMBER, environment="live", metadata={"k": "secret"})
    config = api.patch_config_variables("a", client_env="live", variables={"k": "secret"})
    assert outbound.body is not None
    assert outbound.body["toNumber"] == NUMBER
    for call in (outbound, config):
        shown = [repr(call), call.operation, *[str(part) for part in call.key]]
        assert not any("441632960001" in text or "secret" in text for text in shown)


def test_call_is_immutable() -> None:
    with pytest.raises(AttributeError):
        api.list_connectors("a").path = "/elsewhere"  # type: ignore[misc]


# ----------------------------------------------------------------------------- replay classes, deadlines


@pytest.mark.parametrize(
    ("updates", "deadline"),
    [
        ([VARIANT], None),
        ([VOICE], 90.0),
        ([MOVE], None),
        ([VARIANT, MOVE], None),
        ([VARIANT, VOICE], 90.0),
        ([MOVE, VOICE], 90.0),
    ],
)
def test_update_is_never_repeated_blind_and_has_time_if_it_changes_a_voice(
    updates: list[ConnectorUpdate], deadline: float | None
) -> None:
    call = api.update_connectors("a", updates=updates)
    assert (call.replay, call.deadline) == (Replay.RECONCILE, deadline)
    if len(updates) == 1:
        single = api.update_connector("a", update=updates[0])
        assert (single.replay, single.deadline) == (Replay.RECONCILE, deadline)


def test_outbound_call_is_never_resent() -> None:
    call = api.create_outbound_call("a", to_number=NUMBER, environment="sandbox")
    assert call.replay is Replay.NEVER


def test_message_of_a_debug_chat_is_never_resent() -> None:
    call = api.send_debug_chat_message("a", conversation_id="c", client_env="sandbox", message="Hi")
    assert call.replay is Replay.NEVER


def test_config_writes_are_never_repeated_blind() -> None:
    schema = api.put_config_schema("a", client_env="live", schema={})
    variables = api.patch_config_variables("a", client_env="live", variables={"open": True})
    assert {schema.replay, variables.replay} == {Replay.RECONCILE}


# ------------------------------------------------------------------------------------- what is refused

BATCHES: list[tuple[Callable[[Any], ApiRequest[Any]], str]] = [
    (lambda v: api.get_connectors("a", connector_ids=v), "connector_ids"),
    (lambda v: api.update_connectors("a", updates=v), "updates"),
    (lambda v: api.import_phone_numbers("a", phone_numbers=v, client_env="live"), "phone_numbers"),
    (lambda v: api.delete_phone_numbers("a", phone_numbers=v), "phone_numbers"),
    (lambda v: api.get_phone_numbers("a", phone_numbers=v), "phone_numbers"),
    (
        lambda v: api.merge_branch("a", branch_id="b", conflict_resolutions=v),
        "conflict_resolutions",
    ),
]


@pytest.mark.parametrize(("build", "name"), BATCHES)
def test_batch_that_is_empty_or_no_list_is_refused(
    build: Callable[[Any], ApiRequest[Any]], name: str
) -> None:
    with pytest.raises(InputError, match=f"^{name} must not be empty$"):
        build([])
    for value in ("c1", b"c1", {"c1"}, 5, {"c1": 1}):
        with pytest.raises(InputError, match=f"^{name} must be a list, not {type(value).__name__}$"):
            build(value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: api.get_connectors("a", connector_ids=["c1", "c2", "c1"]),
            "connector_ids must name each only once, and repeats c1",
        ),
        (
            lambda: api.update_connectors("a", updates=[VARIANT, VOICE, VARIANT]),
            "updates must name each only once, and repeats c1",
        ),
        (
            lambda: api.import_phone_numbers("a", phone_numbers=[NUMBER] * 2, client_env="live"),
            f"phone_numbers must name each only once, and repeats {NUMBER}",
        ),
        (
            lambda: api.delete_phone_numbers("a", phone_numbers=[OTHER, NUMBER, OTHER, NUMBER]),
            f"phone_numbers must name each only once, and repeats {OTHER}, {NUMBER}",
        ),
    ],
)
def test_batch_that_names_something_twice_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        build()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: api.list_connectors(""), "agent_id must not be empty"),
        (lambda: api.list_connectors("a/b"), "agent_id must not hold a slash"),
        (lambda: api.list_connectors("a\x00"), "agent_id must not hold a slash, a backslash or a control"),
        (lambda: api.list_connectors("\ud800"), "agent_id must not hold half of a surrogate pair"),
        (lambda: api.get_connectors("a", connector_ids=["c1", "x/y"]), r"connector_ids\[1\] must not hold"),
        (lambda: api.list_phone_numbers("a", connector_id=""), "connector_id must not be empty"),
        (lambda: api.list_phone_numbers("a", connector_id="x/y"), "connector_id must not hold a slash"),
        (
            lambda: api.duplicate_agent("a", new_agent_name="x" * 101),
            "new_agent_name must have at most 100",
        ),
        (
            lambda: api.duplicate_agent("a", new_agent_name="x", new_agent_id=5),  # type: ignore[arg-type]
            "new_agent_id must hold nothing but",
        ),
        (
            lambda: api.assign_phone_number("a", phone_number=NUMBER, connector_id="x/y"),
            "connector_id must not hold a slash",
        ),
        (
            lambda: api.get_phone_numbers("a", phone_numbers=[NUMBER, "0163"]),
            r"phone_numbers\[1\] must be an E\.164 number.*'0163'",
        ),
        (lambda: api.get_phone_number("a", phone_number="0163"), "phone_number must be an E.164"),
        (lambda: api.lookup_connector("a", phone_number="0163"), "phone_number must be an E.164"),
        (lambda: api.delete_phone_number("a", phone_number="0163"), "phone_number must be an E.164"),
        (
            lambda: api.import_phone_numbers("a", phone_numbers=[NUMBER], client_env="Live"),
            "client_env must be 'sandbox'",
        ),
        (
            lambda: api.import_phone_number("a", phone_number=NUMBER, client_env=None),  # type: ignore[arg-type]
            "client_env must be 'sandbox'",
        ),
        (lambda: api.get_config_page("a", client_env="prod"), "client_env must be 'sandbox'"),
        (lambda: api.list_deployments("a", environment="prod"), "environment must be 'sandbox'"),
        (lambda: api.list_deployments("a", environment="live", limit=0), "limit must be a whole number"),
        (lambda: api.list_deployments("a", environment="live", limit=True), "limit must be a whole number"),
        (lambda: api.publish("a", environment=""), "environment must be 'sandbox'"),
        (lambda: api.publish("a", environment="live", message="a\x00"), "message must not hold a null"),
        (
            lambda: api.promote_deployment("a", deployment_id="d", target_environment="sandbox"),
            "target_environment must be 'pre-release' or 'live'",
        ),
        (
            lambda: api.promote_deployment("a", deployment_id="d", target_environment="next"),
            "target_environment must be 'sandbox'",
        ),
        (
            lambda: api.get_outbound_call_status("a", call_sid="OUT-1", environment="Live"),
            "environment must be 'sandbox'",
        ),
        (
            lambda: api.update_connectors("a", updates=[{"connector_id": "c"}]),  # type: ignore[list-item]
            r"updates\[0\] must be a ConnectorUpdate, not dict",
        ),
        (
            lambda: api.update_connectors("a", updates=[VARIANT, ConnectorUpdate(connector_id="c9")]),
            r"updates\[1\] of connector 'c9' changes nothing",
        ),
        (
            lambda: api.update_connector("a", update=ConnectorUpdate(connector_id="c9")),
            "update of connector 'c9' changes nothing",
        ),
        (lambda: api.create_branch("a", branch_name="x" * 101), "branch_name must have at most 100"),
        (lambda: api.create_branch("a", branch_name=" "), "branch_name must not be empty"),
        (lambda: api.create_attribute("a", **ON_BRANCH, name="\ud800"), "name must not hold control"),
        (
            lambda: api.create_variant("a", **ON_BRANCH, name="v", attribute_values={"A": 5}),  # type: ignore[dict-item]
            r"attribute_values\.A must be a string, not int",
        ),
        (
            lambda: api.create_variant("a", **ON_BRANCH, name="v", is_default=1),  # type: ignore[arg-type]
            "is_default must be True or False, not int",
        ),
        (
            lambda: api.update_variant("a", **ON_BRANCH, variant_id="v"),
            "update_variant needs name, attribute_values or is_default",
        ),
        (
            lambda: api.duplicate_agent("a", new_agent_name="Copy", new_agent_id="two words"),
            "new_agent_id must hold nothing but ASCII letters, digits and hyphens",
        ),
        (lambda: api.create_agent("acme", name="A", greeting=" \n"), "greeting must not be empty"),
        (lambda: api.create_agent("acme", name="A", greeting="a", voice_id=""), "voice_id must not be"),
        (
            lambda: api.create_agent("acme", name="A", greeting="a", agent_id="ü"),
            "agent_id must hold nothing but ASCII letters",
        ),
    ],
)
def test_argument_that_cannot_be_right_is_refused_by_name(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        build()


def selfcontaining() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = value
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "must be a JSON object, not NoneType"),
        ([], "must be a JSON object, not list"),
        ("{}", "must be a JSON object, not str"),
        ({"a": {"b": [0, float("nan")]}}, r"\.a\.b\[1\] must be a JSON value, which NaN or infinity is not"),
        ({"a": float("-inf")}, r"\.a must be a JSON value, which NaN or infinity is not"),
        ({"a": Decimal("1")}, r"\.a must be a JSON value, which Decimal is not"),
        ({"a": {1, 2}}, r"\.a must be a JSON value, which set is not"),
        ({"a": {1: "x"}}, "a key of .*a must be a string, not int"),
        ({None: "x"}, "a key of .* must be a string, not NoneType"),
        ({"a": ["x\x00"]}, r"\.a\[0\] must not hold a null byte"),
        ({"a\x00": 1}, "a key of .* must not hold a null byte"),
        ({"a": "\ud800"}, r"\.a must not hold halves of surrogate pairs"),
        (selfcontaining(), "is nested too deeply or contains itself"),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        api.put_config_schema("a", **CONFIG, schema=value)
    assert "schema" in str(caught.value)
    with pytest.raises(InputError, match=message) as caught:
        api.patch_config_variables("a", **CONFIG, variables=value)
    assert "variables" in str(caught.value)


@pytest.mark.parametrize(
    ("resolution", "message"),
    [
        ("ours", r"conflict_resolutions\[0\] must be a JSON object"),
        ({"path": ["a"]}, r"conflict_resolutions\[0\]\.strategy must be"),
        ({"path": ["a"], "strategy": "mine"}, r"conflict_resolutions\[0\]\.strategy must be"),
        ({"path": ["a"], "strategy": ["ours"]}, r"conflict_resolutions\[0\]\.strategy must be"),
        ({"strategy": "ours"}, r"conflict_resolutions\[0\]\.path must be a list of names"),
        ({"path": "a", "strategy": "ours"}, r"conflict_resolutions\[0\]\.path must be a list of names"),
        ({"path": [], "strategy": "ours"}, r"conflict_resolutions\[0\]\.path must be a list of names"),
        ({"path": [1], "strategy": "ours"}, r"conflict_resolutions\[0\]\.path must be a list of names"),
        ({"path": ["a"], "strategy": "ours", "Value": 1}, r"takes path, strategy and value, not Value"),
    ],
)
def test_conflict_resolution_that_the_api_would_refuse_is_refused(resolution: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        api.merge_branch("a", branch_id="b", conflict_resolutions=[resolution])


def outbound(**arguments: Any) -> ApiRequest[Any]:
    return api.create_outbound_call("a", **({"to_number": NUMBER, "environment": "sandbox"} | arguments))


def test_called_number_that_is_malformed_is_refused_without_being_shown() -> None:
    with pytest.raises(InputError, match=r"^to_number must be an E\.164 number") as caught:
        outbound(to_number="01632 960001")
    assert "960001" not in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"order": 42}, r"^metadata\.order must be a string, not int"),
        ({"order": None}, r"^metadata\.order must be a string, not NoneType"),
        ({"order": {"id": "1"}}, r"^metadata\.order must be a string, not dict"),
        ([("order", "42")], "^metadata must be a JSON object, not list"),
        ({7: "x"}, "^a key of metadata must be a string, not int"),
    ],
)
def test_metadata_takes_texts_only(metadata: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        outbound(metadata=metadata)


def test_metadata_stays_below_its_limit_in_base64() -> None:
    overhead = len(json.dumps({"k": ""}))
    fits = {"k": "x" * (api.METADATA_LIMIT * 3 // 4 - overhead - 3)}
    over = {"k": "x" * (api.METADATA_LIMIT * 3 // 4 - overhead)}
    assert len(base64.b64encode(json.dumps(fits).encode())) < 26_000
    assert len(base64.b64encode(json.dumps(over).encode())) >= 26_000
    assert outbound(metadata=fits).body["metadata"] == fits  # type: ignore[index]
    with pytest.raises(InputError, match=r"^metadata must stay below 26000 bytes in base64, and has 26000$"):
        outbound(metadata=over)


def test_errors_may_quote_identifiers_but_nothing_of_an_authors_making() -> None:
    assert (
        "phoneNumbers"
        in api.import_phone_numbers("a", phone_numbers=["+442071838750"], client_env="sandbox").shown
    )
    assert "connectorId" in api.assign_phone_number("a", phone_number="+442071838750", connector_id="c").shown
    for call in (
        api.patch_config_variables("a", client_env="live", variables={"environment": "x"}),
        api.put_config_schema("a", client_env="live", schema={}),
        api.create_outbound_call("a", to_number="+442071838750", environment="live"),
    ):
        assert not call.shown


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (api.merge_branch("a", branch_id="b"), {"sequence": "7"}),
        (api.delete_branch("a", branch_id="b"), {"message": "deleted"}),
        (api.create_outbound_call("a", to_number=NUMBER, environment="live"), {"callSid": "OUT-1"}),
    ],
    ids=lambda value: getattr(value, "operation", ""),
)
def test_answer_of_a_write_must_be_the_operations_own(call: ApiRequest[Any], answer: dict[str, str]) -> None:
    assert call.read(answer)
    for foreign in ({}, {"portal": "login"}):
        with pytest.raises(ValueError, match="no field of the operation"):
            call.read(foreign)
