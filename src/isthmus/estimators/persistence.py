"""`save` and `load`: an estimator as a card and tensors, and back.

A card comes from a file, and a file may come from anybody. Nothing in it is believed: every part
is made by its own constructor, which checks its arguments; sizes are compared with the numbers
that are really there before memory is taken for them; and names, shapes and types of the tensors
must be those of the model that the card describes.
"""

from collections.abc import Callable
from os import PathLike
from typing import Any

from isthmus import __version__
from isthmus._errors import FileFormatError, InvalidParameterError, NotFittedError
from isthmus.estimators.autoencoder_card import autoencoder_from, autoencoder_parts
from isthmus.estimators.cards import OWN_NETWORK, Modules, finite
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

Path = str | PathLike[str]
Saved = Fitted | Pretrained | SemanticHasher | PatchFeatures | OutlierDetector
READERS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(PRETRAINED, pretrained_from),
    SemanticHasher.__name__: hasher_from,
    PatchFeatures.__name__: patches_from,
    OutlierDetector.__name__: outliers_from,
}

LEARNED = ("history_", "dictionary_", "offset_")  # one of them, by whatever is fitted


def save(estimator: Saved, path: Path) -> None:
    """Write a fitted estimator to one file of numbers and JSON.

    The file is complete or not there: an old one stays until the new one is whole. A numpy
    generator given as ``random_state`` can't be kept; None is written in its place.

    Args:
        estimator: A fitted estimator of this library.
        path: Where; the usual ending is ``.safetensors``.

    Raises:
        NotFittedError: There is nothing to save yet.
        UnsupportedTypeError: A part of your own making, which `load` would not know.
        InvalidParameterError: The folder doesn't exist.
        OSError: The file can't be written.
    """
    if not any(hasattr(estimator, learned) for learned in LEARNED):
        raise NotFittedError("Only a fitted estimator can be saved; call fit first.")
    if isinstance(estimator, Pretrained):
        card, tensors = pretrained_parts(estimator)
    elif isinstance(estimator, SemanticHasher):
        card, tensors = hasher_parts(estimator)
    elif isinstance(estimator, PatchFeatures):
        card, tensors = patch_parts(estimator)
    elif isinstance(estimator, OutlierDetector):
        card, tensors = outlier_parts(estimator)
    else:
        card, tensors = autoencoder_parts(estimator)
    write_model(path, finite({"isthmus": __version__, **card}), tensors)


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
        read: Callable[..., Any] = READERS.get(card["estimator"], autoencoder_from)
        return read(card, tensors, network)
    except Exception as error:
        # a card from a stranger can be wrong in any way, and must never look like a defect here
        reason = " ".join(str(error).split()) or type(error).__name__
        if own and isinstance(error, InvalidParameterError):
            raise InvalidParameterError(f"{path} needs other modules: {reason}") from error
        raise FileFormatError(
            f"{path} has a card that does not fit its numbers, or is damaged ({reason}). "
            "Restore it from a copy or train again."
        ) from error
