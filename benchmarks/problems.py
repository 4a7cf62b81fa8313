"""What is trained on: two problems, each with rows to train on and rows held out.

*pixels* is bound by matrix products, *table* by everything else.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_HELD_OUT = 2000


@dataclass(frozen=True)
class Problem:
    """Data and the network for them.

    Attributes:
        name: As in `--problem`.
        n_rows: To train on.
        widths: Of the encoder, from the data to the code.
        epochs: Passes over the rows.
        make: Gives float32 rows (n, d), at least `n_rows` + `N_HELD_OUT`, and says what they are.
    """

    name: str
    n_rows: int
    widths: tuple[int, ...]
    epochs: int
    make: Callable[[int], tuple[np.ndarray, str]]

    def save(self, folder: Path) -> str:
        """Write train.npy and held_out.npy; what the data are."""
        rows, description = self.make(self.n_rows + N_HELD_OUT)
        np.save(folder / "train.npy", rows[: self.n_rows])
        np.save(folder / "held_out.npy", rows[self.n_rows : self.n_rows + N_HELD_OUT])
        return description


def pixels(n: int) -> tuple[np.ndarray, str]:
    """Fashion-MNIST or MNIST from the folder ISTHMUS_DATA, or smooth pictures in [0, 1]."""
    folder = os.environ.get("ISTHMUS_DATA")
    for name, title in (("fashion_mnist", "Fashion-MNIST"), ("mnist", "MNIST")):
        if folder and (path := Path(folder, f"{name}.npz")).exists():
            images = np.load(path, allow_pickle=False)["x_train"][:n]
            return (images.reshape(n, -1) / 255).astype(np.float32), title
    return synthetic_pixels(n), "synthetic pictures"


def synthetic_pixels(n: int) -> np.ndarray:
    """Logistic of random sums of 64 products of cosines, 28 × 28."""
    rng = np.random.default_rng(0)
    waves = np.cos(np.pi * np.outer(np.arange(8), (np.arange(28) + 0.5) / 28))
    basis = np.einsum("ai,bj->abij", waves, waves).reshape(64, 784)
    weights = 4 / (1 + np.add.outer(np.arange(8), np.arange(8))).ravel()
    return (1 / (1 + np.exp(-(rng.normal(size=(n, 64)) * weights) @ basis))).astype(np.float32)


def table(n: int) -> tuple[np.ndarray, str]:
    """Twenty columns of unit variance or so: curved functions of 6 hidden numbers, and noise."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 6))
    columns = (
        np.tanh(hidden @ rng.normal(size=(6, 20)) / 2) + hidden @ rng.normal(size=(6, 20)) / 3
    )
    noise = 0.2 * rng.normal(size=(n, 20))
    return (columns + noise).astype(np.float32), "synthetic correlated columns"


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("pixels", 20_000, (784, 1024, 256, 32), 2, pixels),
        Problem("table", 50_000, (20, 64, 8), 3, table),
    )
}
