"""The scikit-learn skin: final classes, thin."""

from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.hasher import SemanticHasher
from isthmus.estimators.outliers import OutlierDetector
from isthmus.estimators.patch_features import PatchFeatures
from isthmus.estimators.persistence import load, save
from isthmus.estimators.pretrained import PretrainedClassifier, PretrainedRegressor
from isthmus.estimators.stacked import StackedAutoencoder

__all__ = [
    "Autoencoder",
    "OutlierDetector",
    "PatchFeatures",
    "PretrainedClassifier",
    "PretrainedRegressor",
    "SemanticHasher",
    "StackedAutoencoder",
    "load",
    "save",
]
