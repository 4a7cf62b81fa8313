"""From scores to p-values, and from p-values to reasons.

How unusual is a row? As unusual as its rank among n *reference* rows that the model was not
trained on (Vovk et al., 2005; Bates et al., 2023):

    p = (1 + #{reference scores ≤ score}) / (1 + n)

If the row comes from where the reference rows come from, all n + 1 orders are equally likely, so
P(p ≤ α) ≤ α exactly, for any n, any model and any distribution. Rows with p ≤ α are *flagged*, and
of ordinary rows at most a part α is. No p is below 1/(n + 1): a level below that flags nothing.

**Reasons.** A column's own nats do not say what is odd: the density of a column of small units, or
of one that is always predicted sharply, varies by more nats on any row. So each column's score is
ranked among that column's reference scores as well. Columns that are below all reference rows tie
at 1/(n + 1); between equal ranks the shortfall decides: how far the score lies below the
reference's median, in units of its lower spread.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_real

Array = NDArray[np.float64]
# the distance of a normal distribution's median from its 10 % quantile is 1.28 σ
SPREAD_LEVEL = 0.1


def p_values(scores: ArrayLike, reference_scores: ArrayLike) -> Array:
    """The p-value of each score among reference scores; low scores are unusual.

    Args:
        scores: (n,), as `score_samples` gives them, or (n, d) from `score_features`: then each
            column is ranked among its own references.
        reference_scores: (r,) or (r, d), of rows that were not trained on.

    Returns:
        Array of the shape of ``scores``, in [1/(r + 1), 1].

    Raises:
        InvalidDataError: NaN, no reference, or shapes that don't go together.

    Example:
        >>> p_values([-3.0, 0.5], [-2.0, -1.0, 0.0, 1.0])
        array([0.2, 0.8])
    """
    s, reference = _pair(scores, reference_scores)
    ordered = np.sort(reference, axis=0)
    if s.ndim == 1:
        below = np.searchsorted(ordered, s, side="right")
    else:
        columns = [
            np.searchsorted(ordered[:, j], s[:, j], side="right") for j in range(s.shape[1])
        ]
        below = np.stack(columns, axis=1) if columns else np.zeros(s.shape, np.intp)
    return np.asarray((1.0 + below) / (1.0 + len(reference)), np.float64)


def flags(p: ArrayLike, level: float = 0.01) -> NDArray[np.bool_]:
    """Which p-values are at most the level.

    Args:
        p: p-values.
        level: α in (0, 1): at most this part of ordinary rows is flagged.

    Raises:
        InvalidParameterError: A level outside (0, 1).
    """
    if not (is_real(level) and 0 < level < 1):
        raise InvalidParameterError(f"The level must lie between 0 and 1; got {level!r}.")
    return np.asarray(p) <= level


def reasons(
    feature_scores: ArrayLike, reference: ArrayLike, n_columns: int = 3
) -> NDArray[np.intp]:
    """The columns that make each row unusual, the oddest first.

    Args:
        feature_scores: (n, d) from `score_features`.
        reference: The same of reference rows, (r, d).
        n_columns: How many columns to name; all d if there are fewer.

    Returns:
        Numbers of columns, (n, min(n_columns, d)).

    Raises:
        InvalidDataError: As in `p_values`.
    """
    s, r = _pair(feature_scores, reference)
    if s.ndim != 2:
        raise InvalidDataError(f"Reasons need scores of shape (n, d); got {s.shape}.")
    finite = np.where(np.isfinite(r), r, np.finfo(np.float64).min / 4)
    low, middle = np.quantile(finite, [SPREAD_LEVEL, 0.5], axis=0)
    spread = np.where(middle > low, middle - low, 1.0)
    with np.errstate(over="ignore"):
        shortfall = np.nan_to_num((middle - s) / spread, posinf=np.inf)
    return np.lexsort((-shortfall, p_values(s, r)), axis=1)[:, :n_columns]


def _pair(scores: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    s, r = np.asarray(scores, np.float64), np.asarray(reference, np.float64)
    if s.ndim not in (1, 2) or s.ndim != r.ndim or s.shape[1:] != r.shape[1:]:
        raise InvalidDataError(
            f"Scores of shape {s.shape} can't be ranked among references of shape {r.shape}; "
            "give (n,) and (r,), or (n, d) and (r, d)."
        )
    if not len(r):
        raise InvalidDataError(
            "There are no reference scores to rank among; give those of rows that were held out."
        )
    if np.isnan(s).any() or np.isnan(r).any():
        raise InvalidDataError("A score is NaN and has no rank.")
    return s, r
