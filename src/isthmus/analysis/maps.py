"""Does a map keep neighbourhoods? Of any codes: a model's, or those of PCA, t-SNE or UMAP.

Let U(i) be the rows that are among i's k nearest on the map but not in the data, and r(i, j) the
rank of j by its distance to i in the data. With V(i) and s(i, j) the same the other way round
(Venna and Kaski, 2001),

    trustworthiness = 1 − 2/(n k (2n − 3k − 1)) Σ_i Σ_{j ∈ U(i)} (r(i, j) − k)
    continuity      = 1 − 2/(n k (2n − 3k − 1)) Σ_i Σ_{j ∈ V(i)} (s(i, j) − k)

A map is trustworthy if what lies together on it belongs together, and continuous if what belongs
together lies together on it. Both are 1 at best; a map at random has about ½.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._random import RandomState, draw_seed
from isthmus._registry import is_whole
from isthmus.data import Matrix, as_matrix, check_finite
from isthmus.nearest import squared_distances

MOST_ROWS = 5000
BLOCK_CELLS = 1 << 21


@dataclass(frozen=True)
class Neighbourhoods:
    """How well a map keeps neighbourhoods; 1 is best for each.

    Attributes:
        trustworthiness: Whether neighbours on the map are neighbours in the data.
        continuity: Whether neighbours in the data are neighbours on the map.
        kept: The part of the k nearest in the data that are among the k nearest on the map.
        n_neighbors: k.
        n_rows: Of how many rows these are, each among these rows.
        exact: Whether they are all rows. A sample's neighbourhoods are k rows wide as well, and
            so are larger regions of the map.
    """

    trustworthiness: float
    continuity: float
    kept: float
    n_neighbors: int
    n_rows: int
    exact: bool


def neighbourhoods(
    X: ArrayLike,
    codes: ArrayLike,
    n_neighbors: int = 10,
    *,
    n_rows: int | None = MOST_ROWS,
    random_state: RandomState = 0,
) -> Neighbourhoods:
    """Trustworthiness and continuity of codes (Venna and Kaski, 2001), by Euclidean distances.

    Time grows with the square of the rows, and memory does not. So of more than ``n_rows`` rows
    a random sample is measured, as if it were all there is.

    Args:
        X: Rows (n, d), or images; columns in units that can be compared.
        codes: Their codes (n, k').
        n_neighbors: k, below half of the rows that are measured.
        n_rows: The most rows that are measured; None for all.
        random_state: Seed of the sample.

    Raises:
        InvalidDataError: Codes of another number of rows; missing or infinite values.
        InvalidParameterError: k is no whole number from 1 to below half of the rows.
    """
    x, h = _finite(X), _finite(codes)
    if len(x) != len(h):
        raise InvalidDataError(
            f"There are {len(x)} rows and {len(h)} codes; give one code for each row."
        )
    if not (n_rows is None or (is_whole(n_rows) and n_rows >= 1)):
        raise InvalidParameterError(
            f"n_rows must be a whole number, 1 or more, or None; got {n_rows!r}."
        )
    measured = len(x) if n_rows is None else min(n_rows, len(x))
    if not (is_whole(n_neighbors) and 1 <= n_neighbors < measured / 2):
        raise InvalidParameterError(
            f"n_neighbors must be a whole number, 1 or more and below half of the {measured} rows "
            f"that are measured; got {n_neighbors!r}."
        )
    rng = np.random.default_rng(draw_seed(random_state))
    chosen = rng.permutation(len(x))[:measured]
    there, here = (torch.from_numpy(each.take(chosen, np.float64)) for each in (x, h))
    false, lost, kept = _intrusions(there, here, n_neighbors)
    worst = measured * n_neighbors * (2 * measured - 3 * n_neighbors - 1) / 2
    return Neighbourhoods(
        trustworthiness=1 - false / worst,
        continuity=1 - lost / worst,
        kept=kept / (measured * n_neighbors),
        n_neighbors=n_neighbors,
        n_rows=measured,
        exact=measured == len(x),
    )


def _intrusions(x: Tensor, h: Tensor, k: int) -> tuple[float, float, int]:
    """ΣΣ (r − k) over U, ΣΣ (s − k) over V, and how many neighbours are neighbours in both."""
    n, false, lost, kept = len(x), 0, 0, 0
    for index in torch.arange(n).split(max(1, BLOCK_CELLS // n)):
        there, here = _ranks(x[index], x, index), _ranks(h[index], h, index)
        false += int((there[here <= k] - k).clamp_min(0).sum())
        lost += int((here[there <= k] - k).clamp_min(0).sum())
        kept += int(((here <= k) & (there <= k)).sum())
    return false, lost, kept


def _ranks(some: Tensor, rows: Tensor, index: Tensor) -> Tensor:
    """The rank of every row by its distance to each of some, 1 for the nearest, n for itself."""
    squares = squared_distances(some, rows)
    squares[torch.arange(len(some)), index] = torch.inf
    order = squares.argsort(dim=1, stable=True)
    ranks = torch.empty_like(order)
    return ranks.scatter_(1, order, torch.arange(1, len(rows) + 1).expand_as(order))


def neighbour_accuracy(
    codes: ArrayLike,
    y: ArrayLike,
    new_codes: ArrayLike | None = None,
    new_y: ArrayLike | None = None,
    *,
    n_neighbors: int = 10,
) -> float:
    """The part of rows whose label is that of most of their k nearest codes.

    Args:
        codes: Codes (n, k') that neighbours are sought among.
        y: Their labels, (n,).
        new_codes: Codes (m, k') of rows that are asked for; None asks for each of ``codes``
            among the others.
        new_y: Their labels, (m,).
        n_neighbors: k.

    Raises:
        InvalidDataError: Labels of another number than codes, or of only one of the two;
            missing or infinite values.
        InvalidParameterError: k is no whole number from 1 to the number of codes, itself left out.
    """
    h, labels = _labelled(codes, y)
    alone = new_codes is None
    if alone != (new_y is None):
        raise InvalidDataError("Give new_codes and new_y together, or neither.")
    most = len(h) - alone
    if not (is_whole(n_neighbors) and 1 <= n_neighbors <= most):
        raise InvalidParameterError(
            f"n_neighbors must be a whole number from 1 to {most}; got {n_neighbors!r}."
        )
    found = KNeighborsClassifier(n_neighbors).fit(h, labels)
    if new_codes is None or new_y is None:
        return float(np.mean(found.predict(None) == labels))
    asked, truth = _labelled(new_codes, new_y)
    if asked.shape[1] != h.shape[1]:
        raise InvalidDataError(
            f"new_codes have {asked.shape[1]} numbers for each row, and codes {h.shape[1]}."
        )
    return float(np.mean(found.predict(asked) == truth))


def _finite(given: ArrayLike) -> Matrix:
    matrix = as_matrix(given)
    check_finite(matrix)
    return matrix


def _labelled(codes: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
    matrix, labels = _finite(codes), np.asarray(y)
    h = matrix.rows(0, len(matrix), np.float64)
    if labels.shape != (len(h),):
        raise InvalidDataError(
            f"Labels of shape {labels.shape} don't go with {len(h)} codes; give one for each."
        )
    return h, labels
