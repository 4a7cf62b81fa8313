"""Corruptions that decide where a row comes from, in place of changing its cells."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real, is_whole
from isthmus.corruptions._corruption import Cells, Corruption
from isthmus.sparse import Batch, SparseBatch, dense, product


@dataclass(frozen=True)
class Walkback(Corruption):
    """Before it is corrupted, x walks away along the model's own chain, and must be found back.

    Bengio et al. (2013): corrupt x, draw x′ ~ p(x | h) from the reconstruction, corrupt x′, and so
    on; after each draw the walk goes on with probability ``rate``. What the encoder then sees is
    reconstructed to the x where the walk began. So the places where the chain goes of its own
    accord are trained on as well: spurious modes lose their mass, and steps grow longer, so that
    `isthmus.analysis.sample_chain` moves from mode to mode sooner. The paper's rate is ½. It shows
    every stage of a walk to the model; here each row has one stage in each pass, which is the
    same in expectation.

    It stands beside other corruptions and by itself leaves a batch as it is: the walk needs the
    model, and is made by the objective. Each pass costs rate/(1 − rate) more forward passes.

    Args:
        rate: Probability that the walk goes one step on, in [0, 1).
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        if not (is_real(self.rate) and 0 <= self.rate < 1):
            raise InvalidParameterError(
                f"Walkback's rate must lie in [0, 1), so that walks end; got {self.rate!r}."
            )

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """A copy of x."""
        return x.clone()

    def of_numbers(self, x: SparseBatch, generator: torch.Generator) -> Batch:
        """x itself."""
        return x

    def going_on(self) -> float:
        """`rate`."""
        return self.rate

    def in_units(self, unit: float) -> Corruption:
        """The same."""
        return self


@dataclass(frozen=True)
class NeighbourWalk(Corruption):
    """x̃ is another row, from which a random walk along nearest rows leads to x.

    What the encoder sees is reconstructed to a row near it, so that the code keeps what near rows
    have in common and forgets what is one row's own. For squared error r(x) becomes the mean of
    the rows where walks from x end: the data smoothed along their own graph, whose slow
    directions are those of spectral hashing (Weiss et al., 2008). Reconstructing neighbours is
    Chaidaroon et al.'s (2018) for documents; they find them in all rows beforehand, here they
    are looked for in the batch, so that nothing is kept, and rows may be any number. In batches
    of B out of N rows, k neighbours are about as far as k·N/B among all.

    It stands beside other corruptions, and by itself leaves a batch as it is: the walk decides
    what is reconstructed, and is made by the objective. A step costs the products of all pairs of
    rows in the batch.

    Args:
        n_neighbors: k; each step goes to one of these or stays, each as likely.
        steps: Of the walk.
        metric: ``"cosine"``, for documents and embeddings, or ``"euclidean"``.
    """

    n_neighbors: int = 5
    steps: int = 2
    metric: str = "cosine"

    def __post_init__(self) -> None:
        for name, least in (("n_neighbors", 1), ("steps", 0)):
            value = getattr(self, name)
            if not (is_whole(value) and value >= least):
                raise InvalidParameterError(
                    f"NeighbourWalk's {name} must be a whole number, {least} or more; "
                    f"got {value!r}."
                )
        if self.metric not in ("cosine", "euclidean"):
            raise InvalidParameterError(
                f"NeighbourWalk's metric must be 'cosine' or 'euclidean'; got {self.metric!r}."
            )

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """A copy of x."""
        return x.clone()

    def of_numbers(self, x: SparseBatch, generator: torch.Generator) -> Batch:
        """x itself."""
        return x

    def of_cells(self, cells: Cells, generator: torch.Generator) -> Tensor:
        """A copy of the cells."""
        return cells.values.clone()

    @property
    def keeps_rows(self) -> bool:
        """No."""
        return False

    @torch.no_grad()
    def aims(self, x: Batch, generator: torch.Generator) -> Tensor:
        """Where each row's walk ends, (n,)."""
        near = self.near(x)
        ends = torch.arange(len(near), device=near.device)
        for _ in range(self.steps):
            choice = torch.randint(near.shape[1], ends.shape, generator=generator, device=x.device)
            ends = near[ends, choice]
        return ends

    def near(self, x: Batch) -> Tensor:
        """The numbers of each row and of the rows nearest to it, (n, min(k + 1, n))."""
        rows = dense(x)
        products = product(x, rows) if isinstance(x, SparseBatch) else rows @ rows.T
        squares = rows.square().sum(1)
        if self.metric == "cosine":
            nearness = products * squares.clamp_min(torch.finfo(squares.dtype).tiny).rsqrt()
        else:
            nearness = 2 * products - squares
        nearness.fill_diagonal_(math.inf)
        found = nearness.topk(min(self.n_neighbors + 1, len(rows)), dim=1)
        if self.metric == "euclidean":
            return found.indices
        # rows at a right angle, such as documents without a common word, are not near
        return torch.where(found.values > 0, found.indices, found.indices[:, :1])

    def in_units(self, unit: float) -> Corruption:
        """The same."""
        return self
