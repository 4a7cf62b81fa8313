"""Draws the pictures of the pages on pretraining and on features, as `figures` the others."""

from typing import Any

import numpy as np
from ground import panels, picture
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from isthmus import (
    Autoencoder,
    Bernoulli,
    Deterministic,
    Masking,
    PretrainedClassifier,
    StackedAutoencoder,
    Warp,
    analysis,
    plots,
)

Array = NDArray[Any]
GREY = "#808080"
SIZES, SEEDS = (20, 50, 100, 200, 500), 5
WIDTHS, N_CODES = (2, 4, 8, 16, 32), 3
WAYS = ("denoising", "PCA", "random projection")


@picture
def pretraining_labels() -> Figure:
    """Accuracy against the number of labels: a usual network, and one of four sigmoid layers."""
    data = load_digits()
    figure, axes = panels(4.0, 4.0, height=3.3)
    names = {"two layers": 0.65, "four sigmoid layers": 0.35}
    for ax, (name, lowest), tried in zip(axes, names.items(), _tried(), strict=True):
        found = analysis.label_efficiency(tried, data.data / 16, data.target, SIZES, SEEDS)
        for who, scores in found.scores.items():
            plots.label_efficiency(found.sizes, scores, ax, label=who)
        ax.set_xticks(SIZES, map(str, SIZES))
        ax.set_xticks([], minor=True)
        ax.set_ylim(lowest, 1)
        ax.set_title(name)
    return figure


def _tried() -> list[dict[str, Any]]:
    """What is tried for each panel."""
    pixels = {"pixels, logistic": LogisticRegression(max_iter=500)}
    alone = {"validation_fraction": 0, "max_epochs": 200}
    longer = {**alone, "max_epochs": 400}
    network = Autoencoder(
        64,
        hidden=(256,),
        likelihood="gaussian_shared",
        corruption=Masking(0.25),
        batch_size=64,
        max_epochs=60,
        validation_fraction=0,
        random_state=0,
    )
    shared = FrozenEstimator(network.fit(load_digits().data / 16))
    blank = Autoencoder(**network.get_params())
    others: dict[str, Any] = {"corruption": Warp(8, shift=0.7, angle=8), "consistency": 1.0}
    others |= {"confidence": 0.9, "batch_size": 128, "max_epochs": 20, "validation_fraction": 0}
    stack = StackedAutoencoder(
        100,
        hidden=(100, 100, 100),
        activation="sigmoid",
        encoder=Deterministic("sigmoid"),
        likelihood=Bernoulli(fractions=True),
        layer_epochs=20,
        fine_tune=False,
        batch_size=64,
        validation_fraction=0,
    )
    return [
        pixels
        | {
            "scratch": PretrainedClassifier(blank, pretrain=False, **alone),
            "pretrained": PretrainedClassifier(shared, **alone),
            "and consistent": PretrainedClassifier(shared, **others),
        },
        pixels
        | {
            "scratch": PretrainedClassifier(stack, pretrain=False, **longer),
            "pretrained": PretrainedClassifier(stack, **longer),
        },
    ]


@picture
def features_units() -> Figure:
    """Accuracy of two classifiers on held-out digits against the width of the code."""
    data = load_digits()
    train, test, known, truth = train_test_split(
        data.data, data.target, test_size=500, stratify=data.target, random_state=0
    )
    judges = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        "10 nearest neighbours": KNeighborsClassifier(10),
    }
    figure, axes = panels(4.0, 4.0, height=3.1)
    for place, way in enumerate((_denoising, PCA, GaussianRandomProjection)):
        codes = [_codes(way, k, seed, train, test) for k in WIDTHS for seed in range(N_CODES)]
        for ax, judge in zip(axes, judges.values(), strict=True):
            scores = [judge.fit(old, known).score(new, truth) for old, new in codes]
            means = np.reshape(scores, (len(WIDTHS), N_CODES)).mean(1)
            color = plots.COLORS[(0, 6, 4)[place]]
            ax.plot(WIDTHS, means, "o-", color=color, ms=4, label=WAYS[place])
    for ax, (name, judge) in zip(axes, judges.items(), strict=True):
        ax.axhline(judge.fit(train, known).score(test, truth), color=GREY, lw=1, ls="--")
        ax.set_xscale("log", base=2)
        ax.set_xticks(WIDTHS, map(str, WIDTHS))
        ax.set_ylim(0.25, 1)
        ax.set_title(name)
        ax.set_xlabel("numbers per image (raw: 64)")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("accuracy")
    axes[0].legend(frameon=False)
    return figure


def _denoising(k: int, random_state: int) -> Autoencoder:
    how: dict[str, Any] = {"hidden": (256, 128), "likelihood": "gaussian_shared", "batch_size": 64}
    how |= {"corruption": Masking(0.25), "max_epochs": 60}
    return Autoencoder(k, random_state=random_state, **how)


def _codes(way: Any, k: int, seed: int, train: Array, test: Array) -> tuple[Array, Array]:
    model = way(k, random_state=seed).fit(train)
    return model.transform(train), model.transform(test)
