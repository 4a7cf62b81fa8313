"""`SemanticHasher`: rows to bits that are near each other where the rows are, and back."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor

from isthmus._errors import NotFittedError
from isthmus._random import RandomState, draw_seed
from isthmus.binary import (
    Coder,
    Metric,
    read_effort,
)
from isthmus.corruptions import Corruption
from isthmus.data import Matrix, as_matrix, check_finite
from isthmus.encoders import Encoder
from isthmus.estimators.apply import (
    remember_columns,
    require_in_memory,
    rows_to_read,
    to_codes,
    to_rows,
)
from isthmus.estimators.construct import begin
from isthmus.estimators.directions import directions, in_parts
from isthmus.estimators.hasher_parts import (
    HasherParts,
    decoder_for,
    likelihood_for,
    of_directions,
    read_parts,
    some_rows,
)
from isthmus.estimators.hasher_turns import learn_bits
from isthmus.estimators.progress import say
from isthmus.estimators.reranking import reranked
from isthmus.hashing import pack, unpack
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.saving import digest
from isthmus.training import Epoch, find_device, make_rows

BUILT = ("n_bits", "hidden", "activation", "encoder", "metric", "prior")

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
        decoder_hidden: Hidden widths of the decoder, beside which a linear map runs; None is
            ``(2048,)``, of more than 128 bits ``(4096,)``, and ``()`` for documents.
        activation: Of the hidden layers, a name in `isthmus.activations.ACTIVATIONS`.
        likelihood: p(x | h); ``"auto"`` is ``Multinomial()`` for sparse counts,
            ``Multinomial(weighted=True)`` for other sparse rows without negative values (TF-IDF),
            ``Gaussian("shared")`` for everything else.
        metric: ``"cosine"`` or ``"euclidean"``: what near means. Under the cosine rows are
            divided by their length before anything else, where the likelihood is isotropic.
        encoder: p(h | x), ``NoisySigmoid(...)`` or ``BernoulliCode(...)``, or its name; None is
            ``NoisySigmoid(32.0)``, so much noise that rounding costs little, and of more than 128
            bits ``NoisySigmoid(4.0)``.
        balance: Weight of `isthmus.Balance` while learning by gradient.
        corruption: C(x̃ | x) while learning by gradient: one or a list, names or objects. With
            `isthmus.NeighbourWalk` codes keep what near rows have in common: for finding what is
            of the same kind, in place of what is nearest.
        faithful: Weight of `isthmus.binary.Faithful` while learning by gradient: codes are to
            have the neighbours that their rows have.
        refine: How far `transform` flips bits: ``"none"``, ``"fast"`` or ``"best"``.
        prior: λ, the weight of the encoder's opinion while bits are flipped; None is 1, and of
            more than 128 bits 2.
        rounds: How often bits are flipped and learned from; 0 leaves the first part alone.
        max_epochs: Passes over the rows in all; a fifth of them are for the first part.
        batch_size: Rows per step at most; fewer where a pass would have fewer than 32
            steps, unless neighbours are looked for among them.
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
        decoder_hidden: tuple[int, ...] | None = None,
        activation: str = "gelu",
        likelihood: str | Likelihood = "auto",
        metric: str | Metric = "cosine",
        encoder: str | Encoder | None = None,
        balance: float = 0.0,
        corruption: str | Corruption | list[str | Corruption] | None = None,
        faithful: float = 0.0,
        refine: str = "best",
        prior: float | None = None,
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
        self.corruption = corruption
        self.faithful = faithful
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
        parts = decoder_for(parts, likelihood)
        matrix = some_rows(given, seed)
        if of_directions(likelihood, parts.metric):
            matrix = directions(matrix)
        begun = begin(parts.recipe, likelihood, matrix, seed, find_device(self.device))
        say(self.verbose)(f"likelihood: {begun.model.likelihood!r}")
        self._pixel_divisor = begun.divisor
        self._receive(begun.model, parts)
        self.history_: list[Epoch] = []
        rows = make_rows(begun.matrix, np.arange(len(begun.matrix)), self.model_)
        learn_bits(self, rows, seed)
        return self

    def _take(self, coder: Coder) -> None:
        self._coder = coder
        state = {**coder.model.state_dict(), **coder.state()}
        card = {"prior": coder.prior}
        self.fingerprint_ = digest(card, {name: t.cpu() for name, t in state.items()})

    def _receive(self, model: Model, parts: HasherParts) -> None:
        self.model_ = model
        self.likelihood_ = model.likelihood
        self.schema_ = None
        self._parts = parts
        self._built = {name: getattr(self, name) for name in BUILT}
        self._built["decoder_hidden"] = parts.recipe.decoder_hidden
        self._built["encoder"] = parts.recipe.encoder
        self._built["prior"] = parts.rounds.prior
        self._n_features_out = -(-model.shape.n_components // 8)

    @property
    def n_iter_(self) -> int:
        """Passes over the rows; the first one counts even if Ctrl-C cut it short."""
        return max(1, len(self.history_))

    # ---- codes ------------------------------------------------------------------------------

    def transform(self, X: ArrayLike, refine: str | None = None) -> Codes:
        """The code of each row, packed: deterministic and row by row.

        Rows that are to be found are worth all flips that help. For rows that ask by Hamming
        distance there is `refine_of_queries`; `query` is the better way to ask.

        Args:
            X: Rows as in `fit`.
            refine: How far bits are flipped: ``"none"``, ``"fast"`` or ``"best"``; the
                estimator's own if None.

        Returns:
            uint8 (n, ⌈n_bits / 8⌉), the first bit highest, as `isthmus.hashing.pack` has it.

        Raises:
            InvalidDataError: Rows of another width, missing or infinite values.
            InvalidParameterError: No such ``refine``.
        """
        return pack(self.bits(X, refine))

    def bits(self, X: ArrayLike, refine: str | None = None) -> NDArray[np.bool_]:
        """The code of each row, bit by bit.

        Args:
            X: Rows as in `fit`.
            refine: As in `transform`.

        Returns:
            Booleans (n, n_bits).

        Raises:
            InvalidDataError: As in `transform`.
        """
        effort = read_effort("refine", self.refine if refine is None else refine)
        found = self._to_rows(X, lambda model, z: self._coder.codes(z.float(), effort) > 0.5)
        return np.asarray(found)

    @property
    def refine_of_queries(self) -> str:
        """How far `transform` best flips bits of rows that ask by Hamming distance.

        As ``refine`` says, but ``"fast"`` in place of ``"best"``: flips serve the decoder, and of
        many bits a row and its neighbours flip different ones.
        """
        return "fast" if self.refine == "best" else self.refine

    def query(self, X: ArrayLike) -> NDArray[np.float32]:
        """What each bit of a code is worth to each row as a query: see `isthmus.binary.queries`.

        `CodeStore.search` ranks codes b by Σ_j |q_j| [b_j ≠ (q_j > 0)], which is the order of
        how near the decoded rows are, as far as a sum over bits can say it.

        Args:
            X: Rows as in `fit`.

        Returns:
            float32 (n, n_bits).

        Raises:
            InvalidDataError: As in `transform`.
        """
        found = self._to_rows(X, lambda model, z: self._coder.asked(z.float()))
        return np.asarray(found, np.float32)

    # ---- and back ---------------------------------------------------------------------------

    def decode(self, codes: ArrayLike) -> NDArray[np.float32]:
        """E[x | code]: what is known of a row whose code alone was kept.

        Args:
            codes: Packed codes (n, ⌈n_bits / 8⌉), uint8.

        Returns:
            Rows (n, d) in the user's units; under the cosine and an isotropic likelihood, of rows
            divided by their length.

        Raises:
            InvalidDataError: Codes of another width or type.
        """
        self._require_fitted()
        bits = as_matrix(unpack(codes, self.model_.shape.n_components).astype(np.float32))
        return np.asarray(to_codes(self.model_.mean, self.model_, bits))

    def rerank(self, X: ArrayLike, codes: ArrayLike) -> NDArray[np.float32]:
        """Queries against decoded codes, by the metric: the better order of a short list.

        Args:
            X: Queries (n, d), rows as in `fit`.
            codes: Packed codes, uint8: (m, ⌈n_bits / 8⌉) for all queries alike, or
                (n, m, ⌈n_bits / 8⌉), a list for each.

        Returns:
            Scores (n, m), higher is nearer: the cosine of query and E[x | code], or the negative
            of their squared distance.

        Raises:
            InvalidDataError: Codes of another width or type, or another number of lists.
        """
        return reranked(self._prepared(X), codes, self.decode, self._parts.metric)

    # ---- likelihood -------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike) -> NDArray[np.float32]:
        """log p(x | h), with h the code that `transform` gives.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,), nats per row; higher is better. Under the cosine and an isotropic
            likelihood, of rows divided by their length.
        """
        effort = read_effort("refine", self.refine)

        def scored(model: Model, z: Tensor) -> Tensor:
            return -model.nll(z.float(), self._coder.codes(z.float(), effort))

        return np.asarray(self._to_rows(X, scored, far_is_possible=True))

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """The mean of `score_samples`.

        Args:
            X: Rows as in `fit`.
            y: Ignored.

        Returns:
            Nats per row; higher is better.
        """
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    # ---- rows -------------------------------------------------------------------------------

    def _require_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet; call fit first."
            )

    def _prepared(self, X: ArrayLike) -> Matrix:
        self._require_fitted()
        return self._turned(rows_to_read(self, X))

    def _turned(self, matrix: Matrix) -> Matrix:
        turned = of_directions(self.likelihood_, self._parts.metric)
        return directions(matrix) if turned else matrix

    def _to_rows(self, X: ArrayLike, function: Any, *, far_is_possible: bool = False) -> Any:
        self._require_fitted()
        parts = map(self._turned, in_parts(rows_to_read(self, X)))
        return np.concatenate(
            [to_rows(function, self.model_, x, far_is_possible=far_is_possible) for x in parts]
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
