"""Training on behalf of an estimator: its records, its end, and what goes on from call to call."""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus._errors import IsthmusWarning
from isthmus._random import RandomState, draw_seed, make_generator
from isthmus.data import Matrix
from isthmus.model import Model
from isthmus.training import Epoch, Plan, Stepper, make_rows, steady

REPORT_ROWS = 1024
LEAST_REPORT_ROWS = 64
REPORT_CELLS = 1 << 22


@dataclass
class Session:
    """What lives only as long as the process: a copy, or a pickle, of it is empty.

    Attributes:
        stepper: The optimiser of `partial_fit`.
        generator: Its randomness.
        double: The model in float64, for float64 input.
    """

    stepper: Stepper | None = None
    generator: torch.Generator | None = None
    double: Model | None = None

    def go_on(
        self, model: Model, plan: Plan, random_state: RandomState
    ) -> tuple[Stepper, torch.Generator]:
        """Before more training: optimiser and generator of earlier calls, or new ones."""
        if self.stepper is None or self.generator is None:
            self.stepper = Stepper(model, plan.optimizer, plan.learning_rate, steady)
            self.generator = make_generator(draw_seed(random_state), model.device)
        self.double = None
        return self.stepper, self.generator

    def in_precision(self, dtype: torch.dtype, model: Model) -> Model:
        """The model itself for float32, its copy for float64."""
        if dtype == torch.float32:
            return model
        if self.double is None:
            self.double = copy.deepcopy(model).double()
        return self.double

    def __reduce__(self) -> tuple[type["Session"], tuple[()]]:
        return Session, ()


def follow(
    epochs: Iterator[Epoch], history: list[Epoch], show: Callable[[Epoch], None] | None = None
) -> None:
    """Run a training to its end, which Ctrl-C may bring.

    Args:
        epochs: From `isthmus.training.train`.
        history: Gets one record per epoch.
        show: Called with each of them.
    """
    skipped = 0
    try:
        for epoch in epochs:
            history.append(epoch)
            skipped += epoch.skipped_steps
            if show is not None:
                show(epoch)
    except KeyboardInterrupt:
        warnings.warn(
            f"Stopped by the user in epoch {len(history) + 1}; "
            "the model has the best weights so far.",
            IsthmusWarning,
            stacklevel=3,
        )
    if skipped:
        warnings.warn(
            f"{skipped} steps were left out because their gradient was not finite.",
            IsthmusWarning,
            stacklevel=3,
        )


@torch.no_grad()
def report(
    model: Model, matrix: Matrix, order: NDArray[np.intp], say: Callable[[str], None]
) -> dict[str, float]:
    """How the code of some thousand rows is used, as the encoder part sees it.

    Args:
        model: The model.
        matrix: The data.
        order: Numbers of rows; the first ones are looked at.
        say: Is told the figures.
    """
    n_rows = min(REPORT_ROWS, max(LEAST_REPORT_ROWS, REPORT_CELLS // matrix.n_features))
    rows = make_rows(matrix, order[:n_rows], model)
    z = rows.batch(torch.arange(len(rows), device=model.device))
    figures = model.encoder.report(model.encode(model.enter(z)))
    say(", ".join(f"{name}: {value:.3g}" for name, value in figures.items()))
    return figures
