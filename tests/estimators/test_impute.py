"""`Autoencoder.impute` on mixed tables: what every user may rely on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import (
    Autoencoder,
    InvalidDataError,
    InvalidParameterError,
    Masking,
    load,
    save,
)

PARTS = ["gaussian", "poisson", "bernoulli", "categorical", "gaussian"]


def table(n, seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    columns = [
        5 + 3 * z + rng.normal(size=n),
        rng.poisson(np.exp(0.5 + 0.5 * z)),
        z + 0.3 * rng.normal(size=n) > 0,
        np.digitize(z + 0.2 * rng.normal(size=n), [-0.7, 0.7]),
        rng.normal(size=n),
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def holed(x, rate=0.3, seed=7):
    return np.where(np.random.default_rng(seed).random(x.shape) < rate, np.nan, x)


@pytest.fixture(scope="module")
def fitted():
    return Autoencoder(
        8,
        hidden=(32,),
        likelihood=PARTS,
        corruption=Masking(0.3, targets="hidden"),
        max_epochs=30,
        learning_rate=1e-2,
        random_state=0,
    ).fit(holed(table(2000, 0), 0.1))


def test_observed_cells_come_back_bit_for_bit_in_their_own_type(fitted):
    for dtype in (np.float32, np.float64):
        x = holed(table(50, 1)).astype(dtype)
        for filled in (fitted.impute(x), *fitted.impute(x, n_draws=2, random_state=0)):
            assert filled.dtype == dtype
            seen = ~np.isnan(x)
            assert filled[seen].tobytes() == x[seen].tobytes()
            assert np.isfinite(filled).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.floats(0, 1), st.integers(0, 1000))
def test_nothing_is_missing_afterwards_and_all_is_possible(fitted, n, rate, seed):
    x = holed(table(n, seed), rate, seed)
    for filled in (fitted.impute(x), *fitted.impute(x, n_draws=2, random_state=seed)):
        assert not np.isnan(filled).any()
        fitted.likelihood_.check(filled)


def test_rows_that_are_entirely_missing_are_the_typical_row(fitted):
    filled = fitted.impute(np.full((3, 5), np.nan))
    assert (filled == filled[0]).all()
    assert filled[0, 0] == pytest.approx(5, abs=1)
    draws = fitted.impute(np.full((2000, 5), np.nan), n_draws=1, random_state=0)[0]
    # joint draws keep what goes together together
    assert np.corrcoef(draws[:, 0], draws[:, 3])[0, 1] > 0.6


def test_complete_rows_come_back_and_whole_numbers_too(fitted):
    x = table(20, 3)
    np.testing.assert_array_equal(fitted.impute(x), x)
    whole = np.rint(x).astype(np.int64)
    assert fitted.impute(whole).dtype == np.int64


def test_predicts_better_than_the_column_mean_and_mode(fitted):
    x = table(2000, 4)
    y = x.copy()
    y[:, [0, 3]] = np.where(np.random.default_rng(0).random((2000, 2)) < 0.3, np.nan, x[:, [0, 3]])
    filled = fitted.impute(y)
    hole = np.isnan(y)
    assert np.std((filled - x)[hole[:, 0], 0]) < 0.6 * x[:, 0].std()
    right = (filled == x)[hole[:, 3], 3].mean()
    assert right > np.bincount(x[:, 3].astype(int)).max() / 2000 + 0.2


def test_ninety_percent_of_hidden_cells_lie_in_the_interval_of_draws(fitted):
    x = table(3000, 5)
    y = holed(x, 0.1, 6)
    draws = np.stack(fitted.impute(y, n_draws=99, random_state=0))
    # the 5th and the 95th of 99 draws and the value itself: 90 in 100 orders, if they are alike
    low, high = np.sort(draws, axis=0)[[4, 94]]
    real = np.isnan(y)[:, [0, 4]]
    inside = ((low <= x) & (x <= high))[:, [0, 4]][real].mean()
    assert 0.86 < inside < 0.94  # five standard errors among some 600


def test_a_seed_makes_draws_the_same(fitted):
    x = holed(table(20, 8))
    first, second = (fitted.impute(x, n_draws=2, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).any()


def test_a_file_keeps_what_imputation_learnt(fitted, tmp_path):
    save(fitted, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    x = holed(table(30, 9))
    np.testing.assert_array_equal(again.impute(x), fitted.impute(x))
    for a, b in zip(
        again.impute(x, n_draws=2, random_state=0),
        fitted.impute(x, n_draws=2, random_state=0),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_a_model_without_a_place_for_holes_refuses_them():
    model = Autoencoder(2, likelihood="gaussian", max_epochs=1, random_state=0).fit(table(50, 0))
    with pytest.raises(InvalidDataError, match="NaN"):
        model.impute(holed(table(50, 0)))


def test_refuses_what_it_can_not_fill(fitted):
    with pytest.raises(InvalidParameterError):
        fitted.impute(table(2, 0), n_draws=0)
    x = table(2, 0)
    x[1, 0] = np.inf
    with pytest.raises(InvalidDataError, match="inf"):
        fitted.impute(x)
    x[1] = [0, 0.5, 0, 0, 0]
    with pytest.raises(InvalidDataError, match="column 1"):
        fitted.impute(x)
    with pytest.raises(InvalidDataError, match="columns"):
        fitted.impute(x[:, :3])


def test_hidden_targets_are_for_tables():
    with pytest.raises(InvalidParameterError, match="likelihood per column"):
        Autoencoder(2, corruption=Masking(targets="hidden"), max_epochs=1).fit(table(50, 0))
    with pytest.raises(InvalidParameterError, match="targets"):
        Masking(targets="seen")
    with pytest.raises(InvalidParameterError, match="nothing to learn"):
        Masking(0.0, targets="hidden")
