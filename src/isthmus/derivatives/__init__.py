"""Derivatives of the maps that a model learns."""

from isthmus.derivatives.jacobians import jacobian, squared_norm
from isthmus.derivatives.layered import squared_norm_mlp
from isthmus.derivatives.spectra import leading_singular

__all__ = ["jacobian", "leading_singular", "squared_norm", "squared_norm_mlp"]
