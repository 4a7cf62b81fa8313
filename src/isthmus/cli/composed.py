"""What ``fit`` makes of an autoencoder: with a threshold behind it, or patterns before it."""

from collections.abc import Collection, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus import Autoencoder


def compose(
    autoencoder: "Autoencoder",
    level: float | None,
    patterns: Mapping[str, int] | None,
    left_out: Collection[str],
) -> Any:
    """The autoencoder, a detector around it, or a pipeline that ends in one of these.

    Args:
        autoencoder: Not fitted.
        level: Of a detector; None for none.
        patterns: Parameters of `isthmus.PatchFeatures`; None for none.
        left_out: Parameters that the user said nothing of: of a detector they are its own.
    """
    from isthmus import OutlierDetector, PatchFeatures
    from isthmus.estimators.outliers import ROBUST

    seed = autoencoder.random_state
    estimator: Any = autoencoder
    if level is not None:
        autoencoder.set_params(**{name: ROBUST[name] for name in left_out})
        estimator = OutlierDetector(autoencoder, level=level, random_state=seed)
    if patterns is not None:
        # importing it takes a while
        from sklearn.pipeline import make_pipeline

        features = PatchFeatures(device=autoencoder.device, random_state=seed)
        estimator = make_pipeline(features.set_params(**patterns), estimator)
    return estimator


def described(estimator: Any) -> dict[str, Any]:
    """What there is to say of a fitted one that is more than an autoencoder."""
    from isthmus import OutlierDetector
    from isthmus.estimators.chained import steps_of

    steps = steps_of(estimator)
    record: dict[str, Any] = {}
    if len(steps) > 1:
        names = [type(step).__name__ for step in steps]
        record |= {"steps": names, "features": steps[-1].n_features_in_}
    if isinstance(steps[-1], OutlierDetector):
        detector = steps[-1]
        record |= {
            "level": detector.level,
            "offset": detector.offset_,
            "calibrated": detector.calibrated_,
        }
    return record


def are_enough(held_out: int, level: float) -> bool:
    """Whether so many held-out rows can say what part of ordinary rows is flagged.

    The lowest of r + 1 scores has p = 1 / (r + 1).
    """
    return level * (held_out + 1) >= 1


def notes(estimator: Any) -> list[str]:
    """What the user may not have meant."""
    from isthmus import OutlierDetector, PatchFeatures
    from isthmus.estimators.chained import steps_of

    steps = steps_of(estimator)
    said = []
    if isinstance(steps[0], PatchFeatures) and len(steps[0].row_shape_) == 1:
        said.append(
            "patches are windows of signals, as rows are flat; images have the shape "
            "(n, height, width)"
        )
    if isinstance(steps[-1], OutlierDetector) and not steps[-1].calibrated_:
        level = steps[-1].level
        said.append(
            f"fewer rows were held out than the {ceil(1 / level) - 1} that a level of {level:g} "
            "needs; the threshold is of the rows that were learned from"
        )
    return said
