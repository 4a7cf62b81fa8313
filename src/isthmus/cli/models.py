"""The model that a verb works with, refused where the verb doesn't fit it."""

from pathlib import Path
from typing import Any


def load_for(verb: str, path: Path) -> Any:
    """An estimator from a file.

    Args:
        verb: What is to be done with it.
        path: The model's file.

    Raises:
        InvalidParameterError: The file holds an estimator that can't do it.
        IsthmusError: As in `isthmus.load`.
    """
    from isthmus import load
    from isthmus._errors import InvalidParameterError
    from isthmus.estimators.chained import steps_of

    estimator = load(path)
    if not _fits(verb, estimator):
        names = " and ".join(type(step).__name__ for step in steps_of(estimator))
        article = "an" if names[0] in "AO" else "a"
        held = f"a pipeline of {names}" if hasattr(estimator, "steps") else f"{article} {names}"
        raise InvalidParameterError(
            f"{path} holds {held}, which isthmus {verb} can't use; {_advice(estimator)}"
        )
    return estimator


def _fits(verb: str, estimator: Any) -> bool:
    from isthmus.estimators.chained import has_scores
    from isthmus.estimators.fitted import Fitted

    if verb == "transform":
        return hasattr(estimator, "transform")
    if verb == "score":
        return has_scores(estimator)
    return isinstance(estimator, Fitted)


def _advice(estimator: Any) -> str:
    """What it is for, and what to do."""
    from isthmus import OutlierDetector, PatchFeatures
    from isthmus.estimators.chained import steps_of
    from isthmus.estimators.fitted import Fitted

    last = steps_of(estimator)[-1]
    if isinstance(last, OutlierDetector):
        return "it tells unusual rows and gives neither codes nor rows: use isthmus score."
    if isinstance(last, PatchFeatures):
        return "it gives patterns, with no likelihood and no way back: use isthmus transform."
    if isinstance(last, Fitted):
        return (
            "what its last step gives back are the numbers that the step before made, not rows: "
            "for rows use an autoencoder alone (isthmus fit without --patches)."
        )
    return "it is for autoencoders. Use it from Python: isthmus.load(path)."
