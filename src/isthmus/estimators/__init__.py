"""The scikit-learn skin: final classes, thin."""

from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.hasher import SemanticHasher
from isthmus.estimators.persistence import load, save

__all__ = ["Autoencoder", "SemanticHasher", "load", "save"]
