"""Branches: copies of an agent's content that are edited apart and merged into ``main``."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.emulator.polyai.bodies import NAME, TEXT, closed_body, closed_object
from airflow_voice_agents.emulator.polyai.deployments import require_valid_pages
from airflow_voice_agents.emulator.polyai.operation import node_operation
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_BRANCHES = "/v1/agents/{agentId}/branches"
_BRANCH = f"{_BRANCHES}/{{branchId}}"
_PARTS = ("attributes", "variants", "behavior", "topics")

_Path = tuple[str, str]


def list_branches(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """All branches, ``main`` first; by the switches also whether each has diverged, and the one that Staging holds."""
    branches = store.agent(exchange)["branches"]
    shown = [
        {
            "branchId": branch_id,
            "name": branch["name"],
            "sequenceId": branch["sequenceId"],
            "createdAt": branch["createdAt"],
            **_standing(store, branch, branches["main"]),
        }
        for branch_id, branch in branches.items()
    ]
    return Reply(200, {"branches": shown})


def _standing(store: PolyAIStore, branch: Record, main: Record) -> Record:
    shown: Record = {}
    if store.switches.branch_divergence == "shown":
        shown["isDiverged"] = branch["sequenceId"] != main["sequenceId"]
    if branch["tag"] and store.switches.staging_tag == "shown":
        shown["tag"] = branch["tag"]
    return shown


def create_branch(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Branch off ``main``."""
    branches = store.agent(exchange)["branches"]
    main, branch_id = branches["main"], store.new_id("BRANCH")
    name = exchange.content.get("branchName", branch_id)
    if any(branch["name"] == name for branch in branches.values()):
        raise Problem(409, f"Branch '{name}' already exists", fields=[("branchName", "already exists")])
    content = {part: dict(main[part]) for part in _PARTS}
    branches[branch_id] = {
        "name": name,
        "sequenceId": main["sequenceId"],
        "createdAt": store.state.touch(),
        **content,
        "base": {part: dict(main[part]) for part in _PARTS},
        "tag": None,
    }
    return Reply(201, {"branchId": branch_id, "sequenceId": main["sequenceId"]})


def delete_branch(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Delete a branch other than ``main``."""
    branch = find_branch(store, exchange, to_write=True)
    del store.agent(exchange)["branches"][exchange.params["branchId"]]
    store.state.touch()
    return Reply(200, {"sequence": branch["sequenceId"], "message": "Branch deleted"})


def merge_branch(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Merge a branch into ``main`` and deploy: to sandbox, or to live in simplified projects."""
    slug, agent = exchange.agent or "", store.agent(exchange)
    branch = find_branch(store, exchange, to_write=True)
    require_valid_pages(store, slug)
    main = agent["branches"]["main"]
    if branch["sequenceId"] != main["sequenceId"] and store.switches.diverged_merge == "refuse":
        raise Problem(409, "The branch has diverged from main")
    if slug in store.switches.ab_test and slug in store.switches.simplified:
        raise Problem(409, "An A/B test is running")
    agent["branches"]["main"] = main | _merged(branch, main, exchange.content.get("conflictResolutions", []))
    agent["branches"]["main"]["sequenceId"] = str(int(main["sequenceId"]) + 1)
    del agent["branches"][exchange.params["branchId"]]
    environment = _deploy_merge(store, exchange)
    return Reply(
        200,
        {
            "sequence": agent["branches"]["main"]["sequenceId"],
            "message": f"Branch merged to main and deployed to {environment}",
            "testRunIds": store.start_tests(slug),
        },
    )


def find_branch(store: PolyAIStore, exchange: EmulatorRequest, *, to_write: bool = False) -> Record:
    """The branch that a request addresses.

    :param to_write: refuse ``main``, which is changed by merging only.
    :raises Problem: 404 for an unknown branch, 422 for a write to ``main``.
    """
    branch_id = exchange.params["branchId"]
    branch: Record | None = store.agent(exchange)["branches"].get(branch_id)
    if branch is None:
        raise Problem(404, f"Branch {branch_id} not found")
    if to_write and branch_id == "main":
        raise Problem(422, "Cannot directly update main branch")
    return branch


def _deploy_merge(store: PolyAIStore, exchange: EmulatorRequest) -> str:
    slug = exchange.agent or ""
    simplified = slug in store.switches.simplified
    draft = store.new_draft(slug)
    message = exchange.content.get("deploymentMessage", "")
    metadata = {"deployment_type": "publish", "deployment_message": message}
    # A simplified project gets a sandbox record that mirrors the live one.
    for environment in ("live", "sandbox") if simplified else ("sandbox",):
        store.deploy(slug, environment, draft, exchange.caller["name"], metadata)
    return "live" if simplified else "sandbox"


def _merged(branch: Record, main: Record, resolutions: list[Record]) -> Record:
    base = {part: {} for part in _PARTS} | (branch["base"] or {})
    chosen = {tuple(resolution["path"]): resolution for resolution in resolutions}
    merged: Record = {part: dict(main[part]) for part in _PARTS}
    conflicts = []
    for path in _paths(branch, base):
        before, ours, theirs = (_at(document, path) for document in (base, main, branch))
        if theirs in (before, ours):
            continue
        if ours == before:
            _put(merged, path, theirs)
        elif path in chosen:
            _put(merged, path, _resolved(chosen[path], before, ours, theirs))
        else:
            conflicts.append(_conflict(path, before, ours, theirs))
    if conflicts:
        raise Problem(400, "merge conflict", body=_conflict_body(merged, conflicts, branch, main))
    return merged


def _paths(branch: Record, base: Record) -> list[_Path]:
    return [(part, each) for part in _PARTS for each in dict.fromkeys([*base[part], *branch[part]])]


def _at(document: Record, path: _Path) -> Any:
    return document[path[0]].get(path[1])


def _put(document: Record, path: _Path, value: Any) -> None:
    if value is None:
        document[path[0]].pop(path[1], None)
    else:
        document[path[0]][path[1]] = value


def _resolved(resolution: Record, before: Any, ours: Any, theirs: Any) -> Any:
    if "value" in resolution:
        return resolution["value"]
    return {"base": before, "ours": ours, "theirs": theirs}[resolution["strategy"]]


def _conflict(path: _Path, before: Any, ours: Any, theirs: Any) -> Record:
    kind = "add" if before is None else "delete" if None in (ours, theirs) else "modify"
    return {"path": list(path), "baseValue": before, "oursValue": ours, "theirsValue": theirs, "type": kind}


def _conflict_body(merged: Record, conflicts: list[Record], branch: Record, main: Record) -> Record:
    return {
        "value": merged,
        "conflicts": conflicts,
        "hasConflicts": True,
        "errors": [],
        "targetLastUpdated": main["createdAt"],
        "sourceCreatedAt": branch["createdAt"],
    }


_RESOLUTION = closed_object(
    "path",
    "strategy",
    properties={
        "path": {"type": "array", "items": TEXT},
        "strategy": {"enum": ["ours", "theirs", "base"]},
        "value": {},
    },
)

OPERATIONS = (
    node_operation("list branches", "GET", _BRANCHES, list_branches, writes=False),
    node_operation(
        "create branch",
        "POST",
        _BRANCHES,
        create_branch,
        writes=True,
        body=closed_body(properties={"branchName": NAME | {"maxLength": 100}}),
    ),
    node_operation("delete branch", "DELETE", _BRANCH, delete_branch, writes=True),
    node_operation(
        "merge branch",
        "POST",
        f"{_BRANCH}/merge",
        merge_branch,
        writes=True,
        body=closed_body(
            properties={
                "deploymentMessage": TEXT,
                "conflictResolutions": {"type": "array", "items": _RESOLUTION},
            }
        ),
    ),
)
