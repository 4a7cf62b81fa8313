"""A trained model as functions of points in the user's own units.

All of this room that differentiates asks the same things of a model: the code f(x), the
reconstruction r(x) = E[x | f(x)], and how points come in and results go out. Inside, rows are
scaled, z = (x − c)/s, and may enter the network as logarithms; here that is part of f and r, so
that a derivative is one by x itself:

    ∂f/∂x = ∂f/∂z · diag(1/s) ,      ∂r/∂x = diag(s) · ∂r_z/∂z · diag(1/s)

A category has no derivative, and a missing cell no place: both are refused by name.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from isthmus._errors import InvalidDataError, UnsupportedTypeError
from isthmus._progress import counting
from isthmus.corruptions import Corruption
from isthmus.data import Matrix, as_matrix, check_finite
from isthmus.model import Model
from isthmus.objective import Objective

Array = NDArray[Any]
BLOCK_CELLS = 1 << 22
MOST_ROWS = 4096


class Estimator(Protocol):
    """What is asked of a fitted estimator."""

    def points(self, X: ArrayLike) -> tuple[Model, Matrix]:
        """The model in the precision of the rows, and the rows as numbers in the user's units."""

    @property
    def objective_(self) -> Objective:
        """Corruptions and penalties of the training, in the user's units."""


@dataclass(frozen=True)
class Learned:
    """A model and points (n, d) for it.

    Attributes:
        model: In the precision of the points.
        matrix: The points in the user's units.
        objective: Corruptions and penalties of its training, in the user's units; None where only
            the model is known.
    """

    model: Model
    matrix: Matrix
    objective: Objective | None

    @property
    def corruptions(self) -> tuple[Corruption, ...] | None:
        """Of its training; None where only the model is known."""
        return None if self.objective is None else self.objective.corruptions

    def encode(self, x: Tensor) -> Tensor:
        """f(x) = E[h | x], (n, d) to (n, k), differentiable."""
        return self.model.code(self.model.scaled(x))

    def decode(self, h: Tensor) -> Tensor:
        """g(h) = E[x | h] in the user's units, (n, k) to (n, d), differentiable."""
        return self.model.mean(h)

    def reconstruct(self, x: Tensor) -> Tensor:
        """r(x) = g(f(x)) in the user's units, (n, d) to (n, d), differentiable."""
        return self.decode(self.encode(x))

    def check_support(self) -> None:
        """Refuse a value that the likelihood can't have, by row and column.

        Raises:
            SupportError: There is one.
        """
        for first, block in self.matrix.blocks(np.float64):
            self.model.likelihood.check(block, names=self.matrix.names, first_row=first)

    @property
    def unit(self) -> float:
        """What lengths in x are divided by inside where there is one number for all, else 1."""
        common = self.model.likelihood.traits.scaling == "common"
        return float(self.model.scale[0]) if common else 1.0

    @property
    def dtype(self) -> torch.dtype:
        """float32, or float64 where the points' own type needs it."""
        return _precision(self.matrix)

    def tensor(self, x: Array) -> Tensor:
        """Points, directions or codes as a tensor in the model's precision and place."""
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.model.device, self.dtype)

    def at(self, points: Array) -> "Learned":
        """The same model at other points (m, d) in the user's units."""
        matrix = as_matrix(points)
        return Learned(_in_precision(self.model, _precision(matrix)), matrix, self.objective)

    @property
    def cells(self) -> int:
        """About how many numbers a row needs on its way through the networks."""
        weights = [p for p in self.model.parameters() if p.ndim > 1]
        widest = max((p.numel() // len(p) + len(p) for p in weights), default=0)
        return self.matrix.n_features + widest

    def some(self, chosen: NDArray[np.intp]) -> "Learned":
        """The same model with these rows only."""
        return replace(self, matrix=replace(self.matrix, values=self.matrix.values[chosen]))

    def over_rows(
        self,
        function: Callable[[Tensor], Any],
        cells_per_row: int,
        verbose: int = 0,
    ) -> Any:
        """What a function gives for all points, in blocks of bounded memory.

        Args:
            function: From points (m, d) to a tensor, or a tuple of tensors, with m rows each. It
                runs without a graph outside of what it makes itself.
            cells_per_row: About how many numbers one row needs on the way.
            verbose: Whether a bar is shown on a terminal.

        Returns:
            An array with n rows, or a tuple of such.

        Raises:
            InvalidDataError: A row so far out that the result is not a finite number.
        """
        size = max(1, min(MOST_ROWS, BLOCK_CELLS // max(1, cells_per_row)))
        results: tuple[Array, ...] = ()
        single = False
        with counting(verbose, len(self.matrix)) as tick, torch.no_grad():
            for first, block in self.matrix.blocks(np.float64, size):
                found = function(self.tensor(block))
                single = isinstance(found, Tensor)
                parts = [part.cpu().numpy() for part in ((found,) if single else found)]
                if not results:
                    n = len(self.matrix)
                    results = tuple(np.empty((n, *part.shape[1:]), part.dtype) for part in parts)
                for result, part in zip(results, parts, strict=True):
                    _require_finite(part, first)
                    result[first : first + len(part)] = part
                tick(len(block))
        return results[0] if single else results


def learned(model: Any, X: ArrayLike, *, of_numbers: bool = True) -> Learned:
    """A fitted estimator or a model, and points for it.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Rows as in ``fit``, of real numbers; for a model alone, numbers (n, d).
        of_numbers: Whether every cell must be a number at which something can be differentiated;
            if not, columns may be categories, and cells of a table missing.

    Raises:
        NotFittedError: The estimator has no model yet.
        UnsupportedTypeError: Something else than an estimator or a model.
        InvalidDataError: Points of another width, missing or infinite values, or a column that
            is a category.
    """
    objective = None
    if isinstance(model, Model):
        matrix = as_matrix(X)
        if matrix.n_features != model.shape.n_features:
            raise InvalidDataError(
                f"X has {matrix.n_features} columns, but the model was made for "
                f"{model.shape.n_features}; give rows as in fit."
            )
        model = _in_precision(model, _precision(matrix))
    elif hasattr(model, "points"):
        estimator: Estimator = model
        model, matrix = estimator.points(X)
        objective = estimator.objective_
    else:
        raise UnsupportedTypeError(
            f"Give a fitted estimator or its model_; got an object of {type(model).__name__}."
        )
    by_column = model.likelihood.traits.columns is not None
    check_finite(matrix, missing=by_column and not of_numbers)
    if of_numbers:
        _require_real(model, matrix)
    return Learned(model, matrix, objective)


def _precision(matrix: Matrix) -> torch.dtype:
    wide = np.result_type(matrix.dtype, np.float32) == np.float64
    return torch.float64 if wide else torch.float32


def _in_precision(model: Model, dtype: torch.dtype) -> Model:
    if next(model.parameters()).dtype == dtype:
        return model
    return copy.deepcopy(model).to(dtype)


def _require_real(model: Model, matrix: Matrix) -> None:
    traits = model.likelihood.traits
    if traits.columns is None:
        categories = [0] if traits.entry == "one_hot" else []
    else:
        categories = [j for j, each in enumerate(traits.columns) if each.entry == "one_hot"]
    if categories:
        raise InvalidDataError(
            f"Column {matrix.name(categories[0])} is a category, and a step from one level to "
            "another has no derivative. Analyse a model of the real columns."
        )


def _require_finite(part: Array, first: int) -> None:
    wrong = ~np.isfinite(part)
    if wrong.any():
        row = first + int(np.argwhere(wrong)[0, 0])
        raise InvalidDataError(
            f"Row {row} is too far out: what is computed for it overflows. Look for an error or "
            "another unit in this row, or leave it out."
        )
