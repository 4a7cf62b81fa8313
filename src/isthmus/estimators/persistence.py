"""`save` and `load`: an estimator as a card and tensors, and back.

A card comes from a file, and a file may come from anybody. Nothing in it is believed: every part
is made by its own constructor, which checks its arguments; sizes are compared with the numbers
that are really there before memory is taken for them; and names, shapes and types of the tensors
must be those of the model that the card describes.
"""

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from isthmus import __version__
from isthmus._errors import (
    FileFormatError,
    InvalidParameterError,
    NotFittedError,
)
from isthmus.data import Schema
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.cards import (
    OWN_NETWORK,
    Modules,
    device_or_processor,
    epoch_from,
    finite,
    fitted_card,
    model_from,
    params_card,
    params_from_card,
    plain,
    restore,
    row_shape_from,
)
from isthmus.estimators.hasher import SemanticHasher
from isthmus.estimators.hasher_card import hasher_from, hasher_parts
from isthmus.estimators.held_out import CODES, REFERENCE, spread_card, tried_from_file
from isthmus.estimators.resolve import read_recipe
from isthmus.likelihoods import LIKELIHOODS
from isthmus.saving import read_model, write_model

BUILT = ("n_components", "hidden", "activation", "network", "tied", "encoder")

Path = str | PathLike[str]


def save(estimator: Autoencoder | SemanticHasher, path: Path) -> None:
    """Write a fitted estimator to one file of numbers and JSON.

    The file is complete or not there: an old one stays until the new one is whole. A numpy
    generator given as ``random_state`` can't be kept; None is written in its place.

    Args:
        estimator: A fitted `Autoencoder` or `SemanticHasher`.
        path: Where; the usual ending is ``.safetensors``.

    Raises:
        NotFittedError: There is nothing to save yet.
        UnsupportedTypeError: A part of your own making, which `load` would not know.
        InvalidParameterError: The folder doesn't exist.
        OSError: The file can't be written.
    """
    if not hasattr(estimator, "model_"):
        raise NotFittedError("Only a fitted estimator can be saved; call fit first.")
    is_hasher = isinstance(estimator, SemanticHasher)
    card, tensors = hasher_parts(estimator) if is_hasher else _parts(estimator)
    general = {
        "isthmus": __version__,
        "estimator": type(estimator).__name__,
        "fitted": fitted_card(estimator),
        "likelihood": plain("likelihood", estimator.likelihood_),
        "history": [asdict(epoch) for epoch in estimator.history_],
    }
    write_model(path, finite({**general, **card}), tensors)


def _parts(estimator: Autoencoder) -> tuple[dict[str, Any], dict[str, Tensor]]:
    built = {name: getattr(estimator._recipe, name) for name in BUILT}
    card = {
        "params": params_card(estimator.get_params(deep=False)),
        "built": params_card(built),
        "schema": None if estimator.schema_ is None else estimator.schema_.card(),
        "imputation": spread_card(estimator._tried.spread),
    }
    tensors = estimator.model_.state_dict()
    tried = {REFERENCE: estimator._tried.reference, CODES: estimator._tried.codes}
    return card, tensors | {n: torch.from_numpy(x) for n, x in tried.items() if x is not None}


def load(path: Path, *, network: Modules | None = None) -> Any:
    """Read an estimator that `save` wrote. Nothing in the file can run.

    Args:
        path: The file.
        network: The pair of modules again, if the estimator was fitted with modules of your own
            (their weights are in the file, their code is not).

    Returns:
        The fitted estimator, on its device, or on the processor where that device is missing.

    Raises:
        FileNotFoundError: There is no such file.
        FileFormatError: It is not a model file, damaged, or of a later format.
        InvalidParameterError: It needs ``network``, or these modules don't fit it.
    """
    card, tensors = read_model(path)
    own = isinstance(card.get("built"), dict) and card["built"].get("network") == OWN_NETWORK
    if own != (network is not None):
        raise InvalidParameterError(
            f"{path} was fitted with modules of your own; give them again: "
            "load(path, network=(encoder, decoder))."
            if own
            else f"{path} was not fitted with modules of your own; leave network out."
        )
    try:
        if card["estimator"] == SemanticHasher.__name__:
            return hasher_from(card, tensors)
        return _estimator(card, tensors, network)
    except Exception as error:
        # a card from a stranger can be wrong in any way, and must never look like a defect here
        reason = " ".join(str(error).split()) or type(error).__name__
        if own and isinstance(error, InvalidParameterError):
            raise InvalidParameterError(f"{path} needs other modules: {reason}") from error
        raise FileFormatError(
            f"{path} has a card that does not fit its numbers, or is damaged ({reason}). "
            "Restore it from a copy or train again."
        ) from error


def _estimator(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], network: Modules | None
) -> Autoencoder:
    if card["estimator"] != Autoencoder.__name__:
        raise FileFormatError(f"it holds a {card['estimator']!r}, which this version can't read")
    params = params_from_card(card["params"], network)
    recipe = read_recipe({**params, **params_from_card(card["built"], network)})
    likelihood = LIKELIHOODS.from_card(card["likelihood"])
    row_shape = row_shape_from(card["fitted"], tensors["scale"])
    estimator = Autoencoder(**params)
    restore(estimator, card["fitted"], row_shape)
    estimator.history_ = [epoch_from(record) for record in card["history"]]
    weights = {name: t for name, t in tensors.items() if name not in (REFERENCE, CODES)}
    model = model_from(recipe, likelihood, row_shape, weights)
    device = device_or_processor(estimator.device)
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
