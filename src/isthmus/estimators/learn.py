"""Training on behalf of an estimator: its records, its end, and what goes on from call to call."""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._errors import InvalidParameterError, IsthmusWarning
from isthmus._random import RandomState, draw_seed, make_generator
from isthmus.analysis.density import CodeDensity, fit_codes
from isthmus.data import Data, Matrix, Stream, survey
from isthmus.estimators.construct import Beginning
from isthmus.model import Model
from isthmus.sparse import Batch
from isthmus.training import (
    Choice,
    Epoch,
    HeldOut,
    Plan,
    Rows,
    SetAside,
    Stepper,
    StreamRows,
    make_rows,
    steady,
)

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
        density: Of the codes, for new rows.
    """

    stepper: Stepper | None = None
    generator: torch.Generator | None = None
    double: Model | None = None
    density: CodeDensity | None = None

    def go_on(
        self, model: Model, plan: Plan, random_state: RandomState
    ) -> tuple[Stepper, torch.Generator]:
        """Before more training: optimiser and generator of earlier calls, or new ones."""
        if self.stepper is None or self.generator is None:
            self.stepper = Stepper(model, plan.optimizer, plan.learning_rate, steady)
            self.generator = make_generator(draw_seed(random_state), model.device)
        self.double = self.density = None
        return self.stepper, self.generator

    def in_precision(self, dtype: torch.dtype, model: Model) -> Model:
        """The model itself for float32, its copy for float64."""
        if dtype == torch.float32:
            return model
        if self.double is None:
            self.double = copy.deepcopy(model).double()
        return self.double

    def density_of(self, codes: NDArray[np.float32] | None) -> CodeDensity:
        """The density of the codes that were kept, fitted when it is first asked for.

        Raises:
            InvalidParameterError: None were.
        """
        if codes is None:
            raise InvalidParameterError(
                "This code has no prior to sample from, and the model comes from a file without "
                "codes. Fit it again; or draw codes from isthmus.analysis.fit_density(model, X) "
                "and decode them with inverse_transform."
            )
        if self.density is None:
            self.density = fit_codes(codes)
        return self.density

    def __reduce__(self) -> tuple[type["Session"], tuple[()]]:
        return Session, ()


def follow(
    epochs: Iterator[Epoch], history: list[Epoch], show: Callable[[Epoch], None] | None = None
) -> bool:
    """Run a training to its end, which Ctrl-C may bring.

    Args:
        epochs: From `isthmus.training.train`.
        history: Gets one record per epoch.
        show: Called with each of them.

    Returns:
        Whether it came to its own end.
    """
    skipped, ended = 0, True
    try:
        for epoch in epochs:
            history.append(epoch)
            skipped += epoch.skipped_steps
            if show is not None:
                show(epoch)
    except KeyboardInterrupt:
        ended = False
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
    return ended


@dataclass(frozen=True)
class Split:
    """Rows for training and for validation.

    Attributes:
        rows: These are trained on.
        held_out: These are not; None where there are none.
        some: Gives z of up to so many rows, chosen at random, held out or not.
    """

    rows: Rows[Batch]
    held_out: HeldOut[Batch] | None
    some: Callable[[int], Batch]

    @property
    def read_held_out(self) -> HeldOut[Batch] | None:
        """Held-out rows; None if Ctrl-C ended the first pass over a stream, which finds them."""
        unread = isinstance(self.held_out, SetAside) and not self.held_out.parts
        return None if unread else self.held_out


def split(begun: Beginning, fraction: float, seed: int) -> Split:
    """Hold out a part of the rows: by a permutation in memory, by a hash in a stream.

    Args:
        begun: Data and model.
        fraction: The part.
        seed: Of the choice.
    """
    model, data = begun.model, begun.data
    if isinstance(data, Stream):
        streamed = StreamRows(data, model, Choice(fraction, seed))
        return Split(
            streamed,
            streamed.held_out,
            lambda n: torch.from_numpy(_spread_out(begun.sample, n)).float().to(model.device),
        )
    order = np.random.default_rng(seed).permutation(len(data))
    n_held_out = int(fraction * len(data))
    return Split(
        make_rows(data, order[n_held_out:], model),
        make_rows(data, order[:n_held_out], model) if n_held_out else None,
        lambda n: first_rows(data, order[:n], model),
    )


def one_pass(data: Data, model: Model) -> tuple[Rows[Batch], Callable[[], Batch]]:
    """All rows of a batch, and a function that gives z of a thousand of them or so.

    Raises:
        InvalidDataError: An infinite cell of data that are read in passes.
    """
    if isinstance(data, Stream):
        _, sample = survey(data, report_rows(data.n_features), 0)
        some = torch.from_numpy(sample).to(model.device)
        return StreamRows(data, model), lambda: model.scaled(some).float()
    order = np.arange(len(data))
    few = order[: report_rows(data.n_features)]
    return make_rows(data, order, model), lambda: first_rows(data, few, model)


def _spread_out(sample: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """About n rows of a sample that is in the order of the data."""
    return sample[:: max(1, len(sample) // n)]


def first_rows(matrix: Matrix, order: NDArray[np.intp], model: Model) -> Batch:
    """z of these rows."""
    rows = make_rows(matrix, order, model)
    return rows.batch(torch.arange(len(rows), device=model.device))


def report_rows(n_features: int) -> int:
    """How many rows are reported on."""
    return min(REPORT_ROWS, max(LEAST_REPORT_ROWS, REPORT_CELLS // n_features))


@torch.no_grad()
def encoded(model: Model, z: Batch) -> Tensor:
    """The η of p(h | x) of some rows, scaled."""
    return model.encode(model.enter(z))


def report(model: Model, eta: Tensor, say: Callable[[str], None]) -> dict[str, float]:
    """How the code of some rows is used, as the encoder part sees it.

    Args:
        model: The model.
        eta: The η of their p(h | x).
        say: Is told the figures.
    """
    figures = model.encoder.report(eta)
    say(", ".join(f"{name}: {value:.3g}" for name, value in figures.items()))
    return figures
