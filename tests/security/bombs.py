"""Input that was made to stop whoever reads it, and what each of them costs.

``python tests/security/bombs.py`` lights each bomb in a process of its own and prints a table; ``test_hangs.py``
asserts what becomes of each.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_voice_agents.plans.decoding import LIMITS, decode_json, decode_yaml
from airflow_voice_agents.polyai.models import ConfigPage
from airflow_voice_agents.polyai.resources import schema_process
from airflow_voice_agents.polyai.resources.config_page import (
    UNSET,
    ConfigPageKind,
    PageState,
    page,
    state_of,
)
from airflow_voice_agents.polyai.resources.page_schema import sensitive_patterns
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.json_body import OversizedBody, decode_body

MEGABYTE = 1024 * 1024
BOTH = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
"""This process, and the one that evaluates schemas."""


def page_of(rule: Mapping[str, Any], value: Any, **more: Any) -> PageState:
    """Return a page with one key, ``site``, under a rule."""
    return PageState({"type": "object", "properties": {"site": rule}, **more}, {"site": value})


def doubling(levels: int) -> dict[str, Any]:
    """Return definitions each of which refers to the next one twice."""
    names = [f"d{number}" for number in range(levels)]
    twice = {
        name: {"allOf": [{"$ref": f"#/definitions/{after}"}] * 2} for name, after in itertools.pairwise(names)
    }
    return {**twice, names[-1]: {"type": "object", "writeOnly": True}}


def nested_all_of(levels: int) -> dict[str, Any]:
    """Return a rule that is repeated in itself."""
    rule: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        rule = {"allOf": [rule, {"anyOf": [rule, rule]}]}
    return rule


def deep(levels: int) -> Any:
    """Return lists in each other."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def objects(number: int) -> list[dict[str, Any]]:
    """Return many objects that are alike."""
    return [{"number": place, "names": ["a", "b"]} for place in range(number)]


PAGES: Mapping[str, Callable[[], PageState]] = {
    "pattern": lambda: page_of({"pattern": "^(a+)+$"}, "a" * 50_000 + "b"),
    "names": lambda: page_of(
        {"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": False}, {"a" * 50_000 + "b": 1}
    ),
    "unique": lambda: page_of({"uniqueItems": True}, objects(20_000)),
    "references": lambda: page_of({"$ref": "#/definitions/d0"}, {}, definitions=doubling(40)),
    "all of": lambda: page_of(nested_all_of(8), 1),
    "enum": lambda: page_of({"items": {"enum": objects(4_000)}}, objects(4_000)[-1:] * 4_000),
    "patterns": lambda: page_of(
        {"patternProperties": {f"(\\pL{{10}}){{8}}x{{{number}}}": {} for number in range(900)}}, {"b": 1}
    ),
    "lists": lambda: page_of({"uniqueItems": True}, [[[number]] for number in range(500_000)]),
}
"""Config pages that nobody should evaluate in good faith."""

YAML = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 11)]
)[:578]
"""Aliases of aliases: 578 bytes."""


def plan(name: str) -> str:
    """Return the findings about a page that is to become as hostile as this one of :data:`PAGES`."""
    item = ConfigPageKind().item(page("hotel", "live"), UNSET, PAGES[name]())
    return "; ".join(finding.message for finding in item.findings) or "planned"


def plan_deep(levels: int) -> str:
    """Return the findings about a page that is as deep as this."""
    body = decode_body(b'{"v":' + b"[" * levels + b"]" * levels + b"}")
    now = state_of(ConfigPage(client_env="live", variables=body))
    item = ConfigPageKind().plan(page("hotel", "live"), None, now)
    return "; ".join(finding.message for finding in item.findings)


def refused(read: Callable[[], Any]) -> str:
    """Return the error that an input is refused with."""
    try:
        read()
    except (InputError, OversizedBody) as error:
        return str(error)
    return "read"


def _zeros() -> Any:
    import fsspec

    from airflow_voice_agents.state.files import read_limited

    return read_limited(fsspec.filesystem("file"), "/dev/zero", LIMITS.size, where="/dev/zero")


@dataclass(frozen=True)
class Bomb:
    """One bomb.

    :param light: reads it, and returns what became of it.
    :param said: what that must hold.
    """

    light: Callable[[], str]
    said: str


BOMBS: Mapping[str, Bomb] = {
    "page: pattern `^(a+)+$`, 50,000 characters": Bomb(lambda: plan("pattern"), "breaks rule 'pattern'"),
    "page: names by pattern, 50,000 characters": Bomb(lambda: plan("names"), "does not know"),
    "page: `uniqueItems`, 20,000 objects": Bomb(lambda: plan("unique"), "planned"),
    "page: chain of 40 `$ref`s, each twice": Bomb(lambda: plan("references"), "within 200,000 steps"),
    "page: `allOf` and `anyOf` in each other, 8 levels": Bomb(lambda: plan("all of"), "breaks rule"),
    "page: `enum` of 4,000 objects for 4,000 items": Bomb(lambda: plan("enum"), "of computing time"),
    "page: 900 patterns of 80 letters of any script": Bomb(lambda: plan("patterns"), "of computing time"),
    "page: `uniqueItems`, 500,000 lists of lists": Bomb(lambda: plan("lists"), "MB of memory"),
    "page: secrets behind 40 `$ref`s, each twice": Bomb(
        lambda: str(sensitive_patterns(PAGES["references"]().schema)), "('site',)"
    ),
    "page: 250 levels": Bomb(lambda: plan_deep(250), "hotel/live is nested deeper than 100 levels"),
    "answer: 100,000 levels": Bomb(lambda: refused(lambda: plan_deep(100_000)), "nested too deeply"),
    "answer: 30 MiB of `[]`": Bomb(
        lambda: refused(lambda: decode_body(b"[" + b"[]," * (10 * MEGABYTE) + b"[]]")), "3,000,000 values"
    ),
    "file: YAML, 578 bytes of aliases": Bomb(
        lambda: refused(lambda: decode_yaml(YAML, where="spec.yaml")),
        "spec.yaml is not YAML that can be read",
    ),
    "file: `/dev/zero`": Bomb(lambda: refused(_zeros), "/dev/zero is a device or a pipe"),
    "file: 30 MiB of `[]`": Bomb(
        lambda: refused(lambda: decode_json("[" + "[]," * (10 * MEGABYTE) + "[]]", where="spec.json")),
        "spec.json is not JSON that can be read",
    ),
    "file: JSON, 100,000 levels": Bomb(
        lambda: refused(lambda: decode_json("[" * 100_000 + "]" * 100_000, where="spec.json")),
        "more than 100 levels",
    ),
}


@dataclass(frozen=True)
class Damage:
    """What a bomb cost.

    :param said: what became of it.
    :param seconds: how long that took.
    :param computing: seconds of computing time of both processes, their start included.
    :param peak: MiB of memory at most, that of the process which evaluates schemas included.
    :param before: MiB of memory at most before.
    """

    said: str
    seconds: float
    computing: float
    peak: float
    before: float


def light(name: str, seconds: float = schema_process.SECONDS) -> Damage:
    """Light a bomb in a process of its own.

    :param name: which one.
    :param seconds: computing time of one evaluation, less in tests, which have no time.
    """
    run = subprocess.run(
        [sys.executable, __file__, name, str(seconds)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return Damage(**json.loads(run.stdout))


def _light_here(name: str, seconds: float) -> Damage:
    schema_process.PROCESS.seconds = seconds
    before = _peak(resource.RUSAGE_SELF)
    start = time.perf_counter()
    said = BOMBS[name].light()
    taken = time.perf_counter() - start
    schema_process.PROCESS.close()  # only what has ended is counted
    spent = sum(sum(resource.getrusage(each)[:2]) for each in BOTH)
    return Damage(said, taken, spent, sum(map(_peak, BOTH)), before)


def _peak(whose: int) -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * unit / MEGABYTE


def markdown() -> str:
    """Light all bombs, and return what they cost as a Markdown table."""
    lines = ["| Input | Time | Computing time | Peak memory | Result |", "|---|---|---|---|---|"]
    for name in BOMBS:
        damage = light(name)
        said = damage.said if len(damage.said) < 120 else damage.said[:119] + "…"
        said = said.replace("|", "\\|")
        times = f"{damage.seconds:.2f} s | {damage.computing:.2f} s"
        lines.append(f"| {name} | {times} | {damage.peak:.0f} MiB | {said} |")
    return "\n".join(lines)


HEADER = """
## Hostile input

A separate process reads each hostile input. *Time* is the time of reading alone, on a busy machine.
*Computing time* is the CPU time of the process and of the process that evaluates schemas, including the start
of Python. *Peak memory* is the maximum of both together ({before} MiB at the start).

The limits of a schema are {seconds:g} s of CPU time, {steps:,} steps and {memory} MB of memory.

"""

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_light_here(sys.argv[1], float(sys.argv[2])).__dict__))
    else:
        from airflow_voice_agents.polyai.resources.schema_keywords import STEPS

        idle = light("file: YAML, 578 bytes of aliases").before
        print(
            HEADER.format(
                before=round(idle),
                seconds=schema_process.SECONDS,
                steps=STEPS,
                memory=schema_process.MEGABYTES,
            )
            + markdown()
        )
