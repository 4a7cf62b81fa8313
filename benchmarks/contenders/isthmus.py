"""Isthmus, called as a user would."""

import numpy as np

from isthmus import Autoencoder, Gaussian
from task import Task, Trained


def train(X: np.ndarray, task: Task) -> Trained:
    """`variant` is the precision."""
    model = Autoencoder(
        task.widths[-1],
        hidden=task.widths[1:-1],
        activation="relu",
        likelihood=Gaussian(1.0),
        optimizer="adam",
        learning_rate=task.learning_rate,
        batch_size=task.batch_size,
        max_epochs=task.epochs,
        validation_fraction=0,
        precision=task.variant,
        random_state=task.seed,
    ).fit(X)
    seconds_per_row = np.mean([1 / epoch.rows_per_second for epoch in model.history_])
    return Trained(model.reconstruct, float(1 / seconds_per_row))
