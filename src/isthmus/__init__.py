"""Isthmus: autoencoders from raw data to a narrow code and back.

Everything is one sentence, minimised on average over rows:

    J(x) = − log p(x | h) + KL(p(h | x̃) ‖ p(h)) + Σ λ_k Ω_k ,   h ~ p(h | x̃),  x̃ ~ C(x̃ | x)

with a likelihood p(x | h), an encoder p(h | x), a corruption C and penalties Ω.

Importing this package loads nothing else: a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "isthmus.estimators": (
        "Autoencoder",
        "OutlierDetector",
        "PatchFeatures",
        "PretrainedClassifier",
        "PretrainedRegressor",
        "SemanticHasher",
        "StackedAutoencoder",
        "load",
        "save",
    ),
    "isthmus.likelihoods": (
        "Bernoulli",
        "Categorical",
        "Columns",
        "ContinuousBernoulli",
        "Gaussian",
        "Laplace",
        "Multinomial",
        "NegativeBinomial",
        "Poisson",
        "StudentT",
        "ZeroInflatedNegativeBinomial",
    ),
    "isthmus.encoders": ("BernoulliCode", "Deterministic", "GaussianCode", "NoisySigmoid"),
    "isthmus.corruptions": (
        "GaussianNoise",
        "Masking",
        "NeighbourWalk",
        "SaltAndPepper",
        "Swap",
        "Walkback",
        "Warp",
    ),
    "isthmus.penalties": ("Balance", "Contractive", "Curvature", "KLSparsity", "L1", "Neighbours"),
    "isthmus.hashing": ("CodeStore",),
    "isthmus._errors": (
        "FileFormatError",
        "InvalidDataError",
        "InvalidParameterError",
        "IsthmusError",
        "IsthmusWarning",
        "MissingPackageError",
        "NotFittedError",
        "SupportError",
        "TrainingError",
        "UnreachableError",
        "UnsupportedTypeError",
    ),
}
_ROOMS = ("analysis", "plots")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if TYPE_CHECKING:
    from isthmus import analysis, plots
    from isthmus._errors import (
        FileFormatError,
        InvalidDataError,
        InvalidParameterError,
        IsthmusError,
        IsthmusWarning,
        MissingPackageError,
        NotFittedError,
        SupportError,
        TrainingError,
        UnreachableError,
        UnsupportedTypeError,
    )
    from isthmus.corruptions import (
        GaussianNoise,
        Masking,
        NeighbourWalk,
        SaltAndPepper,
        Swap,
        Walkback,
        Warp,
    )
    from isthmus.encoders import BernoulliCode, Deterministic, GaussianCode, NoisySigmoid
    from isthmus.estimators import (
        Autoencoder,
        OutlierDetector,
        PatchFeatures,
        PretrainedClassifier,
        PretrainedRegressor,
        SemanticHasher,
        StackedAutoencoder,
        load,
        save,
    )
    from isthmus.hashing import CodeStore
    from isthmus.likelihoods import (
        Bernoulli,
        Categorical,
        Columns,
        ContinuousBernoulli,
        Gaussian,
        Laplace,
        Multinomial,
        NegativeBinomial,
        Poisson,
        StudentT,
        ZeroInflatedNegativeBinomial,
    )
    from isthmus.penalties import L1, Balance, Contractive, Curvature, KLSparsity, Neighbours

__all__ = [
    "L1",
    "Autoencoder",
    "Balance",
    "Bernoulli",
    "BernoulliCode",
    "Categorical",
    "CodeStore",
    "Columns",
    "ContinuousBernoulli",
    "Contractive",
    "Curvature",
    "Deterministic",
    "FileFormatError",
    "Gaussian",
    "GaussianCode",
    "GaussianNoise",
    "InvalidDataError",
    "InvalidParameterError",
    "IsthmusError",
    "IsthmusWarning",
    "KLSparsity",
    "Laplace",
    "Masking",
    "MissingPackageError",
    "Multinomial",
    "NegativeBinomial",
    "NeighbourWalk",
    "Neighbours",
    "NoisySigmoid",
    "NotFittedError",
    "OutlierDetector",
    "PatchFeatures",
    "Poisson",
    "PretrainedClassifier",
    "PretrainedRegressor",
    "SaltAndPepper",
    "SemanticHasher",
    "StackedAutoencoder",
    "StudentT",
    "SupportError",
    "Swap",
    "TrainingError",
    "UnreachableError",
    "UnsupportedTypeError",
    "Walkback",
    "Warp",
    "ZeroInflatedNegativeBinomial",
    "analysis",
    "load",
    "plots",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"isthmus.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'isthmus' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF, *_ROOMS})
