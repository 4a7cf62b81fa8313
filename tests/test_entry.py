"""What the encoder network sees of a table, number by number."""

import math

import pytest
import torch
from torch.nn import functional as F

from isthmus import Bernoulli, Categorical, Columns, Gaussian, Poisson
from isthmus.entry import TableEntry, entry_weights, entry_width, vector_size

NAN = math.nan
LARGE = 100


def entry_of(*parts, unseen=()):
    traits = Columns(parts).traits
    entry = TableEntry(traits.columns)
    mask = torch.zeros(len(parts), dtype=torch.bool)
    mask[list(unseen)] = True
    entry.begin(mask, torch.Generator().manual_seed(0))
    return entry, traits


def test_numbers_then_marks_then_levels_then_vectors():
    parts = (
        Categorical(3),
        Poisson(),
        Gaussian(),
        Categorical(LARGE),
        Bernoulli(),
        Categorical(2),
    )
    entry, traits = entry_of(*parts)
    z = torch.tensor([[2.0, 5.0, -0.5, 7.0, 1.0, 0.0], [NAN, NAN, NAN, NAN, NAN, NAN]])
    seen = entry(z)
    assert seen.shape == (2, entry_width(traits, 6))
    numbers = [-0.5, 1.0, math.log(6.0)]
    vector = entry.vectors[str(vector_size(LARGE))][7].tolist()
    wanted = [*numbers, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, *vector]
    torch.testing.assert_close(seen[0], torch.tensor(wanted))
    nothing = [0.0] * 3 + [1.0] * 3 + [0.0] * (5 + len(vector))
    assert seen[1].tolist() == nothing


def test_each_category_has_its_own_places():
    levels = (4, 2, 64, 3)
    entry, traits = entry_of(*map(Categorical, levels))
    codes = torch.stack([torch.arange(64) % k for k in levels], 1)
    wanted = torch.cat([F.one_hot(codes[:, j], k) for j, k in enumerate(levels)], 1)
    assert torch.equal(entry(codes.double()), wanted.double())
    assert entry_width(traits, 4) == sum(levels)
    assert entry_weights(traits) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_hole_changes_only_what_is_seen_of_its_cell(dtype):
    parts = (Gaussian(), Categorical(5), Poisson(), Categorical(LARGE), Categorical(300))
    entry, _ = entry_of(*parts)
    entry = entry.to(dtype)
    z = torch.tensor([[0.3, 4, 2, 99, 5], [1.0, 0, 0, 0, 299]], dtype=dtype)
    full, size, large = entry(z), vector_size(LARGE), vector_size(300)
    own = [[0, 2], range(4, 9), [1, 3], range(9, 9 + size), range(9 + size, 9 + size + large)]
    for column, places in enumerate(own):
        holed = z.clone()
        holed[0, column] = NAN
        changed = (entry(holed) != full).nonzero()
        assert {tuple(each) for each in changed.tolist()} <= {(0, place) for place in places}
        assert len(changed) > 0


def test_vectors_have_unit_variance_and_differ():
    entry, traits = entry_of(Categorical(5000), Gaussian(), Categorical(5000), Categorical(70))
    for vectors in entry.vectors.values():
        error = 5 * (2 / vectors.numel()) ** 0.5
        assert float(vectors.detach().var()) == pytest.approx(1.0, abs=error)
        assert float(vectors.detach().mean()) == pytest.approx(0.0, abs=error)
        assert len(vectors.unique(dim=0)) == len(vectors)
    assert sum(v.numel() for v in entry.vectors.values()) == entry_weights(traits)
    two = entry(torch.tensor([[3.0, 0.0, 3.0, 1.0]]))[0, 2:]
    size = vector_size(5000)
    first = torch.cat([two[:size], two[size : 2 * size]]).view(2, size)
    assert not torch.equal(*first)


def test_a_missing_level_sends_no_gradient_to_any_vector():
    entry, _ = entry_of(Categorical(LARGE), Gaussian())
    (vectors,) = entry.vectors.values()
    entry(torch.tensor([[NAN, 0.0], [3.0, 0.0]])).sum().backward()
    assert vectors.grad.abs().sum(1).nonzero().flatten().tolist() == [3]


def test_a_column_without_cells_in_fit_looks_the_same_whatever_comes():
    parts = (Gaussian(), Categorical(4), Categorical(LARGE), Poisson())
    for unseen in range(4):
        entry, _ = entry_of(*parts, unseen=[unseen])
        z = torch.tensor([[0.5, 1.0, 60.0, 3.0]] * 3)
        z[1, unseen], z[2, unseen] = NAN, 2.0
        seen = entry(z)
        assert torch.equal(seen[0], seen[1])
        assert torch.equal(seen[0], seen[2])
        other = (unseen + 1) % 4
        z[1, other] = NAN
        assert not torch.equal(entry(z)[1], seen[1])


def test_the_cells_themselves_are_left_alone():
    entry, _ = entry_of(Gaussian(), Categorical(3), unseen=[1])
    z = torch.tensor([[NAN, 2.0], [0.5, NAN]])
    kept = z.clone()
    entry(z)
    assert torch.equal(z.nan_to_num(-1.0), kept.nan_to_num(-1.0))
    assert torch.equal(z.isnan(), kept.isnan())


@pytest.mark.parametrize("levels", [65, 100, 1000, 1001, 10**9])
def test_vectors_grow_with_the_levels_up_to_a_limit(levels):
    size = vector_size(levels)
    assert size == min(64, round(1.6 * levels**0.56))
