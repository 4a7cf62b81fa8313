"""C(x̃ | x): rates, groups, units, and randomness from the generator alone."""

import pytest
import torch

from isthmus import (
    GaussianNoise,
    InvalidParameterError,
    Masking,
    NeighbourWalk,
    SaltAndPepper,
    Swap,
    Walkback,
)
from isthmus._registry import to_card
from isthmus.corruptions import CORRUPTIONS, Cells, corrupt, corrupt_cells
from isthmus.sparse import SparseBatch

N, D = 2000, 12


def rows() -> torch.Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(0)) + 5


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# walks are made by the objective; what is drawn there is tested there
DIRECT = [name for name in CORRUPTIONS if name not in ("neighbour_walk", "walkback")]


def test_walks_leave_a_batch_as_it_is():
    assert torch.equal(NeighbourWalk()(rows(), 1, generator()), rows())
    assert torch.equal(
        NeighbourWalk().of_cells(cells(), generator()).isnan(), cells().values.isnan()
    )
    sparse = SparseBatch.of(rows())
    assert corrupt((NeighbourWalk(), Walkback()), sparse, 1, generator()) is sparse
    assert NeighbourWalk(3).in_units(2.0) == NeighbourWalk(3)
    assert [name for name in CORRUPTIONS if CORRUPTIONS[name].going_on()] == ["walkback"]
    x = rows()
    for copy in (Walkback()(x, 1, generator()), Walkback().of_cells(cells(), generator())):
        assert copy.shape == (N, D)
    assert torch.equal(Walkback()(x, 1, generator()), x)
    assert Walkback(0.3).going_on() == 0.3
    assert Walkback(0.3).in_units(2.0) == Walkback(0.3)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan"), "0.5", None, True])
def test_a_walk_that_never_ends_is_refused(rate):
    with pytest.raises(InvalidParameterError, match="Walkback's rate"):
        Walkback(rate)


@pytest.mark.parametrize("name", DIRECT)
def test_x_itself_and_the_global_state_are_left_alone(name):
    x, before = rows(), torch.random.get_rng_state()
    kept = x.clone()
    one, two = (CORRUPTIONS[name](x, 1, generator()) for _ in range(2))
    assert torch.equal(x, kept)
    assert torch.equal(one, two)
    assert not torch.equal(one, x)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "part", [Masking(0.3, rescale=False), Swap(0.3), SaltAndPepper(0.3)], ids=repr
)
def test_cells_are_hit_at_the_rate(part):
    share = float((part(rows(), 1, generator()) != rows()).float().mean())
    assert share == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / (N * D)) ** 0.5)


@pytest.mark.parametrize(
    "part", [Masking(0.5, rescale=False), Swap(0.5), SaltAndPepper(0.5)], ids=repr
)
def test_columns_of_a_category_are_hit_together(part):
    x = rows()
    out = part(x, 4, generator())
    low, high = x.aminmax(dim=0)
    # a cell that is its column's extreme already can't be seen to jump there
    changed = ((out != x) | (x == low) | (x == high)).view(N, D // 4, 4)
    usual = ~((x == low) | (x == high)).view(N, D // 4, 4).any(2)
    assert torch.equal(changed.all(2)[usual], changed.any(2)[usual])


def test_masked_cells_are_zero_and_swapped_ones_come_from_their_column():
    x = rows()
    masked = Masking(0.4, rescale=False)(x, 1, generator())
    assert set(masked[masked != x].tolist()) == {0.0}
    swapped = Swap(1.0)(x, 1, generator())
    assert not (swapped == x).any()
    for j in range(D):
        assert torch.isin(swapped[:, j], x[:, j]).all()


def test_masked_rows_have_the_rows_as_their_mean():
    x = rows()[:1].expand(40_000, -1)
    masked = Masking(0.4)(x, 1, generator())
    error = masked.std(0) / len(x) ** 0.5
    assert ((masked.mean(0) - x[0]).abs() < 5 * error).all()
    assert torch.equal(Masking(1.0)(x, 1, generator()), torch.zeros_like(x))


def test_salt_and_pepper_are_the_columns_extremes():
    x = rows()
    out = SaltAndPepper(1.0)(x, 1, generator())
    low, high = x.aminmax(dim=0)
    assert ((out == low) | (out == high)).all()
    assert float((out == high).float().mean()) == pytest.approx(0.5, abs=0.02)


def test_noise_has_its_standard_deviation_in_the_users_units():
    noise = GaussianNoise(0.6).in_units(3.0)(rows(), 1, generator()) - rows()
    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)


def test_a_sequence_applies_one_after_the_other():
    x = rows()
    both = corrupt((Masking(1.0), GaussianNoise(0.1)), x, 1, generator())
    assert float(both.abs().max()) < 1
    assert corrupt((), x, 1, generator()) is x


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_one_row_is_enough(name):
    assert torch.isfinite(CORRUPTIONS[name](rows()[:1], 1, generator())).all()


@pytest.mark.parametrize("kind", [Masking, Swap, SaltAndPepper])
@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_its_range_is_refused(kind, rate):
    with pytest.raises(InvalidParameterError, match=kind.__name__):
        kind(rate)


@pytest.mark.parametrize("kind", [Masking, Swap, SaltAndPepper])
@pytest.mark.parametrize("rate", ["0.3", None, True])
def test_a_rate_that_is_no_number_is_refused(kind, rate):
    with pytest.raises(InvalidParameterError, match="rate"):
        kind(rate)


@pytest.mark.parametrize("std", [-1.0, float("inf"), float("nan"), "0.1", None])
def test_noise_outside_its_range_is_refused(std):
    with pytest.raises(InvalidParameterError, match="GaussianNoise's std"):
        GaussianNoise(std)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_parts_are_values(name):
    part = CORRUPTIONS[name]
    assert CORRUPTIONS.from_card(to_card(part)) == part
    assert hash(part) == hash(CORRUPTIONS[name])


# ---- groups, edges, units -----------------------------------------------------------------------


def categories(n: int = N, features: int = 3, levels: int = 4) -> torch.Tensor:
    codes = torch.randint(levels, (n, features), generator=generator(5))
    return torch.nn.functional.one_hot(codes, levels).flatten(1).float()


def test_the_rows_and_categories_that_are_tried_vary_and_cover_the_edges():
    x = rows()
    assert (x.std(0) > 0.5).all()
    assert len(x.unique()) > 0.99 * x.numel()
    levels = categories().view(N, 3, 4)
    assert (levels.sum(2) == 1).all()
    assert (levels.sum(0) > 0.2 * N).all()


def test_a_masked_category_has_no_level_and_the_rate_is_per_category():
    x = categories()
    out = Masking(0.3, rescale=False)(x, 4, generator()).view(N, 3, 4)
    sums = out.sum(2)
    assert set(sums.unique().tolist()) == {0.0, 1.0}
    assert float((sums == 0).float().mean()) == pytest.approx(0.3, abs=5 * (0.21 / (3 * N)) ** 0.5)


def test_a_swapped_category_is_a_whole_category_of_another_row():
    x = categories()
    out = Swap(0.5)(x, 4, generator()).view(N, 3, 4)
    assert (out.sum(2) == 1).all()
    swapped = Swap(1.0)(x, 4, generator())
    moved = (swapped != x).view(N, 3, 4).any(2).float().mean()
    # another row has another level with probability ¾
    assert float(moved) == pytest.approx(0.75, abs=0.05)


def test_a_salted_category_has_all_levels_or_none():
    out = SaltAndPepper(1.0)(categories(), 4, generator()).view(N, 3, 4)
    assert set(out.sum(2).unique().tolist()) == {0.0, 4.0}


def test_groups_are_hit_independently_of_each_other():
    hit = Masking(0.5, rescale=False)(categories(), 4, generator()).view(N, 3, 4).sum(2) == 0
    correlation = torch.corrcoef(hit.float().T)
    assert float((correlation - torch.eye(3)).abs().max()) < 5 / N**0.5


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_constant_columns_and_two_rows_stay_finite(name):
    x = torch.ones(2, 4)
    out = CORRUPTIONS[name](x, 1, generator())
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("kind", [Masking, Swap, SaltAndPepper])
def test_a_rate_of_zero_changes_nothing(kind):
    assert torch.equal(kind(0.0)(rows(), 1, generator()), rows())


def test_swapping_keeps_the_cells_and_takes_every_other_row_alike():
    x = torch.arange(5.0).unsqueeze(1).expand(5, 4000).contiguous()
    out = Swap(1.0)(x, 1, generator())
    for row in range(5):
        share = torch.bincount(out[row].long(), minlength=5) / 4000
        wanted = torch.full((5,), 0.25).index_fill(0, torch.tensor(row), 0.0)
        assert ((share - wanted).abs() < 5 * (0.1875 / 4000) ** 0.5).all()


def test_only_noise_has_units():
    assert GaussianNoise(0.6).in_units(3.0) == GaussianNoise(0.6 / 3.0)
    for part in (Masking(0.1), Swap(0.2), SaltAndPepper(0.3)):
        assert part.in_units(3.0) is part


def test_noise_is_normal_and_independent():
    noise = (GaussianNoise(2.0)(rows(), 1, generator()) - rows()) / 2
    for power, truth, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        moment = float((noise**power).mean())
        assert moment == pytest.approx(truth, abs=5 * (variance / noise.numel()) ** 0.5)
    assert float((torch.corrcoef(noise.T) - torch.eye(D)).abs().max()) < 5 / N**0.5


# ---- cells of a table ---------------------------------------------------------------------------

REAL, CATEGORY = [0, 1, 2, 3], [8, 9, 10, 11]  # the four between are counts and bits
HOLES = 0.2


def cells(n: int = N) -> Cells:
    """Real numbers, counts and level codes, a fifth of them missing."""
    values = rows()[:n].clone()
    values[:, 4:8] = torch.randint(30, (n, 4), generator=generator(6)).float()
    values[:, 8:] = torch.randint(7, (n, 4), generator=generator(7)).float()
    hole = torch.rand((n, D), generator=generator(8)) < HOLES
    kinds = torch.arange(D)
    return Cells(values.masked_fill(hole, torch.nan), kinds < 4, kinds >= 8)


def differ(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Where two cells differ; two missing ones are alike."""
    return (a != b) & ~(a.isnan() & b.isnan())


@pytest.mark.parametrize("name", DIRECT)
def test_corrupting_cells_leaves_them_and_the_global_state_alone(name):
    given, before = cells(), torch.random.get_rng_state()
    kept = given.values.clone()
    one, two = (CORRUPTIONS[name].of_cells(given, generator()) for _ in range(2))
    assert not differ(given.values, kept).any()
    assert not differ(one, two).any()
    assert differ(one, kept).any()
    assert differ(one, CORRUPTIONS[name].of_cells(given, generator(2))).any()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("rescale", [True, False])
def test_masked_cells_are_missing_and_the_others_as_they_were(rescale):
    given = cells()
    out = Masking(0.4, rescale=rescale).of_cells(given, generator())
    there = ~given.values.isnan()
    assert out[~there].isnan().all()
    kept = there & ~out.isnan()
    assert torch.equal(out[kept], given.values[kept])
    share = (out.isnan() & there).float().sum(0) / there.float().sum(0)
    assert ((share - 0.4).abs() < 5 * (0.24 / ((1 - HOLES) * N)) ** 0.5).all()
    assert Masking(1.0).of_cells(given, generator()).isnan().all()


def test_noise_is_for_real_cells_and_what_is_missing_stays_so():
    given = cells()
    out = GaussianNoise(0.6).of_cells(given, generator())
    assert torch.equal(out.isnan(), given.values.isnan())
    assert not differ(out[:, 4:], given.values[:, 4:]).any()
    noise = (out - given.values)[:, REAL]
    noise = noise[~noise.isnan()]
    assert float(noise.std()) == pytest.approx(0.6, rel=5 / (2 * len(noise)) ** 0.5)
    assert float(noise.mean()) == pytest.approx(0.0, abs=5 * 0.6 / len(noise) ** 0.5)


def test_swapped_cells_come_from_their_column_missing_ones_too():
    given = cells()
    out = Swap(1.0).of_cells(given, generator())
    for before, after in zip(given.values.T, out.T, strict=True):
        found = after[~after.isnan()]
        assert torch.isin(found, before[~before.isnan()]).all()
        error = 5 * (HOLES * (1 - HOLES) / N) ** 0.5
        assert float(after.isnan().float().mean()) == pytest.approx(
            float(before.isnan().float().mean()), abs=error
        )
    some = Swap(0.3).of_cells(given, generator())
    changed = differ(some, given.values)[:, REAL].float().mean()
    # two missing cells that are swapped can't be told apart
    assert float(changed) == pytest.approx(0.3 * (1 - HOLES**2), abs=0.02)


def test_salted_cells_are_extremes_and_salted_categories_other_rows_levels():
    given = cells()
    out = SaltAndPepper(1.0).of_cells(given, generator())
    there = ~given.values.isnan()
    high = given.values.nan_to_num(-torch.inf).amax(0)
    low = given.values.nan_to_num(torch.inf).amin(0)
    plain = out[:, :8]
    assert ((plain == low[:8]) | (plain == high[:8]))[there[:, :8]].all()
    shares = ((plain == high[:8]) & there[:, :8]).sum(0) / there[:, :8].sum(0)
    assert ((shares - 0.5).abs() < 5 * 0.5 / ((1 - HOLES) * N) ** 0.5).all()
    levels = out[:, CATEGORY]
    observed = levels[~levels.isnan()]
    assert set(observed.unique().tolist()) == set(range(7))
    usual = torch.bincount(observed.long(), minlength=7) / len(observed)
    assert ((usual - 1 / 7).abs() < 0.02).all()


def test_salt_never_makes_a_hole_or_fills_one():
    given = cells()
    out = SaltAndPepper(1.0).of_cells(given, generator())
    assert torch.equal(out.isnan(), given.values.isnan())


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("n", [1, 2])
def test_columns_without_cells_stay_empty_and_nothing_becomes_infinite(name, n):
    given = cells(n)
    given.values[:, [0, 5, 9]] = torch.nan
    out = CORRUPTIONS[name].of_cells(given, generator())
    assert out.shape == (n, D)
    assert not out.isinf().any()
    assert out[:, [0, 5, 9]].isnan().all()


def test_a_sequence_of_corruptions_of_cells():
    given = cells()
    assert corrupt_cells((), given, generator()) is given.values
    out = corrupt_cells((GaussianNoise(0.1), Masking(0.5)), given, generator())
    there = ~out.isnan()
    assert 0 < float((out - given.values)[:, REAL][there[:, REAL]].abs().max()) < 1
    assert float(out.isnan().float().mean()) == pytest.approx(1 - 0.5 * (1 - HOLES), abs=0.02)


def test_the_cells_that_are_tried_cover_the_kinds():
    given = cells()
    hole = given.values.isnan().float().mean(0)
    assert ((hole - HOLES).abs() < 0.05).all()
    assert given.is_real.nonzero().flatten().tolist() == REAL
    assert given.is_category.nonzero().flatten().tolist() == CATEGORY
