"""The demo's pictures, each with a caption whose figures were measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors

from isthmus import plots
from isthmus import report as pages
from isthmus.demo.experiment import (
    DARKEST,
    MAP_UNITS,
    NOISE,
    UNITS,
    Array,
    Coder,
    Digits,
    Linear,
    Trained,
    rmse,
)
from isthmus.report import Html

Record = Mapping[str, Any]
GREY: dict[str, Any] = {"limits": (0, DARKEST), "cmap": "gray_r"}
N_DRAWN = 30
SQUARE = (2.7, 2.4)


def reconstructions(trained: Sequence[Trained], digits: Digits, record: Record) -> Html:
    """The same digits as each way back gives them."""
    chosen = digits.test[digits.shown]
    lines = {"original": chosen}
    for name, coder in _coders(trained, digits).items():
        lines[name] = coder.reconstruct(chosen)
    kept = ", ".join(f"{each.name} {record[each.name]['r2']:.0%}" for each in trained)
    return pages.figure(
        [_lines(lines, "Ten held-out digits, and what each autoencoder and PCA give back")],
        "There and back.",
        f"On top ten held-out digits, beneath them what each is after the way through {UNITS} "
        f"numbers. Of the variance of all {len(digits.test)} held-out digits there comes back: "
        f"{kept}, PCA {record['pca']['r2']:.0%}.",
    )


def repairs(trained: Sequence[Trained], digits: Digits, record: Record) -> Html:
    """What comes back from corrupted digits: the denoising one was trained for them."""
    noisy, coders = digits.noisy[digits.shown], _coders(trained, digits)
    lines = {"original": digits.test[digits.shown], "corrupted": noisy}
    off = []
    for name in ("denoising", "usual", "contractive", "PCA"):
        lines[name] = coders[name].reconstruct(noisy)
        off.append(f"{name} {record[name.lower()]['repaired_rmse']:.2f}")
    return pages.figure(
        [_lines(lines, "Ten digits, the same with noise, and what comes back from these")],
        "Repair.",
        f"The same digits with noise of standard deviation {NOISE:g} (grey levels go from 0 to "
        f"{DARKEST}), and what comes back from them. The denoising one was trained to undo this "
        "noise; the others never met it. The root mean square error over all held-out digits is "
        f"{record['data']['noisy_rmse']:.2f} grey levels before, and after: {', '.join(off)}.",
    )


def samples(trained: Sequence[Trained], digits: Digits) -> Html:
    """New digits of the variational one, their nearest relatives, and real ones."""
    drawn = _stochastic(trained).model.sample(N_DRAWN, mean=True, random_state=0)
    real = digits.test[:N_DRAWN]
    near, near_real = _nearest(drawn, digits.train), _nearest(real, digits.train)
    panels = [
        _grid(drawn, 6, "drawn", f"{N_DRAWN} digits drawn from the variational autoencoder"),
        _grid(near, 6, "nearest in training", "The training digit nearest to each of them"),
        _grid(real, 6, "real", f"{N_DRAWN} held-out digits"),
    ]
    return pages.figure(
        panels,
        "New digits.",
        f"Drawn: {UNITS} numbers from a standard normal, decoded to the image that is expected "
        "for them. The variational one can do this because its objective pulls the codes of data "
        "towards that normal. Nearest in training: the digit that each drawn one is most like; "
        f"they differ by {rmse(drawn, near):.1f} grey levels (root mean square), and the real "
        f"held-out digits from their own nearest ones by {rmse(real, near_real):.1f}. An expected "
        "image leaves the pixels' noise out, and may lie between two classes.",
        least="16rem",
        most="22rem",
    )


def maps(trained: Sequence[Trained], digits: Digits, record: Record) -> Html:
    """The held-out digits on each one's plane."""
    planes: dict[str, Coder] = {each.name: each.map for each in trained}
    planes["PCA"] = Linear(digits.train, MAP_UNITS)
    panels = []
    for name, plane in planes.items():
        hits = record[name.lower()]["map"]["one_nn_accuracy"]
        alt = f"Map of the held-out digits by {name}, coloured by class"
        draw = _mapped(plane.transform(digits.test), digits.test_classes)
        panels.append(_panel(draw, SQUARE, f"{name}, 1-NN {hits:.0%}", alt))
    panels.append(_decoded(_stochastic(trained).map))
    return pages.figure(
        panels,
        "Maps.",
        f"The same networks with {MAP_UNITS} units in place of {UNITS}. Every dot is a held-out "
        "digit, placed by its code and coloured by its class, which no network was told; a "
        "numeral stands at the median of its class. 1-NN is how often the nearest training digit "
        "on the map is of the same class. The last picture is the variational one's plane, "
        "decoded at evenly spaced quantiles of the standard normal.",
        least="16rem",
        most="22rem",
    )


def learning(trained: Sequence[Trained]) -> Html:
    """The curves of the four trainings, on one scale."""
    epochs = [epoch for each in trained for epoch in each.model.history_]
    heights = [epoch.nll + epoch.kl for epoch in epochs]
    heights += [epoch.validation_nll for epoch in epochs if epoch.validation_nll is not None]
    # the first epochs would make all that follows flat
    low, high = np.quantile(heights, (0.0, 0.97))
    limits = (low - 0.05 * (high - low), high)

    def panel(each: Trained) -> Html:
        alt = f"nll by epoch of the {each.name} autoencoder, in training and held out"

        def draw(ax: Axes) -> None:
            plots.learning_curves(each.model.history_, ax).set_ylim(limits)

        return _panel(draw, (4.0, 2.2), each.name, alt)

    return pages.figure(
        [panel(each) for each in trained],
        "Learning curves.",
        "−log p in nats per image, for the digits that are trained on, and for a tenth of the "
        "training digits that is held out to choose the epoch whose weights are kept (the dot). "
        f"The variational one's curves include KL. {_last(trained)}",
        least="19rem",
        most="30rem",
    )


def _last(trained: Sequence[Trained]) -> str:
    """Where the denoising one's curves end."""
    last = next(each.model.history_[-1] for each in trained if each.name == "denoising")
    if last.validation_nll is None:
        return ""
    gap = last.nll - last.validation_nll
    return (
        "The denoising one learns on corrupted digits and is held out on clean ones: its training "
        f"curve ends {abs(gap):.1f} nats {'above' if gap > 0 else 'below'} the held-out one."
    )


# ---- what they share ----------------------------------------------------------------------------


def _coders(trained: Sequence[Trained], digits: Digits) -> dict[str, Coder]:
    coders: dict[str, Coder] = {each.name: each.model for each in trained}
    return coders | {"PCA": Linear(digits.train, UNITS)}


def _stochastic(trained: Sequence[Trained]) -> Trained:
    """The one whose codes can be drawn."""
    return next(each for each in trained if each.model.model_.encoder.stochastic)


def _nearest(images: Array, others: Array) -> Array:
    """For each image the nearest of the others."""
    index = NearestNeighbors(n_neighbors=1).fit(others.reshape(len(others), -1))
    found = index.kneighbors(images.reshape(len(images), -1), return_distance=False)
    nearest: Array = others[found[:, 0]]
    return nearest


def _mapped(codes: Array, classes: Array) -> Callable[[Axes], Axes]:
    return lambda ax: plots.code_map(codes, classes, ax, names="centre")


def _lines(lines: Mapping[str, Array], alt: str) -> Html:
    """Images in lines, each line with its name."""
    rows = np.concatenate(list(lines.values()))
    n = len(rows) // len(lines)

    def draw(ax: Axes) -> None:
        plots.images(rows, ax, n_columns=n, row_names=list(lines), **GREY)

    height = 0.1 + 3.0 * (9 * len(lines) - 1) / (9 * n - 1)
    return _panel(draw, (3.8, height), "", alt, ink=True)


def _decoded(model: Any) -> Html:
    """A grid of the plane, decoded."""
    levels = norm.ppf((np.arange(9) + 0.5) / 9)
    grid = np.array([(x, y) for y in levels[::-1] for x in levels])
    images = model.inverse_transform(grid)
    return _grid(images, 9, "variational, decoded", "The plane of two units, decoded")


def _grid(rows: Array, n_columns: int, title: str, alt: str) -> Html:
    def draw(ax: Axes) -> None:
        plots.images(rows, ax, n_columns=n_columns, **GREY)

    return _panel(draw, SQUARE, title, alt, ink=True)


def _panel(
    draw: Callable[[Axes], object],
    size: tuple[float, float],
    title: str,
    alt: str,
    ink: bool = False,
) -> Html:
    figure = Figure(figsize=size, layout="constrained")
    ax = figure.add_subplot()
    draw(ax)
    ax.set_title(title)
    return pages.drawing(figure, alt, ink=ink)
