"""C(x̃ | x): corrupted copies of a batch, for denoising autoencoders.

A corruption acts on what the encoder sees: the scaled columns, log(1 + count), or the 0/1 columns
of a category. It knows the *groups*, the columns that make up one feature, and corrupts the
columns of a group together: half a category is not a category.

In a table it acts on the *cells* instead, before the encoder's view of them is made: a cell that
is masked becomes a missing one, which the encoder is told, and noise is for real numbers only.

Vincent et al. (2008, 2010) introduced masking, salt-and-pepper and Gaussian noise; swapping cells
between rows keeps each column's marginal distribution exactly. Walkback (Bengio et al., 2013)
sends x along the model's own chain first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._registry import Registry, is_real
from isthmus.corruptions._corruption import Cells, Corruption
from isthmus.corruptions.warp import Warp
from isthmus.sparse import Batch, SparseBatch


def _chosen(x: Tensor, width: int, rate: float, generator: torch.Generator) -> Tensor:
    """Which cells are hit, (n, d·width) booleans, the columns of a group alike."""
    n, columns = x.shape
    hit = torch.rand((n, columns // width), generator=generator, device=x.device) < rate
    return hit if width == 1 else hit.repeat_interleave(width, dim=1)


def _other_rows(x: Tensor, width: int, generator: torch.Generator) -> Tensor:
    """For each group of each row, what another row has there; of a single row, its own."""
    n, columns = x.shape
    if n == 1:
        return x
    # a step of 1 … n−1 rows is never the row itself
    steps = torch.randint(
        1, n, (n, columns // width), generator=generator, device=x.device
    ).repeat_interleave(width, dim=1)
    donors = (torch.arange(n, device=x.device).unsqueeze(1) + steps) % n
    return x.gather(0, donors)


def _require_rate(name: str, rate: float | str) -> None:
    if not (is_real(rate) and 0 <= rate <= 1):
        raise InvalidParameterError(f"{name}'s rate must lie in [0, 1]; got {rate!r}.")


__all__ = [
    "CORRUPTIONS",
    "Cells",
    "Corruption",
    "GaussianNoise",
    "Masking",
    "SaltAndPepper",
    "Swap",
    "Walkback",
    "Warp",
    "corrupt",
    "corrupt_cells",
]


@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """x̃ = x + std · ε, ε ~ N(0, I).

    For small std, denoising with squared error is a contraction of the reconstruction, and
    (r(x) − x)/std² estimates the score of the density (Alain and Bengio, 2014).

    Args:
        std: In the data's own units for isotropic likelihoods, which keep the geometry of the
            data; in column standard deviations for likelihoods with a scale per column.
    """

    std: float = 0.1

    def __post_init__(self) -> None:
        if not (is_real(self.std) and 0 <= self.std < math.inf):
            raise InvalidParameterError(
                f"GaussianNoise's std must be a finite number, 0 or more; got {self.std!r}."
            )

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """x + std · ε."""
        noise = torch.empty_like(x).normal_(generator=generator)
        return torch.add(x, noise, alpha=self.std)

    def of_cells(self, cells: Cells, generator: torch.Generator) -> Tensor:
        """x + std · ε in the columns of real numbers."""
        noise = torch.empty_like(cells.values).normal_(generator=generator)
        return torch.addcmul(cells.values, noise, cells.is_real.to(noise.dtype), value=self.std)

    def in_units(self, unit: float) -> Corruption:
        """std divided by the unit."""
        return replace(self, std=self.std / unit)


@dataclass(frozen=True)
class Masking(Corruption):
    """Each cell becomes 0 with probability ``rate``.

    Zero is the column mean for scaled data, "none" for counts and pixels, and "no level" for a
    category. The cells that are kept are multiplied by 1/(1 − rate), as in dropout (Srivastava et
    al., 2014), so that E[x̃] = x: else the encoder sees larger inputs in use, where nothing is
    masked, than in training. Vincent et al. (2008) leave them as they are.

    Args:
        rate: Probability that a cell is hit; ``"one"`` hides exactly one cell of each row. With
            hidden targets that learns p(x_j | all others) for each j, the maximum of the
            pseudo-likelihood (Besag, 1975), from which Gibbs sweeps give joint draws.
        rescale: Whether the kept cells are multiplied.
        targets: Which cells of a table the likelihood counts: ``"all"``, or only the ``"hidden"``
            ones, each standing for 1/rate cells. Then nothing is won by copying, and the whole
            code serves to predict: the best choice for `impute` (full emphasis on corrupted
            cells in Vincent et al., 2010).
    """

    rate: float | str = 0.25
    rescale: bool = True
    targets: str = "all"

    def __post_init__(self) -> None:
        if self.rate != "one":
            _require_rate("Masking", self.rate)
        if not isinstance(self.rescale, bool):
            raise InvalidParameterError(
                f"Masking's rescale must be True or False; got {self.rescale!r}."
            )
        if self.targets not in ("all", "hidden"):
            raise InvalidParameterError(
                f"Masking's targets must be 'all' or 'hidden'; got {self.targets!r}."
            )
        if self.targets == "hidden" and self.rate == 0:
            raise InvalidParameterError(
                "Masking(0, targets='hidden') would leave nothing to learn from; give a rate "
                "above 0."
            )

    def share(self, n_features: int) -> float:
        """Which part of the observed cells counts in the likelihood."""
        return self._part(n_features) if self.targets == "hidden" else 1.0

    def _part(self, n_features: int) -> float:
        """Which part of the cells is hidden."""
        return 1 / n_features if isinstance(self.rate, str) else self.rate

    def _hit(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """Which cells are hidden, (n, d·width) booleans, the columns of a group alike."""
        if not isinstance(self.rate, str):
            return _chosen(x, width, self.rate, generator)
        n, groups = len(x), x.shape[1] // width
        one = torch.randint(groups, (n, 1), generator=generator, device=x.device)
        hit = one == torch.arange(groups, device=x.device)
        return hit if width == 1 else hit.repeat_interleave(width, dim=1)

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """x with zeros in the cells that are hit."""
        return self._filled(x, self._hit(x, width, generator), x.shape[1] // width)

    def of_numbers(self, x: SparseBatch, generator: torch.Generator) -> Batch:
        """The same of sparse rows, whose other cells are zero already."""
        if isinstance(self.rate, str):
            return super().of_numbers(x, generator)
        hit = torch.rand(len(x.values), generator=generator, device=x.device) < self.rate
        return x.map(lambda values: self._filled(values, hit, 1))

    def _filled(self, x: Tensor, hit: Tensor, n_features: int) -> Tensor:
        masked, kept = x.masked_fill(hit, 0.0), 1 - self._part(n_features)
        return masked.div_(kept) if self.rescale and kept else masked

    def of_cells(self, cells: Cells, generator: torch.Generator) -> Tensor:
        """NaN in the cells that are hit; the others stay, for the encoder sees what is missing."""
        x = cells.values
        return x.masked_fill(self._hit(x, 1, generator), math.nan)

    def in_units(self, unit: float) -> Corruption:
        """The same."""
        return self


@dataclass(frozen=True)
class SaltAndPepper(Corruption):
    """Each cell jumps with probability ``rate`` to its column's extreme, low or high by a coin.

    The extremes are those of the column in the batch. The columns of a category jump together,
    to no level or to all levels. In a table a category has no extremes, and takes the level of
    another row if that has one; and what is missing stays so, and nothing else becomes missing.

    Args:
        rate: Probability that a cell is hit.
    """

    rate: float = 0.25

    def __post_init__(self) -> None:
        _require_rate("SaltAndPepper", self.rate)

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """x with extremes in the cells that are hit."""
        low, high = x.aminmax(dim=0)
        salted = torch.where(_chosen(x, width, 0.5, generator), high, low)
        return torch.where(_chosen(x, width, self.rate, generator), salted, x)

    def of_cells(self, cells: Cells, generator: torch.Generator) -> Tensor:
        """x with extremes, or other rows' levels, in the cells that are hit."""
        x = cells.values
        missing = x.isnan()
        low = x.masked_fill(missing, math.inf).amin(0)
        high = x.masked_fill(missing, -math.inf).amax(0)
        salted = torch.where(_chosen(x, 1, 0.5, generator), high, low)
        others = _other_rows(x, 1, generator)
        levels = torch.where(others.isnan(), x, others)
        salted = torch.where(cells.is_category, levels, salted)
        return torch.where(_chosen(x, 1, self.rate, generator) & ~missing, salted, x)

    def in_units(self, unit: float) -> Corruption:
        """The same."""
        return self


@dataclass(frozen=True)
class Swap(Corruption):
    """Each cell takes, with probability ``rate``, the value of another row in the same column.

    The other row is drawn anew for each cell from the batch. Marginal distributions stay as they
    are while dependencies break, which is what the decoder must then repair. In a table a missing
    cell is swapped like any other.

    Args:
        rate: Probability that a cell is hit.
    """

    rate: float = 0.15

    def __post_init__(self) -> None:
        _require_rate("Swap", self.rate)

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """x with cells of other rows where it is hit."""
        if len(x) == 1:
            return x.clone()
        others = _other_rows(x, width, generator)
        return torch.where(_chosen(x, width, self.rate, generator), others, x)

    def in_units(self, unit: float) -> Corruption:
        """The same."""
        return self


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


CORRUPTIONS: Registry[Corruption] = Registry(
    "corruption",
    Corruption,  # type: ignore[type-abstract]  # mypy wants a concrete class where isinstance does not
    {
        "gaussian_noise": GaussianNoise,
        "masking": Masking,
        "salt_and_pepper": SaltAndPepper,
        "swap": Swap,
        "walkback": Walkback,
    },
    composites=(Warp,),  # by itself it does not know the size of an image
)


def corrupt(
    corruptions: Sequence[Corruption], x: Batch, width: int, generator: torch.Generator
) -> Batch:
    """x after each corruption in turn; x itself if there are none.

    Sparse rows stay so under corruptions that leave zeros alone.
    """
    for corruption in corruptions:
        if isinstance(x, SparseBatch):
            x = corruption.of_numbers(x, generator)
        else:
            x = corruption(x, width, generator)
    return x


def corrupt_cells(
    corruptions: Sequence[Corruption], cells: Cells, generator: torch.Generator
) -> Tensor:
    """The values of the cells after each corruption in turn."""
    for corruption in corruptions:
        cells = replace(cells, values=corruption.of_cells(cells, generator))
    return cells.values
