"""What an `OutlierDetector` writes on its card and reads from it.

The autoencoder that was given to it is not kept: what it became is.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from torch import Tensor

from isthmus._errors import FileFormatError
from isthmus.estimators.autoencoder_card import Described, autoencoder_from, autoencoder_parts
from isthmus.estimators.cards import Modules, params_card, params_from_card
from isthmus.estimators.outliers import OutlierDetector
from isthmus.estimators.resolve import number


def outlier_parts(detector: OutlierDetector) -> Described:
    """The card and the tensors of a fitted detector."""
    inner, tensors = autoencoder_parts(detector.autoencoder_)
    params = detector.get_params(deep=False)
    del params["autoencoder"]
    card = {
        "estimator": type(detector).__name__,
        "params": params_card(params),
        "built": {"network": inner["built"]["network"]},
        "autoencoder": inner,
        "offset": detector.offset_,
    }
    return card, tensors


def outliers_from(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], network: Modules | None
) -> OutlierDetector:
    """The detector again, every part of it checked."""
    detector = OutlierDetector(**params_from_card(card["params"], None))
    number("level", detector.level, 0.0, 1.0)
    offset = card["offset"]
    if isinstance(offset, bool) or not isinstance(offset, int | float) or not isfinite(offset):
        raise FileFormatError(f"{offset!r} is no score to compare with")
    detector._take(autoencoder_from(card["autoencoder"], tensors, network), float(offset))
    return detector
