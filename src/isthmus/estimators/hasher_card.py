"""What a `SemanticHasher` writes on its card and reads from it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from isthmus._errors import FileFormatError
from isthmus.estimators.cards import (
    Modules,
    device_or_processor,
    epoch_from,
    fitted_card,
    model_from,
    params_card,
    params_from_card,
    plain,
    restore,
    row_shape_from,
)
from isthmus.estimators.hasher import SemanticHasher
from isthmus.estimators.hasher_parts import read_parts
from isthmus.likelihoods import LIKELIHOODS

CURVATURE, WEIGHTS = "flips.curvature", "bits.weights"


def hasher_parts(hasher: SemanticHasher) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the tensors of a fitted hasher."""
    card = {
        "estimator": type(hasher).__name__,
        "fitted": fitted_card(hasher),
        "likelihood": plain("likelihood", hasher.likelihood_),
        "history": [asdict(epoch) for epoch in hasher.history_],
        "params": params_card(hasher.get_params(deep=False)),
        "built": params_card(hasher._built),
    }
    own = {CURVATURE: hasher._curvature, WEIGHTS: hasher._weights}
    return card, hasher.model_.state_dict() | own


def hasher_from(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], network: Modules | None
) -> SemanticHasher:
    """The hasher again, every part of it checked; it has no modules of the user's own."""
    params = params_from_card(card["params"], network)
    hasher = SemanticHasher(**params)
    built = params_from_card(card["built"], None)
    parts = read_parts({**params, **built})
    likelihood = LIKELIHOODS.from_card(card["likelihood"])
    row_shape = row_shape_from(card["fitted"], tensors["scale"])
    restore(hasher, card["fitted"], row_shape)
    hasher.history_ = [epoch_from(record) for record in card["history"]]
    weights = {name: t for name, t in tensors.items() if name not in (CURVATURE, WEIGHTS)}
    model = model_from(parts.recipe, likelihood, row_shape, weights)
    device, k = device_or_processor(hasher.device), parts.recipe.n_components
    hasher._receive(model.to(device), parts)
    hasher._take(
        _numbers(tensors, CURVATURE, (k, k)).to(device),
        _numbers(tensors, WEIGHTS, (k, hasher.n_features_in_ + 1)).to(device),
    )
    return hasher


def _numbers(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    found = tensors[name]
    if tuple(found.shape) != shape or found.dtype != torch.float32:
        raise FileFormatError(
            f"{name} should be float32 of shape {shape}; it is {found.dtype} of shape "
            f"{tuple(found.shape)}"
        )
    if not torch.isfinite(found).all():
        raise FileFormatError(f"{name!r} holds values that are not finite")
    return found.clone()
