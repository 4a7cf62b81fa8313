"""`PretrainedClassifier` and `PretrainedRegressor`: all rows teach the encoder, few the answer.

First an autoencoder learns from all rows; then its encoder and a small head learn −log p(y | h).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._random import RandomState
from isthmus.corruptions import Corruption
from isthmus.estimators.apply import Array
from isthmus.estimators.calibrate import temperature
from isthmus.estimators.classes import class_shares, class_weights
from isthmus.estimators.fine_tune import Answers, Course
from isthmus.estimators.labels import (
    Labels,
    known_classes,
    read_classes,
    read_numbers,
    require_two,
)
from isthmus.estimators.resolve import number
from isthmus.estimators.supervised import Pretrained
from isthmus.likelihoods import LIKELIHOODS, Categorical, Likelihood
from isthmus.virtual import Confident, Drawn, Expected, Virtual

OneCorruption = str | Corruption


class PretrainedClassifier(ClassifierMixin, Pretrained):  # type: ignore[misc]  # scikit-learn has no types
    """Classes from an encoder that has learned from all rows, with labels or without.

    First an autoencoder is fitted to all rows; then its encoder f and a small head are trained on

        E[ − w_y log p(y | f(x̃)) ] + c E[ − log p(ŷ | f(x̃)) ] + λ E[ J(x) ] ,   x̃ ~ C(x̃ | x)

    the first mean over the rows with a label, the others over all rows; ŷ is a virtual label, J
    the autoencoder's objective. All terms are in nats. Held-out labels stop the training early and
    set the temperature of `predict_proba` (Guo et al., 2017).

    A row without a label has −1 among numbers, as in scikit-learn, or None or NaN among any kind.
    (Where −1 and one other number are all the labels that there are, they are two classes.)

    Args:
        autoencoder: An `Autoencoder` or a `StackedAutoencoder`; None is ``Autoencoder()``. One
            that is fitted already is copied and not fitted again. `sklearn.base.clone`, and with
            it `GridSearchCV`, forgets what is fitted: there, wrap it,
            ``FrozenEstimator(autoencoder)`` of `sklearn.frozen`.
        pretrain: Whether the autoencoder is fitted; if not, the same network begins at random
            weights.
        head: Hidden widths between code and classes; ``()`` is logistic regression on the code.
        freeze: True keeps the encoder as it is; a number keeps so many of its lowest layers.
        gradual: Whether the encoder's layers begin to move one by one, from the top (Howard and
            Ruder, 2018).
        layer_decay: Learning rate of each layer as a factor of that of the layer above it.
        corruption: C: one or a list, names or objects; None for none.
        reconstruction: λ, the weight of the autoencoder's objective.
        consistency: c, the weight of virtual labels: what is predicted for a clean row is what
            its corrupted copy is to be given.
        confidence: None compares the probabilities of all classes (Sajjadi et al., 2016); a
            number takes the most probable one, and only where it is so probable (Sohn et al.,
            2020).
        neighbours: k above 0 first spreads labels over a graph of each row and the k with the
            nearest codes (Zhou et al., 2004); what arrives is a prior of virtual labels. Of more
            rows, 32,768 are in the graph. 0 for none.
        class_shares: The shares of the classes among the rows without a label, a dictionary by
            class, or ``"labels"`` where they are as among the labels: virtual labels keep to them
            in the mean of a step's rows (distribution alignment, Berthelot et al., 2020). None
            if they aren't known.
        adversary: Length of a step that moves the copy where its prediction changes most (virtual
            adversarial training, Miyato et al., 2018), in the units of `GaussianNoise`; 0 for
            none.
        class_weight: None, ``"balanced"``, or a dictionary of weights by class.
        optimizer: As in `Autoencoder`.
        learning_rate: The highest rate; it warms up and decays along a cosine.
        batch_size: Labelled rows per step, and rows of all.
        labelled_batch_size: Labelled rows per step beside rows of all; None is ``batch_size``.
        max_epochs: Passes at most: over the labelled rows, or over all rows where
            ``reconstruction`` or ``consistency`` read them.
        validation_fraction: Part of each class's labels held out; 0 for none.
        patience: Epochs without better held-out labels before training stops.
        device: As in `Autoencoder`, for the default one as well; another keeps its own.
        precision: As ``device``.
        random_state: Seed; None is a new one each time.
        verbose: 1 shows a progress bar on a terminal; 2 keeps it.

    Attributes:
        autoencoder_: The autoencoder with the fine-tuned encoder, for `transform`. Its decoder has
            followed only where ``reconstruction`` is above 0.
        head_: p(y | h), an `isthmus.model.Model`.
        classes_: The classes, sorted.
        temperature_: What logits are divided by; 1 without held-out labels.
        history_: One `isthmus.training.Epoch` per epoch of the fine-tuning.
        n_features_in_: d.
        feature_names_in_: The columns' names, where the data had any.
        n_iter_: Epochs of the fine-tuning.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> few = np.where(np.arange(150) % 10, -1, y)
        >>> model = PretrainedClassifier(Autoencoder(2, max_epochs=5), random_state=0)
        >>> model.fit(X, few).predict(X).shape
        (150,)
    """

    def __init__(  # noqa: PLR0913  # a scikit-learn estimator lists its parameters here
        self,
        autoencoder: Any = None,
        *,
        pretrain: bool = True,
        head: tuple[int, ...] = (),
        freeze: bool | int = False,
        gradual: bool = False,
        layer_decay: float = 1.0,
        corruption: OneCorruption | list[OneCorruption] | None = None,
        reconstruction: float = 0.0,
        consistency: float = 0.0,
        confidence: float | None = None,
        neighbours: int = 0,
        class_shares: str | dict[Any, float] | None = None,
        adversary: float = 0.0,
        class_weight: str | dict[Any, float] | None = None,
        optimizer: str = "adamw",
        learning_rate: float = 1e-3,
        batch_size: int = 64,
        labelled_batch_size: int | None = None,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        patience: int = 10,
        device: str = "auto",
        precision: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.pretrain = pretrain
        self.head = head
        self.freeze = freeze
        self.gradual = gradual
        self.layer_decay = layer_decay
        self.corruption = corruption
        self.reconstruction = reconstruction
        self.consistency = consistency
        self.confidence = confidence
        self.neighbours = neighbours
        self.class_shares = class_shares
        self.adversary = adversary
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.labelled_batch_size = labelled_batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _read(self, y: Any) -> Labels:
        return read_classes(y)

    def _answers(self, labels: Labels) -> Answers:
        virtual: Virtual = Expected()
        if self.confidence is not None:
            virtual = Confident(number("confidence", self.confidence, 0.0, 1.0))
        classes, codes = np.unique(labels.values, return_inverse=True)
        require_two(classes)
        self.classes_ = classes
        return Answers(
            Categorical(len(classes)),
            codes[:, None].astype(np.float64),
            class_weights(self.class_weight, classes, labels.values)[codes],
            (0.0, 1.0),
            virtual,
            class_shares(self.class_shares, classes, np.bincount(codes)),
        )

    def _finish(self, course: Course) -> None:
        seen = course.held_out_eta()
        self.temperature_ = 1.0 if seen is None else temperature(seen[0], seen[1].astype(np.intp))

    def predict_proba(self, X: ArrayLike) -> Array:
        """p(y | x) for each class, with the temperature of held-out labels.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n, number of classes), in the order of ``classes_``.

        Raises:
            InvalidDataError: As in `isthmus.Autoencoder.transform`.
        """
        return self._of_head(
            X, lambda head, h: (head.decode(h)[0].flatten(1) / self.temperature_).softmax(1)
        )

    def predict(self, X: ArrayLike) -> Array:
        """The most probable class of each row.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,) of classes.

        Raises:
            InvalidDataError: As in `isthmus.Autoencoder.transform`.
        """
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(1)])

    def score(self, X: ArrayLike, y: Any) -> float:
        """The accuracy on the rows that have a label.

        Args:
            X: Rows as in `fit`.
            y: Labels as in `fit`.

        Returns:
            Between 0 and 1.

        Raises:
            InvalidDataError: No labels, or another number of them than of rows.

        Warns:
            IsthmusWarning: Labels of classes that `fit` never saw, which count as errors.
        """
        found = self.predict(X)
        labels = read_classes(y, self.classes_)
        labels.require_rows(len(found))
        known_classes(labels, self.classes_)
        return float(np.mean(labels.values == found[labels.rows]))


class PretrainedRegressor(RegressorMixin, Pretrained):  # type: ignore[misc]  # scikit-learn has no types
    """Numbers from an encoder that has learned from all rows, with labels or without.

    As `PretrainedClassifier`, with a likelihood of numbers for y:

        E[ − log p(y | f(x̃)) ] + c E[ − log p(ŷ | f(x̃)) ] + λ E[ J(x) ] ,   x̃ ~ C(x̃ | x)

    where ŷ is drawn from p(y | f(x)). A row without a label has NaN.

    Args:
        autoencoder: As in `PretrainedClassifier`.
        pretrain: As in `PretrainedClassifier`.
        likelihood: p(y | h), a name in `isthmus.likelihoods.LIKELIHOODS` or an object: Gaussian
            for means, Laplace for medians, Poisson for counts.
        head: Hidden widths between code and y.
        freeze: As in `PretrainedClassifier`, and so are all that are not described here.
        gradual: Whether the encoder's layers begin to move one by one, from the top.
        layer_decay: Learning rate of each layer as a factor of that of the layer above it.
        corruption: C.
        reconstruction: λ.
        consistency: c, the weight of virtual labels.
        adversary: Length of a step that moves the copy.
        optimizer: As in `Autoencoder`.
        learning_rate: The highest.
        batch_size: Labelled rows per step, and rows of all.
        labelled_batch_size: Labelled rows per step beside rows of all.
        max_epochs: Passes at most.
        validation_fraction: Part of the labels held out; 0 for none.
        patience: Epochs without better held-out labels before training stops.
        device: As in `PretrainedClassifier`.
        precision: As ``device``.
        random_state: Seed; None is a new one each time.
        verbose: 1 shows a progress bar on a terminal; 2 keeps it.

    Attributes:
        autoencoder_: The autoencoder, with the fine-tuned encoder.
        head_: p(y | h), an `isthmus.model.Model`.
        history_: One `isthmus.training.Epoch` per epoch of the fine-tuning.
        n_features_in_: d.
        feature_names_in_: The columns' names, where the data had any.
        n_iter_: Epochs of the fine-tuning.
    """

    def __init__(  # noqa: PLR0913  # a scikit-learn estimator lists its parameters here
        self,
        autoencoder: Any = None,
        *,
        pretrain: bool = True,
        likelihood: str | Likelihood = "gaussian",
        head: tuple[int, ...] = (),
        freeze: bool | int = False,
        gradual: bool = False,
        layer_decay: float = 1.0,
        corruption: OneCorruption | list[OneCorruption] | None = None,
        reconstruction: float = 0.0,
        consistency: float = 0.0,
        adversary: float = 0.0,
        optimizer: str = "adamw",
        learning_rate: float = 1e-3,
        batch_size: int = 64,
        labelled_batch_size: int | None = None,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        patience: int = 10,
        device: str = "auto",
        precision: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.pretrain = pretrain
        self.likelihood = likelihood
        self.head = head
        self.freeze = freeze
        self.gradual = gradual
        self.layer_decay = layer_decay
        self.corruption = corruption
        self.reconstruction = reconstruction
        self.consistency = consistency
        self.adversary = adversary
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.labelled_batch_size = labelled_batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _read(self, y: Any) -> Labels:
        return read_numbers(y)

    def _answers(self, labels: Labels) -> Answers:
        likelihood = LIKELIHOODS.resolve(self.likelihood)
        y = labels.values[:, None]
        likelihood.check(y, names=["y"])
        traits = likelihood.traits
        if traits.entry in ("one_hot", "table") or traits.scaling == "rank":
            raise InvalidParameterError(
                f"{likelihood!r} is no likelihood of one number here; use 'gaussian', 'laplace', "
                "'student_t' or 'poisson', or PretrainedClassifier for classes."
            )
        scaling = (0.0, 1.0)
        if traits.scaling != "none":
            center, spread = float(y.mean()), float(y.std())
            constant = spread <= 1e-12 * abs(center)
            scaling = (center, (abs(center) or 1.0) if constant else spread)
        return Answers(likelihood, y, np.ones(len(y)), scaling, Drawn())

    def _finish(self, course: Course) -> None:
        """Nothing is left to do."""

    def predict(self, X: ArrayLike) -> Array:
        """E[y | x] of each row.

        Args:
            X: Rows as in `fit`.

        Returns:
            Array (n,), in the units of y.

        Raises:
            InvalidDataError: As in `isthmus.Autoencoder.transform`.
        """
        return self._of_head(X, lambda head, h: head.mean(h)[:, 0])

    def score(self, X: ArrayLike, y: Any) -> float:
        """R² on the rows that have a label.

        Args:
            X: Rows as in `fit`.
            y: Numbers, NaN for none.

        Returns:
            1 at best.

        Raises:
            InvalidDataError: Fewer than two labels, or another number of them than of rows.
        """
        found, labels = self.predict(X), read_numbers(y)
        labels.require_rows(len(found))
        if len(labels.rows) < 2:
            raise InvalidDataError("R² needs two labels at least, and y has 1.")
        error = np.square(labels.values - found[labels.rows]).sum(dtype=np.float64)
        spread = np.square(labels.values - labels.values.mean()).sum()
        return float(1 - error / spread) if spread > 0 else float(error == 0)
