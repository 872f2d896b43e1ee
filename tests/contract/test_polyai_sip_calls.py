"""The calls for SIP trunks and extensions, against the facts of the vendor's SIP trunking document (1.0.0, beta).

The document is apart from that of the Agents API, so what is sent is stated here.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.api import sip
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import InputError

TRUNKS = "/v1/accounts/acme%20uk/telephony/sip-trunks"
EXTENSION = {"trunk_id": "tr-1", "extension": "+441632960005"}
AGENT = {"agent_id": "hotels", "client_env": "pre_release"}
SENT = {"agent_id": "hotels", "client_env": "pre-release"}

ROWS: list[tuple[str, dict[str, Any], str, Any]] = [
    ("list_sip_trunks", {}, f"GET {TRUNKS}", None),
    ("get_sip_trunk", {"trunk_id": "tr-1"}, f"GET {TRUNKS}/tr-1", None),
    ("list_sip_extensions", {"trunk_id": "tr-1"}, f"GET {TRUNKS}/tr-1/extensions", None),
    ("get_sip_extension", EXTENSION, f"GET {TRUNKS}/tr-1/extensions/%2B441632960005", None),
    (
        "create_sip_extension",
        EXTENSION | AGENT,
        f"POST {TRUNKS}/tr-1/extensions",
        {"extension": "+441632960005", "agent": SENT},
    ),
    (
        "update_sip_extension",
        EXTENSION | AGENT | {"variant_id": "V-1"},
        f"PATCH {TRUNKS}/tr-1/extensions/%2B441632960005",
        {"agent": SENT | {"variant_id": "V-1"}},
    ),
    ("delete_sip_extension", EXTENSION, f"DELETE {TRUNKS}/tr-1/extensions/%2B441632960005", None),
]


def build(name: str, arguments: dict[str, Any]) -> ApiRequest[Any]:
    return getattr(api, name)("acme uk", **arguments)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("name", "arguments", "sent", "body"), ROWS, ids=lambda value: str(value)[:24])
def test_call_sends_what_the_row_states(name: str, arguments: dict[str, Any], sent: str, body: Any) -> None:
    call = build(name, arguments)

    assert f"{call.method} {call.path}" == sent
    assert call.body == body
    assert call.replay is (Replay.SAFE if call.method == "GET" else Replay.RECONCILE)


def test_every_call_of_the_module_is_stated_and_exported() -> None:
    own = {
        name
        for name, function in inspect.getmembers(sip, inspect.isfunction)
        if function.__module__ == sip.__name__ and not name.startswith("_")
    }
    assert own == {row[0] for row in ROWS}
    assert own <= set(api.__all__)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"client_env": "prod"}, "client_env"),
        ({"extension": "a/b"}, "extension"),
        ({"variant_id": ""}, "variant_id"),
    ],
)
def test_what_could_not_be_right_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build("create_sip_extension", EXTENSION | AGENT | changed)


def test_answers_are_read_leniently() -> None:
    inbound = {"hostname": "tr-1.example.com", "sip_auth": {"enabled": True, "username": "u", "realm": "r"}}
    (trunk,) = build("list_sip_trunks", {}).read(
        {"sip_trunks": [{"id": "tr-1", "inbound": inbound, "new": 1}]}
    )
    (bare,) = build("list_sip_trunks", {}).read({"sip_trunks": [{"id": "tr-1"}]})
    (extension,) = build("list_sip_extensions", {"trunk_id": "t"}).read(
        {
            "extensions": [
                {"extension": "1000", "agent": {"agent_id": "a", "client_env": "live", "variant_id": ""}}
            ]
        }
    )

    assert (trunk.hostname, trunk.digest_auth, trunk.token_auth) == ("tr-1.example.com", True, None)
    assert (bare.hostname, bare.encrypted) == (None, None)
    assert (extension.agent_id, extension.client_env, extension.variant_id) == ("a", "live", None)
    with pytest.raises(ValueError, match="sip_trunks"):
        build("list_sip_trunks", {}).read({"trunks": []})
