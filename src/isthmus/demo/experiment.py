"""What the demo trains, and how it measures.

| figure | what it is |
|---|---|
| nats per image | the mean of log p(x | f(x)); for the variational one, of its bound on log p(x) |
| bits per dimension | −nats / (64 log 2) |
| 1-NN accuracy | how often the nearest training code belongs to a digit of the same class |
| R² | the part of the held-out pixels' variance that the reconstruction keeps |

log p(x | f(x)) does not pay for the code and log p(x) does, so the two kinds of figure are never
set against each other. PCA has one of each kind: log p(x | f(x)) under the best Gaussian about its
reconstruction, and log p(x) of probabilistic PCA (Tipping and Bishop, 1999).
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from isthmus._errors import IsthmusWarning
from isthmus.corruptions import GaussianNoise
from isthmus.estimators import Autoencoder
from isthmus.penalties import Contractive

Array = NDArray[Any]

UNITS, MAP_UNITS = 8, 2
N_TEST, PIXELS, DARKEST = 500, 64, 16
NOISE = 3.0
IMPORTANCE_SAMPLES = 64
SAME: dict[str, Any] = {
    "hidden": (256, 128),
    "likelihood": "gaussian_shared",
    "batch_size": 64,
    "random_state": 0,
}
# the strengths of noise and contraction were chosen on training digits alone
PARTS: dict[str, dict[str, Any]] = {
    "usual": {},
    "variational": {"encoder": "gaussian"},
    "denoising": {"corruption": GaussianNoise(NOISE)},
    "contractive": {"penalty": Contractive(30.0)},
}


@dataclass(frozen=True)
class Digits:
    """A fixed split in which every class has its share on both sides.

    Attributes:
        train: Images (n, 8, 8), grey levels 0 … 16.
        test: Images that are held out.
        train_classes: 0 … 9, for the measures only.
        test_classes: The same.
    """

    train: Array
    test: Array
    train_classes: Array
    test_classes: Array

    @classmethod
    def split(cls) -> Self:
        """1,297 digits to train on and 500 to measure on."""
        digits = load_digits()
        classes = digits.target
        return cls(
            *train_test_split(
                digits.images, classes, test_size=N_TEST, stratify=classes, random_state=0
            )
        )

    @cached_property
    def noisy(self) -> Array:
        """The held-out digits with the noise that the denoising one is trained under."""
        return self.test + NOISE * np.random.default_rng(0).normal(size=self.test.shape)

    @cached_property
    def shown(self) -> list[int]:
        """The first held-out digit of each class."""
        return [int(np.argmax(self.test_classes == kind)) for kind in range(10)]


class Coder(Protocol):
    """A way to a code and back."""

    def transform(self, X: Array) -> Array:
        """Codes (n, k) of images (n, 8, 8)."""

    def reconstruct(self, X: Array) -> Array:
        """The images that come back."""


class Linear:
    """PCA of images: what the autoencoders are held against.

    Args:
        images: To fit to, (n, 8, 8).
        n_components: k.
    """

    def __init__(self, images: Array, n_components: int) -> None:
        self._pca = PCA(n_components, svd_solver="full").fit(_flat(images))
        self._std = float(np.sqrt(np.mean((self.reconstruct(images) - images) ** 2)))

    def transform(self, X: Array) -> Array:
        """The first k principal components."""
        codes: Array = self._pca.transform(_flat(X))
        return codes

    def reconstruct(self, X: Array) -> Array:
        """The projection on the first k directions."""
        rows: Array = self._pca.inverse_transform(self.transform(X))
        return rows.reshape(X.shape)

    def score_given_code(self, X: Array) -> float:
        """Mean of log p(x | f(x)) with the one standard deviation that fits best in training."""
        return float(np.sum(norm.logpdf(X, self.reconstruct(X), self._std)) / len(X))

    def score(self, X: Array) -> float:
        """Mean of log p(x) of probabilistic PCA."""
        return float(self._pca.score(_flat(X)))


@dataclass(frozen=True)
class Trained:
    """One autoencoder.

    Attributes:
        name: In `PARTS`.
        model: With `UNITS` units.
        map: The same with `MAP_UNITS`.
        seconds: What the training of ``model`` took.
    """

    name: str
    model: Autoencoder
    map: Autoencoder
    seconds: float


def train(name: str, digits: Digits, max_epochs: int, begin: Callable[[str], None]) -> Trained:
    """Train one autoencoder for figures and one for a map.

    Args:
        name: In `PARTS`.
        digits: The split.
        max_epochs: At most.
        begin: Is told what begins.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    begin(f"training the {name} one: 64 → {UNITS} → 64")
    began = time.perf_counter()
    model = _fit(digits.train, UNITS, name, max_epochs)
    seconds = time.perf_counter() - began
    begin(f"training the {name} one: 64 → {MAP_UNITS} → 64")
    return Trained(name, model, _fit(digits.train, MAP_UNITS, name, max_epochs), seconds)


def _fit(images: Array, units: int, name: str, max_epochs: int) -> Autoencoder:
    model = Autoencoder(units, **SAME, max_epochs=max_epochs, **PARTS[name])
    with warnings.catch_warnings():
        # the estimator takes Ctrl-C for the end of one training, here it is the end of all
        warnings.filterwarnings("error", "Stopped by the user", IsthmusWarning)
        try:
            return model.fit(images)
        except IsthmusWarning as stop:
            raise KeyboardInterrupt from stop


def measure(trained: Sequence[Trained], digits: Digits, max_epochs: int) -> dict[str, Any]:
    """Everything the table and the captions say, as plain JSON data.

    Args:
        trained: The four.
        digits: The split.
        max_epochs: As it was in training.
    """
    return {
        "data": {
            "name": "the digits of scikit-learn",
            "train": len(digits.train),
            "held_out": len(digits.test),
            "pixels": PIXELS,
            "noise": NOISE,
            "noisy_rmse": rmse(digits.noisy, digits.test),
            "one_nn_accuracy": one_nn_accuracy(_flat, digits),
        },
        "settings": {**SAME, "hidden": list(SAME["hidden"]), "max_epochs": max_epochs},
        **{each.name: _figures(each, digits) for each in trained},
        "pca": _linear_figures(digits),
    }


def _figures(each: Trained, digits: Digits) -> dict[str, Any]:
    model, test = each.model, digits.test
    figures = {
        "parts": ", ".join(given(PARTS[each.name])),
        "code": [model.n_features_in_, UNITS],
        **_likelihood("log p(x | f(x))", model.score(test)),
        "seconds": round(each.seconds, 2),
        "epochs": model.n_iter_,
        **_quality(model, digits),
        "map": {"one_nn_accuracy": one_nn_accuracy(each.map.transform, digits)},
    }
    if model.model_.encoder.stochastic:
        weighted = np.mean(model.log_likelihood(test, n_samples=IMPORTANCE_SAMPLES))
        figures["scored"] = "bound on log p(x)"
        figures["weighted"] = _likelihood("bound on log p(x)", float(weighted))
        figures["weighted"]["samples"] = IMPORTANCE_SAMPLES
    return figures


def _linear_figures(digits: Digits) -> dict[str, Any]:
    linear, plane = Linear(digits.train, UNITS), Linear(digits.train, MAP_UNITS)
    return {
        "code": [PIXELS, UNITS],
        **_likelihood("log p(x | f(x))", linear.score_given_code(digits.test)),
        "probabilistic": _likelihood("log p(x)", linear.score(digits.test)),
        **_quality(linear, digits),
        "map": {"one_nn_accuracy": one_nn_accuracy(plane.transform, digits)},
    }


def _likelihood(scored: str, nats: float) -> dict[str, Any]:
    bits = -nats / PIXELS / math.log(2)
    return {"scored": scored, "nats_per_image": nats, "bits_per_dimension": bits}


def _quality(coder: Coder, digits: Digits) -> dict[str, float]:
    test = digits.test
    rows = coder.reconstruct(test)
    return {
        "one_nn_accuracy": one_nn_accuracy(coder.transform, digits),
        "r2": float(1 - np.mean((rows - test) ** 2) / np.mean((test - test.mean(0)) ** 2)),
        "rmse": rmse(rows, test),
        "repaired_rmse": rmse(coder.reconstruct(digits.noisy), test),
    }


def given(parts: Mapping[str, Any]) -> list[str]:
    """Parts as the arguments that a user would write."""
    return [f"{name}={_short(part)}" for name, part in parts.items()]


def _short(part: Any) -> str:
    """An object as a call that gives it, without the arguments that have their default."""
    if isinstance(part, str):
        return f'"{part}"'
    if not is_dataclass(part):
        return repr(part)
    told = {field.name: getattr(part, field.name) for field in fields(part)}
    changed = [f.name for f in fields(part) if told[f.name] != f.default]
    return f"{type(part).__name__}({', '.join(f'{name}={told[name]}' for name in changed)})"


def one_nn_accuracy(code: Callable[[Array], Array], digits: Digits) -> float:
    """How often the nearest training digit, by its code, is of the held-out digit's class."""
    judge = KNeighborsClassifier(1).fit(code(digits.train), digits.train_classes)
    return float(judge.score(code(digits.test), digits.test_classes))


def rmse(images: Array, truth: Array) -> float:
    """Root mean square over all pixels, in grey levels."""
    return float(np.sqrt(np.mean((images - truth) ** 2)))


def _flat(images: Array) -> Array:
    return images.reshape(len(images), -1)
