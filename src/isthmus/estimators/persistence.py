"""`save` and `load`: an estimator as a card and tensors, and back.

A card comes from a file, and a file may come from anybody. Nothing in it is believed: every part
is made by its own constructor, which checks its arguments; sizes are compared with the numbers
that are really there before memory is taken for them; and names, shapes and types of the tensors
must be those of the model that the card describes.
"""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from math import isfinite, prod
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus import __version__
from isthmus._errors import (
    FileFormatError,
    InvalidParameterError,
    IsthmusError,
    NotFittedError,
    UnsupportedTypeError,
)
from isthmus._random import make_generator
from isthmus._registry import Registry, to_card
from isthmus.corruptions import CORRUPTIONS
from isthmus.data import Schema
from isthmus.encoders import ENCODERS
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.construct import Units, assemble, empty_start, least_size
from isthmus.estimators.held_out import CODES, REFERENCE, spread_card, tried_from_file
from isthmus.estimators.resolve import Recipe, number, read_recipe, whole
from isthmus.likelihoods import LIKELIHOODS, Likelihood
from isthmus.model import Model
from isthmus.penalties import PENALTIES
from isthmus.saving import read_model, write_model
from isthmus.training import Epoch, find_device

PARTS: dict[str, Registry[Any]] = {
    "encoder": ENCODERS,
    "likelihood": LIKELIHOODS,
    "corruption": CORRUPTIONS,
    "penalty": PENALTIES,
}
BUILT = ("n_components", "hidden", "activation", "network", "tied", "encoder")
OWN_NETWORK = "own"
BY_NAME = "by_name"

Modules = tuple[nn.Module, nn.Module]
Path = str | PathLike[str]


def save(estimator: Autoencoder, path: Path) -> None:
    """Write a fitted estimator to one file of numbers and JSON.

    The file is complete or not there: an old one stays until the new one is whole. A numpy
    generator given as ``random_state`` can't be kept; None is written in its place.

    Args:
        estimator: A fitted `Autoencoder`.
        path: Where; the usual ending is ``.safetensors``.

    Raises:
        NotFittedError: There is nothing to save yet.
        UnsupportedTypeError: A part of your own making, which `load` would not know.
        InvalidParameterError: The folder doesn't exist.
        OSError: The file can't be written.
    """
    if not hasattr(estimator, "model_"):
        raise NotFittedError("Only a fitted estimator can be saved; call fit first.")
    built = {name: getattr(estimator._recipe, name) for name in BUILT}
    names = getattr(estimator, "feature_names_in_", None)
    card = {
        "isthmus": __version__,
        "estimator": type(estimator).__name__,
        "params": _params_card(estimator.get_params(deep=False)),
        "built": _params_card(built),
        "fitted": {
            "n_features_in": int(estimator.n_features_in_),
            "feature_names_in": None if names is None else [str(name) for name in names],
            "row_shape": list(estimator.row_shape_),
            "pixel_divisor": estimator._pixel_divisor,
            "code_report": estimator.code_report_,
        },
        "schema": None if estimator.schema_ is None else estimator.schema_.card(),
        "likelihood": _plain("likelihood", estimator.likelihood_),
        "history": [asdict(epoch) for epoch in estimator.history_],
        "imputation": spread_card(estimator._tried.spread),
    }
    tensors = estimator.model_.state_dict()
    tried = {REFERENCE: estimator._tried.reference, CODES: estimator._tried.codes}
    tensors |= {name: torch.from_numpy(x) for name, x in tried.items() if x is not None}
    write_model(path, _finite(card), tensors)


def load(path: Path, *, network: Modules | None = None) -> Autoencoder:
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
    params = _params_from_card(card["params"], network)
    recipe = read_recipe({**params, **_params_from_card(card["built"], network)})
    likelihood = LIKELIHOODS.from_card(card["likelihood"])
    row_shape = _row_shape(card["fitted"], tensors["scale"])
    estimator = Autoencoder(**params)
    _restore(estimator, card["fitted"], row_shape)
    estimator.history_ = [_epoch(record) for record in card["history"]]
    weights = {name: t for name, t in tensors.items() if name not in (REFERENCE, CODES)}
    model = _model(recipe, likelihood, row_shape, weights)
    try:
        device = find_device(estimator.device)
    except IsthmusError:
        device = torch.device("cpu")
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


def _row_shape(fitted: Mapping[str, Any], scale: Tensor) -> tuple[int, ...]:
    """The shape of one row, if there is one positive scale for each of its numbers."""
    row_shape = tuple(whole("row_shape", size, 1) for size in fitted["row_shape"])
    d = whole("n_features_in", fitted["n_features_in"], 1)
    if len(row_shape) > 3 or prod(row_shape) != d or scale.shape != (d,):
        raise FileFormatError(
            f"{d} columns, rows of {len(row_shape)} dimensions and scales of shape {scale.shape}"
        )
    if not (scale > 0).all():
        raise FileFormatError("a scale that is not positive")
    return row_shape


def _restore(
    estimator: Autoencoder, fitted: Mapping[str, Any], row_shape: tuple[int, ...]
) -> None:
    estimator.n_features_in_ = prod(row_shape)
    estimator.row_shape_ = row_shape
    names = fitted["feature_names_in"]
    if names is not None:
        known = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not known or len(names) != prod(row_shape):
            raise FileFormatError(f"it has no list of names for {prod(row_shape)} columns")
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    estimator._pixel_divisor = number("pixel_divisor", fitted["pixel_divisor"], 0.0, 256.0)
    estimator.code_report_ = {
        str(name): _float(value) for name, value in fitted["code_report"].items()
    }


def _model(
    recipe: Recipe,
    likelihood: Likelihood,
    row_shape: tuple[int, ...],
    tensors: Mapping[str, Tensor],
) -> Model:
    """The model that the card describes with the numbers of the file."""
    held = sum(tensor.numel() for tensor in tensors.values())
    needed = least_size(recipe, likelihood, row_shape)
    if needed > held:
        raise FileFormatError(f"it describes {needed} numbers or more, but holds {held}")
    d = prod(row_shape)
    # a copy: what is read is a window on the file, which may change or go away
    units = Units(np.zeros(d), tensors["scale"].clone().double().numpy(), 1.0)
    start = empty_start(likelihood, d)
    model = assemble(recipe, likelihood, row_shape, start, units, make_generator(0))
    wanted = {name: (tuple(t.shape), t.dtype) for name, t in model.state_dict().items()}
    found = {name: (tuple(t.shape), t.dtype) for name, t in tensors.items()}
    if wanted != found:
        name = min(name for name in wanted | found if wanted.get(name) != found.get(name))
        raise InvalidParameterError(
            f"{name!r} should be {_described(wanted, name)} and is {_described(found, name)}"
        )
    broken = [name for name, t in tensors.items() if not torch.isfinite(t).all()]
    if broken:
        raise FileFormatError(f"{broken[0]!r} holds values that are not finite")
    model.load_state_dict(dict(tensors))
    if model.ranks is not None:
        try:
            model.ranks.maps()
        except InvalidParameterError as error:
            raise FileFormatError(f"a map by ranks that is none: {error}") from error
    return model


def _described(tensors: Mapping[str, tuple[tuple[int, ...], torch.dtype]], name: str) -> str:
    if name not in tensors:
        return "missing"
    shape, dtype = tensors[name]
    return f"of shape {shape} and type {dtype}"


def _params_card(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON: parts by their cards; a generator of randomness can't be kept."""
    plain = {
        name: _plain(name, value)
        for name, value in params.items()
        if name not in ("network", "random_state")
    }
    plain["network"] = params["network"] if isinstance(params["network"], str) else OWN_NETWORK
    if "random_state" in params:
        seed = params["random_state"]
        plain["random_state"] = int(seed) if isinstance(seed, int | np.integer) else None
    return plain


def _plain(name: str, value: Any) -> Any:
    """A parameter as JSON data."""
    if is_dataclass(value):
        card = {key: _plain(name, argument) for key, argument in to_card(value).items()}
        if name not in PARTS or PARTS[name].readable().get(card["kind"]) is not type(value):
            raise UnsupportedTypeError(
                f"{value!r} is a part of your own making, which load would not know; use one of "
                "the library's, or keep the state_dict of model_ yourself."
            )
        return card
    if isinstance(value, Mapping):
        return {BY_NAME: [[key, _plain(name, part)] for key, part in value.items()]}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(name, part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _params_from_card(card: Mapping[str, Any], network: Modules | None) -> dict[str, Any]:
    def part(registry: Registry[Any], value: Any) -> Any:
        if isinstance(value, list):
            return [part(registry, each) for each in value]
        if isinstance(value, dict) and BY_NAME in value:
            return {key: part(registry, each) for key, each in value[BY_NAME]}
        return registry.from_card(value) if isinstance(value, dict) else value

    params = {
        name: part(PARTS[name], value) if name in PARTS else value for name, value in card.items()
    }
    return {
        **params,
        "hidden": tuple(params["hidden"]),
        "network": params["network"] if network is None else network,
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: None stands for it."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _float(value: Any) -> float:
    """A number of a card; None stands for infinity."""
    if value is None:
        return float("inf")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FileFormatError(f"{value!r} in place of a number")
    return float(value)


def _epoch(record: Mapping[str, Any]) -> Epoch:
    means = {name: _float(record[name]) for name in ("nll", "kl")}
    penalties = {name: _float(value) for name, value in record["penalties"].items()}
    return Epoch(**{**record, **means, "penalties": penalties})
