"""`Autoencoder`: the whole library as one scikit-learn estimator.

It is a skin. Names become objects in `resolve`, objects and data become a model in `construct`,
`training` trains it, `apply` takes arrays through it; this file keeps scikit-learn's contract.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from isthmus._errors import NotFittedError
from isthmus._random import RandomState, draw_seed, make_generator
from isthmus.corruptions import Corruption
from isthmus.data import Data, as_data, as_matrix
from isthmus.encoders import Encoder
from isthmus.estimators import resolve
from isthmus.estimators.apply import (
    Array,
    OfRows,
    check_columns,
    codes_to_read,
    common_unit,
    data_to_read,
    draw_rows,
    feature_scores,
    precision_for,
    row_scores,
    rows_to_read,
    to_codes,
    to_rows,
)
from isthmus.estimators.construct import Beginning, begin, check_support
from isthmus.estimators.learn import Session, first_rows, follow, report, split
from isthmus.estimators.outflow import write_codes
from isthmus.estimators.progress import display, say
from isthmus.estimators.resolve import Given, Network, Recipe, fraction, whole
from isthmus.model import Model
from isthmus.penalties import Penalty
from isthmus.training import Epoch, find_device, make_rows, train


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """From rows of data to a narrow code and back, by maximum likelihood.

    Minimises, on average over rows,

        − log p(x | h) + KL(p(h | x̃) ‖ p(h)) + Σ λ_k Ω_k ,    h ~ p(h | x̃),   x̃ ~ C(x̃ | x)

    The usual, variational, denoising, contractive and hashing autoencoders are choices of its
    parts. Every part is an object, a name, or None.

    Args:
        n_components: k, the width of the code.
        hidden: Widths of the encoder's hidden layers; the decoder has them reversed. ``()`` is a
            linear map on each side: with ``Gaussian(1.0)`` it is PCA.
        activation: Of the hidden layers, a name in `isthmus.activations.ACTIVATIONS`.
        network: ``"mlp"``, ``"conv"`` (images), or a pair of torch modules: an encoder from
            (n, d) to (n, k·q) and a decoder from (n, k) to (n, d·q').
        tied: Whether the decoder uses the encoder's weights, transposed.
        encoder: p(h | x), a name in `isthmus.encoders.ENCODERS` or an object.
        likelihood: p(x | h), a name in `isthmus.likelihoods.LIKELIHOODS` or an object;
            ``"auto"`` reads the data: {0, 1} are Bernoulli, counts NegativeBinomial or Poisson,
            pixels ``Gaussian("shared")``, other numbers ``Gaussian("feature")``. A list has one
            for each column, as `Columns` has, which all become where values are missing (NaN).
        corruption: C(x̃ | x): one or a list, names or objects; None for none.
        penalty: Ω: one or a list, names or objects; None for none.
        optimizer: ``"adamw"``, ``"adam"``, ``"sgd"`` or ``"muon"``.
        learning_rate: The highest rate; it warms up and decays along a cosine.
        batch_size: Rows per step.
        max_epochs: Passes over the data at most.
        validation_fraction: Part of the rows held out for early stopping; 0 for none.
        patience: Epochs without a better held-out nll before training stops.
        device: ``"auto"``, or a torch device.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``: of the networks in training.
            Weights and likelihood are always float32, and results are computed in float32, or
            in float64 for float64 input.
        random_state: Seed; None is a new one each time.
        verbose: 1 prints the likelihood and shows a progress bar on a terminal; 2 keeps the bar.

    Attributes:
        model_: The trained `isthmus.model.Model`, a torch module.
        likelihood_: p(x | h) as it was chosen.
        history_: A list with one `isthmus.training.Epoch` per epoch.
        code_report_: How the code is used: unused units, divergence, saturation.
        n_features_in_: d.
        feature_names_in_: The columns' names, where the data had any.
        row_shape_: The shape of one row: ``(d,)``, or an image's.
        n_iter_: Epochs that were run.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> codes = Autoencoder(2, random_state=0, max_epochs=2).fit_transform(X)
        >>> codes.shape
        (150, 2)
    """

    def __init__(  # noqa: PLR0913  # a scikit-learn estimator lists its parameters here
        self,
        n_components: int = 32,
        *,
        hidden: tuple[int, ...] = (256,),
        activation: str = "silu",
        network: Network = "mlp",
        tied: bool = False,
        encoder: str | Encoder = "deterministic",
        likelihood: Given = "auto",
        corruption: str | Corruption | list[str | Corruption] | None = None,
        penalty: str | Penalty | list[str | Penalty] | None = None,
        optimizer: str = "adamw",
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        patience: int = 10,
        device: str = "auto",
        precision: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.activation = activation
        self.network = network
        self.tied = tied
        self.encoder = encoder
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalty = penalty
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    # ---- learning ---------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from rows.

        Ctrl-C ends the training early; the best model so far is kept.

        Args:
            X: Array (n, d), images (n, H, W) or (n, H, W, C), a torch tensor, a pandas, polars
                or Arrow frame of numbers, a sparse matrix, or what needn't fit in memory: Parquet
                and NPY paths, datasets, functions that give batches (`isthmus.data.as_stream`).
                NaN is a missing value.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            InvalidDataError: Infinite values, a wrong shape, text.
            SupportError: A value that the likelihood can't have.
            InvalidParameterError: A parameter outside its range.
            TrainingError: No finite step could be found.
        """
        plan = resolve.read_plan(self.get_params(deep=False))
        held_out = fraction("validation_fraction", self.validation_fraction)
        seed = draw_seed(self.random_state)
        parts = split(self._begin(X, as_data(X), seed), held_out, seed)
        objective = self._recipe.objective.in_units(common_unit(self.model_))
        generator = make_generator(seed, self.model_.device)
        what = (self.model_, objective, parts.rows, plan, generator, parts.held_out)
        with display(self.verbose, len(parts.rows), plan.max_epochs) as shown:
            follow(train(*what, shown.tick), self.history_, shown.show)
        self.code_report_ = report(self.model_, parts.some(), say(self.verbose))
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from one more batch of rows, in one pass over it.

        The first call sets the scaling, the likelihood and the weights from its rows, as `fit`
        would; later calls go on from there, at a learning rate that does not decay.

        Args:
            X: As in `fit`.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            IsthmusError: As in `fit`.
        """
        params = {**self.get_params(deep=False), "max_epochs": 1}
        plan, recipe = resolve.read_plan(params), resolve.read_recipe(params)
        if hasattr(self, "model_"):
            matrix = rows_to_read(self, X)
            check_support(self.likelihood_, matrix)
        else:
            matrix = self._begin(X, as_matrix(X), draw_seed(self.random_state)).matrix
        stepper, generator = self._session.go_on(self.model_, plan, self.random_state)
        order = np.arange(len(matrix))
        rows = make_rows(matrix, order, self.model_)
        objective = recipe.objective.in_units(common_unit(self.model_))
        follow(
            train(self.model_, objective, rows, plan, generator, stepper=stepper), self.history_
        )
        some = first_rows(matrix, order, self.model_)
        self.code_report_ = report(self.model_, some, say(self.verbose))
        return self

    def _begin(self, X: ArrayLike, data: Data, seed: int) -> Beginning:
        """Everything before the first step: check the data, choose the parts, make the model."""
        recipe = resolve.read_recipe(self.get_params(deep=False))
        begun = begin(recipe, self.likelihood, data, seed, find_device(self.device))
        say(self.verbose)(f"likelihood: {begun.model.likelihood!r}")
        check_columns(self, X, data, reset=True)
        self.row_shape_ = data.row_shape
        self._pixel_divisor = begun.divisor
        self.history_: list[Epoch] = []
        self.code_report_ = {}
        self._receive(begun.model, recipe)
        return begun

    def _receive(self, model: Model, recipe: Recipe) -> None:
        """Take over a model that was made or read from a file, and what it was made by."""
        self.model_ = model
        self.likelihood_ = model.likelihood
        self._recipe = recipe
        self._n_features_out = model.shape.n_components
        self._session = Session()

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
            path: The file, which appears when it is complete.
            score: Whether `score_samples` is its last column.

        Returns:
            The number of rows.
        """
        return write_codes(self, X, path, score=score)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """E[x | h] for codes.

        Args:
            X: Codes (n, k).

        Returns:
            Rows in the user's units, of the shape that `fit` saw.

        Raises:
            InvalidDataError: Codes of another width, missing values, or a code too far out.
        """
        self._require_fitted()
        codes = codes_to_read(self, X)
        model = self._session.in_precision(precision_for(codes), self.model_)
        return self._shaped(to_codes(model.mean, model, codes))

    def reconstruct(self, X: ArrayLike) -> Array:
        """r(x) = E[x | h = E[h | x]], what is left of each row after the narrow way.

        Args:
            X: Rows as in `fit`.

        Returns:
            Rows in the user's units, of the shape that `fit` saw.

        Raises:
            InvalidDataError: As in `transform`.
        """
        return self._shaped(self._to_rows(X, lambda model, z: model.mean(model.code(z))))

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
    ) -> Array:
        """New rows: h ~ p(h), then x ~ p(x | h).

        Args:
            n_samples: How many.
            mean: Give E[x | h] in place of a draw of x.
            random_state: Seed; the estimator's own if None.

        Returns:
            Rows in the user's units, of the shape that `fit` saw.

        Raises:
            InvalidParameterError: The code has no prior.
        """
        self._require_fitted()
        n_samples = whole("n_samples", n_samples, 1)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        return self._shaped(draw_rows(self.model_, n_samples, seed, mean=mean))

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

    def _shaped(self, rows: Array) -> Array:
        return rows.reshape(len(rows), *self.row_shape_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
