"""Derivatives of the maps that a model learns: Jacobians, their norms and their spectra."""

from isthmus.derivatives.differentials import (
    Composed,
    Differential,
    Featurewise,
    OfFunction,
    jacobian,
    squared_norm,
)
from isthmus.derivatives.estimates import (
    Choice,
    choose,
    estimated_difference_norm,
    estimated_norm,
)
from isthmus.derivatives.layered import Layer, OfLayers, layers_of, squared_norm_mlp
from isthmus.derivatives.spectra import leading_singular

__all__ = [
    "Choice",
    "Composed",
    "Differential",
    "Featurewise",
    "Layer",
    "OfFunction",
    "OfLayers",
    "choose",
    "estimated_difference_norm",
    "estimated_norm",
    "jacobian",
    "layers_of",
    "leading_singular",
    "squared_norm",
    "squared_norm_mlp",
]
