"""Reference pages that are made from the code: configuration, promotion specs, and the two tables of errors.

``python tests/support/reference_pages.py`` writes them into ``docs``.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import airflow_voice_agents
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.polyai.spec_schema import json_schema
from airflow_voice_agents.transport import errors

PACKAGE = Path(airflow_voice_agents.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
MEANINGS = tomllib.loads(Path(__file__).with_name("finding_codes.toml").read_text(encoding="utf-8"))
"""Finding code -> its meaning."""
HANDED_ON = {
    "diverged": "error, or warning with the override",
    "staging_held": "error, or warning with the override",
    "unknown_variant": "error or refused",
}
"""Codes that are not next to their severity in the code."""
BASES = (errors.VoiceAgentsError, errors.CallError, errors.ApiError)
"""Classes that are only caught, never raised."""
SEVERITIES = {"error": "error", "refused": "refused", "warning": "warning", "finding": "error or refused"}
"""Function that makes a finding -> severity."""


def pages() -> dict[str, str]:
    """Return the name of each page and its text."""
    return {
        "configuration.md": _configuration(),
        "errors.md": _errors(),
        "spec.md": _spec(),
    }


def _configuration() -> str:
    info: dict[str, Any] = get_provider_info()
    text = """# Configuration

This page lists the options of the section `[voice_agents]` in Airflow's configuration. Set an option in `airflow.cfg`,
or as an environment variable with the prefix `AIRFLOW__VOICE_AGENTS__`:

```sh
export AIRFLOW__VOICE_AGENTS__STATE_FOLDER=s3://aws_default@my-bucket/voice-agents
```

Workers, triggerers and the API server need the same values. [Connections](connections.md) describes the fields of
connections.

| Option | Default | Meaning | Example |
|---|---|---|---|
"""
    for name, option in info["config"]["voice_agents"]["options"].items():
        default = f"`{option['default']}`" if option["default"] else "empty"
        text += f"| `{name}` | {default} | {option['description']} | `{option['example']}` |\n"
    return text


# --------------------------------------------------------------------------------------------------- errors


def _errors() -> str:
    text = """# Errors and finding codes

This page lists the errors that a task can raise, and the codes of findings in plans.
[Troubleshooting](troubleshooting.md) says what to do about the most frequent ones.

## Errors

The classes are in `airflow_voice_agents.transport.errors`. If a retry cannot help, the task fails
at once, whatever its `retries`.

| Error | Retry helps | Meaning | Advice in the message |
|---|---|---|---|
"""
    for kind in _error_classes():
        retry = "no" if kind.permanent else "yes"
        advice = str(getattr(kind, "advice_default", "")) or "–"
        text += f"| `{kind.__name__}` | {retry} | {_first_sentence(kind)} | {advice} |\n"
    text += """
A request error shows the operation, the reason, the HTTP method and path, the status, the platform's error code, and
the correlation id. The attributes of the exception have the same data: `operation`, `reason`, `method`, `route`,
`status`, `error_code`, `correlation_id` and `retry_after`.

## Finding codes

A plan shows findings as `✗ code: message` or `i code: message`. An `error` stops the run before its first write,
`refused` leaves out one item, and a `warning` is only shown.

| Code | Severity | Meaning |
|---|---|---|
"""
    for code, severities in sorted(finding_codes().items()):
        text += f"| `{code}` | {', '.join(sorted(severities))} | {MEANINGS[code]} |\n"
    return text


def _error_classes() -> Iterator[type[errors.VoiceAgentsError]]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.VoiceAgentsError) and value not in BASES:
            yield value


def _first_sentence(kind: type) -> str:
    first, *_ = (kind.__doc__ or "").split("\n\n")
    return " ".join(first.split()).replace("``", "`")


@cache
def finding_codes() -> dict[str, set[str]]:
    """Return code -> severities, as the modules of the provider write them."""
    found: dict[str, set[str]] = defaultdict(set)
    for code, severity in HANDED_ON.items():
        found[code].add(severity)
    for path in PACKAGE.rglob("*.py"):
        if "emulator" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                code = getattr(node.args[0], "value", None)
                if name in SEVERITIES and isinstance(code, str) and re.fullmatch("[a-z_]+", code):
                    found[code].add(SEVERITIES[name])
    return dict(found)


# ----------------------------------------------------------------------------------------------------- spec


def _spec() -> str:
    document = json_schema()
    text = """# Promotion spec

This page lists all keys of a promotion spec. The [guide](promotion.md#write-the-spec) has a complete example.
Unknown keys are refused.
"""
    text += _section("The spec", document, document)
    for name, definition in document["$defs"].items():
        if "properties" in definition:
            text += _section(name.removesuffix("Spec"), definition, document)
    return text


def _section(title: str, definition: dict[str, Any], document: dict[str, Any]) -> str:
    text = f"\n## {title}\n\n{definition.get('description', '')}\n\n"
    text += "| Key | Type | Default | Meaning |\n|---|---|---|---|\n"
    required = definition.get("required", ())
    for name, each in definition["properties"].items():
        default = "required" if name in required else f"`{json.dumps(each.get('default'))}`"
        if "default" not in each and name not in required:
            default = "`{}`" if each.get("type") == "object" else "–"
        said = str(each.get("description", "")).replace("None", "`null`")
        meaning = said[:1].upper() + said[1:]
        text += f"| `{name}` | {_type(each, document)} | {default} | {meaning} |\n"
    return text


def _type(each: dict[str, Any], document: dict[str, Any]) -> str:
    if "anyOf" in each:
        return " or ".join(_type(one, document) for one in each["anyOf"] if one.get("type") != "null")
    if "$ref" in each:
        name = each["$ref"].rpartition("/")[2]
        found = document["$defs"][name]
        short = name.removesuffix("Spec")
        return f"[{short}](#{short.lower()})" if "properties" in found else _type(found, document)
    if "enum" in each:
        return ", ".join(f"`{one}`" for one in each["enum"])
    if each.get("type") == "array":
        return f"list of {_type(each.get('items', {}), document)}"
    if each.get("type") == "object":
        return "mapping"
    return str(each.get("type", "any"))


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
