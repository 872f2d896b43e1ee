"""Every block of code in the documentation: Python builds DAGs, specs validate, commands exist, requests work."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import Request, urlopen

import pytest
from airflow.cli import cli_parser
from airflow.configuration import conf
from airflow.sdk import DAG, BaseNotifier

from airflow_voice_agents.emulator import cli as emulator_cli
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook
from airflow_voice_agents.polyai.files import NAMES, from_documents
from airflow_voice_agents.polyai.hooks import PolyAIHook
from airflow_voice_agents.signalwire.hooks import SignalWireHook
from support.airflow_versions import DagSerialization
from support.page_blocks import (
    PAGES,
    ROOT,
    Block,
    anchors,
    blocks,
    commands,
    docstring_blocks,
    inline_commands,
)

EXCEPTIONS = {
    "airflow voice-agents stauts": "the page shows how a misspelled command ends",
}
"""Commands that are not checked, each with its reason."""

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
HOOKS = {each.conn_type: each for each in (PolyAIHook, SignalWireHook, OmniaVoiceHook)}
CONNECTIONS: dict[str, dict[str, str]] = {
    "polyai": {"password": "demo-key-uk"},
    "signalwire": {"login": "2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21", "password": "demo-token-hotels"},
    "omniavoice": {"host": "/api/v1", "password": "demo-omnia-key"},
}
"""Connections that lead to the local server."""
DIAGRAMS = ("flowchart", "sequenceDiagram", "stateDiagram-v2")
BLOCKS = list(blocks())

PYTHON: dict[str, list[Block]] = defaultdict(list)
for each in BLOCKS:
    if each.language == "python":
        PYTHON[each.page].append(each)


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    """The parser of ``airflow``, with the commands of installed providers."""
    return cli_parser.get_parser()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the notifier of a provider that the tests do not install."""
    name = "airflow.providers.slack.notifications.slack_webhook"
    module = ModuleType(name)
    module.SlackWebhookNotifier = type(  # type: ignore[attr-defined]
        "SlackWebhookNotifier",
        (BaseNotifier,),
        {"__init__": lambda self, **given: BaseNotifier.__init__(self), "notify": lambda self, context: None},
    )
    for each in ("airflow.providers.slack", "airflow.providers.slack.notifications"):
        monkeypatch.setitem(sys.modules, each, ModuleType(each))
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("page", PYTHON)
@pytest.mark.usefixtures("slack")
def test_the_python_of_a_page_builds_dags(page: str, tmp_path: Path) -> None:
    """The blocks of a page run in their order, as one file; tasks outside of a DAG get one."""
    names: dict[str, Any] = {"__name__": "page"}
    with DAG("page", schedule=None) as dag:
        for block in PYTHON[page]:
            path = tmp_path / f"line_{block.line}.py"
            path.write_text(block.text, encoding="utf-8")
            exec(compile(block.text, str(path), "exec"), names)  # noqa: S102

    for each in {id(it): it for it in (dag, *names.values()) if isinstance(it, DAG)}.values():
        stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(each))
        assert set(stored.task_dict) == set(each.task_ids)


@pytest.mark.parametrize("block", list(docstring_blocks()), ids=str)
@pytest.mark.usefixtures("slack")
def test_the_python_of_a_docstring_runs(
    block: Block, server: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks send their requests to the local server."""
    for conn_type, given in CONNECTIONS.items():
        fields = {"conn_type": conn_type, **given, "host": server.url + given.get("host", "")}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_type.upper()}_DEFAULT", json.dumps(fields))

    exec(compile(block.text, str(block), "exec"), {"__name__": "docstring"})  # noqa: S102


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language != "python"], ids=str)
def test_a_block_is_what_it_says(block: Block, checks: dict[str, Callable[[Block], None]]) -> None:
    assert block.language in checks, f"{block}: no check for a block of {block.language or 'no language'}"
    checks[block.language](block)


@pytest.mark.parametrize("block", list(inline_commands()), ids=lambda block: f"{block} {block.text}")
def test_a_command_in_a_sentence_exists(block: Block, checks: dict[str, Callable[[Block], None]]) -> None:
    checks["inline"](block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_headings_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))

    assert [
        (name, anchor)
        for name, anchor in links
        if anchor not in anchors((page.parent / name).resolve() if name else page)
    ] == []


def test_every_exception_is_still_there() -> None:
    assert all(any(command in each.text for each in BLOCKS) for command in EXCEPTIONS)


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = {name for each in BLOCKS if each.language == "{toctree}" for name in entries(each)}
    pages = {path.stem for path in PAGES if path.parent.name == "docs"}

    assert pages - {"index"} == {name for name in listed if "/" not in name}


def test_a_wrong_block_is_found(checks: dict[str, Callable[[Block], None]], tmp_path: Path) -> None:
    wrong = {
        "sh": "make coffee",
        "inline": "airflow voice-agents --help-me",
        "console": "$ airflow voice-agents promote",
        "json": "{",
        "yaml": "sources: {}",
        "ini": "[voice_agents]\nstate_foldr = x",
        "mermaid": "flowchart LR\n    A[one --> B",
        "{toctree}": "nowhere",
        "{include}": ":relative-docs: docs/",
    }
    assert wrong.keys() | {"text"} == checks.keys()
    for language, text in wrong.items():
        with pytest.raises((AssertionError, ValueError)):
            checks[language](Block("page.md", 1, language, text))


# ------------------------------------------------------------------------------------ a check per language


@pytest.fixture
def checks(
    parser: argparse.ArgumentParser,
    server: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Callable[[Block], None]]:
    shell = Shell(parser, server, monkeypatch)

    def spec(block: Block) -> None:
        path = tmp_path / "spec.yaml"
        path.write_text(block.text, encoding="utf-8")
        args = parser.parse_args(["voice-agents", "validate", str(path)])
        with pytest.raises(SystemExit) as ended:
            args.func(args)
        assert ended.value.code == 0, capsys.readouterr().out

    return {
        "sh": shell.check,
        "inline": shell.check,
        "console": shell.check,
        "yaml": spec,
        "json": document,
        "ini": settings,
        "mermaid": diagram,
        "{toctree}": contents,
        "{include}": included,
        "text": lambda block: None,  # output, and trees of files
    }


def document(block: Block) -> None:
    """JSON parses; a file of an export is read as one."""
    json.loads(block.text)
    name = block.before.partition(":")[0].strip("`")
    if name in NAMES:
        from_documents({name: block.text}, str(block))


def settings(block: Block) -> None:
    """Every option is known to Airflow or to the provider."""
    config = ConfigParser()
    config.read_string("\n".join(map(str.strip, block.text.splitlines())))
    for section in config.sections():
        for option in config.options(section):
            assert known(section, option), f"{block}: [{section}] {option}"


def known(section: str, option: str) -> bool:
    if section == "voice_agents":
        info: dict[str, Any] = get_provider_info()
        return option in info["config"][section]["options"]
    return bool(conf.has_option(section, option))


def diagram(block: Block) -> None:
    """The kind of diagram is known, and whatever is opened is closed."""
    first, *lines = block.text.splitlines()
    assert first.split()[0] in DIAGRAMS
    words = [line.split()[0] for line in lines if line.strip()]
    assert words.count("subgraph") == words.count("end")
    for line in lines:
        bare = re.sub(r'"[^"]*"', "", line).replace("-->", "").replace("-.->", "")
        assert all(bare.count(a) == bare.count(b) for a, b in ("[]", "()", "{}")), f"{block}: {line}"


def entries(block: Block) -> Iterator[str]:
    """Yield the pages of a table of contents."""
    for line in block.text.splitlines():
        if line and not line.startswith(":"):
            yield line


def contents(block: Block) -> None:
    """Every page is there, or is made when the site is built."""
    for name in entries(block):
        assert name == "reference-api/index" or (ROOT / "docs" / f"{name}.md").is_file(), f"{block}: {name}"


def included(block: Block) -> None:
    """The page that is included is the security policy, the only one that has to be in the root."""
    assert block.page == "docs/security.md"
    assert "../SECURITY.md" in (ROOT / block.page).read_text(encoding="utf-8").splitlines()[0]


class Shell:
    """Checks commands without running them; requests to the local server are sent.

    :param parser: the parser of ``airflow``.
    :param server: a local server.
    :param monkeypatch: sets the variables that a block exports.
    """

    def __init__(
        self, parser: argparse.ArgumentParser, server: EmulatorServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.parser = parser
        self.server = server
        self.monkeypatch = monkeypatch
        self.whole = True

    def check(self, block: Block) -> None:
        """Check every command of a block."""
        self.whole = block.language != "inline"
        if block.language == "sh":
            subprocess.run(["/bin/bash", "-n"], input=block.text, text=True, check=True)
        for name, *words in commands(block):
            check = getattr(self, f"check_{name.replace('3', '')}", None) if name.isalnum() else None
            assert check is not None or name in (".", "echo", "exit", "mkdir"), (
                f"{block}: no check for {name!r}"
            )
            if check is not None:
                check(words)

    def check_make(self, words: list[str]) -> None:
        assert {each for each in words if "=" not in each} <= TARGETS, words

    def check_airflow(self, words: list[str]) -> None:
        """A command parses; in a sentence its name is enough."""
        if f"airflow {' '.join(words)}" in EXCEPTIONS:
            return
        name_only = not self.whole and not any(each.startswith("-") for each in words)
        try:
            self.parser.parse_args([*words, "--help"] if name_only else words)
        except SystemExit as ended:
            if not name_only or ended.code:
                raise AssertionError(f"airflow {' '.join(words)}") from None

    def check_grep(self, words: list[str]) -> None:
        assert words

    def check_cp(self, words: list[str]) -> None:
        assert all((ROOT / each).is_file() for each in words[:-1]), words

    def check_pip(self, words: list[str]) -> None:
        """Extras and constraints exist; constraints of an Airflow are those of the Airflow that is named."""
        assert words[0] == "install"
        if "--constraint" in words:
            place = words.index("--constraint")
            (file,) = re.findall(r"^constraints(?:-([\d.]+))?\.txt$", words[place + 1])
            assert f"apache-airflow=={file}" in words if file else (ROOT / "constraints.txt").is_file()
            del words[place : place + 2]
        if "-r" in words:
            place = words.index("-r")
            assert (ROOT / words[place + 1]).is_file()
            del words[place : place + 2]
        for each in words[1:]:
            if each.startswith("--"):
                continue
            name, _, extras = each.rstrip("]").partition("[")
            assert name in (".", PROJECT["name"]) or name.startswith("apache-airflow"), each
            if extras:
                assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys(), each

    def check_python(self, words: list[str]) -> None:
        if words[0] != "-m":
            assert (ROOT / words[0]).is_file(), words
            return
        assert find_spec(words[1]) is not None, words
        if words[1] == "airflow_voice_agents.emulator":
            emulator_cli._parse(words[2:])

    def check_curl(self, words: list[str]) -> None:
        """Send the request to the server of the tests; it is accepted."""
        options = argparse.ArgumentParser()
        options.add_argument("-X", dest="method")
        options.add_argument("-H", dest="headers", action="append", default=[])
        options.add_argument("-d", dest="body")
        options.add_argument("url")
        given = options.parse_args(words)
        url = given.url.replace("http://127.0.0.1:8099", self.server.url)
        assert url.startswith(self.server.url)
        body = given.body.encode() if given.body else None
        headers = dict(each.split(": ") for each in given.headers)
        with urlopen(Request(url, body, headers, method=given.method)) as answer:  # noqa: S310
            assert answer.status < 300

    def check_export(self, words: list[str]) -> None:
        """Connections are complete, and options are known."""
        for name, value in (each.split("=", 1) for each in words):
            if name.startswith("AIRFLOW_CONN_"):
                self.monkeypatch.setenv(name, value)
                hook = HOOKS[json.loads(value)["conn_type"]]
                assert hook(name.removeprefix("AIRFLOW_CONN_").lower()).place()
            elif name != "AIRFLOW_HOME":
                (section, option) = re.findall(r"^AIRFLOW__(\w+?)__(\w+)$", name)[0]
                assert known(section.lower(), option.lower()), name
