"""Labels spread over a graph of near rows: what neighbours say of a row before training begins.

Each row is joined to the k rows whose codes are nearest, W_ij = 1 if either is among the other's,
and a label flows along the graph to rows without one (Zhou et al., 2004):

    F = (I − α S)⁻¹ Y ,   S = D^(−½) W D^(−½) ,   D = diag(Σ_j W_ij)

Y has the weight of a row's label in the column of its class. F solves a sparse positive definite
system for each class, by conjugate gradients. Rows of F divided by their sums are s(y).

In the code of an autoencoder that has learned to see one thing in many copies, rows of a class
are near each other in long chains, of which a few labels name each. To search n rows takes n²
distances, so of many rows a part is drawn; the rest has s uniform, as has a row that no label
reaches.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import cg
from torch import Tensor

from isthmus.nearest import nearest

FLOW = 0.99
DOUBT = 0.01
GRAPH_ROWS = 1 << 15
SOLVED = 1e-6
MOST_ITERATIONS = 2000


@dataclass(frozen=True, eq=False)
class Prior:
    """log s(y) of every row.

    Attributes:
        place: Of each row in ``log_prob``, (n,).
        log_prob: Of rows of the graph, and last of a row outside, (m + 1, K).
    """

    place: Tensor
    log_prob: Tensor

    def __call__(self, index: Tensor) -> Tensor:
        """Of the rows with these numbers, (len(index), K)."""
        return self.log_prob[self.place[index]]


def graph_rows(
    labelled: NDArray[np.intp], n_rows: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """The numbers of the rows that make the graph, in order: at most 32,768, labelled ones first.

    Args:
        labelled: Numbers of rows with a label that is trained on.
        n_rows: Of the whole data.
        rng: Source of the choice.
    """
    if n_rows <= GRAPH_ROWS:
        return np.arange(n_rows)
    kept = labelled
    if len(kept) > GRAPH_ROWS:
        kept = rng.choice(labelled, GRAPH_ROWS, replace=False)
    drawn = rng.choice(n_rows, GRAPH_ROWS, replace=False)
    others = np.setdiff1d(drawn, kept)
    rng.shuffle(others)
    return np.sort(np.concatenate([kept, others[: GRAPH_ROWS - len(kept)]]))


def spread(near: NDArray[np.integer], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """s(y), from the labels of some rows.

    Args:
        near: The numbers of each row's near rows, (n, k).
        y: Y, (n, K): the weight of a row's label in the column of its class, 0 elsewhere.

    Returns:
        Probabilities, (n, K). A hundredth is spread evenly: whatever neighbours say, a row may be
        of any class.
    """
    n, n_classes = y.shape
    system = sp.identity(n, format="csr") - FLOW * _flow(near)
    found = np.empty_like(y)
    for each in range(n_classes):
        found[:, each] = cg(system, y[:, each], rtol=SOLVED, maxiter=MOST_ITERATIONS)[0]
    # the inverse has no negative entry; what is below 0 is rounding
    found = found.clip(0)
    total = found.sum(1, keepdims=True)
    known = np.divide(found, total, out=np.full_like(found, 1 / n_classes), where=total > 0)
    mixed: NDArray[np.float64] = (1 - DOUBT) * known + DOUBT / n_classes
    return mixed


def _flow(near: NDArray[np.integer]) -> Any:
    """S of the symmetric graph."""
    n, k = near.shape
    one_way = sp.csr_matrix((np.ones(n * k), near.ravel(), np.arange(0, n * k + 1, k)), (n, n))
    both = one_way.maximum(one_way.T)
    scale = sp.diags(1 / np.sqrt(np.asarray(both.sum(1)).ravel()))
    return (scale @ both @ scale).tocsr()


def spread_labels(
    codes: Tensor, chosen: NDArray[np.intp], n_rows: int, y: NDArray[np.float64], k: int
) -> Prior:
    """The prior of all rows from the codes and labels of some.

    Args:
        codes: Of the rows of the graph, (m, number of units), two or more.
        chosen: Their numbers.
        n_rows: Of the whole data.
        y: Their labels, as in `spread`, (m, K).
        k: Near rows that each is joined to.
    """
    near = nearest(codes, min(k, len(codes) - 1)).cpu().numpy()
    even = np.full((1, y.shape[1]), 1 / y.shape[1])
    table = np.log(np.concatenate([spread(near, y), even]))
    place = np.full(n_rows, len(chosen))
    place[chosen] = np.arange(len(chosen))
    return Prior(
        torch.from_numpy(place).to(codes.device),
        torch.from_numpy(table).float().to(codes.device),
    )
