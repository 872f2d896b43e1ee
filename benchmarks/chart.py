"""Two charts: how the contestants grow in a whole Airflow, and how near to the bound one task comes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from contestants import TITLES
from figures import bound, middle, of, wall
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = {"A": "#5b3fd1", "B": "#d1603f", "C": "#c9a227", "D": "#2f7d5b", "E": "#888888"}


def write_chart(results: Mapping[str, Any], folder: Path, name: str) -> list[Path]:
    """Draw both and return the files.

    :param results: as kept.
    :param folder: where to.
    :param name: of the files, without an ending.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.6), width_ratios=[1, 1.25])
    growth(left, results)
    distance(right, results)
    figure.tight_layout()
    files = [folder / f"{name}.svg", folder / f"{name}.png"]
    for file in files:
        figure.savefig(file, dpi=110, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)
    return files


def growth(axes: Axes, results: Mapping[str, Any]) -> None:
    """Wall time over projects in a whole Airflow.

    :param axes: to draw on.
    :param results: as kept.
    """
    for letter in "BCDA":
        points = sorted(
            (runs[0]["items"], middle(runs, wall))
            for each in results["airflow"]
            if each["job"] == "promote" and "100% changed" not in each["name"]
            if (runs := of(each["runs"], letter))
        )
        if points:
            axes.plot(
                *zip(*points, strict=True), "o-", color=COLOURS[letter], label=f"{letter}  {TITLES[letter]}"
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="projects, 20 % of them changed",
        ylabel="seconds, first task to last",
    )
    axes.set_title("Promotion in a whole Airflow, 20 ms per request", fontsize=11)
    axes.grid(visible=True, which="both", alpha=0.2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(fontsize=9, loc="center left")


def distance(axes: Axes, results: Mapping[str, Any]) -> None:
    """Wall time of A and D over the bound.

    :param axes: to draw on.
    :param results: as kept.
    """
    scenarios = [
        each
        for each in results["scenarios"]
        if not each["kill"] and not each["faulty"] and of(each["runs"], "A") and of(each["runs"], "D")
        if of(each["runs"], "A")[0]["items"] > 1
    ]
    for place, each in enumerate(scenarios):
        for offset, letter in ((0.2, "A"), (-0.2, "D")):
            runs = of(each["runs"], letter)
            least = bound(runs[0], each["switches"], results["in_flight"], None)
            value = middle(runs, wall) / least
            axes.barh(place + offset, value, 0.36, color=COLOURS[letter], label=letter if not place else None)
            axes.text(value, place + offset, f" {value:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(scenarios)), [each["name"] for each in scenarios], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="wall time ÷ bound (requests × latency ÷ 16)")
    axes.set_title("One task: how near to the bound", fontsize=11)
    axes.set_xlim(0.8, 1.4 * axes.get_xlim()[1])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(fontsize=9)
