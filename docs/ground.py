"""Data, models and cards of the pictures that `figures` draws.

A picture carries its own paper and ink, light or dark as the reader's system is.
"""

import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from isthmus import Autoencoder, Gaussian, plots
from isthmus.report import drawing_style

Array = NDArray[Any]
FOLDER = Path(__file__).parent / "figures"
DIGITS: dict[str, Any] = {"limits": (0, 16), "cmap": "gray_r"}
UNITS, NOISE = 8, 3.0
SIGMA = 0.08
CARD = """<style>:root{--ink:#1d2126;--paper:#fdfcf9}
@media (prefers-color-scheme:dark){:root{--ink:#e6e3dc;--paper:#1b1f25}}</style>"""
FIGURES: dict[str, Callable[[], Figure]] = {}


def picture(draw: Callable[[], Figure]) -> Callable[[], Figure]:
    """Keep a function under the name of its picture."""
    FIGURES[draw.__name__] = draw
    return draw


# ---- data and models ----------------------------------------------------------------------------


@cache
def digits() -> tuple[Array, Array, Array]:
    """1,297 images to train on, 500 held out and the classes of these."""
    data = load_digits()
    train, test, _, classes = train_test_split(
        data.images, data.target, test_size=500, stratify=data.target, random_state=0
    )
    return train, test, classes


@cache
def of_digits(n_units: int, **parts: Any) -> Autoencoder:
    """An autoencoder of the digits."""
    how: dict[str, Any] = {"hidden": (256, 128), "likelihood": "gaussian_shared", "batch_size": 64}
    return Autoencoder(n_units, random_state=0, **how, **parts).fit(digits()[0])


def spiral(n: int, noise: float = 0.0, seed: int | None = None) -> Array:
    """Points of a spiral in the square from −1 to 1; evenly spaced in order without a seed."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0.03, 1, n) if seed is None else rng.uniform(0.03, 1, n)
    angle = 3.5 * np.pi * np.sqrt(share)
    curve = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / (3.5 * np.pi)
    return curve + noise * rng.normal(size=curve.shape)


@cache
def of_spiral(**parts: Any) -> Autoencoder:
    """An autoencoder of the spiral with more units than columns, which no bottleneck shapes."""
    how: dict[str, Any] = {"hidden": (256,), "likelihood": Gaussian(1.0), "max_epochs": 300}
    how |= {"batch_size": 128, "learning_rate": 2e-3, "validation_fraction": 0}
    return Autoencoder(64, random_state=0, **how, **parts).fit(spiral(2000, 0.01, seed=0))


def panels(*sizes: float, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """Axes side by side, so many inches wide."""
    figure = Figure(figsize=(sum(sizes), height), layout="constrained")
    return figure, list(figure.subplots(1, len(sizes), width_ratios=sizes, squeeze=False)[0])


def lines_of(figures: dict[str, Array], width: float = 6.0) -> Figure:
    """Images in lines with names."""
    rows = np.concatenate(list(figures.values()))
    n = len(rows) // len(figures)
    figure = Figure(figsize=(width, 0.15 + 0.85 * width * len(figures) / n), layout="constrained")
    plots.images(rows, figure.add_subplot(), n_columns=n, row_names=list(figures), **DIGITS)
    return figure


# ---- drawing ------------------------------------------------------------------------------------


def as_card(svg: str) -> str:
    """A drawing on paper of its own, whose black and white follow the reader's system."""
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\n?", "", svg, flags=re.S)
    svg = svg.replace("#000000", "var(--ink)").replace("#ffffff", "var(--paper)")
    begin = svg.index(">", svg.index("<svg")) + 1
    paper = '<rect width="100%" height="100%" rx="6" fill="var(--paper)"/>'
    root = svg[:begin].replace("<svg", '<svg fill="var(--ink)"', 1)
    return f"{root}{CARD}{paper}{svg[begin:]}"


def draw(name: str) -> int:
    """Draw one picture; gives the size of its file."""
    stream = io.StringIO()
    settings = {"svg.fonttype": "path", "svg.hashsalt": "isthmus", "savefig.pad_inches": 0.12}
    with drawing_style(), matplotlib.rc_context(settings):
        figure = FIGURES[name]()
        for ax in figure.axes:
            for each in ax.collections:
                # so many dots or facets are smaller as pixels
                if ax.name != "3d" and len(each.get_offsets()) > 100:
                    each.set_rasterized(True)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(
            stream, format="svg", transparent=True, dpi=100, bbox_inches="tight", metadata=nothing
        )
    text = as_card(stream.getvalue())
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(text, encoding="utf-8")
    return len(text.encode())
