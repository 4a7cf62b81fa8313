"""PyOD: its AutoEncoder, with and without batch normalisation, dropout and weight decay."""

import numpy as np
from pyod.models.auto_encoder import AutoEncoder

from task import Task, Trained, reconstructing


def train(X: np.ndarray, task: Task) -> Trained:
    """`variant`: "standardising" scales the columns, "defaults" leaves PyOD everything of its own.

    The loss is averaged over cells, the code passes through ReLU, a short last batch is left
    out, and fit ends by scoring all rows: none of it can be changed.
    """
    own = task.variant == "defaults"
    plain = {} if own else {"batch_norm": False, "dropout_rate": 0.0}
    detector = AutoEncoder(
        preprocessing=bool(task.variant),
        lr=task.learning_rate,
        epoch_num=task.epochs,
        batch_size=task.batch_size,
        optimizer_name="adam",
        optimizer_params={"weight_decay": 1e-5 if own else 0.0},
        hidden_neuron_list=list(task.widths[1:]),
        hidden_activation_name="relu",
        random_state=task.seed,
        verbose=0,
        **plain,
    ).fit(X)
    standardises = bool(task.variant)
    reconstruct = reconstructing(detector.model)
    if not standardises:
        return Trained(reconstruct)
    mean, scale = detector.X_mean, detector.X_std + 1e-8
    return Trained(lambda rows: mean + scale * reconstruct((rows - mean) / scale))
