"""Better codes by flipping bits: the encoder guesses, the decoder decides.

The code that an encoder gives a row is rarely the one from which the decoder restores it best.
Flip bits while

    E(h; x) = − log p(x | h) − λ log p(h | x)

falls. The second term is the encoder's own opinion of the code, so that the minimum is the most
probable code under decoder and encoder together; it keeps similar rows at similar codes.

**Which bits.** Around the present code E is nearly quadratic. With the gradient g, the flip d_j =
1 − 2h_j of bit j changes it by about

    Δ_j = d_j g_j + ½ H_jj ,        and then g by d_j H_·j

where H is the mean over rows of how the gradient changes when a bit is flipped, measured once per
decoder. The flips that promise most are taken one after the other in this picture, and the true E
of the code after 1, 2, 4 and 8 of them decides which is kept. For a linear decoder under a
Gaussian the picture is exact. A row is done when no proposal lowers its E; so the error of a
refined code is never above that of the guess.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus.model import Model
from isthmus.sparse import Batch, SparseBatch
from isthmus.training.precision import multiplies_half_precision

CURVATURE_ROWS = 128
CURVATURE_CODES = 1 << 14
LEAST_ROWS = 64
BLOCK_CELLS = 1 << 22
LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class Effort:
    """How long to look for better codes.

    Attributes:
        steps: Gradients per row at most.
        proposals: After how many flips a proposal is tried.
    """

    steps: int
    proposals: tuple[int, ...]


EFFORTS = {
    "none": Effort(0, ()),
    "fast": Effort(2, (1, 4)),
    "best": Effort(12, (1, 2, 4, 8)),
}


def read_effort(name: str, given: object) -> Effort:
    """The effort of this name.

    Raises:
        InvalidParameterError: There is none.
    """
    if not isinstance(given, str) or given not in EFFORTS:
        raise InvalidParameterError(
            f"{name} must be one of {', '.join(map(repr, EFFORTS))}; got {given!r}."
        )
    return EFFORTS[given]


@torch.no_grad()
def refine(
    model: Model, z: Batch, h: Tensor, odds: Tensor, curvature: Tensor, effort: Effort
) -> Tensor:
    """Codes with lower E, by flipping bits.

    Args:
        model: Decoder and likelihood.
        z: Scaled rows (n, d).
        h: Their codes to start from, zeros and ones (n, k).
        odds: λ log p(h_j = 1 | x) / p(h_j = 0 | x), (n, k).
        curvature: H, (k, k), from `curvature_of`.
        effort: How long.

    Returns:
        Codes (n, k) whose E is that of ``h`` or lower, row by row.
    """
    if not effort.steps:
        return h
    found = h.clone()
    half = multiplies_half_precision(model.device) and h.dtype == torch.float32
    with model.computing_in_half_precision(half):
        live = torch.arange(len(h), device=h.device)
        for _ in range(effort.steps):
            rows = _filled(live)
            better = _step(model, _take(z, rows), found[rows], odds[rows], curvature, effort)
            moved = (better != found[rows]).any(1)[: len(live)]
            found[rows] = better
            live = live[moved]
            if not len(live):
                break
    if not half:
        return found
    # what was gained in half precision must be true in full
    lower = energy(model, z, found, odds) <= energy(model, z, h, odds)
    return torch.where(lower.unsqueeze(1), found, h)


def energy(model: Model, z: Batch, h: Tensor, odds: Tensor) -> Tensor:
    """E up to a constant of the row: −log p(x | h) − Σ_j h_j odds_j, (n,)."""
    return model.nll(z, h) - (h * odds).sum(1)


def gradient(model: Model, z: Batch, h: Tensor) -> tuple[Tensor, Tensor]:
    """−log p(x | h), (n,), and its gradient in h, (n, k)."""
    with torch.enable_grad():
        h = h.detach().requires_grad_()
        out = model.decoded(h)
        nll, slope = model.slope(z, out.detach(), 1.0)
        (found,) = torch.autograd.grad(out, h, slope)
    return nll, found


@torch.no_grad()
def curvature_of(model: Model, z: Batch, h: Tensor) -> Tensor:
    """H, (k, k): how the gradient changes per flip, averaged over rows and made symmetric.

    Args:
        model: Decoder and likelihood.
        z: Some scaled rows (n, d).
        h: Their codes (n, k).
    """
    k = h.shape[1]
    n = max(1, min(len(h), CURVATURE_ROWS, CURVATURE_CODES // k))
    few, codes = _take(z, torch.arange(n, device=h.device)), h[:n]
    _, before = gradient(model, few, codes)
    columns = []
    for j in range(k):
        flipped = codes.clone()
        flipped[:, j] = 1 - flipped[:, j]
        change = gradient(model, few, flipped)[1] - before
        columns.append(((1 - 2 * codes[:, j : j + 1]) * change).mean(0))
    model.zero_grad()
    found = torch.stack(columns)
    return 0.5 * (found + found.T)


def _step(
    model: Model, z: Batch, h: Tensor, odds: Tensor, curvature: Tensor, effort: Effort
) -> Tensor:
    """The best of the proposals, or the code itself, for each row."""
    nll, slope = gradient(model, z, h)
    lowest, best = nll - (h * odds).sum(1), h
    slope = slope - odds
    least = LEAST_GAIN * lowest.abs()
    now, half_diagonal = h.clone(), 0.5 * curvature.diagonal()
    rows = torch.arange(len(h), device=h.device)
    for n_flips in range(1, max(effort.proposals) + 1):
        turn = 1 - 2 * now
        change, bit = torch.addcmul(half_diagonal, turn, slope).min(1)
        # the picture may be wrong about the first flip, so that one is tried in any case
        taken = (change < 0) if n_flips > 1 else torch.ones_like(change, dtype=torch.bool)
        by = turn[rows, bit] * taken
        now[rows, bit] += by
        slope = slope + by.unsqueeze(1) * curvature[bit]
        if n_flips in effort.proposals:
            tried = energy(model, z, now, odds)
            better = tried < lowest - least
            lowest = torch.where(better, tried, lowest)
            best = torch.where(better.unsqueeze(1), now, best)
    return best


def _filled(rows: Tensor) -> Tensor:
    """The same numbers, the last one repeated up to as many as make a block.

    Products of few rows round in another way, and a code must not depend on its company.
    """
    missing = LEAST_ROWS - len(rows)
    return rows if missing <= 0 else torch.cat([rows, rows[-1:].expand(missing)])


def _take(z: Batch, rows: Tensor) -> Batch:
    if not isinstance(z, SparseBatch):
        return z[rows]
    if len(rows) == len(z):
        return z
    return z.take(rows)
