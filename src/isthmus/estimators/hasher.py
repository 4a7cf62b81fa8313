"""`SemanticHasher`: rows to bits that are near each other where the rows are, and back."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor

from isthmus._errors import InvalidDataError, NotFittedError
from isthmus._random import RandomState, draw_seed, make_generator
from isthmus.binary import (
    EFFORTS,
    Metric,
    begin_with_rotation,
    curvature_of,
    fit_weights,
    log_odds,
    read_effort,
    thresholded,
    with_codes,
)
from isthmus.binary import refine as refined
from isthmus.data import Matrix, as_matrix, check_finite
from isthmus.encoders import Encoder
from isthmus.estimators.apply import (
    common_unit,
    remember_columns,
    require_in_memory,
    rows_to_read,
    to_codes,
    to_rows,
)
from isthmus.estimators.construct import begin
from isthmus.estimators.directions import directions
from isthmus.estimators.hasher_parts import (
    HasherParts,
    likelihood_for,
    of_directions,
    read_parts,
    some_rows,
)
from isthmus.estimators.learn import follow, report
from isthmus.estimators.progress import display, say
from isthmus.hashing import pack, unpack
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.saving import digest
from isthmus.training import Epoch, RowsInMemory, find_device, make_rows, train

WEIGHT_ROWS = 1 << 15
BUILT = ("n_bits", "hidden", "decoder_hidden", "activation", "encoder", "metric", "prior")

Codes = NDArray[np.uint8]


class SemanticHasher(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Rows as codes of a few bytes: near where the rows are near, and back again.

    An autoencoder whose code is bits h ∈ {0, 1}ᵏ, learned in two parts. First by gradient, with
    noise before the sigmoid (Salakhutdinov and Hinton, 2009), from rotated principal axes; then
    by turns: bits are flipped while

        − log p(x | h) − λ log p(h | x)

    falls, and both networks learn from the codes that this gives. What is searched is the code
    alone, in three ways: by Hamming distance to a query's own code; by the distance of a
    real-valued query (`query`); and by decoding the codes of a short list (`rerank`).

    Args:
        n_bits: k, 8 … 4,096.
        hidden: Hidden widths of the encoder, beside which a linear map runs; ``()`` is that alone.
        decoder_hidden: Hidden widths of the decoder, beside which a linear map runs.
        activation: Of the hidden layers, a name in `isthmus.activations.ACTIVATIONS`.
        likelihood: p(x | h); ``"auto"`` is ``Multinomial()`` for sparse counts,
            ``Multinomial(weighted=True)`` for other sparse rows without negative values (TF-IDF),
            ``Gaussian("shared")`` for everything else.
        metric: ``"cosine"`` or ``"euclidean"``: what near means. Under the cosine rows are
            divided by their length before anything else, where the likelihood is isotropic.
        encoder: p(h | x), ``NoisySigmoid(...)`` or ``BernoulliCode(...)``, or its name.
        balance: Weight of `isthmus.Balance` while learning by gradient.
        refine: How far `transform` flips bits: ``"none"``, ``"fast"`` or ``"best"``.
        prior: λ, the weight of the encoder's opinion while bits are flipped.
        rounds: How often bits are flipped and learned from; 0 leaves the first part alone.
        max_epochs: Passes over the rows in all; a fifth of them are for the first part.
        batch_size: Rows per step.
        learning_rate: The highest rate; it warms up and decays in each round.
        device: ``"auto"``, or a torch device.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``, of the networks in training.
        random_state: Seed; None is a new one each time.
        verbose: 1 shows a progress bar on a terminal; 2 keeps it.

    Attributes:
        model_: The trained `isthmus.model.Model`, a torch module.
        likelihood_: p(x | h) as it was chosen.
        fingerprint_: The SHA-256 of all numbers that codes depend on: codes of two hashers can
            be compared where it is the same.
        history_: A list with one `isthmus.training.Epoch` per pass over the rows.
        code_report_: How the bits are used: unused ones, saturation.
        n_features_in_: d.
        row_shape_: The shape of one row.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X = load_digits().data
        >>> hasher = SemanticHasher(32, max_epochs=4, random_state=0).fit(X)
        >>> hasher.transform(X).shape
        (1797, 4)
    """

    def __init__(  # noqa: PLR0913  # a scikit-learn estimator lists its parameters here
        self,
        n_bits: int = 64,
        *,
        hidden: tuple[int, ...] = (),
        decoder_hidden: tuple[int, ...] = (2048,),
        activation: str = "gelu",
        likelihood: str | Likelihood = "auto",
        metric: str | Metric = "cosine",
        encoder: str | Encoder = "noisy_sigmoid",
        balance: float = 0.0,
        refine: str = "best",
        prior: float = 1.0,
        rounds: int = 5,
        max_epochs: int = 60,
        batch_size: int = 512,
        learning_rate: float = 3e-3,
        device: str = "auto",
        precision: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_bits = n_bits
        self.hidden = hidden
        self.decoder_hidden = decoder_hidden
        self.activation = activation
        self.likelihood = likelihood
        self.metric = metric
        self.encoder = encoder
        self.balance = balance
        self.refine = refine
        self.prior = prior
        self.rounds = rounds
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    # ---- learning ---------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn networks and bits from rows.

        Ctrl-C ends the training early; what was learned so far is kept and can be used.

        Args:
            X: Array (n, d), images, a torch tensor, a frame, or a sparse matrix of documents.
                Of more than 262,144 rows so many are chosen at random to learn from.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            InvalidDataError: Missing or infinite values, a row of zeros under the cosine.
            SupportError: A value that the likelihood can't have.
            InvalidParameterError: A parameter outside its range.
        """
        parts = read_parts(self.get_params(deep=False))
        require_in_memory(X, "give an array of as many rows as fit in memory")
        given = as_matrix(X)
        check_finite(given)
        remember_columns(self, X, given, None)
        self.row_shape_, self._pixel_divisor = given.row_shape, 1.0
        seed = draw_seed(self.random_state)
        likelihood = likelihood_for(self.likelihood, given)
        matrix = some_rows(given, seed)
        if of_directions(likelihood, parts.metric):
            matrix = directions(matrix)
        begun = begin(parts.recipe, likelihood, matrix, seed, find_device(self.device))
        say(self.verbose)(f"likelihood: {begun.model.likelihood!r}")
        self._pixel_divisor = begun.divisor
        self._receive(begun.model, parts)
        self.history_: list[Epoch] = []
        rows = make_rows(begun.matrix, np.arange(len(begun.matrix)), self.model_)
        self._learn(rows, seed)
        return self

    def _learn(self, rows: RowsInMemory, seed: int) -> None:
        plan, rounds = self._parts.plan, self._parts.rounds
        model, generator = self.model_, make_generator(seed, self.model_.device)
        begin_with_rotation(model, rows, generator)
        objective = self._parts.recipe.objective.in_units(common_unit(model))
        warm_up = replace(plan, max_epochs=max(1, plan.max_epochs - rounds.passes))
        with display(self.verbose, len(rows), plan.max_epochs) as shown:
            ended = follow(
                train(model, objective, rows, warm_up, generator, None, shown.tick),
                self.history_,
                shown.show,
            )
            if ended:
                follow(
                    with_codes(model, rows, plan, rounds, generator, shown.tick),
                    self.history_,
                    shown.show,
                )
        self._conclude(rows)

    def _conclude(self, rows: RowsInMemory) -> None:
        """What follows from the networks: curvature, weights of the bits, figures."""
        model = self.model_
        with torch.no_grad():
            spread = torch.linspace(0, len(rows) - 1, min(len(rows), WEIGHT_ROWS)).long()
            chosen = rows.batch(spread[:1024].to(model.device))
            eta = model.encode(model.enter(chosen))
            self.code_report_ = report(model, eta, say(self.verbose))
            self._curvature = curvature_of(model, chosen, thresholded(log_odds(model, chosen)))
            weights = fit_weights(
                (
                    self._compared(rows.batch(index.to(model.device)))
                    for index in spread.split(4096)
                ),
                model.shape.n_components,
                model.shape.n_features,
            )
        self._take(self._curvature, weights.to(model.device))

    def _take(self, curvature: Tensor, weights: Tensor) -> None:
        self._curvature, self._weights = curvature, weights
        own = {"curvature": curvature.cpu(), "weights": weights.cpu()}
        state = {name: t.cpu() for name, t in self.model_.state_dict().items()}
        self.fingerprint_ = digest({"prior": self._parts.rounds.prior}, {**state, **own})

    def _compared(self, z: Any) -> tuple[Tensor, Tensor]:
        h = self._codes_of(z, self.refine)
        return h, self._parts.metric.compared(self.model_.mean(h).float())

    def _receive(self, model: Model, parts: HasherParts) -> None:
        self.model_ = model
        self.likelihood_ = model.likelihood
        self.schema_ = None
        self._parts = parts
        self._built = {name: getattr(self, name) for name in BUILT}
        self._n_features_out = -(-model.shape.n_components // 8)

    @property
    def n_iter_(self) -> int:
        """Passes over the rows; the first one counts even if Ctrl-C cut it short."""
        return max(1, len(self.history_))

    # ---- codes ------------------------------------------------------------------------------

    def transform(self, X: ArrayLike, refine: str | None = None) -> Codes:
        """The code of each row, packed: deterministic and row by row."""
        return pack(self.bits(X, refine))

    def bits(self, X: ArrayLike, refine: str | None = None) -> NDArray[np.bool_]:
        """The code of each row, bit by bit, (n, n_bits)."""
        effort = self.refine if refine is None else refine
        read_effort("refine", effort)
        found = self._to_rows(X, lambda model, z: self._codes_of(z.float(), effort))
        return np.asarray(found > 0.5)

    def query(self, X: ArrayLike) -> NDArray[np.float32]:
        """What each bit is worth to each row as a query, (n, n_bits)."""
        return np.asarray(
            self._to_rows(
                X,
                lambda model, z: self._parts.metric.bit_weights(
                    model.unscaled(z).float(), self._weights
                ),
            )
        )

    def _codes_of(self, z: Any, effort: str) -> Tensor:
        model = self.model_
        odds = log_odds(model, z)
        h = thresholded(odds)
        if not EFFORTS[effort].steps:
            return h
        return refined(
            model, z, h, self._parts.rounds.prior * odds, self._curvature, EFFORTS[effort]
        )

    # ---- and back ---------------------------------------------------------------------------

    def decode(self, codes: ArrayLike) -> NDArray[np.float32]:
        """E[x | code], (n, d)."""
        self._require_fitted()
        bits = as_matrix(unpack(codes, self.model_.shape.n_components).astype(np.float32))
        return np.asarray(to_codes(self.model_.mean, self.model_, bits))

    def rerank(self, X: ArrayLike, codes: ArrayLike) -> NDArray[np.float32]:
        """Queries against lists of codes, by the metric."""
        self._require_fitted()
        table = np.asarray(codes, dtype=np.uint8)
        rows = self._prepared(X)
        q = torch.from_numpy(rows.rows(0, len(rows), np.float32)).to(self.model_.device)
        if table.ndim == 2:
            found = self._parts.metric.scores(q, torch.from_numpy(self.decode(table)))
            return np.asarray(found.numpy())
        if table.ndim != 3 or len(table) != len(q):
            raise InvalidDataError(
                f"codes must be a table (m, bytes), or a list for each of the {len(q)} queries, "
                f"(n, m, bytes); got shape {table.shape}."
            )
        scores = np.empty(table.shape[:2], np.float32)
        for i in range(len(q)):
            decoded = torch.from_numpy(self.decode(table[i]))
            scores[i] = self._parts.metric.scores(q[i : i + 1].cpu(), decoded).numpy()[0]
        return scores

    # ---- likelihood -------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike) -> NDArray[np.float32]:
        """log p(x | code)."""

        def scored(model: Model, z: Tensor) -> Tensor:
            return -model.nll(z.float(), self._codes_of(z.float(), self.refine))

        return np.asarray(self._to_rows(X, scored, far_is_possible=True))

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """The mean of `score_samples`."""
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    # ---- rows -------------------------------------------------------------------------------

    def _require_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet; call fit first."
            )

    def _prepared(self, X: ArrayLike) -> Matrix:
        self._require_fitted()
        matrix = rows_to_read(self, X)
        return (
            directions(matrix) if of_directions(self.likelihood_, self._parts.metric) else matrix
        )

    def _to_rows(self, X: ArrayLike, function: Any, *, far_is_possible: bool = False) -> Any:
        matrix = self._prepared(X)
        return to_rows(function, self.model_, matrix, far_is_possible=far_is_possible)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
