"""PyOD: its AutoEncoder without batch normalisation, dropout and weight decay."""

import numpy as np
from pyod.models.auto_encoder import AutoEncoder

from task import Task, Trained, reconstructing


def train(X: np.ndarray, task: Task) -> Trained:
    """`variant` says whether PyOD standardises the columns, as it does by default.

    The loss is averaged over cells, the code passes through ReLU, a short last batch is left
    out, and fit ends by scoring all rows: none of it can be changed.
    """
    standardises = task.variant == "standardising"
    detector = AutoEncoder(
        preprocessing=standardises,
        lr=task.learning_rate,
        epoch_num=task.epochs,
        batch_size=task.batch_size,
        optimizer_name="adam",
        optimizer_params={"weight_decay": 0.0},
        hidden_neuron_list=list(task.widths[1:]),
        hidden_activation_name="relu",
        batch_norm=False,
        dropout_rate=0.0,
        random_state=task.seed,
        verbose=0,
    ).fit(X)
    reconstruct = reconstructing(detector.model)
    if not standardises:
        return Trained(reconstruct)
    mean, scale = detector.X_mean, detector.X_std + 1e-8
    return Trained(lambda rows: mean + scale * reconstruct((rows - mean) / scale))
