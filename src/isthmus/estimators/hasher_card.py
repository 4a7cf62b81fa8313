"""What a `SemanticHasher` writes on its card and reads from it."""

from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from typing import Any

import torch
from torch import Tensor

from isthmus._errors import FileFormatError
from isthmus._random import make_generator
from isthmus.binary import Coder, new_queries
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

CURVATURE, QUERIES = "flips.curvature", "queries."


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
    return card, hasher.model_.state_dict() | hasher._coder.state()


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
    own = {name: t for name, t in tensors.items() if name.startswith((CURVATURE, QUERIES))}
    weights = {name: t for name, t in tensors.items() if name not in own}
    model = model_from(parts.recipe, likelihood, row_shape, weights)
    device, k = device_or_processor(hasher.device), parts.recipe.n_components
    hasher._receive(model.to(device), parts)
    queries = new_queries(model, torch.zeros(k, prod(row_shape) + 1), 1.0, make_generator(0))
    wanted = queries.state_dict()
    state = {name: _numbers(tensors, QUERIES + name, tuple(t.shape)) for name, t in wanted.items()}
    if len(own) != len(state) + 1:
        raise FileFormatError("it holds numbers that no hasher has")
    queries.load_state_dict(state)
    curvature = _numbers(tensors, CURVATURE, (k, k)).to(device)
    prior = parts.rounds.prior
    hasher._take(Coder(model, parts.metric, prior, curvature, queries.to(device)))
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
