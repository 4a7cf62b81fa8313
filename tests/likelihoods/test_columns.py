"""Columns: the members' own answers, column by column, whatever stands beside them.

The truth about a column of a table is what its likelihood says of that column alone.
"""

import math

import numpy as np
import pytest
import torch

from isthmus import (
    Categorical,
    Columns,
    Gaussian,
    InvalidParameterError,
    Laplace,
    Multinomial,
    NegativeBinomial,
    Poisson,
    StudentT,
    SupportError,
    UnsupportedTypeError,
    ZeroInflatedNegativeBinomial,
)
from isthmus.likelihoods._levels import Levels

from .cases import DRAWS, MEMBERS, RANGES

PARTS = [member for member in MEMBERS.values() if member.traits.factorised]
N = 40


def mixed(seed, more=9):
    """Every factorised member and some more, in a random order, and a table that they fit."""
    rng = np.random.default_rng(seed)
    parts = [*PARTS, *rng.choice(len(PARTS), more)]
    parts = [PARTS[p] if isinstance(p, np.integer) else p for p in parts]
    parts += [Categorical(9), Categorical(40), Categorical(70), Categorical(130)]
    parts = [parts[i] for i in rng.permutation(len(parts))]
    columns = []
    for part in parts:
        if isinstance(part, Categorical):
            columns.append(rng.integers(0, part.levels, (N, 1)).astype(float))
        else:
            columns.append(DRAWS[part.traits.support.description](rng, N, 1))
    return Columns(tuple(parts)), torch.from_numpy(np.concatenate(columns, 1)).double()


def with_holes(x, seed=1, rate=0.3):
    hole = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < rate
    return x.masked_fill(hole, math.nan)


def some_eta(likelihood, n, d, seed=2):
    """η of random numbers, in float64."""
    rng = torch.Generator().manual_seed(seed)
    eta = []
    for parameter in likelihood.traits.parameters:
        low, high = RANGES[parameter.name.rsplit("_", 1)[0]]
        size = parameter.shape(d)
        size = (n, *size) if parameter.varies == "row" else size
        eta.append(low + (high - low) * torch.rand(size, generator=rng, dtype=torch.float64))
    return tuple(eta)


def alone(likelihood, eta):
    """For each column its own likelihood and its own η, as if there were no other."""
    found = {}
    rest = iter(eta)
    for group in likelihood._groups:
        own = [next(rest) for _ in range(group.n_parameters)]
        for place, column in enumerate(group.columns):
            mine = []
            for value, parameter in zip(own, group.part.traits.parameters, strict=True):
                axis = 1 if parameter.varies == "row" else 0
                if isinstance(group.part, Levels):
                    levels = group.part.levels
                    piece = value.narrow(axis, sum(levels[:place]), levels[place])
                    mine.append(piece.unsqueeze(axis))
                else:
                    mine.append(value.narrow(axis, place, 1))
            found[column] = (likelihood.parts[column], tuple(mine))
    return [found[column] for column in range(len(likelihood.parts))]


@pytest.mark.parametrize("seed", range(3))
def test_log_prob_is_that_of_each_column_alone(seed):
    likelihood, x = mixed(seed)
    eta = some_eta(likelihood, N, x.shape[1])
    found = likelihood.log_prob(x, eta)
    for column, (part, own) in enumerate(alone(likelihood, eta)):
        wanted = part.log_prob(x[:, [column]], own)
        torch.testing.assert_close(found[:, [column]], wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(likelihood.nll(x, eta), -found.sum(1), rtol=1e-12, atol=1e-9)


def test_missing_cells_have_exactly_zero_and_the_others_stay():
    likelihood, x = mixed(0)
    eta = some_eta(likelihood, N, x.shape[1])
    full, holed = likelihood.log_prob(x, eta), likelihood.log_prob(y := with_holes(x), eta)
    assert (holed[y.isnan()] == 0).all()
    assert torch.equal(holed[~y.isnan()], full[~y.isnan()])
    nothing = torch.full_like(x, math.nan)
    assert (likelihood.nll(nothing, eta) == 0).all()


def test_a_missing_level_is_the_sum_over_all_levels():
    likelihood = Columns((Categorical(3), Gaussian(), Categorical(5)))
    eta = some_eta(likelihood, 4, 3)
    x = torch.tensor([[math.nan, 0.3, 2.0]] * 4, dtype=torch.float64)
    parts = []
    for level in range(3):
        x_full = x.clone()
        x_full[:, 0] = level
        parts.append(likelihood.log_prob(x_full, eta).sum(1))
    wanted = torch.logsumexp(torch.stack(parts), 0)
    torch.testing.assert_close(-likelihood.nll(x, eta), wanted, rtol=1e-12, atol=1e-12)


def test_slopes_are_right_and_finite_where_cells_are_missing():
    likelihood, x = mixed(1, more=0)
    x = with_holes(x[:5])
    eta = some_eta(likelihood, 5, x.shape[1])
    learned = [p.varies != "fixed" for p in likelihood.traits.parameters]
    free = [part.requires_grad_() for part, free in zip(eta, learned, strict=True) if free]

    def nll(*given):
        given = iter(given)
        whole = [next(given) if f else part for part, f in zip(eta, learned, strict=True)]
        return likelihood.nll(x, tuple(whole))

    assert torch.autograd.gradcheck(nll, free)


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_in_closed_form_is_that_of_torch(seed):
    likelihood, x = mixed(seed)
    x, eta = with_holes(x), some_eta(likelihood, N, x.shape[1])
    nll, slopes = likelihood.slope(x, eta, 0.7)
    leaves = tuple(part.clone().requires_grad_() for part in eta)
    wanted = likelihood.nll(x, leaves)
    torch.testing.assert_close(nll, wanted.detach(), rtol=1e-12, atol=1e-9)
    learned = [p.varies != "fixed" for p in likelihood.traits.parameters]
    grads = torch.autograd.grad(0.7 * wanted.sum(), leaves, materialize_grads=True)
    for found, grad, free in zip(slopes, grads, learned, strict=True):
        assert not free or torch.allclose(found, grad, rtol=1e-9, atol=1e-10)


def test_no_slope_reaches_a_missing_cell():
    likelihood = Columns((Gaussian(), Categorical(3), Poisson(), Gaussian()))
    x = torch.full((6, 4), math.nan)
    eta = tuple(part.requires_grad_() for part in some_eta(likelihood, 6, 4))
    likelihood.nll(x, eta).sum().backward()
    assert all(part.grad is None or (part.grad == 0).all() for part in eta)


def test_columns_may_change_places():
    likelihood, x = mixed(2)
    x = with_holes(x)
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(0))
    moved = Columns(tuple(likelihood.parts[j] for j in order))
    one, two = (
        part.log_prob(data, part.start(data))
        for part, data in ((likelihood, x), (moved, x[:, order]))
    )
    torch.testing.assert_close(two, one[:, order], rtol=1e-12, atol=1e-12)


def test_the_start_is_that_of_each_column_alone_over_its_cells():
    likelihood, x = mixed(3)
    x = with_holes(x)
    units = torch.linspace(0.5, 2.0, x.shape[1], dtype=torch.float64)
    start = likelihood.start(x, units)
    for column, (part, own) in enumerate(alone(likelihood, start_by_row(likelihood, start))):
        cells = x[:, [column]][~x[:, column].isnan()]
        wanted = part.start(cells, float(units[column]))
        for found, value in zip(own, wanted, strict=True):
            torch.testing.assert_close(
                found.reshape(-1), value.reshape(-1), rtol=1e-6, atol=1e-6, msg=repr(part)
            )


def start_by_row(likelihood, start):
    parameters = likelihood.traits.parameters
    return tuple(
        v.unsqueeze(0) if p.varies == "row" else v for p, v in zip(parameters, start, strict=True)
    )


def test_a_column_without_cells_starts_vague():
    parts = (Gaussian(), Laplace(), StudentT(), Categorical(4), Poisson(), Categorical(3))
    likelihood = Columns(parts)
    start = likelihood.start(torch.full((5, 6), math.nan, dtype=torch.float64))
    assert all(torch.isfinite(part).all() for part in start)
    x = torch.zeros(1, 6, dtype=torch.float64)
    log_prob = likelihood.log_prob(x, start)[0]
    assert log_prob[0] == pytest.approx(-0.5 * math.log(2 * math.pi), abs=1e-5)
    assert log_prob[1] == pytest.approx(-math.log(2), abs=1e-5)
    assert log_prob[3] == pytest.approx(-math.log(4))
    assert log_prob[5] == pytest.approx(-math.log(3))


def test_a_fixed_scale_stays_in_the_units_of_its_column():
    likelihood = Columns((Gaussian(2.0), Gaussian(2.0), Gaussian(0.5)))
    units = torch.tensor([4.0, 0.1, 7.0], dtype=torch.float64)
    _, one, _, two = likelihood.start(torch.zeros(3, 3, dtype=torch.float64), units)
    torch.testing.assert_close(one.exp(), torch.tensor([0.5, 20.0], dtype=torch.float64))
    torch.testing.assert_close(two.exp(), torch.tensor([0.5 / 7], dtype=torch.float64))


def test_means_and_samples_stand_in_the_columns_order():
    likelihood = Columns((Categorical(2), Gaussian(), Categorical(5), Poisson(), Gaussian()))
    eta = some_eta(likelihood, 3, 5)
    mean = likelihood.mean(eta)
    for column, (part, own) in enumerate(alone(likelihood, eta)):
        torch.testing.assert_close(mean[:, [column]], part.mean(own))
    many = tuple(
        v[:1].expand(4000, *v.shape[1:]) if p.varies == "row" else v
        for p, v in zip(likelihood.traits.parameters, eta, strict=True)
    )
    drawn = likelihood.sample(many, torch.Generator().manual_seed(0))
    assert likelihood.traits.support.contains(drawn.numpy()).all()
    for column in (1, 3, 4):
        error = 5 * float(drawn[:, column].std()) / 4000**0.5
        assert float(drawn[:, column].mean()) == pytest.approx(float(mean[0, column]), abs=error)
    for column in (0, 2):
        part, own = alone(likelihood, eta)[column]
        shares = torch.bincount(drawn[:, column].long(), minlength=part.levels) / 4000
        assert torch.allclose(shares.double(), own[0][0, 0].softmax(-1), atol=0.04)


def test_two_thousand_columns_are_a_handful_of_groups_and_nothing_is_padded():
    parts = [Gaussian(), Poisson(), *(Categorical(2 + k % 39) for k in range(98))] * 20
    likelihood = Columns(tuple(parts))
    assert len(likelihood._groups) == 3
    assert likelihood.traits.width(2000) == sum(p.traits.outputs for p in parts)


@pytest.mark.parametrize("spread", [1.0, 20.0, 60.0, 300.0, 1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_logits_however_far_apart(spread, dtype):
    """One column's logits may lie far below another's, which the sums of both must not feel."""
    levels = (2, 9, 3, 40)
    rng = torch.Generator().manual_seed(0)
    eta = torch.randn(N, sum(levels), generator=rng, dtype=dtype)
    eta += spread * torch.randn(N, 4, generator=rng, dtype=dtype).repeat_interleave(
        torch.tensor(levels), 1
    )
    x = torch.stack([torch.randint(k, (N,), generator=rng) for k in levels], 1).to(dtype)
    likelihood = Columns(tuple(map(Categorical, levels)))
    nll, (slope,) = likelihood.slope(x, (eta,), 0.7)
    blocks = eta.double().requires_grad_()
    truth = sum(
        torch.nn.functional.cross_entropy(block, code.long(), reduction="none")
        for block, code in zip(blocks.split(levels, 1), x.T, strict=True)
    )
    (wanted,) = torch.autograd.grad(0.7 * truth.sum(), blocks)
    near = {"rtol": 1e-5, "atol": 1e-5 * max(1.0, spread / 50)} if dtype is torch.float32 else {}
    torch.testing.assert_close(nll.double(), truth.detach(), **near)
    torch.testing.assert_close(slope.double(), wanted, **near)
    torch.testing.assert_close(likelihood.nll(x, (eta,)).double(), truth.detach(), **near)


def test_slopes_of_complete_cells_do_not_depend_on_holes_elsewhere():
    likelihood, x = mixed(4)
    eta = some_eta(likelihood, N, x.shape[1])
    holed = x.clone()
    holed[3:] = math.nan
    nll, slopes = likelihood.slope(holed, eta)
    wanted, alone_ = likelihood.slope(
        x[:3], tuple(part[:3] if part.shape[0] == N else part for part in eta)
    )
    torch.testing.assert_close(nll[:3], wanted, rtol=1e-12, atol=1e-10)
    assert (nll[3:] == 0).all()
    for parameter, found, few in zip(likelihood.traits.parameters, slopes, alone_, strict=True):
        if parameter.varies == "row":
            torch.testing.assert_close(found[:3], few, rtol=1e-10, atol=1e-11)
            assert (found[3:] == 0).all()
        elif parameter.varies != "fixed":
            torch.testing.assert_close(found, few, rtol=1e-10, atol=1e-10)


def test_a_value_outside_is_refused_by_its_column():
    likelihood = Columns((Gaussian(), Categorical(3), Categorical(5), Poisson()))
    x = np.array([[0.1, 2.0, 4.0, 3.0], [np.nan, np.nan, np.nan, np.nan]])
    likelihood.check(x)
    for column, value, message in (
        (1, 3.0, r"Categorical needs level codes 0, 1, …, 2, but row 8 of column 'b' is 3\.0"),
        (2, 4.5, r"Categorical needs level codes 0, 1, …, 4, but row 8 of column 'c' is 4\.5"),
        (3, -1.0, r"Poisson needs counts .* but row 8 of column 'd' is -1\.0.*'gaussian'"),
        (0, np.inf, r"Gaussian needs finite .* row 8 of column 'a' is inf.*infinite"),
    ):
        wrong = x.copy()
        wrong[1, column] = value
        with pytest.raises(SupportError, match=message):
            likelihood.check(wrong, names="abcd", first_row=7)


@pytest.mark.parametrize(
    ("parts", "kind", "message"),
    [
        ((), InvalidParameterError, "one likelihood per column; got none"),
        ((Multinomial(),), InvalidParameterError, "can't be a part of Columns"),
        *(
            ((Gaussian(), member(size="library")), InvalidParameterError, r"total .*Use \w+\(\)")
            for member in (Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial)
        ),
        ((Columns((Gaussian(),)),), InvalidParameterError, "list its parts"),
        (("gaussian",), UnsupportedTypeError, "must be a likelihood"),
        ((["gaussian"],), UnsupportedTypeError, "must be a likelihood"),
        (Gaussian(), UnsupportedTypeError, "a tuple with one likelihood per column"),
        ("gaussian", UnsupportedTypeError, "a tuple with one likelihood per column"),
    ],
)
def test_nonsense_is_refused(parts, kind, message):
    with pytest.raises(kind, match=message):
        Columns(parts)


def test_a_long_table_is_printed_shortly():
    text = repr(Columns((Gaussian(),) * 1000 + (Poisson(),)))
    normal, counts = "1000 × Gaussian(scale='feature', floor=0.001)", "1 × Poisson(size=None)"
    assert text == f"Columns({normal}, {counts})"
    assert len(repr(Columns(tuple(Categorical(k) for k in range(2, 900))))) < 400
