"""What the pretrained classifier and the pretrained regressor have in common."""

import copy
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin

from isthmus._errors import NotFittedError
from isthmus._random import RandomState, draw_seed
from isthmus.data import Matrix, as_matrix
from isthmus.estimators import resolve
from isthmus.estimators.apply import Array, data_to_read, to_codes
from isthmus.estimators.construct import check_support
from isthmus.estimators.fine_tune import Answers, Course, Places, pretrained, read_tuning
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.labels import Labels, hold_out
from isthmus.estimators.resolve import fraction, truth
from isthmus.model import Model
from isthmus.training import Epoch


class Pretrained(ABC, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What classifier and regressor have in common: all but the meaning of y.

    Attributes:
        autoencoder_: The autoencoder, with the fine-tuned encoder.
        head_: p(y | h).
        history_: One record per epoch of the fine-tuning.
    """

    learns_from_unlabelled = True  # for whoever hands out rows without labels, as `analysis` does

    autoencoder: Any
    pretrain: bool
    validation_fraction: float
    random_state: RandomState
    verbose: int
    autoencoder_: Fitted
    head_: Model
    history_: list[Epoch]

    @abstractmethod
    def _read(self, y: Any) -> Labels:
        """The labels that are there."""

    @abstractmethod
    def _answers(self, labels: Labels) -> Answers:
        """The same as the head sees them; sets what is fitted to labels alone."""

    @abstractmethod
    def _finish(self, course: Course) -> None:
        """After the training: what held-out labels teach."""

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Learn from rows, of which some have labels.

        Ctrl-C ends the pretraining, and once more the fine-tuning; the best weights so far stay.

        Args:
            X: Rows as in `isthmus.Autoencoder.fit`.
            y: A label for each, (n,); see the class for what marks a missing one.

        Returns:
            The estimator itself.

        Raises:
            InvalidDataError: No labels, another number of them than of rows, or as in
                `isthmus.Autoencoder.fit`.
            InvalidParameterError: A parameter outside its range.
            TrainingError: No finite step could be found.
        """
        params = self.get_params(deep=False)
        plan, tuning = resolve.read_plan(params), read_tuning(params)
        part = fraction("validation_fraction", self.validation_fraction)
        begins_trained = truth("pretrain", self.pretrain)
        labels, seed = self._read(y), draw_seed(self.random_state)
        n_rows = _length(X)
        if n_rows is not None:
            labels.require_rows(n_rows)
        answers = self._answers(labels)
        shared = ("device", "precision", "verbose")
        defaults = {"random_state": seed, **{name: params[name] for name in shared}}
        autoencoder = pretrained(self.autoencoder, X, seed, defaults, train=begins_trained)
        data = data_to_read(autoencoder, X)
        check_support(autoencoder.likelihood_, data)  # the autoencoder may be of other rows
        found = len(data) if isinstance(data, Matrix) else data.n_rows
        assert found is not None, "a pass has counted them"
        labels.require_rows(found)
        rng = np.random.default_rng(seed)
        by_class = isinstance(self, ClassifierMixin)
        places = Places(labels.rows, *hold_out(answers.y[:, 0], part, rng, by_class=by_class))
        course = Course(autoencoder, data, answers, places, tuning, seed)
        history: list[Epoch] = []
        course.run(plan, history, self.verbose)
        self._receive(autoencoder, course.predictor.head, history)
        self._finish(course)
        return self

    def _receive(self, autoencoder: Fitted, head: Model, history: list[Epoch]) -> None:
        self.autoencoder_, self.head_, self.history_ = autoencoder, head, history
        self.n_features_in_ = autoencoder.n_features_in_
        if hasattr(autoencoder, "feature_names_in_"):
            self.feature_names_in_ = autoencoder.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    @property
    def n_iter_(self) -> int:
        """Epochs of the fine-tuning."""
        return max(1, len(self.history_))

    def _require_fitted(self) -> None:
        if not hasattr(self, "head_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet; call fit first."
            )

    def _of_head(self, X: ArrayLike, function: Any) -> Array:
        """A function of the head and of codes, for rows."""
        self._require_fitted()
        codes = self.autoencoder_._to_rows(X, lambda model, z: model.code(z))
        head = self.head_
        if codes.dtype == np.float64:
            head = _in_double(head)
        return to_codes(lambda h: function(head, h), head, as_matrix(codes))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def _length(X: Any) -> int | None:
    """The number of rows, where it is known without a look at them."""
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and shape and isinstance(shape[0], int):
        return shape[0]
    return len(X) if isinstance(X, list) and X and not isinstance(X[0], str) else None


def _in_double(head: Model) -> Model:
    return copy.deepcopy(head).double()
