"""SIP trunks and their extensions; trunks stand as they were seeded, extensions can be written."""

from __future__ import annotations

from airflow_voice_agents.emulator.polyai.bodies import NAME, TEXT, closed_body, closed_object
from airflow_voice_agents.emulator.polyai.operation import sip_operation
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_TRUNKS = "/v1/accounts/{accountId}/telephony/sip-trunks"
_TRUNK = f"{_TRUNKS}/{{trunkId}}"
_EXTENSIONS = f"{_TRUNK}/extensions"
_EXTENSION = f"{_EXTENSIONS}/{{extension}}"


def list_trunks(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """All trunks of an account."""
    account = _account(store, exchange)
    trunks = store.accounts[account]["sipTrunks"]
    return Reply(200, {"sip_trunks": [_show_trunk(store, account, trunk_id) for trunk_id in trunks]})


def get_trunk(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One trunk."""
    _trunk(store, exchange)
    return Reply(200, _show_trunk(store, _account(store, exchange), exchange.params["trunkId"]))


def list_extensions(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """All extensions of a trunk."""
    found = _trunk(store, exchange)["extensions"]
    return Reply(200, {"extensions": [_show(store, name, record) for name, record in found.items()]})


def get_extension(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One extension."""
    return Reply(200, _show(store, exchange.params["extension"], _require(store, exchange)))


def create_extension(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Bind a dialled number that the trunk does not have yet, or, by the switch, any."""
    found, name = _trunk(store, exchange)["extensions"], exchange.content["extension"]
    if name in found and store.switches.sip_existing == "conflict":
        raise Problem(409, f"Extension {name} already exists on this trunk", "conflict")
    record = _bound(store, exchange, None) | {"createdAt": store.state.touch()}
    _put(store, exchange, name, record | {"updatedAt": record["createdAt"]})
    return Reply(201, _show(store, name, _trunk(store, exchange)["extensions"][name]))


def update_extension(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Bind an extension to another agent, environment or variant."""
    name, before = exchange.params["extension"], _require(store, exchange)
    record = before | _bound(store, exchange, before)
    _put(store, exchange, name, record | {"updatedAt": store.state.touch()})
    return Reply(200, _show(store, name, record))


def delete_extension(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Forget a dialled number."""
    _require(store, exchange)
    _put(store, exchange, exchange.params["extension"], None)
    store.state.touch()
    return Reply(204)


def _account(store: PolyAIStore, exchange: EmulatorRequest) -> str:
    return store.find_account(exchange.params["accountId"]) or ""


def _trunk(store: PolyAIStore, exchange: EmulatorRequest) -> Record:
    trunk: Record | None = store.accounts[_account(store, exchange)]["sipTrunks"].get(
        exchange.params["trunkId"]
    )
    if trunk is None:
        raise Problem(404, f"SIP trunk {exchange.params['trunkId']} not found", "not_found")
    return trunk


def _require(store: PolyAIStore, exchange: EmulatorRequest) -> Record:
    name = exchange.params["extension"]
    record: Record | None = _trunk(store, exchange)["extensions"].get(name)
    if record is None:
        raise Problem(404, f"Extension {name} not found", "not_found")
    return record


def _put(store: PolyAIStore, exchange: EmulatorRequest, name: str, record: Record | None) -> None:
    trunk = _trunk(store, exchange)
    others = {key: value for key, value in trunk["extensions"].items() if key != name}
    trunks = store.accounts[_account(store, exchange)]["sipTrunks"]
    trunks[exchange.params["trunkId"]] = trunk | {"extensions": others | ({name: record} if record else {})}


def _bound(store: PolyAIStore, exchange: EmulatorRequest, before: Record | None) -> Record:
    asked = exchange.content["agent"]
    slug = store.find_agent(asked["agent_id"])
    if slug is None and store.switches.sip_unknown_agent == "refuse":
        raise Problem(400, f"Agent {asked['agent_id']} not found", "validation_error")
    variant = asked.get("variant_id")
    if variant is None:
        variant = _variant(store, slug, before)
    return {"agent": asked["agent_id"], "clientEnv": asked["client_env"], "variantId": variant}


def _variant(store: PolyAIStore, slug: str | None, before: Record | None) -> str:
    """Return the variant of a request that names none, by the switch."""
    if before is not None and store.switches.sip_omitted_variant == "keep":
        return str(before["variantId"])
    variants = store.agents[slug]["branches"]["main"]["variants"] if slug else {}
    return next((key for key, each in variants.items() if each.get("isDefault")), "")


def _show(store: PolyAIStore, name: str, record: Record) -> Record:
    slug = store.find_agent(record["agent"])
    as_sent = slug is None or store.switches.sip_agent_ids == "as_sent"
    return {
        "extension": name,
        "agent": {
            "agent_id": record["agent"] if as_sent or slug is None else store.show_agent_id(slug),
            "client_env": record["clientEnv"],
            "variant_id": record["variantId"],
        },
        "created_at": record["createdAt"],
        "updated_at": record["updatedAt"],
    }


def _show_trunk(store: PolyAIStore, account: str, trunk_id: str) -> Record:
    trunk = store.accounts[account]["sipTrunks"][trunk_id]
    host = {"hostname": trunk["hostname"]} if store.switches.sip_hostname == "shown" else {}
    return {
        "id": trunk_id,
        "account_id": store.show_account_id(account),
        "name": trunk["name"],
        "encrypted": trunk["encrypted"],
        "sip_cidr": trunk["sipCidr"],
        "rtp_cidr": trunk["rtpCidr"],
        "inbound": {
            **host,
            "sip_auth": {"enabled": trunk["authentication"] == "digest"},
            "sip_token_auth": {"enabled": trunk["authentication"] == "token"},
        },
        "created_at": trunk["createdAt"],
        "updated_at": trunk["createdAt"],
    }


_AGENT = closed_object(
    "agent_id",
    "client_env",
    properties={"agent_id": NAME, "client_env": {"enum": list(ENVIRONMENTS)}, "variant_id": TEXT},
)

OPERATIONS = (
    sip_operation("list sip trunks", "GET", _TRUNKS, list_trunks, writes=False),
    sip_operation("get sip trunk", "GET", _TRUNK, get_trunk, writes=False),
    sip_operation("list sip extensions", "GET", _EXTENSIONS, list_extensions, writes=False),
    sip_operation(
        "create sip extension",
        "POST",
        _EXTENSIONS,
        create_extension,
        writes=True,
        body=closed_body("extension", "agent", properties={"extension": NAME, "agent": _AGENT}),
    ),
    sip_operation("get sip extension", "GET", _EXTENSION, get_extension, writes=False),
    sip_operation(
        "update sip extension",
        "PATCH",
        _EXTENSION,
        update_extension,
        writes=True,
        body=closed_body("agent", properties={"agent": _AGENT}),
    ),
    sip_operation("delete sip extension", "DELETE", _EXTENSION, delete_extension, writes=True),
)
