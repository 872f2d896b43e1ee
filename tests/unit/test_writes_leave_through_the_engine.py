"""No write leaves outside ``engine.apply``: checked from the source, without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import airflow_voice_agents

PACKAGE = Path(airflow_voice_agents.__file__).parent
SYSTEMS = ("omnia_voice", "polyai", "signalwire")
WRITING_VERBS = {"PUT", "PATCH", "DELETE"}
READERS = {"run", "_run", "context"}
"""Names of run contexts, whose ``send`` refuses writes."""
RUNNING = {"bases/operator.py", "cli/running.py"}
"""Modules that make the runs of operators and commands."""
SENDING = {
    *RUNNING,
    *("bases/hook.py", "bases/shared_polls.py", "transport/client.py"),
    *(f"{system}/hooks.py" for system in SYSTEMS),
}
"""Modules that may send requests of any sort."""
POLLING = {
    *("omnia_voice/conditions.py", "plans/condition.py", "polyai/drift_request.py"),
    *("polyai/watch_trigger.py", "signalwire/conditions.py"),
}
"""Modules that poll with a hook's own sender; like all others, they may build reads only."""
ONCE = {"polyai/actions/smoke.py"}
"""Modules that start debug chats and test calls, which change no resource, through ``engine.send_once``."""
WRAPPING = {"omnia_voice/hooks.py"}
"""Modules that the engine gives its own sender to wrap: the other verb of a refused update."""
NO_REQUESTS = {"airflow_compat.py", "polyai/notifications.py"}
"""Modules whose ``send`` is not about requests."""


def sources() -> dict[str, str]:
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "emulator"
    }


def room(module: str) -> tuple[str, str]:
    """Return the first two rooms of a module: ``("polyai", "api")``."""
    first, _, rest = module.partition("/")
    return first, rest.removesuffix(".py").partition("/")[0]


# ---------------------------------------------------------------------- (a) the raw sender of a run


def raw_senders(module: str, tree: ast.Module) -> Iterator[str]:
    """Name reads of a run's raw sender, and runs that are made outside of operators and triggers."""
    if module.startswith("engine/"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "sender" and isinstance(node.ctx, ast.Load):
            yield f"line {node.lineno}: reads .sender"
        if isinstance(node, ast.Call) and any(each.arg == "sender" for each in node.keywords):
            makes_run = module in RUNNING or "trigger" in module
            if not makes_run:
                yield f"line {node.lineno}: passes sender="


# ---------------------------------------------------------------- (b) functions that build a write


def builders(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """Return the public functions that return a request."""
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and "ApiRequest" in ast.unparse(node.returns)
    }


def writes(trees: Iterable[ast.Module]) -> set[str]:
    """Return the builders that are not known to read: a function counts as a write until it is shown to read."""
    found = {name: node for tree in trees for name, node in builders(tree).items()}
    reads: set[str] = {name for name, node in found.items() if is_read(node)}
    while more := {name for name in set(found) - reads if calls_only(found[name], set(found), reads)}:
        reads |= more
    return set(found) - reads


def is_read(function: ast.FunctionDef) -> bool:
    """Whether a builder makes a GET, or a POST that it says may be repeated."""
    nodes = list(ast.walk(function))
    verbs = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    called = {
        node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    safe = any(isinstance(node, ast.Attribute) and ast.unparse(node) == "Replay.SAFE" for node in nodes)
    if verbs & WRITING_VERBS:
        return False
    return "GET" in verbs or ("get" in called and "send" not in called) or ("POST" in verbs and safe)


def calls_only(function: ast.FunctionDef, found: set[str], reads: set[str]) -> bool:
    """Whether a builder only passes on what builders of reads return."""
    called = {
        node.func.id
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    others = (called & found) - {function.name}
    return bool(others) and others <= reads


def writes_by_system(texts: Mapping[str, str]) -> dict[str, set[str]]:
    return {
        system: writes(ast.parse(text) for module, text in texts.items() if room(module) == (system, "api"))
        for system in SYSTEMS
    }


def used_writes(module: str, tree: ast.Module, of: Mapping[str, set[str]]) -> Iterator[str]:
    """Name uses of builders of writes outside of kinds and of the builders' own room."""
    for system in SYSTEMS:
        if module in ONCE | WRAPPING | {f"{system}/hooks.py"} or room(module) in {
            (system, "api"),
            (system, "resources"),
        }:
            continue
        package = f"airflow_voice_agents.{system}"
        aliases, names = imported(tree, package)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and names.get(node.id) in of[system]:
                yield f"line {node.lineno}: uses {names[node.id]}"
            if (
                isinstance(node, ast.Attribute)
                and node.attr in of[system]
                and (ast.unparse(node.value) in aliases)
            ):
                yield f"line {node.lineno}: uses {node.attr}"


def imported(tree: ast.Module, package: str) -> tuple[set[str], dict[str, str]]:
    """Return the names under which a module knows the api's modules, and its functions."""
    aliases: set[str] = set()
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {
                each.asname or each.name for each in node.names if each.name.startswith(f"{package}.api")
            }
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                if (node.module, each.name) == (package, "api") or node.module == f"{package}.api":
                    aliases.add(each.asname or each.name)
                if (node.module or "").startswith(f"{package}.api"):
                    names[each.asname or each.name] = each.name
    return aliases, names


# ------------------------------------------------------------------------- (c) requests that are sent


def sent_requests(module: str, tree: ast.Module) -> Iterator[str]:
    """Name uses of a hook's or client's ``send`` and ``asend`` in modules that may only read through a run."""
    if module in SENDING | POLLING | NO_REQUESTS:
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value).rpartition(".")[2]
        if node.attr == "asend" or (node.attr == "send" and owner not in READERS):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def violations(module: str, text: str, of: Mapping[str, set[str]]) -> list[str]:
    tree = ast.parse(text)
    return [*raw_senders(module, tree), *used_writes(module, tree, of), *sent_requests(module, tree)]


SOURCES = sources()
WRITES = writes_by_system(SOURCES)


@pytest.mark.parametrize("module", SOURCES)
def test_no_write_leaves_outside_the_engine(module: str) -> None:
    found = violations(module, SOURCES[module], WRITES)
    assert not found


def test_the_writes_of_every_system_are_known() -> None:
    assert {"delete_connector", "put_config_schema", "create_outbound_call"} <= WRITES["polyai"]
    assert {"purchase_phone_number", "release_phone_number"} <= WRITES["signalwire"]
    assert {"assign_number", "update_number", "delete_number"} <= WRITES["omnia_voice"]
    for system, reads in {
        "polyai": {"list_agents", "get_connectors", "lookup_connector", "get_phone_numbers"},
        "signalwire": {"list_phone_numbers"},
        "omnia_voice": {"list_numbers", "list_agent_numbers"},
    }.items():
        assert not reads & WRITES[system]


API = """
def delete_lamp(lamp: str) -> ApiRequest[Lamp]:
    return send("delete lamp", "DELETE", LAMP, read, lamp=lamp)

def set_lamp(lamp: str) -> ApiRequest[Lamp]:
    return send("set lamp", "PUT", LAMP, read, replay=Replay.SAFE, lamp=lamp)

def make_lamp(lamp: str) -> ApiRequest[Lamp]:
    return _write("make lamp", "POST", LAMPS, read)

def odd_lamp(verb: Verb) -> ApiRequest[Lamp]:
    return _call("change lamp", verb.value, LAMP, read)

def find_lamps(names: list[str]) -> ApiRequest[Lamps]:
    return send("find lamps", "POST", LAMPS, read, replay=Replay.SAFE)

def list_lamps() -> ApiRequest[Lamps]:
    return get("list lamps", LAMPS, read)

def list_hall() -> ApiRequest[Lamps]:
    return list_lamps()
"""


def test_a_function_counts_as_a_write_until_it_is_shown_to_read() -> None:
    assert writes([ast.parse(API)]) == {"delete_lamp", "set_lamp", "make_lamp", "odd_lamp"}


@pytest.mark.parametrize(
    ("module", "text", "told"),
    [
        ("polyai/actions/x.py", "await run.sender(request)", "reads .sender"),
        ("polyai/actions/x.py", "send = self.run.sender", "reads .sender"),
        ("polyai/actions/x.py", "RunContext(sender=hook.asend, log=print)", "passes sender="),
        (
            "polyai/actions/x.py",
            "from airflow_voice_agents.polyai import api\napi.delete_lamp('x')",
            "uses delete_lamp",
        ),
        (
            "polyai/operators/x.py",
            "def f():\n    from airflow_voice_agents.polyai.api import delete_lamp as gone\n    return gone('x')",
            "uses delete_lamp",
        ),
        (
            "edge/x.py",
            "from airflow_voice_agents.polyai.api import lamps\nlater = lamps.delete_lamp",
            "uses delete_lamp",
        ),
        (
            "polyai/conditions/x.py",
            "import airflow_voice_agents.polyai.api as calls\ncalls.delete_lamp('x')",
            "uses delete_lamp",
        ),
        ("polyai/operators/x.py", "hook.send(request)", "hook.send"),
        ("signalwire/actions/x.py", "answer = await self.hook().asend(request)", "asend"),
        ("omnia_voice/operators/x.py", "work(self.hook.asend)", "asend"),
        ("bases/x.py", "client.send(request)", "client.send"),
    ],
)
def test_a_planted_violation_is_reported(module: str, text: str, told: str) -> None:
    found = violations(module, text, {system: {"delete_lamp"} for system in SYSTEMS})
    assert any(told in each for each in found), found


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("engine/x.py", "await self.context.sender(request)"),
        ("bases/operator.py", "RunContext(sender=opened.asend)"),
        ("polyai/resources/x.py", "from airflow_voice_agents.polyai import api\napi.delete_lamp('x')"),
        (
            "polyai/api/x.py",
            "from airflow_voice_agents.polyai.api.lamps import delete_lamp\ndelete_lamp('x')",
        ),
        (
            "polyai/actions/x.py",
            "from airflow_voice_agents.polyai import api\nawait run.send(api.list_lamps())",
        ),
        ("polyai/hooks.py", "return client.send(request)"),
    ],
)
def test_the_ways_through_the_engine_are_free(module: str, text: str) -> None:
    assert violations(module, text, {system: {"delete_lamp"} for system in SYSTEMS}) == []


@pytest.mark.parametrize("module", sorted(SENDING | POLLING | NO_REQUESTS | ONCE | WRAPPING))
def test_every_module_that_may_do_more_still_exists(module: str) -> None:
    assert module in SOURCES
