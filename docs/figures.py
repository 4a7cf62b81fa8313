"""Draws the pictures of the pages in this folder, into docs/figures: ``make figures``.

Data are scikit-learn's digits and curves that are made here. Each function draws one picture;
``python docs/figures.py denoising_field`` draws that one alone. See `ground` for what they share.
"""

import sys
from functools import cache
from typing import Any

import label_figures  # noqa: F401  # importing it registers its pictures
import map_figures  # noqa: F401  # importing it registers its pictures
import numpy as np
from ground import (
    DIGITS,
    FIGURES,
    NOISE,
    SIGMA,
    UNITS,
    digits,
    draw,
    lines_of,
    of_digits,
    of_spiral,
    panels,
    picture,
    spiral,
)
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.datasets import make_s_curve
from sklearn.decomposition import PCA

from isthmus import (
    Autoencoder,
    Balance,
    Contractive,
    Deterministic,
    Gaussian,
    GaussianNoise,
    NoisySigmoid,
    analysis,
    plots,
)

Array = NDArray[Any]

# ---- the usual one ------------------------------------------------------------------------------


@picture
def usual_manifold() -> Figure:
    """A curve and a surface that autoencoders bend, where PCA's stay straight."""
    figure = Figure(figsize=(8.2, 3.6))
    flat = figure.add_axes((0.08, 0.14, 0.36, 0.72))
    solid = figure.add_axes((0.5, 0.02, 0.48, 0.96), projection="3d")
    how: dict[str, Any] = {"hidden": (128, 128), "likelihood": Gaussian(1.0), "random_state": 0}
    how |= {"max_epochs": 400, "batch_size": 128, "learning_rate": 2e-3, "patience": 400}
    rng = np.random.default_rng(0)
    across = rng.uniform(-2, 2, 600)
    arc = np.stack([across, np.sin(2 * across)], axis=1) + 0.1 * rng.normal(size=(600, 2))
    one = Autoencoder(1, **how).fit(arc)
    codes = one.transform(arc)[:, 0]
    curve = one.inverse_transform(np.linspace(codes.min(), codes.max(), 200)[:, None])
    plots.manifold(arc, curve, flat)
    ess, _ = make_s_curve(2000, noise=0.05, random_state=0)
    two = Autoencoder(2, **how).fit(ess)
    turn, depth = np.meshgrid(np.linspace(-1.5, 1.5, 41) * np.pi, np.linspace(0, 2, 21))
    clean = np.stack([np.sin(turn), depth, np.sign(turn) * (np.cos(turn) - 1)], axis=-1)
    sheet = two.reconstruct(clean.reshape(-1, 3)).reshape(clean.shape)
    solid.view_init(12, -60)
    plots.manifold(ess[:150], sheet, solid)
    return figure


@picture
def usual_digits() -> Figure:
    """Held-out digits, and what PCA and the autoencoder give back from eight numbers."""
    train, test, _ = digits()
    pca = PCA(UNITS).fit(train.reshape(-1, 64))
    flat = test[:12].reshape(-1, 64)
    back = pca.inverse_transform(pca.transform(flat)).reshape(-1, 8, 8)
    return lines_of(
        {"digit": test[:12], "PCA": back, "autoencoder": of_digits(UNITS).reconstruct(test[:12])}
    )


@picture
def usual_map() -> Figure:
    """The plane of two units, and how its model was trained."""
    model, (_, test, classes) = of_digits(2), digits()
    figure, (left, right) = panels(3.8, 3.4)
    plots.code_map(model.transform(test), classes, left)
    plots.learning_curves(model.history_, right)
    return figure


# ---- the variational one ------------------------------------------------------------------------


@picture
def variational_map() -> Figure:
    """Codes without and with the pull towards a normal distribution, and the plane decoded."""
    _, test, classes = digits()
    figure, axes = panels(2.8, 2.8, 2.6, height=2.9)
    names = ("usual", "variational")
    models = (of_digits(2), of_digits(2, encoder="gaussian"))
    for ax, name, model in zip(axes[:2], names, models, strict=True):
        plots.code_map(model.transform(test), classes, ax, names="centre").set_title(name)
    levels = norm.ppf((np.arange(9) + 0.5) / 9)
    grid = np.array([(x, y) for y in levels[::-1] for x in levels])
    plots.images(models[1].inverse_transform(grid), axes[2], n_columns=9, **DIGITS)
    axes[2].set_title("variational, decoded")
    return figure


@picture
def variational_samples() -> Figure:
    """Digits drawn from the variational autoencoder beside real ones."""
    model = of_digits(UNITS, encoder="gaussian")
    figure, axes = panels(2.5, 2.5, 2.5, height=2.7)
    shown = {
        "drawn, mean": model.sample(36, mean=True, random_state=0),
        "drawn, with noise": model.sample(36, random_state=0),
        "held out": digits()[1][:36],
    }
    for ax, (name, rows) in zip(axes, shown.items(), strict=True):
        plots.images(rows, ax, n_columns=6, **DIGITS).set_title(name)
    return figure


# ---- the denoising one --------------------------------------------------------------------------


@picture
def denoising_field() -> Figure:
    """The spiral, and where a denoising autoencoder moves the points of the plane."""
    model = of_spiral(corruption=GaussianNoise(SIGMA))
    rows = spiral(80, 0.01, seed=1)
    noisy = rows + SIGMA * np.random.default_rng(1).normal(size=rows.shape)
    figure, (ax,) = panels(5.4, height=5.4)
    field = analysis.vector_field(model, -1.1, 1.1, n_per_axis=21)
    plots.denoising_field(field, ax, training=rows, corrupted=noisy, manifold=spiral(300))
    return figure


@picture
def denoising_digits() -> Figure:
    """Corrupted digits, and what comes back from them."""
    _, test, _ = digits()
    noisy = test[:12] + NOISE * np.random.default_rng(0).normal(size=(12, 8, 8))
    denoising = of_digits(UNITS, corruption=GaussianNoise(NOISE))
    lines = {"digit": test[:12], "corrupted": noisy}
    lines["denoising"] = denoising.reconstruct(noisy)
    lines["usual"] = of_digits(UNITS).reconstruct(noisy)
    return lines_of(lines)


@picture
def denoising_energy() -> Figure:
    """The energy along a straight line that crosses the spiral, and along the spiral."""
    model = of_spiral(corruption=GaussianNoise(SIGMA))
    straight = np.stack([np.linspace(-1, 0.8, 200), np.full(200, 0.05)], axis=1)
    along = spiral(400)[150:330]
    figure, (ax,) = panels(4.6)
    for name, path in (("straight, across the arms", straight), ("along the spiral", along)):
        energy = analysis.energy_difference(model, path)
        plots.energy_profile(energy, ax, path=path, label=name)
    return figure


# ---- the contractive one ------------------------------------------------------------------------


@cache
def tied(**parts: Any) -> Autoencoder:
    """One layer of 64 sigmoids with tied weights, as in Rifai et al. (2011)."""
    how: dict[str, Any] = {"encoder": Deterministic("sigmoid"), "hidden": (), "tied": True}
    how |= {"likelihood": "gaussian_shared", "learning_rate": 3e-3, "batch_size": 64}
    model = Autoencoder(64, validation_fraction=0, random_state=0, **how, **parts)
    return model.fit(digits()[0])


THREE: dict[str, dict[str, Any]] = {
    "usual": {},
    "denoising": {"corruption": GaussianNoise(NOISE)},
    "contractive": {"penalty": Contractive(1000.0)},
}


@picture
def contractive_trade_off() -> Figure:
    """What contraction costs: λ moves, for the penalty on f and the one on r."""
    _, test, _ = digits()
    figure, (ax,) = panels(4.6, height=3.3)
    ways = {"encoder": (100.0, 300.0, 600.0, 1000.0), "reconstruction": (1.0, 3.0, 10.0, 30.0)}
    for of, weights in ways.items():
        models = [tied(penalty=Contractive(each, of=of)) for each in weights]
        slopes = [analysis.jacobian(model, test, of="reconstruction") for model in models]
        norms = [np.square(each).sum((1, 2)).mean() for each in slopes]
        errors = [np.sqrt(np.square(model.reconstruct(test) - test).mean()) for model in models]
        plots.trade_off(norms, errors, weights, ax, label=f"Contractive(λ, of={of!r})")
    ax.set_xlabel("mean ‖∂r/∂x‖² on held-out digits")
    ax.set_ylabel("error of reconstruction (grey levels)")
    return figure


@picture
def contractive_spectrum() -> Figure:
    """Singular values of the encoder's Jacobian under three ways to learn."""
    _, test, _ = digits()
    figure, (ax,) = panels(4.6, height=3.3)
    for name, parts in THREE.items():
        space = analysis.tangent_space(tied(**parts), test, k=48)
        plots.spectrum(space.singular_values, ax, label=name)
    return figure


@picture
def contractive_tangents() -> Figure:
    """Held-out digits and the five directions in which the code moves most."""
    _, test, _ = digits()
    chosen, k = test[:6], 5
    figure, axes = panels(0.75, 3.4, 3.4, height=3.6)
    plots.images(chosen, axes[0], n_columns=1, **DIGITS).set_title("digit")
    for ax, name in zip(axes[1:], ("usual", "contractive"), strict=True):
        found = analysis.tangent_space(tied(**THREE[name]), chosen, k=k).directions
        most = float(np.quantile(np.abs(found), 0.99))
        images = found.reshape(-1, 8, 8)
        plots.images(images, ax, n_columns=k, limits=(-most, most)).set_title(f"tangents, {name}")
    return figure


# ---- the reconstruction-contractive one ---------------------------------------------------------


@picture
def reconstruction_fields() -> Figure:
    """The same field twice: from noise, and from a penalty with λ = σ²/2."""
    figure, axes = panels(3.6, 3.6, height=3.9)
    ways: dict[str, dict[str, Any]] = {
        f"noise, σ = {SIGMA}": {"corruption": GaussianNoise(SIGMA)},
        "penalty, λ = σ²/2": {"penalty": Contractive(SIGMA**2 / 2, of="reconstruction")},
    }
    for ax, (name, parts) in zip(axes, ways.items(), strict=True):
        field = analysis.vector_field(of_spiral(**parts), -1.1, 1.1, n_per_axis=18)
        plots.denoising_field(field, ax, manifold=spiral(300), scale=0.35)
        ax.legend_.remove()
        ax.set_title(name)
    return figure


@picture
def reconstruction_gap() -> Figure:
    """How far the two fields are apart on the spiral, as σ falls."""
    how: dict[str, Any] = {"hidden": (32,), "likelihood": Gaussian(1.0), "optimizer": "adam"}
    how |= {"batch_size": 300, "max_epochs": 400, "learning_rate": 2e-2, "precision": "float32"}
    model = Autoencoder(2, validation_fraction=0, random_state=0, **how)
    sigmas = (0.2, 0.1, 0.05)
    gap = analysis.denoising_contractive_gap(model, spiral(300, 0.01, 0), sigmas, n_copies=16)
    figure, (ax,) = panels(4.2)
    ax.plot(gap.sigmas, gap.gaps, "o-", color=plots.COLORS[0], label="measured")
    square = gap.gaps[0] * (gap.sigmas / gap.sigmas[0]) ** 2
    ax.plot(gap.sigmas, square, ":", color="#808080", label="proportional to σ²")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_yticks((0.002, 0.005, 0.01, 0.02), ("0.002", "0.005", "0.01", "0.02"))
    ax.set_xlabel("σ (data units)")
    ax.set_ylabel("distance of the fields (data units)")
    ax.set_xticks(sigmas, [f"{each:g}" for each in sigmas], minor=False)
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return figure


@picture
def reconstruction_tangents() -> Figure:
    """Tangent planes of a surface in three dimensions, as the reconstruction has learned it."""
    rows, _ = make_s_curve(2000, noise=0.05, random_state=0)
    how: dict[str, Any] = {"hidden": (128, 128), "likelihood": Gaussian(1.0), "max_epochs": 200}
    how |= {"batch_size": 128, "learning_rate": 2e-3, "validation_fraction": 0}
    model = Autoencoder(16, penalty=Contractive(0.01, of="reconstruction"), random_state=0, **how)
    model.fit(rows)
    turn, depth = np.meshgrid(np.linspace(-1.35, 1.35, 19) * np.pi, np.linspace(0.2, 1.8, 5))
    points = np.stack([np.sin(turn), depth, np.sign(turn) * (np.cos(turn) - 1)], axis=-1)
    points = points.reshape(-1, 3)
    space = analysis.tangent_space(model, points, k=2, of="reconstruction")
    figure = Figure(figsize=(4.6, 4.2))
    ax: Any = figure.add_axes((0, 0, 1, 1), projection="3d")
    ax.view_init(14, -60)
    plots.tangents(model.reconstruct(points), space, ax, data=rows[:600])
    return figure


# ---- the hashing one ----------------------------------------------------------------------------


BITS: dict[str, dict[str, Any]] = {
    "sigmoid": {"encoder": Deterministic("sigmoid")},
    "noisy sigmoid": {"encoder": NoisySigmoid(4.0)},
    "noisy sigmoid, balanced": {"encoder": NoisySigmoid(4.0), "penalty": Balance(1.0)},
}


@picture
def hashing_bits() -> Figure:
    """How near to 0 and 1 the units of three codes are, on held-out digits."""
    figure, axes = panels(2.5, 2.5, 2.5, height=2.3)
    for ax, (name, parts) in zip(axes, BITS.items(), strict=True):
        codes = of_digits(16, **parts).transform(digits()[1])
        weights = np.full(codes.size, 100 / codes.size)
        ax.hist(codes.ravel(), bins=20, range=(0, 1), weights=weights, color=plots.COLORS[0])
        ax.set_title(name)
        ax.set_ylim(0, 65)
        ax.set_xlabel("unit, before it is rounded")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share of codes (%)")
    return figure


@picture
def hashing_neighbours() -> Figure:
    """Held-out digits and the training digits whose bits differ least from theirs."""
    train, test, _ = digits()
    model = of_digits(16, **BITS["noisy sigmoid, balanced"])
    bits, known = (model.transform(rows) > 0.5 for rows in (test[:12], train))
    distance = (bits[:, None] != known).sum(2)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :4]
    lines = {f"nearest, {place + 1}": train[nearest[:, place]] for place in range(4)}
    return lines_of({"digit": test[:12], **lines})


# ---- the page on analysis -----------------------------------------------------------------------


@picture
def analysis_map() -> Figure:
    """All held-out digits on the plane, drawn as themselves."""
    _, test, _ = digits()
    figure, (ax,) = panels(4.8, height=4.8)
    codes = of_digits(2, encoder="gaussian").transform(test)
    plots.image_map(codes, test, ax, n_across=18, **DIGITS)
    return figure


@picture
def analysis_sensitivity() -> Figure:
    """Which pixels move the code, and which units answer most."""
    _, test, _ = digits()
    found = analysis.sensitivity(of_digits(UNITS), test)
    figure, (left, right) = panels(3.6, 3.0, height=2.9)
    label = "‖∂f/∂xⱼ‖ (code units per std)"
    plots.sensitivity(found.scaled_features.reshape(8, 8), left, label=label)
    names = [f"unit {i + 1}" for i in range(UNITS)]
    of_units = "‖∂hᵢ/∂x‖ (code units per std)"
    plots.sensitivity(found.units, right, names=names, label=of_units)
    return figure


@picture
def analysis_walk() -> Figure:
    """Walks along the manifold from held-out digits, in the direction that moves the code most."""
    _, test, _ = digits()
    model = of_digits(UNITS, corruption=GaussianNoise(NOISE))
    lines = {}
    for row in (0, 4, 7, 9):
        start = test[row].ravel()
        first = analysis.tangent_space(model, test[row : row + 1], k=1).directions[0, 0]
        way = analysis.walk(model, start, 5.0 * first, steps=11).points
        lines[f"from {row}"] = way.reshape(-1, 8, 8)
    return lines_of(lines)


@picture
def analysis_samples() -> Figure:
    """Points that walk to the spiral, and digits drawn from a code without a prior."""
    model = of_spiral(corruption=GaussianNoise(SIGMA))
    start = np.random.default_rng(2).uniform(-1.1, 1.1, (300, 2))
    states = [start, *analysis.langevin(model, start, step=0.1, n_steps=200, random_state=0)]
    figure, axes = panels(2.5, 2.5, 2.5, height=2.8)
    for ax, name, state in zip(axes, ("start", "200 steps"), (start, states[-1]), strict=False):
        ax.plot(*spiral(300).T, color=plots.COLORS[1], alpha=0.6, lw=4)
        ax.plot(*state.T, ".", ms=3, color=plots.COLORS[0])
        ax.set(aspect="equal", title=name, xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
        ax.set_xlabel("x₁ (data units)")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("x₂ (data units)")
    drawn = of_digits(UNITS).sample(36, mean=True, random_state=0)
    plots.images(drawn, axes[2], n_columns=6, **DIGITS).set_title("through the code's density")
    return figure


def main(names: list[str]) -> None:
    """Draw the pictures that are named, or all."""
    for name in names or FIGURES:
        print(f"{name:28}{draw(name) / 1000:7.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
