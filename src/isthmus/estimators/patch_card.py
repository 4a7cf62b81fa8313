"""What a `PatchFeatures` writes on its card and reads from it."""

from collections.abc import Mapping
from math import isfinite, prod
from typing import Any

import torch
from torch import Tensor

from isthmus._errors import FileFormatError
from isthmus.estimators.cards import (
    Modules,
    names_card,
    params_card,
    params_from_card,
    restore_names,
)
from isthmus.estimators.patch_features import PatchFeatures
from isthmus.estimators.resolve import number, whole
from isthmus.patches import Dictionary


def patch_parts(features: PatchFeatures) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the tensors of fitted features."""
    dictionary = features.dictionary_
    card = {
        "estimator": type(features).__name__,
        "fitted": {
            **names_card(features),
            "row_shape": list(features.row_shape_),
            "floor": dictionary.floor,
        },
        "params": params_card(features.get_params(deep=False)),
    }
    return card, {"whitening": dictionary.whitening, "atoms": dictionary.atoms}


def patches_from(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], network: Modules | None
) -> PatchFeatures:
    """The features again, every part of them checked; they have no modules of the user's own."""
    params = params_from_card(card["params"], network)
    if params["image_shape"] is not None:
        params["image_shape"] = tuple(params["image_shape"])
    features = PatchFeatures(**params)
    fitted = card["fitted"]
    features.row_shape_ = tuple(whole("row_shape", size, 1) for size in fitted["row_shape"])
    features.n_features_in_ = prod(features.row_shape_)
    restore_names(features, fitted["feature_names_in"])
    features._take(_dictionary(tensors, number("floor", fitted["floor"], 0.0, 1e30)))
    m = features.n_patch_numbers
    if features.dictionary_.whitening.shape[0] != m:
        raise FileFormatError(f"its patches have {m} numbers, and its dictionary is of others")
    return features


def _dictionary(tensors: Mapping[str, Tensor], floor: float) -> Dictionary:
    if set(tensors) != {"whitening", "atoms"}:
        raise FileFormatError("it holds other numbers than a dictionary of patches")
    whitening, atoms = tensors["whitening"].clone(), tensors["atoms"].clone()
    for name, tensor in (("whitening", whitening), ("atoms", atoms)):
        if tensor.ndim != 2 or tensor.dtype != torch.float32 or not len(tensor):
            raise FileFormatError(f"{name} is no matrix in float32")
        if not all(isfinite(value) for value in (tensor.min(), tensor.max())):
            raise FileFormatError(f"{name!r} holds values that are not finite")
    m = whitening.shape[0]
    if whitening.shape != (m, m) or atoms.shape[1] != m:
        raise FileFormatError("its dictionary does not fit together")
    return Dictionary(whitening, atoms, floor)
