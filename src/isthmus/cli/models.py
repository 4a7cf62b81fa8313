"""The model that a verb works with, refused where the verb doesn't fit it."""

from pathlib import Path
from typing import Any


def load_for(verb: str, path: Path) -> Any:
    """An autoencoder from a file.

    Args:
        verb: What is to be done with it.
        path: The model's file.

    Raises:
        InvalidParameterError: The file holds an estimator of another kind.
        IsthmusError: As in `isthmus.load`.
    """
    from isthmus import load
    from isthmus._errors import InvalidParameterError
    from isthmus.estimators.fitted import Fitted

    estimator = load(path)
    if not isinstance(estimator, Fitted):
        raise InvalidParameterError(
            f"{path} holds a {type(estimator).__name__}, which isthmus {verb} can't use; it is "
            "for autoencoders. Use it from Python: isthmus.load(path)."
        )
    return estimator
