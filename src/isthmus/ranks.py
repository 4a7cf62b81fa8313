"""Columns with heavy tails inside the model: each becomes normal by its ranks, and comes back.

    z = t(x) ,      log p(x) = log p(z) + log t′(x)

t is a `Quantiles`: increasing, linear between its knots and beyond them. Each line has one slope,
so log t′ is known from z as well as from x, and the model, which keeps rows only as z, can still
report nats in the user's units.

The images of the knots are kept to the digits of float32. A value that many cells share is a
knot; so its z survives the rounding of a row to float32, and with it the line that it lies on.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.data import Quantiles
from isthmus.data.quantiles import KNOTS

MOST_KNOTS = KNOTS + 2  # the two ends of the data, where a sample of rows gave the others


class Ranks(nn.Module):
    """The maps of some columns, with room for `MOST_KNOTS` knots each.

    Args:
        columns: Their numbers.

    Attributes:
        x: Knots in the user's units (r, `MOST_KNOTS`), float64; the last one is repeated where a
            column has fewer.
        z: Their images.
    """

    columns: Tensor
    x: Tensor
    z: Tensor

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        ends = torch.arange(MOST_KNOTS, dtype=torch.float64).clamp_max(1).repeat(len(columns), 1)
        self.register_buffer("x", ends)
        self.register_buffer("z", ends.clone())

    @torch.no_grad()
    def learn(self, maps: Sequence[Quantiles]) -> None:
        """Take over the maps of the columns, in their order."""
        for row, each in enumerate(maps):
            padding = (0, MOST_KNOTS - len(each.x))
            self.x[row] = torch.from_numpy(np.pad(each.x, padding, "edge"))
            self.z[row] = torch.from_numpy(np.pad(each.z, padding, "edge"))

    def maps(self) -> list[Quantiles]:
        """The maps again, without what fills up their room.

        Raises:
            InvalidParameterError: Knots that don't increase.
        """
        found = []
        for x, z in zip(self.x.cpu().numpy(), self.z.cpu().numpy(), strict=True):
            n, n_images = (1 + int((ends != ends[-1]).sum()) for ends in (x, z))
            found.append(Quantiles(x[:n], z[:n_images]))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """z of all columns, (n, d), from x; of those without a map, x itself."""
        return self._replaced(x, self.x, self.z)

    def inverse(self, z: Tensor) -> Tensor:
        """The x with t(x) = z, (n, d)."""
        return self._replaced(z, self.z, self.x)

    def log_slope(self, z: Tensor) -> Tensor:
        """log t′ where t(x) = z, (n, d) in float64; 0 for other columns and missing cells."""
        own = z.detach().index_select(1, self.columns).double()
        left, _ = self._line(own, self.z)
        slopes = self.z.diff().log() - self.x.diff().log()  # NaN past the last knot: never asked
        found = slopes.gather(1, left.T).T.masked_fill(own.isnan(), 0.0)
        return z.new_zeros(z.shape, dtype=torch.float64).index_copy_(1, self.columns, found)

    def _replaced(self, values: Tensor, knots: Tensor, images: Tensor) -> Tensor:
        own = values.index_select(1, self.columns).double()
        left, right = self._line(own, knots)
        start = knots.gather(1, left.T).T
        # as a part of the line's length: its slope alone may be beyond float64
        part = (own - start) / self._width(knots, left, right)
        mapped = images.gather(1, left.T).T + part * self._width(images, left, right)
        return values.index_copy(1, self.columns, mapped.to(values.dtype))

    def _line(self, values: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """The knots, by number, between which each value (n, r) lies; the outer lines go on."""
        place = torch.searchsorted(knots, values.detach().T.contiguous(), right=True).T - 1
        last = (knots < knots[:, -1:]).sum(1) - 1
        left = torch.minimum(place.clamp_min(0), last)
        return left, left + 1

    def _width(self, knots: Tensor, left: Tensor, right: Tensor) -> Tensor:
        return knots.gather(1, right.T).T - knots.gather(1, left.T).T
