"""Draws the pictures of the page on maps, as `figures` draws the others."""

from typing import Any

import numpy as np
from ground import DIGITS, digits, panels, picture
from matplotlib.figure import Figure

from isthmus import Autoencoder, Neighbours, plots

N_ACROSS = 12


@picture
def map_digits() -> Figure:
    """Held-out digits on two maps, and what lies at those places of the second where rows are."""
    train, test, classes = digits()
    how: dict[str, Any] = {"hidden": (256, 128), "likelihood": "gaussian_shared"}
    how |= {"batch_size": 64, "learning_rate": 1e-2, "max_epochs": 60, "validation_fraction": 0}
    models = [
        Autoencoder(2, random_state=0, penalty=each, **how) for each in (None, Neighbours(30))
    ]
    figure, axes = panels(2.8, 2.8, 2.6, height=2.9)
    for ax, name, model in zip(axes, ("usual", "neighbours"), models, strict=False):
        model.fit(train)
        plots.code_map(model.transform(test), classes, ax, names="centre").set_title(name)
    places = models[1].transform(train)
    (left, low), (right, high) = np.quantile(places, [0.01, 0.99], axis=0)
    grid = np.array(
        [
            (x, y)
            for y in np.linspace(high, low, N_ACROSS)
            for x in np.linspace(left, right, N_ACROSS)
        ]
    )
    step = np.array([right - left, high - low]) / (N_ACROSS - 1)
    far = (np.abs(grid[:, None] - places) / step).max(2).min(1) > 0.5
    decoded = models[1].inverse_transform(grid)
    decoded[far] = 0
    plots.images(decoded, axes[2], n_columns=N_ACROSS, **DIGITS)
    axes[2].set_title("neighbours, decoded")
    return figure
