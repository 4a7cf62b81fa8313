"""A pretrained classifier or regressor as a card and tensors, and back.

The card holds that of the autoencoder, and what the head is made of. The autoencoder that was
given to the estimator is not kept: what it became is.
"""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from isthmus._errors import FileFormatError
from isthmus._random import make_generator
from isthmus.estimators.autoencoder_card import Described, autoencoder_from, autoencoder_parts
from isthmus.estimators.cards import (
    Modules,
    epoch_from,
    fill,
    params_card,
    params_from_card,
    plain,
)
from isthmus.estimators.construct import empty_start
from isthmus.estimators.pretrained import PretrainedClassifier, PretrainedRegressor
from isthmus.estimators.resolve import number, whole
from isthmus.estimators.supervised import Pretrained
from isthmus.likelihoods import LIKELIHOODS
from isthmus.model import Model
from isthmus.networks import MLP
from isthmus.prediction import make_head

PRETRAINED: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (PretrainedClassifier, PretrainedRegressor)
}
ROWS, HEAD = "autoencoder.", "head."
KINDS: dict[str, type[Any]] = {"b": bool, "i": int, "u": int, "f": float, "U": str}


def pretrained_parts(estimator: Pretrained) -> Described:
    """The card and the tensors of a fitted classifier or regressor."""
    inner, rows = autoencoder_parts(estimator.autoencoder_)
    params = estimator.get_params(deep=False)
    given = {name: value for name, value in params.items() if name != "autoencoder"}
    head = estimator.head_
    card = {
        "estimator": type(estimator).__name__,
        "params": params_card(given),
        "built": {"network": inner["built"]["network"]},
        "autoencoder": inner,
        "head": {
            "likelihood": plain("likelihood", head.likelihood),
            "hidden": _widths(head),
            "activation": estimator.autoencoder_._recipe.activation,
        },
        "fitted": _fitted_card(estimator),
        "history": [asdict(epoch) for epoch in estimator.history_],
    }
    tensors = {ROWS + name: tensor for name, tensor in rows.items()}
    return card, tensors | {HEAD + name: t for name, t in head.state_dict().items()}


def _widths(head: Model) -> list[int]:
    """Hidden widths of a head."""
    network = head.decoder_network
    assert isinstance(network, MLP)
    return [layer.out_features for layer in network.linear_layers[:-1]]


def _fitted_card(estimator: Pretrained) -> dict[str, Any]:
    if not isinstance(estimator, PretrainedClassifier):
        return {}
    return {
        "classes": estimator.classes_.tolist(),
        "kind": estimator.classes_.dtype.kind,
        "temperature": float(estimator.temperature_),
    }


def pretrained_from(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], network: Modules | None
) -> Pretrained:
    """The estimator that `pretrained_parts` described.

    Args:
        card: From a file.
        tensors: From the same file.
        network: The user's own modules, if the autoencoder was fitted with such.

    Raises:
        FileFormatError: The card is none, or doesn't fit the tensors.
    """
    estimator: Any = PRETRAINED[card["estimator"]](**params_from_card(card["params"], None))
    autoencoder = autoencoder_from(card["autoencoder"], _part(tensors, ROWS), network)
    head = _head(card["head"], _part(tensors, HEAD), autoencoder.model_.shape.n_components)
    if isinstance(estimator, PretrainedClassifier):
        _restore_classes(estimator, card["fitted"], head)
    history = [epoch_from(record) for record in card["history"]]
    estimator._receive(autoencoder, head.to(autoencoder.model_.device), history)
    result: Pretrained = estimator
    return result


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _head(card: Mapping[str, Any], tensors: Mapping[str, Tensor], n_components: int) -> Model:
    likelihood = LIKELIHOODS.from_card(card["likelihood"])
    widths = (n_components, *(whole("head", width, 1) for width in card["hidden"]))
    held = sum(tensor.numel() for tensor in tensors.values())
    sizes = (*widths, likelihood.traits.width(1))
    if sum(a * b for a, b in pairwise(sizes)) > held:
        raise FileFormatError("it describes a head of more numbers than it holds")
    center, scale = float(tensors["center"]), float(tensors["scale"])
    if not (np.isfinite(center) and 0 < scale < float("inf")):
        raise FileFormatError(f"a centre {center} and a scale {scale} of labels")
    start, generator = empty_start(likelihood, 1), make_generator(0)
    head = make_head(likelihood, widths, card["activation"], start, (center, scale), generator)
    fill(head, tensors)
    return head


def _restore_classes(
    estimator: PretrainedClassifier, fitted: Mapping[str, Any], head: Model
) -> None:
    kind, classes = KINDS[fitted["kind"]], fitted["classes"]
    if not isinstance(classes, list) or any(type(each) is not kind for each in classes):
        raise FileFormatError(f"classes that are no {kind.__name__}s")
    levels = head.likelihood.traits.width(1)
    if len(classes) != levels or len(set(classes)) != levels:
        raise FileFormatError(f"{len(classes)} classes for {levels} logits")
    found: NDArray[Any] = np.array(classes)
    estimator.classes_ = found
    estimator.temperature_ = number("temperature", fitted["temperature"], 0.0, 1e6)
