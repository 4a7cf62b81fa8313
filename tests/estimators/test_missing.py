"""Tables with missing cells: everything is finite, and only what was observed counts."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus import (
    Autoencoder,
    Categorical,
    Columns,
    FileFormatError,
    Gaussian,
    InvalidDataError,
    Laplace,
    Poisson,
    load,
    save,
)
from isthmus.saving import read_model, write_model

SMALL = {"n_components": 2, "hidden": (8,), "max_epochs": 3, "random_state": 0}
KINDS = ["gaussian", "poisson", "bernoulli", Categorical(), Categorical(), Gaussian(2.0), "auto"]


def table(n=300, seed=0, rate=0.2):
    """Real, count, bit, few levels, many levels, real, all of one factor; with holes."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=n)
    x = np.column_stack(
        [
            3 + h + 0.3 * rng.normal(size=n),
            rng.poisson(np.exp(1 + 0.5 * h)),
            h > rng.normal(size=n),
            np.clip(np.round(2 + h + 0.3 * rng.normal(size=n)), 0, 4),
            np.clip(np.round(50 + 20 * h), 0, 99),
            1e3 * h,
            1e6 + h,
        ]
    ).astype(float)
    x[rng.random(x.shape) < rate] = np.nan
    return x


def everything(model, x):
    return [
        model.transform(x),
        model.reconstruct(x),
        model.score_samples(x),
        model.score_features(x),
        model.log_likelihood(x, 2),
    ]


@pytest.mark.parametrize("encoder", ["deterministic", "gaussian", "noisy_sigmoid"])
@pytest.mark.parametrize(
    "corruption", [None, "masking", "swap", "salt_and_pepper", "gaussian_noise"]
)
def test_a_table_learns_and_every_answer_is_finite(encoder, corruption):
    x = table()
    x[7] = np.nan
    model = Autoencoder(
        2,
        hidden=(16,),
        max_epochs=40,
        learning_rate=1e-2,
        encoder=encoder,
        corruption=corruption,
        likelihood=KINDS,
        random_state=0,
    ).fit(x)
    assert all(np.isfinite(part).all() for part in everything(model, x))
    if encoder == "deterministic":
        assert model.history_[-1].nll < model.history_[0].nll - 0.3
    features = model.score_features(x)
    assert (features[np.isnan(x)] == 0).all()
    np.testing.assert_allclose(features.sum(1), model.score_samples(x), rtol=1e-9)
    assert model.score_samples(x)[7] == 0
    assert model.log_likelihood(x, 3)[7] == 0


def test_at_step_zero_the_nll_is_that_of_the_columns_alone():
    x = table(2000)
    kinds = ["gaussian", "poisson", "bernoulli", Categorical(5), Categorical(100), Gaussian(2.0)]
    model = Autoencoder(**{**SMALL, "max_epochs": 1, "learning_rate": 1e-12}, likelihood=kinds)
    found = model.fit(x[:, :6]).score_features(x[:, :6])
    for j, kind in enumerate(kinds):
        column = x[~np.isnan(x[:, j]), j : j + 1]
        alone = Autoencoder(**{**SMALL, "max_epochs": 1, "learning_rate": 1e-12}, likelihood=kind)
        wanted = alone.fit(column).score_samples(column)
        np.testing.assert_allclose(found[~np.isnan(x[:, j]), j], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["auto", "gaussian_shared", "student_t", Laplace("row")])
def test_one_likelihood_for_all_becomes_one_for_each(name):
    x = table()[:, [0, 5, 6]]
    model = Autoencoder(**SMALL, likelihood=name).fit(x)
    assert isinstance(model.likelihood_, Columns)
    assert len(model.likelihood_.parts) == 3
    assert all(np.isfinite(part).all() for part in everything(model, x))
    complete = np.nan_to_num(x)
    assert not isinstance(Autoencoder(**SMALL, likelihood=name).fit(complete).likelihood_, Columns)


def test_rescaling_a_column_changes_the_score_by_the_log_of_the_factor():
    x = table()
    kinds = ["gaussian", "poisson", "bernoulli", Categorical(5), Categorical(100), "laplace"]
    model = Autoencoder(**SMALL, likelihood=kinds).fit(x[:, :6])
    y = x[:, :6] * [8, 1, 1, 1, 1, 0.25]
    scaled = Autoencoder(**SMALL, likelihood=kinds).fit(y)
    change = model.score_features(x[:, :6]) - scaled.score_features(y)
    there = ~np.isnan(x[:, :6])
    wanted = np.log([8, 1, 1, 1, 1, 0.25]) * there
    np.testing.assert_allclose(change, wanted, atol=1e-5)


def test_a_column_that_fit_never_saw_changes_no_code():
    x = table()
    x[:, 0] = np.nan
    x[:, 3] = np.nan
    kinds = ["gaussian", "poisson", "bernoulli", Categorical(4), Categorical(), "gaussian", "auto"]
    model = Autoencoder(**SMALL, likelihood=kinds).fit(x)
    code = model.transform(x)
    later = x.copy()
    later[:, 0], later[:, 3] = 1e300, 2
    assert np.array_equal(model.transform(later), code)
    later[:, 0] = 1.5
    assert np.isfinite(model.score_features(later)).all()
    assert (model.score_features(later)[:, [0, 3]] < 0).all()


def test_a_column_that_is_complete_in_fit_may_be_missing_later():
    x = np.nan_to_num(table())
    model = Autoencoder(**SMALL, likelihood=KINDS).fit(x)
    assert isinstance(model.likelihood_, Columns)
    later = x.copy()
    later[:, 2] = np.nan
    assert all(np.isfinite(part).all() for part in everything(model, later))
    model.partial_fit(later)


def test_rows_are_treated_alone_whatever_is_missing_beside_them():
    x = table(200)
    model = Autoencoder(**SMALL, likelihood=KINDS).fit(x)
    whole = model.score_samples(x)
    for i in (0, 57, 199):
        np.testing.assert_allclose(model.score_samples(x[i : i + 1])[0], whole[i], rtol=1e-10)


def test_sparse_and_dense_tables_are_the_same():
    x = np.random.default_rng(0).poisson(0.4, (80, 6)).astype(float)
    x[3, 2] = x[70, 5] = np.nan
    one, two = (
        Autoencoder(**SMALL, likelihood="poisson").fit(data) for data in (x, sp.csr_array(x))
    )
    np.testing.assert_allclose(one.score_samples(x), two.score_samples(sp.csr_array(x)), rtol=1e-4)


VALUES = st.one_of(
    st.just(np.nan), st.sampled_from([0.0, 1.0, -3.0, 1e300, 1e-300, -1e300]), st.floats(-9, 9)
)


@settings(max_examples=40, deadline=None)
@given(
    x=arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=VALUES),
    whole=st.booleans(),
)
def test_no_table_gives_a_number_that_is_none(x, whole):
    if whole:
        x = np.abs(np.round(np.clip(x, -9, 9)))
    model = Autoencoder(
        2, hidden=(4,), max_epochs=2, random_state=0, likelihood=["auto"] * x.shape[1]
    )
    if np.isnan(x).all():
        with pytest.raises(InvalidDataError, match="NaN only"):
            model.fit(x)
        return
    model.fit(x)
    assert not any(np.isnan(part).any() for part in everything(model, x))


# ---- files ----------------------------------------------------------------------------------


def test_a_table_goes_to_a_file_and_back(tmp_path):
    x = table()
    x[:, 0] = np.nan
    model = Autoencoder(**SMALL, likelihood=KINDS, corruption="swap").fit(x)
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.likelihood_ == model.likelihood_
    assert again.likelihood == model.likelihood
    for one, two in zip(everything(model, x), everything(again, x), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: parts[:-1], "6 parts"),
        (lambda parts: [], "got none"),
        (lambda parts: "gaussian", "one likelihood per column"),
        (lambda parts: [*parts[:-1], {"kind": "Multinomial", "total": 1}], "can't be a part"),
        (lambda parts: [*parts[:-1], {"kind": "Columns", "parts": parts}], "list its parts"),
        (lambda parts: [*parts[:-1], {"kind": "Categorical", "levels": 10**15}], "or more"),
        (
            lambda parts: [*parts[:-1], {"kind": "Categorical", "levels": None}],
            "counts its levels",
        ),
        (lambda parts: [*parts[:-1], "gaussian"], "can't be made"),
        (lambda parts: [*parts[:-1], 3], "can't be made"),
        (lambda parts: [*parts[:-1], {"kind": "Poisson"}], "missing|of shape"),
    ],
)
def test_a_strange_card_of_columns_is_refused(tmp_path, change, message):
    model = Autoencoder(**SMALL, likelihood=KINDS).fit(table())
    save(model, tmp_path / "m")
    card, tensors = read_model(tmp_path / "m")
    card["likelihood"]["parts"] = change(card["likelihood"]["parts"])
    card.pop("format")
    write_model(tmp_path / "n", card, {name: t.clone() for name, t in tensors.items()})
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path / "n")


def test_columns_are_an_object_too():
    x = table()[:, :2]
    parts = Columns((Gaussian(), Poisson()))
    one = Autoencoder(**SMALL, likelihood=parts).fit(x)
    two = Autoencoder(**SMALL, likelihood=["gaussian", "poisson"]).fit(x)
    assert one.likelihood_ == parts
    assert np.array_equal(one.score_samples(x), two.score_samples(x))
