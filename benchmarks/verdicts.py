"""Compare the measured data with the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from figures import bound, cpu, cpu_ms, middle, of, ratio, wall

Results = Mapping[str, Any]

MORE_THAN_D = (
    "What A does and D does not: it evaluates the values to come and the present ones against the schema to come, "
    "chooses the order of writes by that, plans everything before the first write, keeps lock, snapshot and status "
    "outside the task, and reports on every item. Its own modules, about a hundred, are loaded at the start."
)
LONG = 1.0
"""Seconds of D from which on a scenario is judged by the ratio; below, by the difference."""
STARTUP = 0.06
"""Seconds that A may take longer than D in a short scenario."""
CPU_BOUND = 0.7
"""Share of D's time from which on it is bound by its own core."""
MEANT = {"get connector": "before the first write, so that no number goes to a connector that is not there"}
"""Requests that A makes on purpose and D does not."""


@dataclass(frozen=True)
class Verdict:
    """One target.

    :param target: what was to be shown.
    :param measured: what was measured, as text.
    :param met: whether it was shown; ``None`` where this run did not measure it.
    :param why: for a missed one, what the data say of the cause.
    """

    target: str
    measured: str
    met: bool | None
    why: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return "not measured" if self.met is None else "met" if self.met else "**missed**"


def verdicts(results: Results) -> list[Verdict]:
    """Judge every target.

    :param results: as kept.
    """
    return [
        *_against_b(results),
        _wall_against_d(results),
        _start_against_d(results),
        _fast_against_d(results),
        _requests_against_d(results),
        _faults(results),
        _bound(results),
        _cpu(results),
        _memory(results),
        _parse_modules(results),
        _parse_time(results),
    ]


def _against_b(results: Results) -> Iterator[Verdict]:
    for what, figure, least in (("wall time", "wall", 100), ("worker slot-seconds", "slot_seconds", 150)):
        target = f"At 200 projects at least {least}x less {what} than B"
        found = [
            (each, value)
            for each in _promotions(results)
            if (value := ratio(each["runs"], "B", "A", lambda run, figure=figure: run[figure])) is not None
        ]
        measured = "; ".join(f"{each['name']}: {value:.0f}x" for each, value in found) or "–"
        judged = [(each, value) for each, value in found if of(each["runs"], "A")[0]["items"] == 200]
        if not judged:
            yield Verdict(target, measured, None)
            continue
        missed = [(each, value) for each, value in judged if value < least]
        yield Verdict(target, measured, not missed, tuple(_why_b(*each, figure, least) for each in missed))


def _why_b(scenario: Results, value: float, figure: str, least: int) -> str:
    a, b = (of(scenario["runs"], letter) for letter in "AB")
    of_a, of_b = (middle(runs, lambda run: run[figure]) for runs in (a, b))
    tasks = b[0]["task_instances"]
    return (
        f"{scenario['name']}: B spends {of_b:.1f} s over {tasks} task instances ({of_b / tasks:.2f} s each), "
        f"A {of_a:.1f} s in {a[0]['task_instances']}, so {value:.0f}x; "
        f"for the target A's would have to be {of_a * value / least:.1f} s"
    )


def _wall_against_d(results: Results) -> Verdict:
    target = f"Without faults, where D takes {LONG:g} s or more: wall time within 5 % of D"
    found = [
        (each, value)
        for each in _calm(results)
        if (value := ratio(each["runs"], "A", "D", wall)) is not None and _of_d(each) >= LONG
    ]
    if not found:
        return Verdict(target, "–", None)
    missed = [each for each, value in found if value > 1.05]
    worst, most = max(found, key=lambda pair: pair[1])
    measured = (
        f"{len(found) - len(missed)} of {len(found)} scenarios; median {median(value for _, value in found):.2f}, "
        f"worst {most:.2f} ({worst['name']})"
    )
    why = (*map(_why_d, missed), *([MORE_THAN_D] if missed else []))
    return Verdict(target, measured, not missed, why)


def _start_against_d(results: Results) -> Verdict:
    target = (
        f"Without faults, where D takes less than {LONG:g} s: at most {1000 * STARTUP:.0f} ms more than D"
    )
    found = [
        (each, middle(of(each["runs"], "A"), wall) - _of_d(each))
        for each in _calm(results)
        if of(each["runs"], "A") and of(each["runs"], "D") and _of_d(each) < LONG
    ]
    if not found:
        return Verdict(target, "–", None)
    missed = [each for each, more in found if more > STARTUP]
    worst, most = max(found, key=lambda pair: pair[1])
    measured = (
        f"{len(found) - len(missed)} of {len(found)} scenarios; "
        f"median {1000 * median(more for _, more in found):.0f} ms, worst {1000 * most:.0f} ms ({worst['name']})"
    )
    return Verdict(target, measured, not missed, tuple(map(_why_d, missed)))


def _fast_against_d(results: Results) -> Verdict:
    target = "With the extra [fast], where D is bound by its CPU for a second or more: at most 0.8x of D's wall time"
    found = [
        (each, value)
        for each in _calm(results)
        if (value := ratio(each["runs"], "A+", "D", wall)) is not None
        and _of_d(each) >= LONG
        and middle(of(each["runs"], "D"), cpu) >= CPU_BOUND * _of_d(each)
    ]
    if not found:
        return Verdict(target, "–", None)
    missed = [(each, value) for each, value in found if value > 0.8]
    measured = "; ".join(f"{each['name']}: {value:.2f}" for each, value in found)
    why = tuple(
        f"{each['name']}: {middle(of(each['runs'], 'A+'), lambda run: run['cpu']):.1f} s of CPU against "
        f"{middle(of(each['runs'], 'D'), lambda run: run['cpu']):.1f} s of D"
        for each, _ in missed
    )
    return Verdict(target, measured, not missed, why)


def _of_d(scenario: Results) -> float:
    return middle(of(scenario["runs"], "D"), wall)


def _why_d(scenario: Results) -> str:
    a, d = of(scenario["runs"], "A"), of(scenario["runs"], "D")
    more = middle(a, cpu) - middle(d, cpu)
    slower = middle(a, wall) - middle(d, wall)
    requests = middle(a, lambda run: run["requests"])
    return (
        f"{scenario['name']}: {ratio(scenario['runs'], 'A', 'D', wall):.2f}, {slower:+.2f} s with {more:+.2f} s of CPU "
        f"({1000 * more / requests:.2f} ms per request, imports included)"
    )


def _requests_against_d(results: Results) -> Verdict:
    found = [each for each in _calm(results) if of(each["runs"], "A") and of(each["runs"], "D")]
    more = [each for each in found if _requests(each, "A") - _meant(each) > _requests(each, "D")]
    measured = f"{len(found) - len(more)} of {len(found)} scenarios"
    why = tuple(
        f"{each['name']}: {_requests(each, 'A'):,.0f} instead of {_requests(each, 'D'):,.0f} ({_beyond(each)})"
        for each in more
    )
    target = (
        "Without faults not more requests than D, besides one look at the connectors per agent of an import"
    )
    return Verdict(target, measured, not more if found else None, why)


def _meant(scenario: Results) -> int:
    """The requests that A makes on purpose and D does not."""
    a, d = (of(scenario["runs"], letter)[0]["by_operation"] for letter in "AD")
    return sum(a.get(name, 0) - d.get(name, 0) for name in MEANT)


def _requests(scenario: Results, letter: str) -> float:
    return middle(of(scenario["runs"], letter), lambda run: run["requests"])


def _beyond(scenario: Results) -> str:
    """The operations that A asks for more often."""
    a, d = (of(scenario["runs"], letter)[0]["by_operation"] for letter in "AD")
    return ", ".join(
        f"{name} {count - d.get(name, 0):+d}{', ' + MEANT[name] if name in MEANT else ''}"
        for name, count in a.items()
        if count > d.get(name, 0)
    )


def _faults(results: Results) -> Verdict:
    target = "With faults no duplicate write and no wrong final state, where D shows some"
    found = [each for each in results["scenarios"] if each["faulty"]]
    if not found:
        return Verdict(target, "–", None)
    sums = {
        letter: [
            sum(run[name] for each in found for run in of(each["runs"], letter))
            for name in ("duplicate_writes", "wrong")
        ]
        for letter in "AD"
    }
    measured = ", ".join(
        f"{letter}: {twice} duplicate, {wrong} wrong" for letter, (twice, wrong) in sums.items()
    )
    met = not any(sums["A"]) and any(sums["D"])
    return Verdict(target, measured, met, () if met else (_why_faults(found, sums),))


def _why_faults(found: Sequence[Results], sums: Mapping[str, list[int]]) -> str:
    lost = sum(run["faults"].get("apply then reset", 0) for each in found for run in of(each["runs"], "D"))
    if not any(sums["A"]):
        return f"D shows none either; {lost} of its requests were applied and then reset"
    where = [
        f"{each['name']}: {sum(run['duplicate_writes'] for run in of(each['runs'], 'A'))} duplicate, "
        f"{sum(run['wrong'] for run in of(each['runs'], 'A'))} wrong"
        for each in found
        if any(run["duplicate_writes"] or run["wrong"] for run in of(each["runs"], "A"))
    ]
    return f"A: {'; '.join(where)}; of D's requests {lost} were applied and then reset"


def _bound(results: Results) -> Verdict:
    target = "5,000 unchanged projects at 100 ms, 16 in flight: within 1.10x of the bound"
    scenario, runs = _judged(results)
    if scenario is None:
        return Verdict(target, "–", None)
    least = bound(runs[0], scenario["switches"], results["in_flight"], None)
    value = middle(runs, wall) / least
    measured = f"{value:.2f}x ({middle(runs, wall):.1f} s of {least:.1f} s, {runs[0]['items']:,} projects)"
    bare = middle(of(scenario["runs"], "bare"), wall) / least
    why = f"bare requests alone take {bare:.2f}x; A uses {middle(runs, cpu):.1f} s of CPU"
    met = value <= 1.10 if runs[0]["items"] == 5_000 else None
    return Verdict(target, measured, met, (why,) if met is False else ())


def _cpu(results: Results) -> Verdict:
    target = "With the extra [fast] at most 0.7 ms of CPU per unchanged project"
    scenario, runs = _judged(results)
    fast = of(scenario["runs"], "A+") if scenario else []
    if scenario is None or not fast:
        return Verdict(target, "–", None)
    value, bare = middle(fast, cpu_ms), middle(of(scenario["runs"], "bare"), cpu_ms)
    measured = (
        f"{value:.2f} ms ({middle(runs, cpu_ms):.2f} without the extra, {bare:.2f} for the bare httpx request; "
        f"{runs[0]['items']:,} projects)"
    )
    met = value <= 0.7 if runs[0]["items"] == 5_000 else None
    why = ("besides the request: planning, comparing and reporting a project",)
    return Verdict(target, measured, met, why if met is False else ())


def _memory(results: Results) -> Verdict:
    target = "At most 250 MB at 100,000 numbers and at 5,000 changed projects"
    most = [run for job in ("numbers", "promote") if (run := _largest(results, job)) is not None]
    if not most:
        return Verdict(target, "–", None)
    measured = "; ".join(
        f"{run['peak_mb']:.0f} MB at {run['items']:,} items, of which {run['start_mb']:.0f} before the task"
        for run in most
    )
    is_full = [run["items"] for run in most] == [100_000, 5_000]
    met = all(run["peak_mb"] <= 250 for run in most) if is_full else None
    grown = [1024 * (run["peak_mb"] - run["start_mb"]) / run["items"] for run in most]
    why = tuple(f"{kilobytes:.1f} kB per item" for kilobytes in grown)
    return Verdict(target, measured, met, why if met is False else ())


def _largest(results: Results, job: str) -> Mapping[str, Any] | None:
    found = [
        run
        for each in results["scenarios"]
        if each["job"] == job
        for run in of(each["runs"], "A")
        if run.get("peak_mb")
    ]
    return max(found, key=lambda run: (run["items"], run["peak_mb"]), default=None)


def _parse_modules(results: Results) -> Verdict:
    costs = [job["A"] for job in results["parse"].values()]
    most = max((cost["modules"] for cost in costs), default=None)
    met = None if most is None else most <= 30
    return Verdict("At most 30 modules beyond airflow.sdk at DAG parse", f"{most}", met)


def _parse_time(results: Results) -> Verdict:
    costs = [job["A"] for job in results["parse"].values()]
    most = max((cost["seconds"] for cost in costs), default=None)
    target = "At most 50 ms beyond airflow.sdk at DAG parse"
    return (
        Verdict(target, "–", None) if most is None else Verdict(target, f"{1000 * most:.0f} ms", most <= 0.05)
    )


def _promotions(results: Results) -> list[Results]:
    return [each for each in results["airflow"] if each["job"] == "promote"]


def _calm(results: Results) -> list[Results]:
    return [each for each in results["scenarios"] if not each["faulty"] and not each["kill"]]


def _judged(results: Results) -> tuple[Results | None, list[Any]]:
    """The scenario beside which the bare requests were measured, and A's runs of it."""
    for each in results["scenarios"]:
        if of(each["runs"], "bare") and of(each["runs"], "A"):
            return each, of(each["runs"], "A")
    return None, []
