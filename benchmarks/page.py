"""The page about the results: verdicts, tables, method; everything on it is computed from what was kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contestants import TITLES
from figures import PUSH, bound, busy, cpu_ms, middle, of, per_item, spread, verbs, wall
from verdicts import verdicts

Results = Mapping[str, Any]
ALL = [*TITLES, "bare"]
BUSY = 0.7
"""Share of its core from which on the server may have held a contestant up."""
COMPARED = (
    ("wall", wall, "s"),
    ("CPU", cpu_ms, "ms per item"),
    ("peak memory", lambda run: run["peak_mb"], "MB"),
    ("requests", lambda run: run["requests"], "in all"),
)


ELSEWHERE = (
    "- A chunked fleet of 5,000 over two workers and in one task: [production](../../docs/production.md).",
    "- One rate limit for four processes: [rate limits](../../docs/rate-limits.md#measurements).",
    "- Locks and snapshots of 5,000 targets on a disk and in S3, and the status page with them:",
    "  [README](../README.md#measured-by-scripts-of-their-own).",
)


def write_page(results: Results, folder: Path, name: str) -> str:
    """Write page and chart, and return the page.

    :param results: as kept.
    :param folder: where to.
    :param name: of the files, without an ending.
    """
    from chart import write_chart

    write_chart(results, folder, name)
    text = "\n".join(lines(results, name)) + "\n"
    (folder / f"{name}.md").write_text(text)
    return text


def lines(results: Results, name: str) -> Iterator[str]:
    """Give the page line by line.

    :param results: as kept.
    :param name: of the files, without an ending.
    """
    yield from (f"# Benchmark results ({results['mode']})", "", *_machine(results), "")
    yield from (f"![Charts]({name}.png)", "", "## Verdicts", "", *_verdicts(results), "")
    yield from ("## In a whole Airflow", "", *_airflow(results), "")
    yield from ("## One task in a process of its own", "", *_scenarios(results), "")
    yield from ("## With faults", "", *_faulty(results), "")
    yield from ("## Killed half-way, then run again", "", *_killed(results), "")
    yield from ("## DAG files", "", *_parse(results), "")
    yield from ("## Where the others are better", "", *_lost(results), "")
    yield from ("## Measured by scripts of their own", "", *ELSEWHERE, "")
    yield from ("## Method", "", *_method(results))


def _machine(results: Results) -> Iterator[str]:
    machine, ceiling = results["machine"], results["ceiling"]
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("apache-airflow", "apache-airflow-providers-http", "httpx")
    )
    yield (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"Python {machine['python']}, {versions}; load before the run {machine['load_before']}. "
        f"Took {results['minutes']:.1f} minutes."
    )
    if machine["load_before"] > 0.5:
        yield ""
        yield "**The machine was not idle, so seconds are provisional; counts and ratios of one moment are less so.**"
    yield ""
    yield (
        f"The server's own ceiling: {ceiling['requests_per_second']:,.0f} requests a second "
        f"({1000 * ceiling['server_cpu_per_request']:.2f} ms of its CPU per read)."
    )


def _verdicts(results: Results) -> Iterator[str]:
    judged = verdicts(results)
    yield from table(
        ["Target", "Verdict", "Measured"], [(each.target, each.word, each.measured) for each in judged]
    )
    for each in (each for each in judged if each.why):
        yield from ("", f"{each.target}, missed because:", "", *(f"- {why}" for why in each.why))


def _airflow(results: Results) -> Iterator[str]:
    heads = ["Job", "", "Task instances", "Wall s", "Slot-seconds", "Seconds per item", "Requests"]
    heads += ["Written twice", "Wrong"]
    rows = []
    for each in results["airflow"]:
        for letter in present(each):
            runs = of(each["runs"], letter)
            rows.append(
                [
                    each["name"],
                    letter,
                    f"{runs[0]['task_instances']:,}",
                    spread(runs, wall),
                    spread(runs, lambda run: run["slot_seconds"]),
                    f"{middle(runs, wall) / runs[0]['items']:.3f}",
                    verbs(runs[0]["by_verb"]),
                    total(runs, "duplicate_writes"),
                    total(runs, "wrong"),
                ]
            )
    yield from table(heads, rows)
    for each in results["airflow"]:
        yield from (f"\n{each['name']}, {one['who']}: {one['error']}" for one in each["failures"])


def _scenarios(results: Results) -> Iterator[str]:
    heads = [
        "Job",
        "",
        "Wall s",
        "Bound s",
        "Wall ÷ bound",
        "CPU ms per item",
        "Peak MB",
        "Requests",
        "Floor",
    ]
    heads += ["Requests per item", "Server busy"]
    rows = []
    for each in results["scenarios"]:
        if each["faulty"] or each["kill"]:
            continue
        for letter in present(each):
            rows.append(_scenario_row(results, each, letter))
        rows += _push_row(each)
    yield from table(heads, rows)


def _scenario_row(results: Results, scenario: Results, letter: str) -> list[str]:
    runs = of(scenario["runs"], letter)
    least = bound(runs[0], scenario["switches"], results["in_flight"], None)
    loaded = middle(runs, busy)
    return [
        scenario["name"],
        letter,
        spread(runs, wall),
        f"{least:.2f}",
        f"{middle(runs, wall) / least:.2f}",
        spread(runs, cpu_ms),
        f"{middle(runs, lambda run: run['peak_mb']):.0f}",
        verbs(runs[0]["by_verb"]),
        verbs(runs[0]["floor"]),
        f"{middle(runs, per_item):.3f}",
        f"{loaded:.0%}" + (" (!)" if loaded > BUSY else ""),
    ]


def _push_row(scenario: Results) -> list[list[str]]:
    """What the vendor's command line would send for the same."""
    if scenario["job"] != "promote":
        return []
    count = scenario["runs"][0]["items"]
    sent = f"{PUSH['requests'] * count:,}, of which {PUSH['writes'] * count:,} writes"
    floor = verbs(scenario["runs"][0]["floor"])
    blank = ["–"] * 5
    return [[scenario["name"], "CLI (documented)", *blank, sent, floor, f"{PUSH['requests']:.3f}", "–"]]


def _faulty(results: Results) -> Iterator[str]:
    heads = ["Job", "", "Runs", "Wall s", "Requests", "Tries", "Written twice", "Wrong", "Ended in failure"]
    rows = []
    for each in (each for each in results["scenarios"] if each["faulty"]):
        for letter in present(each):
            runs = of(each["runs"], letter)
            rows.append(
                [
                    each["name"],
                    letter,
                    str(len(runs)),
                    spread(runs, wall),
                    spread(runs, lambda run: run["requests"], 0),
                    spread(runs, lambda run: run["tries"], 0),
                    total(runs, "duplicate_writes"),
                    total(runs, "wrong"),
                    str(sum(run["states"] != ["success"] for run in runs)),
                ]
            )
    yield from table(heads, rows)


def _killed(results: Results) -> Iterator[str]:
    heads = [
        "Job",
        "",
        "Runs",
        "Left to do",
        "Seconds to the end",
        "Requests",
        "Writes",
        "Written twice",
        "Wrong",
    ]
    rows = []
    for each in (each for each in results["scenarios"] if each["kill"]):
        for letter in present(each):
            runs = of(each["runs"], letter)
            rows.append(
                [
                    each["name"],
                    letter,
                    str(len(runs)),
                    spread(runs, lambda run: run["left_wrong"], 0),
                    spread(runs, wall),
                    spread(runs, lambda run: run["requests_again"], 0),
                    spread(runs, lambda run: run["writes_again"], 0),
                    total(runs, "duplicate_writes"),
                    total(runs, "wrong"),
                ]
            )
    yield from table(heads, rows)


def _parse(results: Results) -> Iterator[str]:
    heads = ["Job", "", "Lines a user writes", "Modules beyond airflow.sdk", "Parse ms", "Serialised bytes"]
    rows = [
        [
            job,
            letter,
            str(cost["lines"]),
            str(cost["modules"]),
            f"{1000 * cost['seconds']:.0f}",
            f"{cost['bytes']:,}",
        ]
        for job, costs in results["parse"].items()
        for letter, cost in costs.items()
    ]
    yield from table(heads, rows)


def _lost(results: Results) -> Iterator[str]:
    found = list(_lost_cases(results))
    yield from (f"- {case}" for case in found)
    if not found:
        yield "Nowhere in this run."


def _lost_cases(results: Results) -> Iterator[str]:
    for each in results["scenarios"]:
        a = of(each["runs"], "A")
        if not a or each["kill"]:
            continue
        for letter in (letter for letter in present(each) if letter[0] in "DE"):
            other = of(each["runs"], letter)
            worse = [
                f"{what} {middle(a, figure):.2f} against {middle(other, figure):.2f} {unit}"
                for what, figure, unit in COMPARED
                if middle(a, figure) > 1.05 * middle(other, figure)
            ]
            if worse:
                yield f"{each['name']}, {letter}: {'; '.join(worse)}"


def _method(results: Results) -> Iterator[str]:
    yield from (f"- {letter}: {title}" for letter, title in TITLES.items())
    yield (
        "- bare: httpx and json, the same reads, nothing else. CLI: the vendor's command line cannot be installed "
        "beside Airflow; its documented requests are counted, 5 per push, 2 of them writes, changed or not."
    )
    yield ""
    yield (
        "Each run is a fresh process against a server that starts over from the same seed; contestants take turns "
        "within each repeat, and ratios are medians of the repeats' own ratios. The server runs in a process of its "
        "own. *Bound* is requests × mean latency ÷ requests in flight "
        f"({results['in_flight']}; 1 for E). CPU is that of the task, without the start of Python and Airflow. "
        "Bytecode is kept between processes, as it is for whatever pip has installed. "
        "Numbers in brackets are least and most. *Written twice* counts writes applied more than once with the same "
        "content, *wrong* the items whose final state is not the one computed from the seed. With faults: 0.5 % 503, "
        "0.2 % applied and then reset, 2 % of the items of batches failed, and 429 with Retry-After beyond "
        f"{results['rate']:.0f} requests a second; other draws in each repeat, the same for all. A failed try is "
        "repeated up to three times, as `retries=3` does."
    )
    yield ""
    yield (
        "In a whole Airflow there are 4 worker slots, LocalExecutor and SQLite on the same machine; every DAG runs "
        "once before. Slot-seconds are the durations of the task instances; for deferrable ones, whose durations "
        "include the time without a slot, the running ones are counted every 0.1 s."
    )


def present(scenario: Results) -> list[str]:
    """Return who took part, in order.

    :param scenario: measured.
    """
    return [letter for letter in ALL if of(scenario["runs"], letter)]


def total(runs: Iterable[Mapping[str, Any]], name: str) -> str:
    """Return the sum of a count over the runs.

    :param runs: of a contestant.
    :param name: of the count.
    """
    return f"{sum(run[name] for run in runs):,}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Give a table in Markdown.

    :param heads: of the columns.
    :param rows: of cells.
    """
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
