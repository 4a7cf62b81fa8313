"""What every fitted estimator answers: codes, rows, scores and samples.

Its parts are a model, a schema where the rows are a table, and how they came to it; `apply` takes
arrays through the model and `tables` takes tables to arrays and back.
"""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from isthmus._errors import InvalidParameterError, NotFittedError
from isthmus._random import RandomState, draw_seed, make_generator
from isthmus.analysis import p_values, reasons
from isthmus.analysis.density import CodeDensity
from isthmus.data import Matrix, Schema, Unseen
from isthmus.estimators.apply import (
    Array,
    OfRows,
    codes_to_read,
    data_to_read,
    draw_rows,
    feature_scores,
    precision_for,
    require_in_memory,
    row_scores,
    rows_to_read,
    to_codes,
    to_rows,
)
from isthmus.estimators.fill import fill_part
from isthmus.estimators.held_out import Tried
from isthmus.estimators.learn import Session
from isthmus.estimators.outflow import numbered, write_codes, write_filled, write_rows
from isthmus.estimators.resolve import Recipe, whole
from isthmus.estimators.tables import as_users_rows
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.training import Epoch


class Fitted(ABC, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator around a model: all but how it learns.

    Attributes:
        model_: The trained `isthmus.model.Model`, a torch module.
        likelihood_: p(x | h) as it was chosen.
        schema_: What the columns of a table are, or None for data of one kind.
        history_: A list with one `isthmus.training.Epoch` per epoch.
        row_shape_: The shape of one row: ``(d,)``, or an image's.
    """

    random_state: RandomState
    model_: Model
    likelihood_: Likelihood
    schema_: Schema | None
    history_: list[Epoch]
    row_shape_: tuple[int, ...]
    _recipe: Recipe
    _session: Session
    _tried: Tried

    @abstractmethod
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from rows."""

    def _receive(self, model: Model, recipe: Recipe, schema: Schema | None) -> None:
        """Take over a model that was made or read from a file, and what it was made by."""
        self.model_ = model
        self.likelihood_ = model.likelihood
        self.schema_ = schema
        self._recipe = recipe
        self._n_features_out = model.shape.n_components
        self._session = Session()
        self._tried = Tried()

    @property
    def n_iter_(self) -> int:
        """Epochs that were run; the first one counts even if Ctrl-C cut it short."""
        return max(1, len(self.history_))

    # ---- the way to the code and back -------------------------------------------------------

    def transform(self, X: ArrayLike) -> Array:
        """E[h | x], the code of each row: deterministic and row by row.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n, k).

        Raises:
            InvalidDataError: Rows of another width, a row too far out, or NaN without `Columns`.
        """
        return self._to_rows(X, lambda model, z: model.code(z))

    def transform_to(self, X: ArrayLike, path: str, *, score: bool = False) -> int:
        """Write the code of each row to a Parquet file, block by block.

        Args:
            X: Rows as in `fit`.
            path: A .parquet or .csv file, which appears when it is complete.
            score: Whether `score_samples` is its last column.

        Returns:
            The number of rows.
        """
        return write_codes(self, X, path, score=score)

    def inverse_transform_to(self, X: ArrayLike, path: str) -> int:
        """Write E[x | h] for codes to a Parquet file, block by block.

        Args:
            X: Codes (n, k), or what needn't fit in memory, such as the file of `transform_to`.
            path: A .parquet or .csv file, which appears when it is complete.

        Returns:
            The number of rows.
        """
        return write_rows(self, X, path)

    def inverse_transform(self, X: ArrayLike) -> Any:
        """E[x | h] for codes; of a column that is made normal by ranks the median.

        Args:
            X: Codes (n, k).

        Returns:
            Rows in the user's units, of the shape that `fit` saw; a frame for a table.

        Raises:
            InvalidDataError: Codes of another width, missing values, or a code too far out.
        """
        self._require_fitted()
        codes = codes_to_read(self, X)
        model = self._session.in_precision(precision_for(codes), self.model_)
        return self._shaped(to_codes(model.mean, model, codes))

    def reconstruct(self, X: ArrayLike) -> Any:
        """r(x) = E[x | h = E[h | x]], what is left of each row after the narrow way.

        Args:
            X: Rows as in `fit`.

        Returns:
            Rows in the user's units, of the shape that `fit` saw; a frame for a table.

        Raises:
            InvalidDataError: As in `transform`.
        """
        return self._shaped(self._to_rows(X, lambda model, z: model.mean(model.code(z))), X)

    # ---- likelihood -------------------------------------------------------------------------

    def score_features(self, X: ArrayLike) -> Array:
        """The part of each feature in `score_samples`, in nats and in the user's units.

        For a stochastic code every feature bears an equal part of the divergence.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n, d) whose rows sum to `score_samples`.
        """
        return self._to_rows(X, feature_scores, far_is_possible=True)

    def score_samples(self, X: ArrayLike) -> Array:
        """log p(x | h = f(x)), or for a stochastic code the evidence lower bound.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,), nats per row in the user's units; higher is better.
        """
        return self._to_rows(X, row_scores, far_is_possible=True)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """The mean of `score_samples`.

        Args:
            X: Rows as in `fit`.
            y: Ignored.

        Returns:
            Nats per row; higher is better.
        """
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    def log_likelihood(self, X: ArrayLike, n_samples: int = 64) -> Array:
        """The importance-weighted bound on log p(x) with K samples of the code.

        It rises with K towards log p(x) and is never below the evidence bound in expectation
        (Burda et al., 2016). For a deterministic code it is `score_samples`.

        Args:
            X: Rows as in `fit`.
            n_samples: K.

        Returns:
            Array (n,), nats per row. The samples are those of ``random_state``.
        """
        n_samples = whole("n_samples", n_samples, 1)
        self._require_fitted()
        generator = make_generator(draw_seed(self.random_state), self.model_.device)
        return self._to_rows(
            X,
            lambda model, z: model.importance_bound(z, n_samples, generator),
            far_is_possible=True,
        )

    def sample(
        self, n_samples: int = 1, *, mean: bool = False, random_state: RandomState = None
    ) -> Any:
        """New rows: h ~ p(h), then x ~ p(x | h).

        A code without a prior, as of a plain autoencoder, is drawn from a Gaussian mixture that
        is fitted to the codes of some thousand rows of the training, at the first call (of the
        last batch of `partial_fit`). See `isthmus.analysis.fit_density`.

        Args:
            n_samples: How many.
            mean: Give E[x | h] in place of a draw of x.
            random_state: Seed; the estimator's own if None.

        Returns:
            Rows in the user's units, of the shape that `fit` saw; a frame for a table.

        Raises:
            InvalidParameterError: The code has no prior, and no codes were kept.
        """
        self._require_fitted()
        n_samples = whole("n_samples", n_samples, 1)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        density = self._density()
        return self._shaped(draw_rows(self.model_, n_samples, seed, density, mean=mean))

    def _density(self) -> CodeDensity | None:
        """Of the codes that were kept; None for a code with a prior."""
        if self.model_.encoder.stochastic:
            return None
        if self._tried.codes is None:
            raise InvalidParameterError(
                "This code has no prior to sample from, and the model comes from a file without "
                "codes. Fit it again; or draw codes from isthmus.analysis.fit_density(model, X) "
                "and decode them with inverse_transform."
            )
        return self._session.density_of(self._tried.codes)

    # ---- missing cells and odd rows ---------------------------------------------------------

    def impute(
        self, X: ArrayLike, n_draws: int | None = None, random_state: RandomState = None
    ) -> Any:
        """Fill in missing values.

        Best from a model that was trained with ``corruption=Masking(0.25, targets='hidden')``.
        See `isthmus.analysis.impute` for how, and `isthmus.analysis.pool` for what to do with
        several draws.

        Args:
            X: Rows as in `fit`, with holes.
            n_draws: None for conditional means (modes of categories); m for a list of m joint
                draws of the missing values: multiple imputation.
            random_state: Seed of the draws; the estimator's own if None.

        Returns:
            Rows like X, or a list of such, without holes. The observed values are those given.

        Raises:
            InvalidDataError: Infinite values, other columns than in `fit`, a row too far out, or
                missing values where the likelihood is not one per column.
        """
        if n_draws is not None:
            n_draws = whole("n_draws", n_draws, 1)
        self._require_fitted()
        require_in_memory(X, "impute_to(X, path) fills them block by block")
        seed = draw_seed(self.random_state if random_state is None else random_state)
        unseen = Unseen()
        filled = fill_part(self, X, unseen, n_draws, make_generator(seed, self.model_.device))
        unseen.warn()
        return filled if n_draws is not None else filled[0]

    def impute_to(
        self,
        X: ArrayLike,
        path: str,
        n_draws: int | None = None,
        random_state: RandomState = None,
    ) -> int:
        """Fill in missing values block by block, from data that needn't fit in memory to a file.

        Args:
            X: Rows as in `fit`, with holes.
            path: A .parquet or .csv file, which appears when it is complete. Several draws are
                in several files: of ``x.parquet`` and two draws, ``x-1.parquet`` and
                ``x-2.parquet``.
            n_draws: As in `impute`.
            random_state: As in `impute`.

        Returns:
            The number of rows.

        Raises:
            InvalidDataError: As in `impute`; there is no new file then.
        """
        if n_draws is not None:
            n_draws = whole("n_draws", n_draws, 1)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        return write_filled(self, X, numbered(path, n_draws), n_draws, seed)[0]

    def p_values(self, X: ArrayLike) -> Array:
        """How unusual each row is: its rank among the rows that `fit` held out.

        If a row comes from where those come from, its p-value is at most α with probability α at
        most. See `isthmus.analysis.p_values`.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,), between 1/(r + 1) and 1 for r held-out rows; low is unusual.

        Raises:
            InvalidParameterError: `fit` held out no rows.
        """
        return p_values(self.score_samples(X), self._reference().sum(1, dtype=np.float64))

    def odd_columns(self, X: ArrayLike, n_columns: int = 3) -> Array:
        """Which columns make each row unusual, the oddest first.

        Args:
            X: Rows as in `fit`.
            n_columns: How many.

        Returns:
            Numbers of columns, (n, n_columns). See `isthmus.analysis.reasons`.

        Raises:
            InvalidParameterError: `fit` held out no rows.
        """
        n_columns = whole("n_columns", n_columns, 1)
        return reasons(self.score_features(X), self._reference(), n_columns)

    def _reference(self) -> Array:
        self._require_fitted()
        if self._tried.reference is None:
            raise InvalidParameterError(
                "There are no held-out rows to compare with; fit with validation_fraction above "
                "0, or rank scores among others with isthmus.analysis.p_values."
            )
        return self._tried.reference

    # ---- what isthmus.analysis asks ---------------------------------------------------------

    @property
    def objective_(self) -> Objective:
        """Corruptions and penalties of the training, in the user's units."""
        return self._recipe.objective

    def points(self, X: ArrayLike) -> tuple[Model, Matrix]:
        """The model in the precision of the rows, and the rows as numbers in the user's units.

        Args:
            X: Rows as in `fit`.

        Raises:
            InvalidDataError: As in `transform`.
        """
        self._require_fitted()
        matrix = rows_to_read(self, X)
        return self._session.in_precision(precision_for(matrix), self.model_), matrix

    # ---- arrays and tensors -----------------------------------------------------------------

    def _require_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet; call fit first."
            )

    def _to_rows(self, X: ArrayLike, function: OfRows, *, far_is_possible: bool = False) -> Array:
        self._require_fitted()
        data = data_to_read(self, X)
        model = self._session.in_precision(precision_for(data), self.model_)
        return to_rows(function, model, data, far_is_possible=far_is_possible)

    def _shaped(self, rows: Array, X: Any = None) -> Any:
        """Rows in the shape, or as the table, that the user knows."""
        if self.schema_ is not None:
            return as_users_rows(rows, self.schema_, X)
        return rows.reshape(len(rows), *self.row_shape_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
