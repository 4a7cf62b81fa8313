"""`OutlierDetector`: rows of low density, flagged at a level that held-out rows set."""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.frozen import FrozenEstimator

from isthmus._errors import NotFittedError
from isthmus._random import RandomState, draw_seed
from isthmus.estimators.apply import Array
from isthmus.estimators.fine_tune import pretrained
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.resolve import number

ROBUST = {"encoder": "gaussian", "likelihood": "robust", "corruption": "masking"}


class OutlierDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Which rows are unlike the others, and by which of their columns.

    A row is unusual where its density is low. The score is the evidence bound of an autoencoder
    that is variational, so that the score is a bound of a density of x and not of x given its own
    code; denoising, so that an odd cell can't bring itself back; and has heavy tails where numbers
    are measured, so that the odd rows among those it learns from don't bend it (Student's t; Lange
    et al., 1989):

        log p(x) ≥ E[log p(x | h)] − KL(p(h | x) ‖ p(h)) = score(x)

    A row is an outlier, −1, where fewer than the part α of held-out rows score lower: of ordinary
    rows at most α are flagged on average, whatever their distribution (Bates et al., 2023; see
    `isthmus.analysis.p_values`; that early stopping looked at the held-out rows too costs little
    of this). Where fewer than 1/α − 1 rows were held out, that can't be said, and the part α of
    the rows it learned from is flagged: then ``calibrated_`` is False.

    Args:
        autoencoder: What scores; None is ``Autoencoder(encoder="gaussian", likelihood="robust",
            corruption="masking")``. One that is fitted already is copied and used as it is, also
            in a `sklearn.frozen.FrozenEstimator`.
        level: α, the part of ordinary rows that may be flagged.
        random_state: Seed of an autoencoder that has none; None is a new one each time.
        verbose: Of the default autoencoder.

    Attributes:
        autoencoder_: The fitted autoencoder.
        offset_: The score below which a row is an outlier.
        calibrated_: Whether held-out rows have set it, so that ``level`` is one of false alarms.
        n_features_in_: d.
        feature_names_in_: The columns' names, where the data had any.

    Example:
        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(1000, 4))
        >>> detector = OutlierDetector(random_state=0).fit(X)
        >>> detector.predict([[0, 0, 0, 0], [0, 9, 0, 0]])
        array([ 1, -1])
        >>> int(detector.odd_columns([[0, 9, 0, 0]], 1)[0, 0])
        1
    """

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        level: float = 0.01,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.level = level
        self.random_state = random_state
        self.verbose = verbose

    autoencoder_: Fitted
    offset_: float

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn what is usual.

        Args:
            X: Rows as in `Autoencoder.fit`, odd ones among them.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            IsthmusError: As in `Autoencoder.fit`.
        """
        level = number("level", self.level, 0.0, 1.0)
        seed = draw_seed(self.random_state)
        defaults = {**ROBUST, "verbose": self.verbose}
        autoencoder = pretrained(self.autoencoder, X, seed, defaults, train=True)
        place = _place(autoencoder, level)
        if place >= 0:
            usual = autoencoder._reference().sum(1, dtype=np.float64)
        else:
            usual = np.asarray(autoencoder.score_samples(X), np.float64)
            place = math.floor(level * len(usual))
        offset = float(np.partition(usual, place)[place])
        # of rows so far out that nothing is finite, none is lower than the others
        self._take(autoencoder, max(offset, float(np.finfo(np.float32).min)))
        return self

    def _take(self, autoencoder: Fitted, offset: float) -> None:
        self.autoencoder_, self.offset_ = autoencoder, offset
        self.n_features_in_ = autoencoder.n_features_in_
        names = getattr(autoencoder, "feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    @property
    def calibrated_(self) -> bool:
        """Whether enough rows were held out to say how many ordinary ones are flagged."""
        return _place(self._fitted(), self.level) >= 0

    def score_samples(self, X: ArrayLike) -> Array:
        """The evidence bound of each row, nats in the user's units; low is unusual.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,).

        Raises:
            InvalidDataError: As in `Autoencoder.transform`.
        """
        return self._fitted().score_samples(X)

    def decision_function(self, X: ArrayLike) -> Array:
        """`score_samples` − ``offset_``: negative for outliers.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,).
        """
        return np.asarray(self.score_samples(X), np.float64) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """−1 for outliers, 1 for the others.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,).
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: ArrayLike) -> Array:
        """How unusual each row is among the rows that were held out: `Autoencoder.p_values`.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,) in (0, 1]; low is unusual.

        Raises:
            InvalidParameterError: No rows were held out.
        """
        return self._fitted().p_values(X)

    def odd_columns(self, X: ArrayLike, n_columns: int = 3) -> Array:
        """Which columns make each row unusual, the oddest first: `Autoencoder.odd_columns`.

        Args:
            X: Rows as in `fit`.
            n_columns: How many.

        Returns:
            Numbers of columns, (n, n_columns).

        Raises:
            InvalidParameterError: No rows were held out.
        """
        return self._fitted().odd_columns(X, n_columns)

    def _fitted(self) -> Fitted:
        if not hasattr(self, "autoencoder_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet; call fit first."
            )
        return self.autoencoder_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        given = self.autoencoder
        if isinstance(given, FrozenEstimator):
            given = given.estimator
        if isinstance(given, Fitted):
            tags.input_tags = given.__sklearn_tags__().input_tags
        else:
            tags.input_tags.sparse = tags.input_tags.three_d_array = True
            tags.input_tags.allow_nan = True
        return tags


def _place(autoencoder: Fitted, level: float) -> int:
    """From below, the held-out score that is just not unusual; negative if there are too few.

    p ≤ α where at most α (r + 1) − 1 of r scores are as low.
    """
    held_out = autoencoder._tried.reference
    return math.floor(level * ((0 if held_out is None else len(held_out)) + 1)) - 1
