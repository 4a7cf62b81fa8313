"""Which rows lie nearest, by Euclidean distance: ‖a − b‖² = ‖a‖² + ‖b‖² − 2a·b, by blocks.

Exact up to rounding. Rows are centred first: of rows far from the origin the difference of large
numbers would keep few digits.
"""

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK_CELLS = 1 << 23
GROUP_ROWS = 1 << 15
GROUP_CELLS = 1 << 27


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_j‖² for all pairs, (n, m), never negative; differentiable.

    Args:
        a: (n, d).
        b: (m, d).
    """
    center = b.detach().mean(0)
    a, b = a - center, b - center
    return _of_centered(a, b, b.square().sum(1))


def _of_centered(a: Tensor, b: Tensor, b_squares: Tensor) -> Tensor:
    squares = torch.addmm(b_squares, a, b.T, alpha=-2) + a.square().sum(1, keepdim=True)
    return squares.clamp_min(0)


@torch.no_grad()
def nearest(x: Tensor, k: int) -> Tensor:
    """The numbers of the k rows that are nearest to each row, itself left out, (n, k).

    Args:
        x: Rows (n, d), two or more.
        k: Less than n. Of rows that are equally near, any may be among them.
    """
    n, x = len(x), x - x.mean(0)
    lengths = x.square().sum(1)
    found = torch.empty((n, k), dtype=torch.long, device=x.device)
    size = min(n, max(1, BLOCK_CELLS // n))
    block = torch.empty((size, n), dtype=x.dtype, device=x.device)
    for index in torch.arange(n, device=x.device).split(size):
        # ‖a‖² is the same for a whole line, and so leaves its order as it is
        squares = torch.addmm(lengths, x[index], x.T, alpha=-2, out=block[: len(index)])
        squares[torch.arange(len(index), device=x.device), index] = torch.inf
        found[index] = squares.topk(k, largest=False).indices
    return found


def nearest_in_groups(
    rows: Callable[[Tensor], Tensor], n: int, k: int, generator: torch.Generator
) -> Tensor:
    """For each of n rows the k nearest of its group, (n, k), or as many as a group has.

    Up to 32,768 rows are one group, and all are searched. More rows are split at random into
    groups of equal size, so that time and memory grow in step with the rows; a row's nearest in
    its group are then near rows, but others are nearer. Rows of more than 4,096 numbers are in
    smaller groups.

    Args:
        rows: Gives the rows with these numbers, (m, d).
        n: How many rows there are, two or more.
        k: How many are sought.
        generator: Source of the groups, on the device of the rows.
    """
    width = rows(torch.zeros(1, dtype=torch.long, device=generator.device)).shape[1]
    size = min(GROUP_ROWS, max(2, GROUP_CELLS // max(1, width)))
    order = torch.randperm(n, generator=generator, device=generator.device)
    groups = order.tensor_split(-(-n // size))
    k = min(k, min(map(len, groups)) - 1)
    near = torch.empty((n, k), dtype=torch.int32, device=order.device)
    for group in groups:
        near[group] = group[nearest(rows(group), k)].int()
    return near
