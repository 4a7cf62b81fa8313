"""The report's pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from isthmus import plots
from isthmus import report as pages
from isthmus.comparison.judges import JUDGES
from isthmus.plots import COLORS
from isthmus.report import Html

Array = NDArray[Any]
Record = Mapping[str, Any]
GREY = "#808080"
MARKERS = ("o", "s", "^")
MOST_BARS = 24
N_IMAGES = 8
LINE = 0.34
LEAST = -0.5


@dataclass(frozen=True, eq=False)
class Map:
    """The test rows in the plane.

    Attributes:
        name: What made the map.
        codes: Places, (n, 2).
        neighbours: Accuracy or R² of the 10 nearest on the map; None without labels.
    """

    name: str
    codes: Array
    neighbours: float | None

    @property
    def figures(self) -> dict[str, Any]:
        """What the record says of it."""
        return {"name": self.name, "neighbours": self.neighbours}


def scores(record: Record) -> Html:
    """Each representation's score with each judge, and its difference from raw features."""
    return pages.figure(
        [_scores(record), _differences(record)],
        "Left, what the judges make of each representation; right, what it gains.",
        "Right: the difference from raw features on the same rows, each with its best judge "
        "(filled on the left), with simultaneous 95 % intervals. Right of the line is better; an "
        "interval that begins right of the dashed one, the margin, is as good (blue). Red is "
        "worse, and grey is open.",
        least="20rem",
        most="31rem",
    )


def _scores(record: Record) -> Html:
    found = record["representations"]
    measure = record["label"]["measure"]
    figure, ax = _lines(len(found))
    for place, name in enumerate(JUDGES):
        values = [each["judges"][name]["score"] for each in found.values()]
        chosen = [each["judge"] == name for each in found.values()]
        color = COLORS[(0, 6, 4)[place]]
        faces = [color if best else "none" for best in chosen]
        ax.scatter(
            values,
            range(len(found)),
            s=30,
            marker=MARKERS[place],
            facecolors=faces,
            edgecolors=color,
            linewidths=1.2,
            zorder=3,
        )
        ax.scatter([], [], s=30, marker=MARKERS[place], color=color, label=name)
    constant = record["label"]["constant_score"]
    low, high = ax.get_xlim()
    if low < constant < high:
        ax.axvline(constant, color=GREY, lw=0.8, ls=":")
    ax.set_yticks(range(len(found)), list(found))
    ax.set_xlabel(f"{measure} on test rows")
    ax.legend(
        frameon=False,
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        borderaxespad=0,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    return pages.drawing(figure, f"{measure} of each representation with each judge")


def _differences(record: Record) -> Html:
    others = {name: each for name, each in record["representations"].items() if name != "raw"}
    numeric = record["label"]["measure"] == "R²"
    unit = 1 if numeric else 100
    figure, ax = _lines(len(others) + 1)
    margin = record["settings"]["margin"] * unit
    ax.axvline(0, color=GREY, lw=1)
    ax.axvline(-margin, color=GREY, lw=0.8, ls="--")
    for place, each in enumerate(others.values(), 1):
        middle, low, high = (unit * value for value in each["difference"])
        color = COLORS[0] if low > -margin else COLORS[2] if high < 0 else GREY
        ax.plot([low, high], [place, place], color=color, lw=2, solid_capstyle="round")
        ax.plot(middle, place, "o", color=color, ms=5)
    ax.set_yticks(range(1, len(others) + 1), list(others))
    ax.set_xlabel("R² minus that of raw features" if numeric else "points more than raw features")
    return pages.drawing(figure, "Difference of each representation from raw features")


def _lines(count: int) -> tuple[Figure, Any]:
    """Axes with a line for each of some names, the first one on top."""
    figure = Figure(figsize=(4.6, 0.75 + LINE * count), layout="constrained")
    ax = figure.add_subplot()
    ax.set_ylim(count - 0.4, -0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(GREY)
    ax.tick_params(color=GREY)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color=GREY, alpha=0.25, lw=0.5)
    ax.set_axisbelow(True)
    return figure, ax


def maps(found: Sequence[Map], labels: Array | None, measure: str) -> Html:
    """The test rows in the plane, by label where they have one."""
    panels = []
    for each in found:
        figure = Figure(figsize=(3.7, 3.2), layout="constrained")
        ax = figure.add_subplot()
        plots.code_map(each.codes, labels, ax, names="centre")
        near = "" if each.neighbours is None else f", {_told(each.neighbours, measure)}"
        ax.set_title(each.name + near)
        panels.append(pages.drawing(figure, f"Map of the test rows by {each.name}"))
    words = (
        "Every dot is a test row. PCA's plane keeps the most variance; the other map is the code "
        "of an autoencoder of two units that keeps neighbours together (`Neighbours`), on which "
        "distances between far groups mean little."
    )
    if labels is not None:
        words += (
            " A dot's colour is its label, which neither map was told. The figure above a map is "
            f"what the 10 nearest training rows on it tell of the label ({measure})."
        )
    return pages.figure(panels, "Two numbers for each row.", words, least="17rem", most="27rem")


def _told(value: float, measure: str) -> str:
    return f"R² {value:.2f}" if measure == "R²" else f"{value:.0%}"


def returned_columns(record: Record, names: Sequence[str]) -> Html:
    """What comes back of each column through the usual code, beside PCA."""
    found = record["reconstruction"]
    usual, linear = (
        np.maximum(np.array(found[name]["each"], float), LEAST) for name in ("usual", "PCA")
    )
    known = np.flatnonzero(np.isfinite(usual))
    order = known[np.argsort(-usual[known], kind="stable")]
    cut = len(order) > MOST_BARS
    if cut:
        order = np.append(order[: MOST_BARS // 2], order[-MOST_BARS // 2 :])
    figure, ax = _lines(len(order))
    for place, j in enumerate(order):
        ax.plot([linear[j], usual[j]], [place, place], color=GREY, lw=0.8, zorder=1)
    ax.scatter(linear[order], range(len(order)), s=26, marker="s", color=COLORS[6], label="PCA")
    ax.scatter(usual[order], range(len(order)), s=26, color=COLORS[0], label="usual")
    lowest = float(np.nanmin([usual[order], linear[order]])) if len(order) else 0.0
    ax.set_xlim(min(0.0, lowest) - 0.03, 1.03)
    ax.set_yticks(range(len(order)), [_short(names[j]) for j in order])
    ax.set_xlabel("part that comes back")
    ax.legend(
        frameon=False,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        borderaxespad=0,
        handletextpad=0.2,
    )
    words = (
        "0 is no more than the column's mean, or its most frequent level; below it is less "
        f"(all that is below {LEAST:g} stands there). ".replace("-", "−")
        + ("The best and the worst columns. " if cut else "")
    )
    return pages.figure(
        [pages.drawing(figure, "What comes back of each column")],
        "Column by column.",
        words,
        most="34rem",
    )


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def returned_images(record: Record, given: Array, returned: Mapping[str, Array]) -> Html:
    """Images before and after, and where in them what comes back.

    Args:
        record: The figures.
        given: Test images (n, H, W) or (n, H, W, C), between 0 and 1 or 0 and 255.
        returned: The same after each code.
    """
    chosen = np.linspace(0, len(given) - 1, min(N_IMAGES, len(given))).astype(int)
    lines = {"given": given[chosen], **{name: rows[chosen] for name, rows in returned.items()}}
    low, high = float(given.min()), float(given.max())
    rows = np.clip(np.concatenate(list(lines.values())), low, high)
    colour = rows.ndim == 4 and rows.shape[3] == 3
    style: dict[str, Any] = {"limits": (low, high)} | ({} if colour else {"cmap": "gray"})
    figure = Figure(figsize=(5.0, 0.2 + 0.56 * len(lines)), layout="constrained")
    ax = figure.add_subplot()
    plots.images(rows, ax, n_columns=len(chosen), row_names=list(lines), **style)
    panels = [pages.drawing(figure, "Test images, and what comes back of them")]
    shape = given.shape[1:]
    each = np.array(record["reconstruction"]["usual"]["each"], float).reshape(shape)
    each = each.mean(-1) if each.ndim == 3 else each
    figure = Figure(figsize=(3.4, 2.9), layout="constrained")
    ax = figure.add_subplot()
    shown = ax.imshow(np.clip(each, 0, 1), cmap="viridis", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title("what comes back, by pixel (usual)")
    figure.colorbar(shown, ax=ax, shrink=0.8).outline.set_visible(False)
    panels.append(pages.drawing(figure, "The part of each pixel's variance that comes back"))
    return pages.figure(
        panels,
        "There and back.",
        "Left, test images and what comes back through each code; right, the part of each pixel's "
        "variance that does (a pixel that never varies is empty).",
        least="20rem",
        most="34rem",
    )
