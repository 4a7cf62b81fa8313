"""Maps by ranks inside the model: the same as `Quantiles`, whatever the precision of the rows."""

import numpy as np
import pytest
import torch

from isthmus._errors import InvalidParameterError
from isthmus.data import Quantiles, fit_quantiles
from isthmus.ranks import Ranks

RNG = np.random.default_rng(0)
COLUMNS = (
    RNG.standard_cauchy(3000),
    RNG.poisson(1, 3000) * 1.0,
    np.array([5.0, 5.0]),
    np.array([1e300, 1e-300, 0.0, -1e300, 1.0]),
)
MAPS = [fit_quantiles(x) for x in COLUMNS]
PLACES = [3, 0, 4, 1]  # of six columns, in an order of their own


def ranks():
    made = Ranks(PLACES)
    made.learn(MAPS)
    return made


def rows(n=200, dtype=torch.float64):
    x = np.column_stack([RNG.normal(size=n) for _ in range(6)])
    for place, column in zip(PLACES, COLUMNS, strict=True):
        x[:, place] = RNG.choice(column, n)
    return torch.from_numpy(x).to(dtype)


def test_it_is_the_map_of_each_column_and_leaves_the_others():
    x, made = rows(), ranks()
    z = made(x)
    assert torch.equal(z[:, [2, 5]], x[:, [2, 5]])
    slopes = made.log_slope(z)
    assert (slopes[:, [2, 5]] == 0).all()
    for place, each in zip(PLACES, MAPS, strict=True):
        own = x[:, place].numpy()
        np.testing.assert_allclose(z[:, place], each.forward(own), rtol=1e-12, atol=1e-12)
        # z can't tell a value from the knot beside it if they differ by 1e-16 of a line's length
        known = np.isin(own, each.x) | ~np.isin(z[:, place], each.z)
        assert known.sum() >= 50
        np.testing.assert_allclose(slopes[known, place], each.log_slope(own[known]), rtol=1e-9)
        np.testing.assert_allclose(
            made.inverse(z)[:, place], own, rtol=1e-9, atol=1e-9 * np.abs(own).max()
        )


def test_a_shared_value_keeps_its_slope_when_its_row_is_rounded():
    x, made = rows(), ranks()
    z = made(x)
    assert torch.equal(made.log_slope(z.float())[:, 0], made.log_slope(z)[:, 0])


def test_missing_cells_stay_missing_and_count_nothing():
    x, made = rows(), ranks()
    x[:50] = torch.nan
    z = made(x)
    assert torch.equal(z.isnan(), x.isnan())
    assert (made.log_slope(z)[:50] == 0).all()


def test_the_derivative_by_autograd_is_the_slope():
    made, x = ranks(), rows(20)
    x[:, PLACES[3]] = MAPS[3].x[1]  # of numbers close to a knot z knows nothing
    z = made(x.requires_grad_())
    (slope,) = torch.autograd.grad(z.sum(), x)
    torch.testing.assert_close(slope.log(), made.log_slope(z))
    (back,) = torch.autograd.grad(made.inverse(z).sum(), z)
    torch.testing.assert_close(back.log(), -made.log_slope(z))


def test_state_brings_the_maps_back():
    twin = Ranks(PLACES)
    twin.load_state_dict(ranks().state_dict())
    for mine, theirs in zip(twin.maps(), MAPS, strict=True):
        assert np.array_equal(mine.x, theirs.x)
        assert np.array_equal(mine.z, theirs.z)


@pytest.mark.parametrize(("name", "place"), [("x", 0), ("x", -1), ("z", 0), ("z", -1), ("z", 9)])
def test_knots_that_do_not_increase_are_no_maps(name, place):
    made = ranks()
    getattr(made, name)[0, place] = 1e9 * (1 if place >= 0 else -1)
    with pytest.raises(InvalidParameterError):
        made.maps()


def test_a_map_has_two_knots_at_least():
    (plain,) = Ranks([0]).maps()
    assert isinstance(plain, Quantiles)
    assert plain.forward([-3.0, 0.5, 7.0]).tolist() == [-3.0, 0.5, 7.0]
