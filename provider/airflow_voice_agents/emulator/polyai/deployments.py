"""Deployments: publish, promote, roll back; each adds a record, and the latest one is active."""

from __future__ import annotations

from airflow_voice_agents.emulator.polyai.bodies import TEXT, closed_body, open_body
from airflow_voice_agents.emulator.polyai.errors import envelope
from airflow_voice_agents.emulator.polyai.operation import node_operation, python_operation
from airflow_voice_agents.emulator.polyai.real_time_configs import invalid_pages
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.emulator.polyai.store import PolyAIStore, known_environment
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_DEPLOYMENTS = "/v1/agents/{agentId}/deployments"
_DEPLOYMENT = f"{_DEPLOYMENTS}/{{deploymentId}}"
_UNKNOWN_ENVIRONMENT = "DEPLOYMENTS_INVALID_ENVIRONMENT"


def list_deployments(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Deployments of one environment, newest first."""
    environment = known_environment(exchange.query.get("environment", ""), _UNKNOWN_ENVIRONMENT)
    limit = exchange.query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit()):
        raise Problem(400, "limit must be a whole number", "VALIDATION_FAILED")
    records = [
        show(store, exchange.agent or "", record)
        for record in reversed(store.agent(exchange)["deployments"])
        if record["environment"] == environment
    ]
    return Reply(200, {"deployments": records[: int(limit)] if limit is not None else records})


def get_active(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """The latest deployment of each environment."""
    slug = exchange.agent or ""
    active: Record = {}
    for environment in ENVIRONMENTS:
        record = store.active(slug, environment)
        if record is not None:
            active[environment] = show(store, slug, record)
        elif store.switches.response_nulls == "emit":
            active[environment] = None
    return Reply(200, {"activeDeployments": active})


def publish(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Deploy the draft of ``main``."""
    slug, body = exchange.agent or "", exchange.content
    environment = known_environment(body.get("environment", "sandbox"), _UNKNOWN_ENVIRONMENT)
    require_valid_pages(store, slug)
    draft, active = store.agent(exchange)["draft"], store.active(slug, environment)
    if active is not None and active["version"] == draft["version"]:
        if store.switches.publish_again == "already":
            code, text = "DEPLOYMENTS_ENVIRONMENT_ALREADY_PUBLISHED", "Environment already published"
            return Reply(200, envelope(code, text, exchange.trace_id))
        raise Problem(409, "The draft has already been published", "DEPLOYMENTS_ALREADY_PUBLISHED")
    metadata = _metadata("publish", body.get("deploymentMessage", ""))
    record = store.deploy(slug, environment, draft, exchange.caller["name"], metadata)
    shown = show(store, slug, record)
    return Reply(201, {"deployment": shown, "testRunIds": store.start_tests(slug)})


def promote(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Deploy a record's version to a later environment, again even if it is there already."""
    slug, source = exchange.agent or "", _find(store, exchange)
    stage = ENVIRONMENTS.index(source["environment"])
    later = ENVIRONMENTS[stage + 1 :]
    target = exchange.content.get("targetEnvironment", later[0] if later else "live")
    if target not in later:
        text = f"Cannot promote a {source['environment']} deployment to {target}"
        raise Problem(400, text, fields=[("targetEnvironment", "must be a later environment")])
    if target == "live":
        _require_live_open(store, slug, source)
    metadata = _metadata("promotion", exchange.content.get("deploymentMessage", ""))
    record = store.deploy(slug, target, source, exchange.caller["name"], metadata)
    shown = show(store, slug, record)
    return Reply(200, {"deployment": shown, "testRunIds": store.start_tests(slug)})


def roll_back(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Deploy a record's version again in the record's own environment; the message is lost."""
    slug, target = exchange.agent or "", _find(store, exchange)
    environment = target["environment"]
    if slug in store.switches.simplified and environment != "live":
        raise Problem(400, "Only live deployments can be rolled back to in this project")
    if slug in store.switches.ab_test and environment == "live":
        raise Problem(409, "An A/B test is running")
    message = (target["metadata"] or {}).get("deployment_message", "")
    record = store.deploy(slug, environment, target, exchange.caller["name"], _metadata("rollback", message))
    if environment == "sandbox":
        draft = {"version": record["version"], "artifactVersion": record["artifactVersion"]}
        store.agent(exchange)["draft"] = draft
    shown = {**show(store, slug, record), "metadata": None}
    if store.switches.response_nulls == "omit":
        del shown["metadata"]
    return Reply(200, {"deployment": shown, "testRunIds": store.start_tests(slug)})


def require_valid_pages(store: PolyAIStore, slug: str) -> None:
    """Refuse to deploy while a config page breaks its own schema, unless the switch allows it.

    :raises Problem: 400.
    """
    broken = invalid_pages(store, slug) if store.switches.publish_invalid_page == "refuse" else []
    if broken:
        text = f"Real-time config is invalid in {', '.join(broken)}"
        raise Problem(400, text, "DEPLOYMENTS_VALIDATION_FAILED")


def show(store: PolyAIStore, slug: str, record: Record) -> Record:
    """A deployment as replies show it."""
    return {
        "id": record["id"],
        **store.owned_by(slug),
        "agentId": store.show_agent_id(slug),
        "environment": record["environment"],
        "artifactVersion": record["artifactVersion"],
        "version": record["version"],
        "createdBy": record["createdBy"],
        "createdAt": record["createdAt"],
        "metadata": record["metadata"],
    }


def _find(store: PolyAIStore, exchange: EmulatorRequest) -> Record:
    wanted = exchange.params["deploymentId"]
    for record in store.agent(exchange)["deployments"]:
        if record["id"] == wanted:
            found: Record = record
            return found
    raise Problem(404, f"Deployment {wanted} not found", "DEPLOYMENT_NOT_FOUND")


def _require_live_open(store: PolyAIStore, slug: str, source: Record) -> None:
    if slug in store.switches.ab_test:
        raise Problem(409, "An A/B test is running")
    if source["environment"] != "sandbox" or store.switches.sandbox_to_live == "allow":
        return
    ready = store.active(slug, "pre-release")
    if ready is None or ready["version"] != source["version"]:
        raise Problem(412, "Deploy this version to pre-release first", "ErrPreReleaseNotReady")


def _metadata(kind: str, message: str) -> Record:
    return {"deployment_type": kind, "deployment_message": message}


_MESSAGE: dict[str, Record] = {"deploymentMessage": TEXT}

OPERATIONS = (
    python_operation("list deployments", "GET", _DEPLOYMENTS, list_deployments, writes=False),
    python_operation("get active deployments", "GET", f"{_DEPLOYMENTS}/active", get_active, writes=False),
    python_operation(
        "publish deployment",
        "POST",
        f"{_DEPLOYMENTS}/publish",
        publish,
        writes=True,
        body=open_body(properties=_MESSAGE | {"environment": TEXT}),
    ),
    node_operation(
        "promote deployment",
        "POST",
        f"{_DEPLOYMENT}/promote",
        promote,
        writes=True,
        body=closed_body(properties=_MESSAGE | {"targetEnvironment": {"enum": ["pre-release", "live"]}}),
        declared=(404,),
    ),
    node_operation(
        "roll back deployment",
        "POST",
        f"{_DEPLOYMENT}/rollback",
        roll_back,
        writes=True,
        body=closed_body(properties=_MESSAGE),
        declared=(404,),
    ),
)
