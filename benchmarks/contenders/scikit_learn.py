"""scikit-learn's MLPRegressor from rows to the same rows; numpy, without torch."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from task import Task, Trained


def train(X: np.ndarray, task: Task) -> Trained:
    """The code passes through ReLU like every hidden layer; that can't be changed."""
    regressor = MLPRegressor(
        hidden_layer_sizes=(*task.widths[1:], *task.widths[-2:0:-1]),
        activation="relu",
        solver="adam",
        alpha=0.0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate,
        max_iter=task.epochs,
        n_iter_no_change=task.epochs + 1,
        random_state=task.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so few epochs are what is asked for
        regressor.fit(X, X)
    return Trained(regressor.predict)
