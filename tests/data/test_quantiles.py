"""The laws of the rank-based map: increasing, invertible, an exact change of variables."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from isthmus._errors import FileFormatError, InvalidDataError, InvalidParameterError
from isthmus.data import Quantiles, fit_quantiles

rng = np.random.default_rng(0)
SAMPLES = {
    "normal": rng.normal(3, 2, 2000),
    "Cauchy": rng.standard_cauchy(2000),
    "log-normal": rng.lognormal(0, 2, 2000),
    "ties": rng.poisson(2, 2000).astype(float),
    "mostly zero": np.where(rng.random(2000) < 0.9, 0.0, rng.lognormal(8, 1, 2000)),
    "two values": np.array([1.0, 2.0]),
    "one value": np.array([5.0, 5.0]),
    "extremes": np.array([1e300, 1e-300, 0.0, -1e300, 1.0]),
}
EACH = pytest.mark.parametrize("x", SAMPLES.values(), ids=SAMPLES)


@EACH
def test_increasing_and_invertible(x):
    t = fit_quantiles(x)
    line = np.sort(np.concatenate([x, t.x, t.x[:-1] / 2 + t.x[1:] / 2]))
    z = t.forward(line)
    assert (np.diff(z)[np.diff(line) > 1e-9 * np.abs(line).max()] > 0).all()
    assert (np.diff(z) >= 0).all()
    back = t.inverse(z)
    # a step of one unit in the last place of z, in x
    ulp = np.spacing(np.abs(z) + 1) * np.exp(-t.log_slope(line)) + np.spacing(np.abs(line))
    assert (np.abs(back - line) <= 8 * ulp).all()
    grid = np.linspace(-30, 30, 1001)
    assert np.allclose(t.forward(t.inverse(grid)), grid, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["normal", "Cauchy", "log-normal", "ties", "two values"])
def test_a_density_stays_one(name):
    t = fit_quantiles(SAMPLES[name], 33)

    def density(x: float) -> float:
        return float(np.exp(stats.norm.logpdf(t.forward(x)) + t.log_slope(x)))

    ends = [t.inverse(-40.0), *t.x, t.inverse(40.0)]
    pieces = pairwise(ends)
    total = sum(quad(density, low, high, epsabs=1e-12, limit=200)[0] for low, high in pieces)
    assert total == pytest.approx(1, abs=1e-7)


@EACH
def test_the_log_derivative_is_that_of_the_map(x):
    t = fit_quantiles(x)
    middle = t.x[:-1] / 2 + t.x[1:] / 2
    step = np.diff(t.x) / 4
    slope = (t.forward(middle + step) - t.forward(middle - step)) / (2 * step)
    assert np.allclose(np.log(slope), t.log_slope(middle), atol=1e-6)


@pytest.mark.parametrize("name", ["normal", "Cauchy", "log-normal"])
def test_heavy_tails_become_normal(name):
    z = fit_quantiles(SAMPLES[name]).forward(SAMPLES[name])
    assert stats.kstest(z, "norm").statistic < 0.02
    assert abs(stats.skew(z)) < 0.1
    assert abs(stats.kurtosis(z)) < 0.3


def test_the_score_is_near_the_truth():
    """Of fresh Cauchy numbers: nats per number within 0.05 of the true density's."""
    train, fresh = rng.standard_cauchy((2, 20_000))
    t = fit_quantiles(train)
    mine = stats.norm.logpdf(t.forward(fresh)) + t.log_slope(fresh)
    inside = np.abs(fresh) < np.abs(train).max()
    gap = stats.cauchy.logpdf(fresh[inside]).mean() - mine[inside].mean()
    assert abs(gap) < 0.05


def test_rescaling_costs_the_logarithm():
    x = SAMPLES["Cauchy"]
    one, two = fit_quantiles(x), fit_quantiles(1000 * x)
    assert np.allclose(one.forward(x), two.forward(1000 * x), rtol=1e-9, atol=1e-9)
    assert np.allclose(one.log_slope(x), two.log_slope(1000 * x) + np.log(1000), atol=1e-6)


def test_knots_at_the_ends_of_what_a_sample_missed():
    """The ends lie at their rank among all; the rest is as it was, and nothing gets steeper."""
    t = fit_quantiles(SAMPLES["normal"])
    wide = t.reaching(-1e9, 1e300, 10**6)
    assert wide.x[[0, -1]].tolist() == [-1e9, 1e300]
    assert wide.forward([-1e9, 1e300]) == pytest.approx(stats.norm.ppf(0.5e-6) * np.array([1, -1]))
    inside = np.linspace(t.x[0], t.x[-1], 99)[:-1]
    assert np.array_equal(wide.forward(inside), t.forward(inside))
    assert wide.log_slope(1e299) < t.log_slope(1e299)
    low, high = t.x[0], t.x[-1]
    assert np.array_equal(t.reaching(low, high, 2000).x, t.x)


def test_images_keep_their_digits_in_float32():
    for x in SAMPLES.values():
        z = fit_quantiles(x).z
        assert np.array_equal(z, z.astype(np.float32))


@pytest.mark.parametrize("x", [5.0, -5.0, 0.0, 1e307, -1e307, 1e-300])
def test_one_value_is_centred_and_measured_by_its_size(x):
    t = fit_quantiles([x, x])
    size = abs(x) or 1.0
    assert t.forward(x) == 0
    assert t.forward(x / 2) == pytest.approx(-x / 2 / size)
    assert t.log_slope(x) == pytest.approx(-np.log(size))


def test_missing_values():
    t = fit_quantiles([1.0, np.nan, 2.0, 3.0])
    for each in (t.forward, t.log_slope, t.inverse):
        assert np.isnan(each([np.nan, 1.0])).tolist() == [True, False]
    with pytest.raises(InvalidDataError, match="holds nothing"):
        fit_quantiles([np.nan])
    with pytest.raises(InvalidDataError, match="inf"):
        fit_quantiles([1.0, np.inf])
    with pytest.raises(InvalidDataError, match=r"1e\+308"):
        fit_quantiles([1.0, 1e308])
    with pytest.raises(InvalidParameterError, match="n_knots"):
        fit_quantiles([1.0, 2.0], 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=40), st.integers(2, 300))
def test_any_numbers_give_a_map(x, n_knots):
    t = fit_quantiles(x, n_knots)
    assert np.isfinite(t.forward(x)).all()
    assert np.isfinite(t.log_slope(x)).all()
    assert np.isfinite(t.inverse(t.forward(x))).all()
    assert len(t.x) <= max(2, n_knots)


def test_the_card_brings_the_map_back():
    t = fit_quantiles(SAMPLES["Cauchy"])
    twin = Quantiles.from_card(json.loads(json.dumps(t.card(), allow_nan=False)))
    assert np.array_equal(twin.x, t.x)
    assert np.array_equal(twin.z, t.z)


@pytest.mark.parametrize(
    "card",
    [
        None,
        {"x": [1.0, 2.0]},
        {"x": [1.0, 2.0], "z": [2.0, 1.0]},
        {"x": [1.0, 1.0], "z": [1.0, 2.0]},
        {"x": [1.0, 2.0, 3.0], "z": [1.0, 2.0]},
        {"x": [1.0], "z": [1.0]},
        {"x": [1.0, float("inf")], "z": [1.0, 2.0]},
        {"x": [1.0, float("nan")], "z": [1.0, 2.0]},
        {"x": ["1", "2"], "z": [1.0, 2.0]},
        {"x": [True, 2], "z": [1.0, 2.0]},
        {"x": [[1.0, 2.0]], "z": [[1.0, 2.0]]},
        {"x": [1, 10**400], "z": [1.0, 2.0]},
        {"x": [0.0] * 200_000, "z": [0.0] * 200_000},
    ],
)
def test_spoilt_cards_are_refused(card):
    with pytest.raises(FileFormatError):
        Quantiles.from_card(card)
