"""What every contender is given, and what it gives back.

A contender is a file in `contenders` with one function,

    train(X, task) -> Trained

from an array of rows in memory to a trained autoencoder. All of it is on the clock: making the
network, checks, scaling, the loop, whatever else that library does when its user asks it to fit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """How to train.

    Attributes:
        widths: Of the encoder from the data to the code; the decoder has them reversed.
        batch_size: Rows per step.
        epochs: Passes over the rows.
        variant: Which one, where a contender has several.
        learning_rate: Adam's.
        seed: Of weights and order.
    """

    widths: tuple[int, ...]
    batch_size: int
    epochs: int
    variant: str = ""
    learning_rate: float = 1e-3
    seed: int = 0

    @property
    def flops_per_row(self) -> float:
        """Of the matrix products of a step: 2 forward and 4 backward for each weight.

        Nobody needs the gradient with respect to the data: the first layer has only 2 backward.
        """
        products = [n_in * n_out for n_in, n_out in pairwise(self.widths)]
        return 6.0 * 2 * sum(products) - 2.0 * products[0]


@dataclass(frozen=True)
class Trained:
    """What a contender gives back.

    Attributes:
        reconstruct: From rows (n, d) to their reconstructions (n, d), on the scale of the data.
        loop_rows_per_second: Without what comes before and after the loop, if it tells.
    """

    reconstruct: Callable[[np.ndarray], np.ndarray]
    loop_rows_per_second: float | None = None


def perceptron(widths: tuple[int, ...]) -> "nn.Sequential":
    """Linear layers with ReLU between them, initialised as torch does."""
    from torch import nn

    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def autoencoder(task: Task) -> "nn.Sequential":
    """Encoder and decoder for those contenders that take a torch module; a linear code."""
    from torch import nn

    return nn.Sequential(perceptron(task.widths), perceptron(task.widths[::-1]))


def loss(reconstruction: "Tensor", x: "Tensor") -> "Tensor":
    """½‖r(x) − x‖², averaged over rows: −log N(x; r(x), I) without its constant."""
    return 0.5 * (reconstruction - x).square().sum() / len(x)


def reconstructing(network: "nn.Module") -> Callable[[np.ndarray], np.ndarray]:
    """A torch module as a function of arrays."""
    import torch

    def reconstruct(X: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network.eval()(torch.from_numpy(X)).numpy()

    return reconstruct
