"""An estimator before its first step: parts chosen, data looked at, a model made."""

from typing import Any

from isthmus.estimators import resolve
from isthmus.estimators.apply import remember_columns
from isthmus.estimators.construct import Beginning, begin
from isthmus.estimators.progress import say
from isthmus.estimators.tables import Opened
from isthmus.training import find_device


def begin_fit(estimator: Any, X: Any, opened: Opened, seed: int) -> Beginning:
    """Check the data, choose the parts and give an estimator its model at step 0.

    Args:
        estimator: An autoencoder, which gets all its fitted attributes.
        X: What the user gave.
        opened: The same, from `isthmus.estimators.tables.open_rows`.
        seed: Of the initial weights.

    Raises:
        IsthmusError: As in `isthmus.Autoencoder.fit`.
    """
    params = estimator.get_params(deep=False)
    recipe, data = resolve.read_recipe(params), opened.data
    begun = begin(recipe, opened.likelihood, data, seed, find_device(estimator.device))
    say(estimator.verbose)(f"likelihood: {begun.model.likelihood!r}")
    remember_columns(estimator, X, data, opened.schema)
    estimator.row_shape_ = data.row_shape
    estimator._pixel_divisor = begun.divisor
    estimator.history_ = []
    estimator.code_report_ = {}
    estimator._receive(begun.model, recipe, opened.schema)
    return begun
