"""What the encoder network sees of a table.

    real          its scaled value, or 0 if missing; and 1 if missing
    0 or 1        its value, or 0 if missing; and 1 if missing
    count         log(1 + x), or 0 if missing; and 1 if missing
    category      a 0/1 column for each of K ≤ 64 levels; all 0 if missing
    many levels   a learned vector for each level, of 1.6 K^0.56 numbers, 64 at most; 0 if missing

Without the mark for missing cells an average value and an unknown one would look alike. It marks
what is missing and not what is there, so that complete rows send zeros through it: a thousand
marks of 1 would act together as one bias, a thousand times as fast as any other weight.

A column that was missing in every row of `fit` looks the same for ever, whatever comes in it
later: there is no weight that has learned what to make of it.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.likelihoods import Traits
from isthmus.numerics import missing_cells

MOST_ONE_HOT = 64
LARGEST_VECTOR = 64


def vector_size(levels: int) -> int:
    """How many numbers stand for a level of a category with many."""
    # first, since a card from a file may say any number
    return LARGEST_VECTOR if levels > 1000 else min(LARGEST_VECTOR, round(1.6 * levels**0.56))


def entry_width(traits: Traits, n_features: int) -> int:
    """Columns in front of the encoder network for d features."""
    if traits.columns is not None:
        return sum(map(_width, traits.columns))
    return n_features * (traits.outputs if traits.entry == "one_hot" else 1)


def entry_weights(traits: Traits) -> int:
    """How many numbers the vectors of all levels have together."""
    many = [c.outputs for c in traits.columns or () if _is_wide(c)]
    return sum(levels * vector_size(levels) for levels in many)


def _is_wide(column: Traits) -> bool:
    return column.entry == "one_hot" and column.outputs > MOST_ONE_HOT


def _width(column: Traits) -> int:
    if column.entry != "one_hot":
        return 2
    return vector_size(column.outputs) if _is_wide(column) else column.outputs


class TableEntry(nn.Module):
    """From cells (n, d), with NaN where nothing was observed, to what the network sees.

    Args:
        columns: The traits of each column.
    """

    unseen: Tensor
    numbers: Tensor
    few: Tensor
    first_of_few: Tensor
    is_real: Tensor
    is_category: Tensor

    def __init__(self, columns: Sequence[Traits]) -> None:
        super().__init__()
        kinds = [column.entry for column in columns]
        plain = [j for j, kind in enumerate(kinds) if kind == "identity"]
        counts = [j for j, kind in enumerate(kinds) if kind == "log1p"]
        few = [j for j, c in enumerate(columns) if c.entry == "one_hot" and not _is_wide(c)]
        self.n_plain, n_marked = len(plain), 2 * (len(plain) + len(counts))
        ends, n_levels = _ends([columns[j].outputs for j in few])
        self.n_fixed = n_marked + n_levels
        self._place("numbers", torch.tensor(plain + counts, dtype=torch.long))
        self._place("few", torch.tensor(few, dtype=torch.long))
        self._place("first_of_few", torch.tensor(ends, dtype=torch.long) + n_marked)
        self._place("is_real", torch.tensor([c.scaling != "none" for c in columns]))
        self._place("is_category", torch.tensor([kind == "one_hot" for kind in kinds]))
        self.register_buffer("unseen", torch.zeros(len(columns), dtype=torch.bool))
        self.vectors = nn.ParameterDict()
        self._place_vectors(columns)

    def _place(self, name: str, values: Tensor) -> None:
        """Numbers that follow from the columns and need not be kept in a file."""
        self.register_buffer(name, values, persistent=False)

    def _place_vectors(self, columns: Sequence[Traits]) -> None:
        by_size: dict[int, list[int]] = {}
        for j, column in enumerate(columns):
            if _is_wide(column):
                by_size.setdefault(vector_size(column.outputs), []).append(j)
        for size, chosen in by_size.items():
            ends, total = _ends([columns[j].outputs for j in chosen])
            self._place(f"columns_{size}", torch.tensor(chosen))
            self._place(f"first_{size}", torch.tensor(ends))
            self.vectors[str(size)] = nn.Parameter(torch.zeros(total, size))

    @torch.no_grad()
    def begin(self, unseen: Tensor, generator: torch.Generator) -> None:
        """Vectors of unit variance, and which columns (d,) have no cell in the data."""
        self.unseen.copy_(unseen)
        for vectors in self.vectors.values():
            vectors.normal_(generator=generator)

    def forward(self, z: Tensor) -> Tensor:
        """(n, d) to (n, width)."""
        if bool(self.unseen.any()):
            z = z.masked_fill(self.unseen, 0.0)
        missing = missing_cells(z)
        if missing is not None:
            z = z.masked_fill(missing, 0.0)
        seen = z.new_zeros(len(z), self.n_fixed)
        self._write_numbers(seen, z, missing)
        if len(self.few):
            places = z.index_select(1, self.few).long() + self.first_of_few
            ones = z.new_ones(places.shape)
            if missing is not None:
                ones.masked_fill_(missing.index_select(1, self.few), 0.0)
            seen.scatter_(1, places, ones)
        return torch.cat([seen, *self._found(z, missing)], 1) if len(self.vectors) else seen

    def _write_numbers(self, seen: Tensor, z: Tensor, missing: Tensor | None) -> None:
        """Real numbers and bits as they are, log(1 + x) of the counts, and the marks of both."""
        m = len(self.numbers)
        if not m:
            return
        if z.requires_grad:  # a point of which the code is differentiated
            seen[:, :m] = z.index_select(1, self.numbers)
        else:
            torch.index_select(z, 1, self.numbers, out=seen[:, :m])
        seen[:, self.n_plain : m].log1p_()
        if missing is not None:
            seen[:, m : 2 * m] = missing.index_select(1, self.numbers)

    def _found(self, z: Tensor, missing: Tensor | None) -> Iterator[Tensor]:
        """The vectors of all categories with many levels."""
        for size, vectors in self.vectors.items():
            chosen = getattr(self, f"columns_{size}")
            places = z.index_select(1, chosen).long() + getattr(self, f"first_{size}")
            found = F.embedding(places, vectors)
            if missing is not None:
                found = found.masked_fill(missing.index_select(1, chosen).unsqueeze(2), 0.0)
            yield found.flatten(1)


def _ends(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where each of several blocks of these sizes begins, and where the last one ends."""
    first, ends = 0, []
    for size in sizes:
        ends.append(first)
        first += size
    return ends, first
