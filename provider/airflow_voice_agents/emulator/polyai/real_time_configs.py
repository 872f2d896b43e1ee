"""Real-time configs: a page of values and a schema per environment."""

from __future__ import annotations

from airflow_voice_agents.emulator.polyai.bodies import FREE, open_body
from airflow_voice_agents.emulator.polyai.operation import python_operation
from airflow_voice_agents.emulator.polyai.schemas import schema_fault, values_fault
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.emulator.polyai.store import PolyAIStore, known_environment
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_PAGES = "/v1/agents/{agentId}/real-time-configs"
_PAGE = f"{_PAGES}/{{clientEnv}}"
_UNKNOWN_ENVIRONMENT = "REAL_TIME_CONFIG_UNKNOWN_CLIENT_ENVIRONMENT"
_INVALID_SCHEMA = "REAL_TIME_CONFIG_INVALID_SCHEMA"
_INVALID_VALUES = "REAL_TIME_CONFIG_INVALID_FOR_SCHEMA"


def list_pages(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """All pages of an agent, whether or not they were ever written."""
    slug = exchange.agent or ""
    return Reply(200, {"configPages": [_show(store, slug, environment) for environment in ENVIRONMENTS]})


def get_page(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """One page."""
    slug, environment = exchange.agent or "", _environment(exchange)
    if store.switches.unset_page == "not_found" and store.page(slug, environment)["lastUpdated"] is None:
        raise Problem(404, f"No real-time config for {environment}", "REAL_TIME_CONFIG_NOT_FOUND")
    return Reply(200, _show(store, slug, environment))


def replace_schema(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Replace the schema whole; the values are looked at only when the switch says so."""
    slug, environment = exchange.agent or "", _environment(exchange)
    schema = exchange.content["schema"]
    fault = schema_fault(schema)
    if fault is None and store.switches.schema_checks_data:
        variables = store.page(slug, environment)["variables"]
        fault = values_fault(variables, schema) if variables is not None else None
    if fault is not None:
        raise Problem(400, f"Invalid schema: {fault}", _INVALID_SCHEMA)
    store.write_page(slug, environment, schema=schema)
    return Reply(200, _show(store, slug, environment))


def update_variables(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Merge values into the page, at the top level only."""
    slug, environment = exchange.agent or "", _environment(exchange)
    page, patch = store.page(slug, environment), exchange.content["variables"]
    merged = {**(page["variables"] or {}), **patch}
    if store.switches.null_variable == "delete":
        gone = {key for key, value in patch.items() if value is None}
        patch, merged = _without(patch, gone), _without(merged, gone)
    fault = _values_fault(store, patch, merged, page["schema"])
    if fault is not None:
        raise Problem(400, f"Variables do not match the schema: {fault}", _INVALID_VALUES)
    store.write_page(slug, environment, variables=merged)
    return Reply(200, _show(store, slug, environment))


def invalid_pages(store: PolyAIStore, slug: str) -> list[str]:
    """Environments whose stored values break their own schema."""
    pages = ((environment, store.page(slug, environment)) for environment in ENVIRONMENTS)
    return [
        environment
        for environment, page in pages
        if page["variables"] is not None and values_fault(page["variables"], page["schema"])
    ]


def _values_fault(store: PolyAIStore, patch: Record, merged: Record, schema: Record | None) -> str | None:
    mode = store.switches.variables_validation
    if mode == "merged" or schema is None:
        return values_fault(merged, schema)
    if mode == "patch":
        schema = {key: value for key, value in schema.items() if key not in ("required", "minProperties")}
    return values_fault(patch, schema)


def _without(values: Record, gone: set[str]) -> Record:
    return {key: value for key, value in values.items() if key not in gone}


def _show(store: PolyAIStore, slug: str, environment: str) -> Record:
    page = store.page(slug, environment)
    if environment == "sandbox" and slug in store.switches.simplified:
        page = {**page, "variables": None, "schema": None}
    shown = {"clientEnv": environment, "variables": page["variables"], "schema": page["schema"]}
    if store.switches.response_nulls == "omit":
        shown = {key: value for key, value in shown.items() if value is not None}
    return shown if page["lastUpdated"] is None else shown | {"lastUpdated": page["lastUpdated"]}


def _environment(exchange: EmulatorRequest) -> str:
    return known_environment(exchange.params["clientEnv"], _UNKNOWN_ENVIRONMENT)


OPERATIONS = (
    python_operation("list real-time configs", "GET", _PAGES, list_pages, writes=False),
    python_operation("get real-time config", "GET", _PAGE, get_page, writes=False),
    python_operation(
        "update real-time config schema",
        "PUT",
        f"{_PAGE}/schema",
        replace_schema,
        writes=True,
        body=open_body("schema", code=_INVALID_SCHEMA, properties={"schema": FREE}),
    ),
    python_operation(
        "update real-time config variables",
        "PATCH",
        f"{_PAGE}/variables",
        update_variables,
        writes=True,
        body=open_body("variables", code=_INVALID_VALUES, properties={"variables": FREE}),
    ),
)
