"""The steps of a pipeline, block by block: each reads what the one before it makes.

    rows ──step 1──▶ blocks ──step 2──▶ blocks ──▶ …

Between two steps lie some blocks and no more, so that rows needn't fit in memory. Autoencoders and
`PatchFeatures` read rows in blocks; any other step asks for rows in memory, and says so.
"""

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from isthmus._errors import UnsupportedTypeError
from isthmus.data.sources import BatchSource, is_source
from isthmus.estimators.apply import Array
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.outflow import fitted_blocks
from isthmus.estimators.outliers import OutlierDetector
from isthmus.estimators.patch_features import PatchFeatures


def is_pipeline(estimator: Any) -> bool:
    """Whether it is scikit-learn's."""
    # importing it draws from Python's own randomness; where there is one, it is imported
    module = sys.modules.get("sklearn.pipeline")
    return module is not None and isinstance(estimator, module.Pipeline)


def steps_of(estimator: Any) -> list[Any]:
    """The steps in order, of pipelines within a pipeline too; any other estimator is one step."""
    if not is_pipeline(estimator):
        return [estimator]
    return [inner for _, step in estimator.steps for inner in steps_of(step)]


def has_scores(estimator: Any) -> bool:
    """Whether the last step is an autoencoder or has one that scores rows."""
    return isinstance(steps_of(estimator)[-1], Fitted | OutlierDetector)


def scoring_autoencoder(estimator: Any) -> Fitted:
    """The autoencoder that scores the rows which reach the last step.

    Raises:
        UnsupportedTypeError: There is none.
    """
    last = steps_of(estimator)[-1]
    if isinstance(last, OutlierDetector):
        return last.autoencoder_
    if isinstance(last, Fitted):
        return last
    raise UnsupportedTypeError(
        f"A {type(last).__name__} has no score of rows; give an autoencoder or a detector."
    )


def before_last(estimator: Any, X: Any) -> Any:
    """The rows as they reach the last step: at once from memory, else block by block.

    Args:
        estimator: Fitted.
        X: Rows as its first step takes them.
    """
    for step in steps_of(estimator)[:-1]:
        X = BatchSource(partial(code_blocks, step, X)) if is_source(X) else step.transform(X)
    return X


def code_blocks(estimator: Any, X: Any) -> Iterator[Array]:
    """What `transform` gives, block by block.

    Args:
        estimator: Fitted; the last step has `transform`.
        X: Rows as the first step takes them.

    Raises:
        IsthmusError: As in `transform`.
        UnsupportedTypeError: Rows that are not in memory, and a step that needs them there.
    """
    last, rows = steps_of(estimator)[-1], before_last(estimator, X)
    if isinstance(last, Fitted):
        yield from fitted_blocks(last, rows)
    elif isinstance(last, PatchFeatures):
        yield from last.feature_blocks(rows)
    else:
        yield last.transform(rows)
