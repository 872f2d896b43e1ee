"""Phone numbers: import, release, and which connector each rings."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_voice_agents.emulator.polyai.bodies import TEXT, list_of, open_body
from airflow_voice_agents.emulator.polyai.operation import python_operation
from airflow_voice_agents.emulator.polyai.store import PolyAIStore, known_environment
from airflow_voice_agents.emulator.reading import E164
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_NUMBERS = "/v1/agents/{agentId}/telephony/phone-numbers"
_NUMBER = f"{_NUMBERS}/{{phoneNumber}}"
_MALFORMED = "PHONE_NUMBERS_INVALID_PHONE_NUMBER_FORMAT"
_DEFAULT_ENVIRONMENT = "live"


def list_numbers(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """All numbers of an agent, or those of one connector."""
    connector_id = exchange.query.get("connectorId")
    numbers = [
        _show(store, exchange.agent or "", number)
        for number, record in store.agent(exchange)["numbers"].items()
        if connector_id in (None, record["connectorId"])
    ]
    return Reply(200, {"phoneNumbers": numbers})


def get_numbers(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Several numbers; those of other projects count as not found."""
    wanted = list(dict.fromkeys(exchange.content["phoneNumbers"]))
    _require_format(wanted)
    known = store.agent(exchange)["numbers"]
    found = [_show(store, exchange.agent or "", number) for number in wanted if number in known]
    return Reply(200, {"found": found, "notFound": [number for number in wanted if number not in known]})


def get_number(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One number."""
    _require(store, exchange)
    return Reply(200, _show(store, exchange.agent or "", exchange.params["phoneNumber"]))


def import_numbers(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Register numbers for one environment, which is live unless the body says otherwise."""
    environment = _environment(exchange)
    wanted = list(dict.fromkeys(exchange.content["phoneNumbers"]))
    if store.switches.import_invalid == "skip":
        wanted = [number for number in wanted if E164.fullmatch(number)]
    _require_format(wanted)
    fresh = [number for number in wanted if store.number_owner(number) is None]
    if len(fresh) < len(wanted) and store.switches.import_existing == "conflict":
        raise Problem(409, "Phone number already exists", "PHONE_NUMBERS_ALREADY_EXISTS")
    taken = [number for number in fresh if not exchange.spoils(number)]
    for number in taken:
        _add(store, exchange, number, environment)
    return Reply(201, {"imported": taken})


def import_number(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Register one number."""
    environment, number = _environment(exchange), exchange.params["phoneNumber"]
    _require_format([number])
    if store.number_owner(number) is not None:
        raise Problem(409, "Phone number already exists", "PHONE_NUMBERS_ALREADY_EXISTS")
    _add(store, exchange, number, environment)
    return Reply(201, {"imported": number})


def assign_number(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Let a number ring another connector of the agent."""
    slug, number = exchange.agent or "", exchange.params["phoneNumber"]
    record, connector_id = _require(store, exchange), exchange.content["connectorId"]
    connector = store.agent(exchange)["connectors"].get(connector_id)
    if connector is None:
        code = "PHONE_NUMBERS_CONNECTOR_DOES_NOT_EXIST"
        raise Problem(404, f"Connector {connector_id} does not exist", code)
    mode, environment = store.switches.reassign_environment, record["clientEnv"]
    if connector["clientEnv"] != environment and mode == "refuse":
        raise Problem(400, "The connector belongs to another environment", "VALIDATION_FAILED")
    if mode == "follow":
        environment = connector["clientEnv"]
    store.put_number(slug, number, {"clientEnv": environment, "connectorId": connector_id})
    return Reply(200, _show(store, slug, number))


def delete_numbers(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Release several numbers, each on its own."""
    slug, known = exchange.agent or "", store.agent(exchange)["numbers"]
    deleted: list[str] = []
    errors: list[Record] = []
    for number in exchange.content["phoneNumbers"]:
        if number in known:
            store.drop_number(slug, number)
            deleted.append(number)
        else:
            errors.append({"phoneNumber": number, "error": "Phone number not found"})
    return Reply(200, {"deleted": deleted} | ({"errors": errors} if errors else {}))


def delete_number(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Release one number."""
    _require(store, exchange)
    store.drop_number(exchange.agent or "", exchange.params["phoneNumber"])
    return Reply(200, {"deleted": exchange.params["phoneNumber"]})


def _show(store: PolyAIStore, slug: str, number: str) -> Record:
    record = store.agents[slug]["numbers"][number]
    shown = {
        "number": number,
        "projectId": store.show_agent_id(slug),
        **store.owned_by(slug),
        "clientEnv": record["clientEnv"],
    }
    return shown if record["connectorId"] is None else shown | {"connectorId": record["connectorId"]}


def _add(store: PolyAIStore, exchange: EmulatorRequest, number: str, environment: str) -> None:
    connectors = store.agent(exchange)["connectors"] if store.switches.import_connector == "default" else {}
    fitting = (each for each, record in connectors.items() if record["clientEnv"] == environment)
    connector_id = next(fitting, None)
    store.put_number(exchange.agent or "", number, {"clientEnv": environment, "connectorId": connector_id})


def _require(store: PolyAIStore, exchange: EmulatorRequest) -> Record:
    number = exchange.params["phoneNumber"]
    record: Record | None = store.agent(exchange)["numbers"].get(number)
    if record is None:
        raise Problem(404, f"Phone number {number} not found", "PHONE_NUMBERS_NOT_FOUND")
    return record


def _require_format(numbers: Iterable[str]) -> None:
    malformed = [number for number in numbers if not E164.fullmatch(number)]
    if malformed:
        raise Problem(400, f"Invalid phone number format: {malformed[0]}", _MALFORMED)


def _environment(exchange: EmulatorRequest) -> str:
    return known_environment(exchange.content.get("clientEnv", _DEFAULT_ENVIRONMENT), "VALIDATION_FAILED")


_LIST = {"phoneNumbers": list_of(TEXT)}

OPERATIONS = (
    python_operation("list phone numbers", "GET", _NUMBERS, list_numbers, writes=False),
    python_operation(
        "import phone numbers",
        "POST",
        _NUMBERS,
        import_numbers,
        writes=True,
        body=open_body("phoneNumbers", properties=_LIST | {"clientEnv": TEXT}),
    ),
    python_operation(
        "delete phone numbers",
        "DELETE",
        _NUMBERS,
        delete_numbers,
        writes=True,
        body=open_body("phoneNumbers", properties=_LIST),
    ),
    python_operation(
        "get phone numbers",
        "POST",
        f"{_NUMBERS}/batch",
        get_numbers,
        writes=False,
        body=open_body("phoneNumbers", properties=_LIST),
    ),
    python_operation("get phone number", "GET", _NUMBER, get_number, writes=False),
    python_operation(
        "import phone number",
        "POST",
        _NUMBER,
        import_number,
        writes=True,
        body=open_body(properties={"clientEnv": TEXT}),
    ),
    python_operation("delete phone number", "DELETE", _NUMBER, delete_number, writes=True),
    python_operation(
        "assign phone number",
        "PATCH",
        _NUMBER,
        assign_number,
        writes=True,
        body=open_body("connectorId", properties={"connectorId": TEXT}),
    ),
)
