"""skorch: a NeuralNetRegressor from rows to the same rows."""

import numpy as np
import torch
from skorch import NeuralNetRegressor
from torch import Tensor, nn

from task import Task, Trained, autoencoder, loss


class Loss(nn.Module):
    """The loss as a module, which is what skorch takes."""

    def forward(self, reconstruction: Tensor, x: Tensor) -> Tensor:
        """The loss of a batch."""
        return loss(reconstruction, x)


def train(X: np.ndarray, task: Task) -> Trained:
    """No rows held out, nothing printed."""
    torch.manual_seed(task.seed)
    net = NeuralNetRegressor(
        autoencoder(task),
        criterion=Loss,
        optimizer=torch.optim.Adam,
        lr=task.learning_rate,
        batch_size=task.batch_size,
        max_epochs=task.epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    ).fit(X, X)
    return Trained(net.predict)
