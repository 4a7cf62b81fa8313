"""The scikit-learn skin: final classes, thin."""

from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.hasher import SemanticHasher
from isthmus.estimators.persistence import load, save
from isthmus.estimators.pretrained import PretrainedClassifier, PretrainedRegressor

__all__ = [
    "Autoencoder",
    "PretrainedClassifier",
    "PretrainedRegressor",
    "SemanticHasher",
    "load",
    "save",
]
