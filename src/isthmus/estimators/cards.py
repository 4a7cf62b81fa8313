"""What estimators write on their cards and read from them: parameters, models, records.

A card comes from a file, and a file may come from anybody. Nothing in it is believed: every part
is made by its own constructor, which checks its arguments; sizes are compared with the numbers
that are really there before memory is taken for them; and names, shapes and types of the tensors
must be those of the model that the card describes.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus._errors import (
    FileFormatError,
    InvalidParameterError,
    IsthmusError,
    UnsupportedTypeError,
)
from isthmus._random import make_generator
from isthmus._registry import Registry, to_card
from isthmus.binary import METRICS
from isthmus.corruptions import CORRUPTIONS
from isthmus.encoders import ENCODERS
from isthmus.estimators.construct import Units, assemble, empty_start, least_size
from isthmus.estimators.resolve import Recipe, number, whole
from isthmus.likelihoods import LIKELIHOODS, Likelihood
from isthmus.model import Model
from isthmus.penalties import PENALTIES
from isthmus.training import Epoch, find_device

PARTS: dict[str, Registry[Any]] = {
    "encoder": ENCODERS,
    "likelihood": LIKELIHOODS,
    "corruption": CORRUPTIONS,
    "penalty": PENALTIES,
    "metric": METRICS,
}
OWN_NETWORK = "own"
BY_NAME = "by_name"
WIDTHS = ("hidden", "decoder_hidden", "head")

Modules = tuple[nn.Module, nn.Module]


def row_shape_from(fitted: Mapping[str, Any], scale: Tensor) -> tuple[int, ...]:
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


def device_or_processor(name: str) -> torch.device:
    """The device of this name, or the processor where it is missing."""
    try:
        return find_device(name)
    except IsthmusError:
        return torch.device("cpu")


def fitted_card(estimator: Any) -> dict[str, Any]:
    """What `restore` reads."""
    return {
        **names_card(estimator),
        "row_shape": list(estimator.row_shape_),
        "pixel_divisor": estimator._pixel_divisor,
        "code_report": estimator.code_report_,
    }


def names_card(estimator: Any) -> dict[str, Any]:
    """Number and names of the columns."""
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else [str(name) for name in names],
    }


def restore_names(estimator: Any, names: Any) -> None:
    """Set the columns' names, if there are any, of an estimator that knows their number."""
    if names is None:
        return
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not known or len(names) != estimator.n_features_in_:
        raise FileFormatError(f"it has no list of names for {estimator.n_features_in_} columns")
    estimator.feature_names_in_ = np.asarray(names, dtype=object)


def restore(estimator: Any, fitted: Mapping[str, Any], row_shape: tuple[int, ...]) -> None:
    """Set what a fitted estimator knows of its rows."""
    estimator.n_features_in_ = prod(row_shape)
    estimator.row_shape_ = row_shape
    restore_names(estimator, fitted["feature_names_in"])
    estimator._pixel_divisor = number("pixel_divisor", fitted["pixel_divisor"], 0.0, 256.0)
    estimator.code_report_ = {
        str(name): _float(value) for name, value in fitted["code_report"].items()
    }


def model_from(
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
    fill(model, tensors)
    if model.ranks is not None:
        try:
            model.ranks.maps()
        except InvalidParameterError as error:
            raise FileFormatError(f"a map by ranks that is none: {error}") from error
    return model


def fill(model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Give a model the numbers of a file, if they are those that it needs."""
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


def _described(tensors: Mapping[str, tuple[tuple[int, ...], torch.dtype]], name: str) -> str:
    if name not in tensors:
        return "missing"
    shape, dtype = tensors[name]
    return f"of shape {shape} and type {dtype}"


def params_card(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON: parts by their cards; a generator of randomness can't be kept."""
    card = {
        name: plain(name, value)
        for name, value in params.items()
        if name not in ("network", "random_state")
    }
    if "network" in params:
        card["network"] = params["network"] if isinstance(params["network"], str) else OWN_NETWORK
    if "random_state" in params:
        seed = params["random_state"]
        card["random_state"] = int(seed) if isinstance(seed, int | np.integer) else None
    return card


def plain(name: str, value: Any) -> Any:
    """A parameter as JSON data."""
    if is_dataclass(value):
        card = {key: plain(name, argument) for key, argument in to_card(value).items()}
        if name not in PARTS or PARTS[name].readable().get(card["kind"]) is not type(value):
            raise UnsupportedTypeError(
                f"{value!r} is a part of your own making, which load would not know; use one of "
                "the library's, or keep the state_dict of model_ yourself."
            )
        return card
    if isinstance(value, Mapping):
        return {BY_NAME: [[key, plain(name, part)] for key, part in value.items()]}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(name, part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, str | int | float) else str(value)


def params_from_card(card: Mapping[str, Any], network: Modules | None) -> dict[str, Any]:
    """The parameters again; modules of the user's own are given."""

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
        **{name: tuple(params[name]) for name in WIDTHS if params.get(name) is not None},
        **({} if network is None else {"network": network}),
    }


def finite(value: Any) -> Any:
    """JSON has no infinity: None stands for it."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _float(value: Any) -> float:
    """A number of a card; None stands for infinity."""
    if value is None:
        return float("inf")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FileFormatError(f"{value!r} in place of a number")
    return float(value)


def epoch_from(record: Mapping[str, Any]) -> Epoch:
    """A record of the history again."""
    means = {name: _float(record[name]) for name in ("nll", "kl")}
    penalties = {name: _float(value) for name, value in record["penalties"].items()}
    return Epoch(**{**record, **means, "penalties": penalties})
