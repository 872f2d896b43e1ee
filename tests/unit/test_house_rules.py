"""Rules of this code base that no linter knows, read from the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import airflow_voice_agents

PACKAGE = Path(airflow_voice_agents.__file__).parent
ROOT = PACKAGE.parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))
LINES_OF_A_FUNCTION = 40
CODE_LINES_OF_A_MODULE = 400

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

RENAMED = {"dry_run": "plan_only"}
"""Parameters whose own name is a method of Airflow's operators already."""
ARGUMENTS = {attribute: name for name, attribute in RENAMED.items()}

AIRFLOW_FREE = {"emulator", "engine", "transport", "plans"}
"""Rooms of the house that know nothing of Airflow."""
SYSTEMS = {"omnia_voice", "polyai", "signalwire"}
AIRFLOW_FREE_IN_A_SYSTEM = {
    *("api", "checks", "conditions", "connection", "files", "actions", "models", "observations"),
    *("paging", "readers", "resources", "routes", "spec"),
}
"""Rooms of each system that know nothing of Airflow."""
VERSIONED_MODULES = (
    *("airflow.configuration", "airflow.models", "airflow.sdk.configuration", "airflow.sdk.crypto"),
    *("airflow.sdk.exceptions", "airflow.sdk.serde", "airflow.sdk.types"),
    *("airflow.sdk.execution_time", "airflow.serialization", "airflow.version"),
)
"""Modules of Airflow that only some versions have, or that hold other names in each."""
VERSIONED_NAMES = {
    *("BaseAsyncOperator", "ExceptionRetryPolicy", "ResumableJobMixin", "RetryAction", "RetryDecision"),
    *("RetryPolicy", "RetryRule", "__version__", "conf"),
}
"""Names of ``airflow`` and ``airflow.sdk`` that only some versions have."""
VERSIONED_ATTRIBUTES = {"aget_connection", "aextra_dejson", "amask_secret", "has_retry_policy"}
FOR_OLD_VERSIONS = {"airflow.sdk.execution_time", "airflow.sdk.execution_time.comms"}
"""Private modules without which a trigger of Airflow before 3.3 could not mask a secret."""
IN_ALL_VERSIONS = {"airflow.exceptions.AirflowProviderDeprecationWarning"}

FORBIDDEN_TEXT = {
    "the address of a package registry": re.compile(
        r"//[^\s/\"']*(?:py" + "pi|python" + "hosted|npm" + "js|artifact" + "ory)"
        r"|(?:index-url|find-links)\s*[=\s]\s*\S",
        re.IGNORECASE,
    ),
    "a path of one machine": re.compile(
        r"(?<![\w.}])/(?:" + "|".join(["work" + "/", "ro" + "ot/", "Us" + "ers/", "tmp/" + "build"]) + ")"
    ),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def name_of_any(path: Path) -> str:
    return name_of(path) if path.is_relative_to(PACKAGE) else str(path)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> set[str]:
    plain = (alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names)
    named = (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    return {*plain, *named}


def roots(tree: ast.Module) -> set[str]:
    return {name.split(".")[0] for name in imports(tree)}


def version_dependent(tree: ast.Module) -> set[str]:
    """Return what a module names of Airflow that depends on Airflow's version."""
    return {*versioned_imports(tree), *versioned_expressions(tree)}


def versioned_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.startswith(VERSIONED_MODULES))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(VERSIONED_MODULES):
            yield str(node.module)
        elif isinstance(node, ast.ImportFrom):
            yield from (
                f"{node.module}.{one.name}" for one in node.names if is_versioned(node.module, one.name)
            )


def is_versioned(module: str | None, name: str) -> bool:
    """Tell whether a name that is imported from a module depends on Airflow's version."""
    if f"{module}.{name}".startswith(VERSIONED_MODULES):
        return True
    if module == "airflow.exceptions":
        return f"{module}.{name}" not in IN_ALL_VERSIONS
    return (module in ("airflow", "airflow.sdk") and name in VERSIONED_NAMES) or name in VERSIONED_ATTRIBUTES


def versioned_expressions(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if name in VERSIONED_ATTRIBUTES:
                yield name
            case ast.Attribute(value=ast.Name(id="airflow"), attr="__version__"):
                yield "__version__"
            case ast.Constant(value="task_state_store" | "apache-airflow" | "apache-airflow-core" as text):
                yield text
            case ast.Subscript(value=ast.Name(id="TaskGroup")):
                yield "TaskGroup[...]"


def is_task_module(path: Path) -> bool:
    """Tell whether Airflow calls this module's constructors with values that are not rendered yet."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0] != "emulator" and bool({"operators", "operator", "sensors", "triggers"} & set(parts))


def constructors(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    yield node.name, item


def parameters(function: ast.FunctionDef) -> set[str]:
    arguments = function.args
    return {one.arg for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}


def is_verbatim(statement: ast.stmt, allowed: set[str]) -> bool:
    """Tell whether a statement is ``self.x = x``, a call of ``super().__init__``, or a docstring."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super"))))):
            return True
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)], value=ast.Name(id=value)
        ):
            return value in allowed and attribute == RENAMED.get(value, value)
    return False


def public_definitions(path: Path) -> Iterator[tuple[str, ast.AST]]:
    tree = tree_of(path)
    yield "module", tree
    for node in tree.body:
        if is_public(node):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                yield from ((f"{node.name}.{item.name}", item) for item in node.body if is_public(item))


def is_public(node: ast.AST) -> Any:
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, kinds) and not node.name.startswith("_")


def code_lines(path: Path) -> set[int]:
    """Return the numbers of the lines that hold code: neither blank, nor comment, nor docstring."""
    text = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {
        line for token in tokens if token.type not in NO_CODE for line in lines_of(token.start, token.end)
    }
    documentation = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return code - documentation


def lines_of(start: tuple[int, int], end: tuple[int, int]) -> range:
    return range(start[0], end[0] + 1)


def tracked_files() -> list[Path]:
    """Return what is under version control, or would be; without git, everything but hidden folders."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not is_hidden(path)]


def is_hidden(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part.startswith(".") or part == "__pycache__" for part in parts[:-1])


KNOWS_NO_VERSIONS = [
    path
    for path in [
        *MODULES,
        *(ROOT / "example_dags").rglob("*.py"),
        ROOT / "tests" / "support" / "airflow_runner.py",
    ]
    if name_of_any(path) != "airflow_compat.py"
]
"""All modules but the one that knows versions; the task runner of the tests has a module of its own for that."""
TASK_MODULES = [path for path in MODULES if is_task_module(path)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_httpx_is_imported_by_the_client_only(path: Path) -> None:
    assert ("httpx" in roots(tree_of(path))) == (name_of(path) == "transport/client.py")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_edge_knows_airflow(path: Path) -> None:
    room, *inner = path.relative_to(PACKAGE).with_suffix("").parts
    if room in AIRFLOW_FREE or (room in SYSTEMS and AIRFLOW_FREE_IN_A_SYSTEM & set(inner)):
        assert "airflow" not in roots(tree_of(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_uses_what_airflow_keeps_to_itself(path: Path) -> None:
    private = ("airflow.models", "airflow.utils", "airflow.settings", "airflow.sdk.execution_time")
    named = {name for name in imports(tree_of(path)) if name.startswith(private)}

    assert named <= (FOR_OLD_VERSIONS if name_of(path) == "airflow_compat.py" else set())


@pytest.mark.parametrize("path", KNOWS_NO_VERSIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_differs_between_airflow_versions_is_named_in_one_module(path: Path) -> None:
    assert not version_dependent(tree_of(path))


def test_tests_take_what_moved_between_airflow_versions_from_one_module() -> None:
    """A name that the module exports was elsewhere in an older Airflow, whose tests could not be imported."""
    home = ROOT / "tests" / "support" / "airflow_versions.py"
    (exported,) = [
        ast.literal_eval(node.value)
        for node in tree_of(home).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    strange = [
        f"{path.relative_to(ROOT)}: {node.module}.{one.name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path != home
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow.")
        for one in node.names
        if one.name in exported and not str(node.module).startswith("airflow.sdk.execution_time")
    ]

    assert strange == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from airflow.sdk import conf", {"airflow.sdk.conf"}),
        ("from airflow.sdk import RetryPolicy as Policy", {"airflow.sdk.RetryPolicy"}),
        ("import airflow.sdk.crypto", {"airflow.sdk.crypto"}),
        ("from airflow.sdk.exceptions import AirflowFailException", {"airflow.sdk.exceptions"}),
        ("from airflow.exceptions import AirflowException", {"airflow.exceptions.AirflowException"}),
        ("from airflow.exceptions import AirflowProviderDeprecationWarning", set()),
        ("from airflow.sdk import BaseOperator, Context", set()),
        ("connection.aextra_dejson()", {"aextra_dejson"}),
        ("context['task_state_store']", {"task_state_store"}),
        ("import airflow\nif airflow.__version__ >= '3.2': pass", {"__version__"}),
        ("from airflow import __version__", {"airflow.__version__"}),
        ("from importlib.metadata import version\nversion('apache-airflow')", {"apache-airflow"}),
        ("from airflow_voice_agents import __version__", set()),
        ("class Group(TaskGroup[int]): pass", {"TaskGroup[...]"}),
    ],
)
def test_the_rule_for_versions_finds_what_depends_on_one(source: str, found: set[str]) -> None:
    assert version_dependent(ast.parse(source)) == found


@pytest.mark.parametrize("path", TASK_MODULES, ids=name_of)
def test_constructors_of_operators_sensors_and_triggers_assign_their_arguments_verbatim(path: Path) -> None:
    """Before rendering an argument is a template, so nothing may be decided or changed here."""
    for owner, function in constructors(path):
        allowed = parameters(function) - {"self"}
        strange = [ast.unparse(s) for s in function.body if not is_verbatim(s, allowed)]

        assert not strange, owner


@pytest.mark.parametrize("path", TASK_MODULES, ids=name_of)
def test_arguments_of_operators_sensors_and_triggers_are_keyword_only(path: Path) -> None:
    for owner, function in constructors(path):
        assert [one.arg for one in function.args.args] == ["self"], owner


@pytest.mark.parametrize("path", TASK_MODULES, ids=name_of)
def test_template_fields_are_parameters_of_their_operator(path: Path) -> None:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts))
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            fields = {ARGUMENTS.get(field, field) for field in getattr(value, "template_fields", ())}
            assert fields <= all_parameters(value), name


def all_parameters(owner: type) -> set[str]:
    """Return the constructor's parameters, its bases' included as far as ``**kwargs`` hands them on."""
    return {
        name
        for base in owner.__mro__
        if "__init__" in vars(base)
        for name in inspect.signature(base.__init__).parameters  # type: ignore[misc]
    }


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_definitions_have_a_docstring(path: Path) -> None:
    bare = [name for name, node in public_definitions(path) if not ast.get_docstring(node)]  # type: ignore[arg-type]

    assert not bare


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_and_modules_stay_short(path: Path) -> None:
    code = code_lines(path)
    functions = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {one.name: len(code & set(range(one.lineno, (one.end_lineno or 0) + 1))) for one in functions}

    assert not {name: size for name, size in sizes.items() if size > LINES_OF_A_FUNCTION}
    assert len(code) <= CODE_LINES_OF_A_MODULE


@pytest.mark.parametrize("what", FORBIDDEN_TEXT)
def test_no_file_holds(what: str) -> None:
    found = {}
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if match := FORBIDDEN_TEXT[what].search(text):
            found[str(path.relative_to(ROOT))] = match.group()

    assert not found


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("the address of a package registry", "see https://files.python" + "hosted.org/x"),
        ("the address of a package registry", "--index" + "-url https://mirror.example/simple"),
        ("a path of one machine", "open('/wo" + "rk/data.json')"),
        ("a path of one machine", "/ro" + "ot/.cache"),
    ],
)
def test_the_search_for_forbidden_text_finds_it(what: str, text: str) -> None:
    assert FORBIDDEN_TEXT[what].search(text)


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("self.region = region", True),
        ("super().__init__(**kwargs)", True),
        ("self.region = region or 'us'", False),
        ("self.region = other", False),
        ("self.area = region", False),
        ("self.hook = Hook(region)", False),
        ("if region: raise ValueError", False),
    ],
)
def test_the_rule_for_constructors_tells_right_from_wrong(statement: str, verdict: bool) -> None:
    assert is_verbatim(ast.parse(statement).body[0], {"region"}) is verdict


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("constraints*.txt"), *(ROOT / "constraints").glob("*.txt")],
    ids=lambda path: path.name,
)
def test_constraints_are_plain_sorted_pins(path: Path) -> None:
    lines = path.read_text().splitlines()

    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", line) for line in lines)
    assert lines == sorted(lines, key=str.lower)


def test_the_lock_has_the_hashes_of_every_pin_and_nothing_else() -> None:
    pins = (ROOT / "constraints.txt").read_text().lower().splitlines()
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements-dev.lock").read_text().strip())

    assert sorted(entry.partition(" ")[0].lower() for entry in entries) == sorted(
        re.sub(r"[._](?=[^=]*==)", "-", pin) for pin in pins
    )
    assert all(re.fullmatch(r"\S+( \\\n +--hash=sha256:[0-9a-f]{64})+", entry) for entry in entries)


def floor(package: str) -> tuple[int, ...]:
    """Return the lower bound that the project declares for a package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["emulator"]]
    (found,) = [line for line in lines if line.startswith(f"{package}>=")]
    return tuple(map(int, found.removeprefix(f"{package}>=").split(",")[0].split(".")))


def test_lower_bounds_are_past_known_vulnerabilities() -> None:
    assert floor("h11") >= (0, 16)
    assert floor("starlette") >= (0, 49, 1)


def test_the_local_server_reads_nothing_that_later_vulnerabilities_are_about() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (PACKAGE / "emulator").rglob("*.py")]
    starlette = [text for text in texts if "from starlette" in text]

    assert starlette
    assert not [
        text
        for text in starlette
        if re.search(r"\brequest\.(url|base_url|form)\b|FileResponse|StaticFiles", text)
    ]


DISTRIBUTIONS = {
    "airflow": "apache-airflow",
    "airflow.providers.common.compat": "apache-airflow-providers-common-compat",
    "airflow.providers.standard": "apache-airflow-providers-standard",
    "dateutil": "python-dateutil",
    "httpx_aiohttp": "httpx-aiohttp",
    "jinja2": "jinja2",
    "re2": "google-re2",
    "yaml": "pyyaml",
}
"""Import name -> distribution, where the two differ."""


def distribution_of(module: str) -> str | None:
    """Return the distribution that an imported module comes from; ``None`` for the standard library and our own."""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root == "airflow_voice_agents":
        return None
    for name in sorted(DISTRIBUTIONS, key=len, reverse=True):
        if module == name or module.startswith(f"{name}."):
            return DISTRIBUTIONS[name]
    return root


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for lines in lists for line in lines}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_everything_that_is_imported_is_declared(path: Path) -> None:
    wanted = {found for name in imports(tree_of(path)) if (found := distribution_of(name))}

    assert not wanted - declared()


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("os.path", None),
        ("airflow_voice_agents.plans", None),
        ("airflow.sdk", "apache-airflow"),
        ("airflow.providers.standard.operators.empty", "apache-airflow-providers-standard"),
        ("yaml", "pyyaml"),
        ("requests", "requests"),
    ],
)
def test_the_rule_for_declarations_knows_where_a_module_comes_from(
    module: str, distribution: str | None
) -> None:
    assert distribution_of(module) == distribution


def test_every_direct_dependency_is_pinned_in_the_constraints() -> None:
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}

    assert not declared() - pinned
