"""The provider's metadata agrees with Airflow and with the code."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
from packaging.version import Version

import airflow
import airflow_voice_agents
from airflow_voice_agents.airflow_compat import FORMS_IN_METADATA
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.polyai.connection import REGIONS
from airflow_voice_agents.transport.fields import MAX_CONCURRENCY
from airflow_voice_agents.transport.settings import DEFAULT_CONCURRENCY

DISTRIBUTION = "airflow-provider-voice-agents"
PACKAGE = Path(airflow_voice_agents.__file__).parent
EXAMPLES = PACKAGE.parents[1] / "example_dags"
INFO: dict[str, Any] = get_provider_info()
CATALOGUE = {
    "hooks": BaseHook,
    "operators": BaseOperator,
    "sensors": BaseSensorOperator,
    "triggers": BaseTrigger,
}
SYSTEMS = ("polyai", "signalwire", "omnia_voice")
SHARED = ("__init__.py", "base.py", "fleet.py")
"""Modules of a room of operators that hold none: what operators share."""
MODULES_AT_PARSE = 30
SDK = (
    "from airflow.sdk import DAG, Asset, BaseHook, BaseOperator, BaseSensorOperator, Param, TaskGroup, dag, "
    "task, task_group"
)
OURS_PER_FILE = """
import json, os, runpy, sys
{sdk}
DAG("warm", schedule=None)
for path in {paths!r}:
    if os.fork() == 0:
        before = set(sys.modules)
        runpy.run_path(path)
        new = set(sys.modules) - before
        print(json.dumps([path, sorted(name for name in new if name.startswith("airflow_voice_agents"))]))
        sys.stdout.flush()
        os._exit(0)
    if os.wait()[1]:
        sys.exit(path)
"""
"""Each file is run in a copy of one new interpreter that has loaded Airflow and nothing of ours."""


def schema(name: str) -> dict[str, Any]:
    return dict(json.loads((Path(airflow.__file__).parent / name).read_text()))


def listed(kind: str) -> list[str]:
    return [module for entry in INFO.get(kind, []) for module in entry["python-modules"]]


def module_files(kind: str) -> Iterator[str]:
    """Yield every module of every system that by its place holds this kind of thing."""
    for path in [*PACKAGE.glob(f"*/{kind}.py"), *PACKAGE.glob(f"*/{kind}/*.py")]:
        if path.name not in SHARED and path.relative_to(PACKAGE).parts[0] not in (
            "edge",
            "emulator",
        ):
            yield ".".join([PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts])


def public_classes(module_name: str, base: type) -> list[str]:
    module = importlib.import_module(module_name)
    return [
        f"{module_name}.{name}"
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module_name
        and not name.startswith("_")
    ]


def imported(dotted_path: str) -> Any:
    module, _, name = dotted_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_the_metadata_fits_the_schema_that_airflow_loads_it_with() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


@pytest.mark.skipif(not FORMS_IN_METADATA, reason="the schema of this Airflow knows no form fields")
def test_the_metadata_fits_the_stricter_schema_for_provider_authors() -> None:
    release_fields = {"state": "ready", "source-date-epoch": 0}

    jsonschema.validate({**INFO, **release_fields}, schema("provider.yaml.schema.json"))


def test_the_names_and_versions_are_those_of_the_distribution() -> None:
    assert INFO["package-name"] == importlib.metadata.metadata(DISTRIBUTION)["Name"] == DISTRIBUTION
    assert INFO["versions"][0] == airflow_voice_agents.__version__
    assert importlib.metadata.version(DISTRIBUTION) == airflow_voice_agents.__version__


def test_the_metadata_module_imports_nothing_but_the_version() -> None:
    tree = ast.parse((PACKAGE / "get_provider_info.py").read_text())

    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == ["from airflow_voice_agents import __version__"]


def test_settings_were_added_in_a_version_that_there_is_or_was() -> None:
    options = INFO["config"]["voice_agents"]["options"].values()

    present = Version(airflow_voice_agents.__version__)
    assert all(Version(option["version_added"]) <= present for option in options)


def test_importing_airflow_imports_no_more_than_the_metadata() -> None:
    ours = in_a_new_process("import airflow", shown="airflow_voice_agents")

    assert {*ours} <= {"airflow_voice_agents", "airflow_voice_agents.get_provider_info"}


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_module_is_listed_and_every_listed_module_exists(kind: str) -> None:
    assert sorted(listed(kind)) == sorted(module_files(kind))


@pytest.mark.parametrize(
    ("kind", "module"), [(kind, module) for kind in CATALOGUE for module in listed(kind)]
)
def test_every_listed_module_holds_what_it_is_listed_for(kind: str, module: str) -> None:
    assert public_classes(module, CATALOGUE[kind])


def test_every_operator_link_is_listed() -> None:
    links = [name for module in module_files("links") for name in public_classes(module, BaseOperatorLink)]

    assert sorted(INFO.get("extra-links", [])) == sorted(links)


@pytest.mark.parametrize("connection", INFO["connection-types"], ids=lambda one: one["connection-type"])
def test_a_connection_type_names_its_hook_and_the_hook_names_its_type(connection: dict[str, Any]) -> None:
    hook = imported(connection["hook-class-name"])

    assert hook.conn_type == connection["connection-type"]
    assert hook.hook_name == connection["hook-name"]
    assert hook.default_conn_name == f"{hook.conn_type}_default"
    assert hook.conn_name_attr in inspect.signature(hook).parameters
    assert hook.conn_type.isalpha(), "the form drops the fields of a type with an underscore"


@pytest.mark.parametrize("entry", INFO["asset-uris"], ids=lambda one: "-".join(one["schemes"]))
def test_the_handler_of_asset_addresses_can_be_called(entry: dict[str, Any]) -> None:
    assert callable(imported(entry["handler"]))


def test_the_connection_form_is_what_the_web_interface_shows() -> None:
    (form,) = [one for one in HookMetaService.hook_meta_data() if one.connection_type == "polyai"]
    standard, extra = form.standard_fields, form.extra_fields

    assert form.hook_name == "PolyAI"
    assert standard is not None
    assert standard.password is not None
    assert standard.password.title == "API key (required)"
    assert standard.host is not None
    assert standard.host.title == "Host override"
    assert standard.host.placeholder
    assert [standard.login.hidden, standard.url_schema.hidden] == [True] * 2
    assert list(extra) == [
        *("region", "account_id", "runtime_api_key", "runtime_host"),
        *("requests_per_second", "max_concurrency", "timeout"),
    ]
    assert all(field["schema"]["title"] and field["description"] for field in extra.values())


@pytest.mark.parametrize("connection", INFO["connection-types"], ids=lambda one: one["connection-type"])
def test_a_connection_form_shows_the_port_and_marks_what_is_required(connection: dict[str, Any]) -> None:
    """Without a stored port, the Test button of Airflow's list is refused: it sends port 0."""
    (form,) = [
        one
        for one in HookMetaService.hook_meta_data()
        if one.connection_type == connection["connection-type"]
    ]
    standard = form.standard_fields

    assert standard is not None
    assert standard.port is not None
    assert (standard.port.hidden, "443" in str(standard.port.placeholder)) == (False, True)
    assert standard.password is not None
    assert str(standard.password.title).endswith("(required)")


def test_the_form_masks_the_key_of_the_runtime_host() -> None:
    (form,) = [one for one in HookMetaService.hook_meta_data() if one.connection_type == "polyai"]
    masked = [
        name for name, field in form.extra_fields.items() if field["schema"].get("format") == "password"
    ]

    assert masked == ["runtime_api_key"]


def test_the_form_offers_what_the_hook_accepts() -> None:
    (form,) = [one for one in HookMetaService.hook_meta_data() if one.connection_type == "polyai"]
    region, concurrency = form.extra_fields["region"], form.extra_fields["max_concurrency"]

    assert tuple(region["schema"]["enum"]) == REGIONS
    assert region["value"] is None, "a preset region would be a trap for the users of the others"
    assert not FORMS_IN_METADATA or concurrency["schema"]["maximum"] == MAX_CONCURRENCY
    assert concurrency["value"] == DEFAULT_CONCURRENCY


def test_an_example_costs_few_modules_of_ours_at_parse() -> None:
    files = sorted(str(path) for path in EXAMPLES.glob("*.py"))

    lines = printed_by(OURS_PER_FILE.format(sdk=SDK, paths=files))

    loaded = dict(json.loads(line) for line in lines if line.startswith("["))
    assert sorted(loaded) == files
    assert {path: modules for path, modules in loaded.items() if len(modules) > MODULES_AT_PARSE} == {}
    assert all(f"{PACKAGE.name}.bases.operator" in modules for modules in loaded.values())


@pytest.mark.parametrize("system", SYSTEMS)
def test_all_of_one_system_costs_few_modules_at_parse(system: str) -> None:
    """Every operator, sensor and task group of it, whatever else they load included."""
    extra = in_a_new_process(SDK, then=f"import {', '.join(sorted(for_dag_files(system)))}")

    assert len(extra) <= MODULES_AT_PARSE, extra


@pytest.mark.parametrize(
    "heavy",
    [
        *("phonenumbers", "starlette", "fastapi", "uvicorn", "rich", "airflow.models", "sqlalchemy"),
        *("airflow_voice_agents.ui", "airflow_voice_agents.cli"),
    ],
)
def test_parsing_a_dag_file_loads_nothing_heavy(heavy: str) -> None:
    modules = [name for system in SYSTEMS for name in for_dag_files(system)]

    assert heavy not in in_a_new_process("import airflow.sdk", then=f"import {', '.join(modules)}")


def in_a_new_process(statement: str, then: str = "", shown: str = "") -> list[str]:
    """Return the sorted modules that a statement, or the one after it, loads in a new interpreter."""
    program = "import json, sys\n" + (f"{statement}\n" if then else "")
    program += f"before = set(sys.modules)\n{then or statement}\n"
    program += f"print(json.dumps(sorted(m for m in set(sys.modules) - before if m.startswith({shown!r}))))"
    return list(json.loads(printed_by(program)[-1]))


def printed_by(program: str) -> list[str]:
    """Return the lines that a program prints in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def for_dag_files(system: str) -> list[str]:
    """Return the modules of a system that DAG files import from."""
    groups = (PACKAGE / system).glob("task_groups.py")
    return [
        *(name for kind in ("operators", "sensors") for name in listed(kind) if f".{system}." in name),
        *(f"{PACKAGE.name}.{system}.{path.stem}" for path in groups),
    ]
