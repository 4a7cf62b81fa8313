"""An autoencoder as a card and tensors, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from isthmus._errors import FileFormatError
from isthmus.data import Schema
from isthmus.estimators.autoencoder import Autoencoder
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
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.held_out import CODES, REFERENCE, spread_card, tried_from_file
from isthmus.estimators.resolve import read_recipe
from isthmus.likelihoods import LIKELIHOODS

BUILT = ("n_components", "hidden", "activation", "network", "tied", "encoder")
AUTOENCODERS: dict[str, type[Fitted]] = {Autoencoder.__name__: Autoencoder}

Described = tuple[dict[str, Any], dict[str, Tensor]]


def autoencoder_parts(estimator: Fitted) -> Described:
    """The card and the tensors of a fitted autoencoder."""
    built = {name: getattr(estimator._recipe, name) for name in BUILT}
    card = {
        "estimator": type(estimator).__name__,
        "params": params_card(estimator.get_params(deep=False)),
        "built": params_card(built),
        "fitted": fitted_card(estimator),
        "schema": None if estimator.schema_ is None else estimator.schema_.card(),
        "likelihood": plain("likelihood", estimator.likelihood_),
        "history": [asdict(epoch) for epoch in estimator.history_],
        "imputation": spread_card(estimator._tried.spread),
    }
    tensors = estimator.model_.state_dict()
    tried = {REFERENCE: estimator._tried.reference, CODES: estimator._tried.codes}
    return card, tensors | {n: torch.from_numpy(x) for n, x in tried.items() if x is not None}


def autoencoder_from(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], network: Modules | None
) -> Fitted:
    """The autoencoder that `autoencoder_parts` described.

    Args:
        card: From a file.
        tensors: From the same file.
        network: The user's own modules, if it was fitted with such.

    Raises:
        FileFormatError: The card is none, or doesn't fit the tensors.
    """
    if card["estimator"] not in AUTOENCODERS:
        raise FileFormatError(f"it holds a {card['estimator']!r}, which this version can't read")
    params, built = (params_from_card(card[name], network) for name in ("params", "built"))
    for given in (params, built):
        given["hidden"] = tuple(given["hidden"])
    recipe = read_recipe({**params, **built})
    likelihood = LIKELIHOODS.from_card(card["likelihood"])
    row_shape = row_shape_from(card["fitted"], tensors["scale"])
    estimator = AUTOENCODERS[card["estimator"]](**params)
    restore(estimator, card["fitted"], row_shape)
    estimator.history_ = [epoch_from(record) for record in card["history"]]
    weights = {name: t for name, t in tensors.items() if name not in (REFERENCE, CODES)}
    model = model_from(recipe, likelihood, row_shape, weights)
    device = device_or_processor(params["device"])
    estimator._receive(model.to(device), recipe, _schema(card, row_shape))
    estimator._tried = tried_from_file(card.get("imputation"), tensors, model)
    return estimator


def _schema(card: Mapping[str, Any], row_shape: tuple[int, ...]) -> Schema | None:
    """What the columns of a table are; files of data of one kind, and older ones, hold none."""
    if card.get("schema") is None:
        return None
    schema = Schema.from_card(card["schema"])
    if (len(schema),) != row_shape:
        raise FileFormatError(f"a schema of {len(schema)} columns for rows of shape {row_shape}")
    return schema
