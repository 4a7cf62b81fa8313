"""`save` and `load`: an estimator as a card and tensors, and back.

A card comes from a file, and a file may come from anybody. Nothing in it is believed: every part
is made by its own constructor, which checks its arguments; sizes are compared with the numbers
that are really there before memory is taken for them; and names, shapes and types of the tensors
must be those of the model that the card describes.
"""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from torch import Tensor

from isthmus import __version__
from isthmus._errors import (
    FileFormatError,
    InvalidParameterError,
    NotFittedError,
    UnsupportedTypeError,
)
from isthmus.estimators.autoencoder_card import Described, autoencoder_from, autoencoder_parts
from isthmus.estimators.cards import OWN_NETWORK, Modules, finite
from isthmus.estimators.chained import is_pipeline
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.hasher import SemanticHasher
from isthmus.estimators.hasher_card import hasher_from, hasher_parts
from isthmus.estimators.outlier_card import outlier_parts, outliers_from
from isthmus.estimators.outliers import OutlierDetector
from isthmus.estimators.patch_card import patch_parts, patches_from
from isthmus.estimators.patch_features import PatchFeatures
from isthmus.estimators.pretrained_card import PRETRAINED, pretrained_from, pretrained_parts
from isthmus.estimators.supervised import Pretrained
from isthmus.saving import read_model, write_model

PIPELINE = "Pipeline"
Path = str | PathLike[str]
Reader = Callable[[Mapping[str, Any], Mapping[str, Tensor], Modules | None], Any]
WRITERS: tuple[tuple[type, str, Callable[[Any], Described]], ...] = (  # and what fit gives it
    (Pretrained, "history_", pretrained_parts),
    (SemanticHasher, "history_", hasher_parts),
    (PatchFeatures, "dictionary_", patch_parts),
    (OutlierDetector, "offset_", outlier_parts),
    (Fitted, "history_", autoencoder_parts),
)


def save(estimator: Any, path: Path) -> None:
    """Write a fitted estimator to one file of numbers and JSON.

    The file is complete or not there: an old one stays until the new one is whole. A numpy
    generator given as ``random_state`` can't be kept; None is written in its place.

    Args:
        estimator: A fitted estimator of this library, or a scikit-learn pipeline of such.
        path: Where; the usual ending is ``.safetensors``.

    Raises:
        NotFittedError: There is nothing to save yet.
        UnsupportedTypeError: An estimator, or a part of one, of another make, which `load` would
            not know.
        InvalidParameterError: The folder doesn't exist.
        OSError: The file can't be written.
    """
    card, tensors = _parts(estimator)
    write_model(path, finite({"isthmus": __version__, **card}), tensors)


def _parts(estimator: Any) -> Described:
    if is_pipeline(estimator):
        return _pipeline_parts(estimator)
    for kind, learned, parts in WRITERS:
        if isinstance(estimator, kind):
            if not hasattr(estimator, learned):
                raise NotFittedError("Only a fitted estimator can be saved; call fit first.")
            return parts(estimator)
    raise UnsupportedTypeError(
        f"{estimator!r} of type {type(estimator).__name__} is no estimator of this library, and "
        "load would not know it; keep it in a way of its own."
    )


def _pipeline_parts(pipeline: Any) -> Described:
    """Each step's card and tensors, the latter under the step's number."""
    described = [_parts(step) for _, step in pipeline.steps]
    networks = [_built(card).get("network") for card, _ in described]
    card = {
        "estimator": PIPELINE,
        "steps": [
            [name, card] for (name, _), (card, _) in zip(pipeline.steps, described, strict=True)
        ],
        "built": {"network": OWN_NETWORK} if OWN_NETWORK in networks else {},
    }
    tensors = {
        f"{i}.{name}": tensor
        for i, (_, held) in enumerate(described)
        for name, tensor in held.items()
    }
    return card, tensors


def _pipeline_from(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], network: Modules | None
) -> Any:
    from sklearn.pipeline import Pipeline

    steps = []
    for i, (name, inner) in enumerate(card["steps"]):
        held = {key.partition(".")[2]: t for key, t in tensors.items() if key.startswith(f"{i}.")}
        own = _built(inner).get("network") == OWN_NETWORK
        steps.append((str(name), _reader(inner)(inner, held, network if own else None)))
    if not steps:
        raise FileFormatError("it has no steps")
    return Pipeline(steps)


def _built(card: Mapping[str, Any]) -> Mapping[str, Any]:
    built = card.get("built")
    return built if isinstance(built, dict) else {}


def _reader(card: Mapping[str, Any]) -> Reader:
    return READERS.get(card["estimator"], autoencoder_from)


READERS: dict[str, Reader] = {
    **dict.fromkeys(PRETRAINED, pretrained_from),
    SemanticHasher.__name__: hasher_from,
    PatchFeatures.__name__: patches_from,
    OutlierDetector.__name__: outliers_from,
    PIPELINE: _pipeline_from,
}


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
    own = _built(card).get("network") == OWN_NETWORK
    if own != (network is not None):
        raise InvalidParameterError(
            f"{path} was fitted with modules of your own; give them again: "
            "load(path, network=(encoder, decoder))."
            if own
            else f"{path} was not fitted with modules of your own; leave network out."
        )
    try:
        return _reader(card)(card, tensors, network)
    except Exception as error:
        # a card from a stranger can be wrong in any way, and must never look like a defect here
        reason = " ".join(str(error).split()) or type(error).__name__
        if own and isinstance(error, InvalidParameterError):
            raise InvalidParameterError(f"{path} needs other modules: {reason}") from error
        raise FileFormatError(
            f"{path} has a card that does not fit its numbers, or is damaged ({reason}). "
            "Restore it from a copy or train again."
        ) from error
