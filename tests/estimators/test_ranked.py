"""Columns with heavy tails through an estimator: an exact density of x, in the user's units."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from isthmus import (
    Autoencoder,
    Columns,
    FileFormatError,
    Gaussian,
    InvalidDataError,
    InvalidParameterError,
    load,
    save,
)
from isthmus.data import fit_quantiles
from isthmus.saving import read_model, write_model

SMALL = {"n_components": 2, "hidden": (8,), "max_epochs": 3, "random_state": 0}
STILL = {**SMALL, "hidden": (), "max_epochs": 1, "learning_rate": 1e-12}  # knows the marginals
RANKED = Gaussian(ranked=True)


def people(n=300, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "income": rng.lognormal(10, 2, n),
            "age": rng.normal(40, 10, n),
            "job": rng.choice(["cook", "smith"], n),
            "fee": np.where(rng.random(n) < 0.6, 0.0, rng.lognormal(3, 1, n)),
        }
    )


@pytest.fixture(scope="module")
def fitted():
    return Autoencoder(
        **SMALL, likelihood={"income": "gaussian_ranked", "fee": "gaussian_ranked"}
    ).fit(people())


# ---- the likelihood -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "tolerance"),
    [(stats.lognorm(2, scale=30), 0.03), (stats.cauchy(), 0.05), (stats.norm(5, 2), 0.02)],
    ids=["log-normal", "Cauchy", "normal"],
)
def test_a_model_that_knows_the_marginal_scores_as_its_density_does(truth, tolerance):
    """Nats per row on fresh rows, of twenty thousand."""
    train, fresh = truth.rvs((2, 20_000, 1), random_state=0)
    model = Autoencoder(**STILL, likelihood=RANKED).fit(train)
    inside = np.abs(fresh[:, 0]) < np.abs(train).max()
    gap = truth.logpdf(fresh[inside, 0]) - model.score_samples(fresh[inside])
    assert abs(gap.mean()) < tolerance


def test_the_score_is_the_change_of_variables():
    x = np.random.default_rng(0).standard_cauchy((500, 2))
    model = Autoencoder(**STILL, likelihood=RANKED).fit(x)
    maps = [fit_quantiles(column) for column in x.T]
    z = np.column_stack([t.forward(c) for t, c in zip(maps, x.T, strict=True)])
    slopes = np.column_stack([t.log_slope(c) for t, c in zip(maps, x.T, strict=True)])
    # one step at no rate leaves the best constant: mean and deviation of z
    truth = stats.norm.logpdf(z, z.mean(0), z.std(0)) + slopes
    np.testing.assert_allclose(model.score_features(x), truth, rtol=1e-4, atol=1e-4)


def test_the_density_integrates_to_one():
    x = np.random.default_rng(0).lognormal(0, 1, (200, 1))
    model = Autoencoder(**STILL, likelihood=RANKED).fit(x)
    (t,) = model.model_.ranks.maps()

    nodes, weights = np.polynomial.legendre.leggauss(64)
    ends = np.array([t.inverse(-9.0), *t.x, t.inverse(9.0)])
    half = np.diff(ends)[:, None] / 2
    points = ends[:-1, None] + half * (1 + nodes)
    density = np.exp(model.score_samples(points.reshape(-1, 1))).reshape(points.shape)
    assert (half * density * weights).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("c", [1000.0, 2.0**-20])
def test_rescaling_a_column_costs_its_logarithm(c):
    x = np.random.default_rng(0).standard_cauchy((400, 3)) @ np.triu(np.ones((3, 3)))
    how = {**SMALL, "likelihood": ["gaussian", "gaussian_ranked", "gaussian_ranked"]}
    one, two = Autoencoder(**how).fit(x), Autoencoder(**how).fit(x * [1, c, 1])
    change = two.score_features(x * [1, c, 1]) - one.score_features(x)
    wanted = np.broadcast_to([0, -np.log(c), 0], change.shape)
    # a power of two changes no digit; else roundings grow in training
    np.testing.assert_allclose(change, wanted, atol=1e-6 if c < 1 else 2e-3)


def test_training_and_scoring_report_the_same_nats():
    x = np.random.default_rng(0).standard_cauchy((400, 3))
    x[::7, 1] = np.nan
    for likelihood in (["gaussian", "gaussian_ranked", Gaussian("row", ranked=True)], RANKED):
        rows = x if isinstance(likelihood, list) else np.nan_to_num(x)
        how = {**STILL, "likelihood": likelihood, "validation_fraction": 0}
        model = Autoencoder(**how).fit(rows)
        assert model.history_[-1].nll == pytest.approx(-model.score(rows), rel=1e-5)


# ---- there and back -------------------------------------------------------------------------


def test_the_name_reaches_its_columns_only(fitted):
    parts = fitted.likelihood_.parts
    assert isinstance(fitted.likelihood_, Columns)
    assert [getattr(part, "ranked", None) for part in parts] == [True, False, None, True]
    assert fitted.schema_.columns[0].likelihood == "gaussian_ranked"
    with_object = Autoencoder(**SMALL, likelihood={"income": Gaussian("row", ranked=True)})
    assert with_object.fit(people()).likelihood_.parts[0] == Gaussian("row", ranked=True)


def test_rows_come_back_in_the_users_units(fitted):
    rows = people(seed=1)
    again = fitted.inverse_transform(fitted.transform(rows)).to_pandas()
    # a median between the columns' ends, though the mean of this column is 140,000
    assert again["income"].between(rows["income"].min(), rows["income"].max()).all()
    assert again["income"].median() < 60_000
    far = rows.head(3).assign(income=[1e12, -1e6, 0.0])
    for found in (fitted.transform(far), fitted.score_features(far)):
        assert np.isfinite(found).all()
    assert np.isfinite(fitted.reconstruct(far)[["income", "age", "fee"]]).all(axis=None)
    assert (fitted.score_samples(far.head(1)) < fitted.score_samples(rows).min()).all()


def test_imputed_cells_are_in_the_users_units(fitted):
    rows = people(seed=1)
    holed = rows.copy()
    holed.loc[::3, "income"] = np.nan
    for filled in (fitted.impute(holed), *fitted.impute(holed, n_draws=2, random_state=0)):
        assert (filled.loc[1::3, "income"] == rows.loc[1::3, "income"]).all()
        drawn = filled.loc[::3, "income"]
        assert drawn.between(rows["income"].min() / 10, rows["income"].max() * 10).all()


def test_samples_have_the_columns_distribution():
    x = people(2000)[["income"]].to_numpy()
    model = Autoencoder(**STILL, encoder="gaussian", likelihood=RANKED).fit(x)
    drawn = model.sample(2000, random_state=0)
    assert stats.ks_2samp(drawn[:, 0], x[:, 0]).pvalue > 1e-3


def test_a_file_brings_the_maps_back(fitted, tmp_path):
    save(fitted, tmp_path / "m.safetensors")
    twin, rows = load(tmp_path / "m.safetensors"), people(seed=1)
    assert np.array_equal(twin.score_features(rows), fitted.score_features(rows))
    assert twin.reconstruct(rows).equals(fitted.reconstruct(rows))
    assert twin.likelihood == fitted.likelihood


def test_a_spoilt_map_is_refused(fitted, tmp_path):
    save(fitted, tmp_path / "m.safetensors")
    card, tensors = read_model(tmp_path / "m.safetensors")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    tensors["ranks.x"][0, 5] = tensors["ranks.x"][0, 3]
    write_model(tmp_path / "bad.safetensors", card, tensors)
    with pytest.raises(FileFormatError, match="map by ranks"):
        load(tmp_path / "bad.safetensors")


def test_passes_over_batches_give_what_memory_gives():
    frame = people(4000)
    how = {**SMALL, "likelihood": {"income": "gaussian_ranked"}}
    whole = Autoencoder(**how).fit(frame)
    streamed = Autoencoder(**how).fit(lambda: (frame[i : i + 500] for i in range(0, 4000, 500)))
    ours, theirs = whole.model_.ranks.maps()[0], streamed.model_.ranks.maps()[0]
    np.testing.assert_array_equal(ours.x, theirs.x)
    assert streamed.score(frame) == pytest.approx(whole.score(frame), abs=0.5)


def test_a_batch_after_the_other():
    model = Autoencoder(**SMALL, likelihood={"income": "gaussian_ranked"})
    for seed in range(3):
        model.partial_fit(people(seed=seed))
    assert np.isfinite(model.score_samples(people(seed=9))).all()


# ---- what is odd ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int64])
def test_one_for_all_columns_of_an_array(dtype):
    x = np.random.default_rng(0).poisson(20, (100, 40)).astype(dtype)
    scores = Autoencoder(**SMALL, likelihood="gaussian_ranked").fit(x).score_samples(x)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "column",
    [
        [7.0] * 6,
        [0.0] * 6,
        [-1e306] * 6,
        [1e300, 1e-300, 0.0, -1e300, 1.0, 2.0],
        [1.0, 1.0, 1.0, 2.0, 2.0, 1e9],
        [np.nan] * 5 + [3.0],
        [np.nan] * 6,
    ],
)
def test_extreme_columns_are_fitted(column):
    frame = pd.DataFrame({"odd": column, "plain": np.arange(6.0)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Autoencoder(**SMALL, likelihood={"odd": RANKED}).fit(frame)
    assert np.isfinite(model.transform(frame)).all()
    assert np.isfinite(model.score_samples(frame)).all()


@settings(max_examples=15, deadline=None)
@given(arrays(np.float64, (6, 2), elements=st.floats(-1e100, 1e100) | st.just(np.nan)))
def test_no_nan_ever_comes_out(x):
    x[0] = 1.0
    model = Autoencoder(**{**SMALL, "max_epochs": 1}, likelihood=RANKED).fit(x)
    for found in (model.transform(x), model.score_samples(x), model.impute(x)):
        assert not np.isnan(found).any()


def test_one_far_value_that_the_sample_missed():
    """The ends are known from all rows, so no row is out of reach."""
    x = np.random.default_rng(0).normal(size=(1 << 16, 20))
    x[12345, 3] = 1e200
    model = Autoencoder(**{**SMALL, "max_epochs": 1}, likelihood=RANKED).fit(x)
    assert model.model_.ranks.maps()[3].x[-1] == 1e200
    assert np.isfinite(model.score_samples(x[12340:12350])).all()


def test_numbers_too_large_for_ranks_are_refused_by_column():
    frame = pd.DataFrame({"size": [1.0, 1e308, 3.0], "plain": [1.0, 2.0, 3.0]})
    with pytest.raises(InvalidDataError, match=r"'size' goes from 1 to 1e\+308"):
        Autoencoder(**SMALL, likelihood={"size": RANKED}).fit(frame)


@pytest.mark.parametrize("scale", [1.0, "shared"])
def test_ranks_leave_no_common_unit(scale):
    with pytest.raises(InvalidParameterError, match="common unit"):
        Gaussian(scale, ranked=True)
    with pytest.raises(InvalidParameterError, match="True or False"):
        Gaussian(ranked=1)
