"""Pretrained estimators against estimators whose answer is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.special import softmax
from sklearn.linear_model import LinearRegression, LogisticRegression

from isthmus import (
    Autoencoder,
    Contractive,
    GaussianNoise,
    InvalidDataError,
    Masking,
    PretrainedClassifier,
    PretrainedRegressor,
)
from isthmus.estimators import fine_tune
from isthmus.estimators.calibrate import temperature
from isthmus.estimators.labels import hold_out
from isthmus.training import spread as spread_module
from tests.estimators.pretrained_cases import CLASSES, QUICK, ROWS, TINY

LONG = {
    "freeze": True,
    "optimizer": "adam",
    "learning_rate": 0.05,
    "batch_size": 500,
    "max_epochs": 400,
    "validation_fraction": 0,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def rows():
    return ROWS


@pytest.fixture(scope="module")
def classes():
    return CLASSES


@pytest.fixture(scope="module")
def autoencoder(rows):
    return Autoencoder(**TINY).fit(rows)


def weights(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def same(one, two):
    return all(np.array_equal(value, two[name]) for name, value in one.items())


# ---- against closed forms -------------------------------------------------------------------


def test_a_frozen_encoder_with_a_plain_head_is_logistic_regression(rows, classes, autoencoder):
    few = np.where(np.arange(120) % 2, classes, -1)
    model = PretrainedClassifier(autoencoder, **LONG).fit(rows, few)
    codes = autoencoder.transform(rows)
    expected = LogisticRegression(C=1e8, max_iter=1000).fit(codes[1::2], few[1::2])
    np.testing.assert_allclose(model.predict_proba(rows), expected.predict_proba(codes), atol=2e-3)
    assert model.temperature_ == 1


def test_a_frozen_encoder_with_a_plain_head_is_linear_regression(rows, autoencoder):
    y = 1e3 + 50 * rows[:, 0] + 20 * np.random.default_rng(2).normal(size=120)
    few = np.where(np.arange(120) % 2, y, np.nan)
    model = PretrainedRegressor(autoencoder, likelihood="gaussian_shared", **LONG).fit(rows, few)
    codes = autoencoder.transform(rows)
    expected = LinearRegression().fit(codes[1::2], few[1::2]).predict(codes)
    np.testing.assert_allclose(model.predict(rows), expected, atol=0.02 * y.std())
    residuals = (y - expected)[1::2]
    entropy = 0.5 * np.log(2 * np.pi * np.e * residuals.var())
    assert model.history_[-1].nll == pytest.approx(entropy, abs=1e-3)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(None, [0.6, 0.3, 0.1]), ("balanced", [1 / 3] * 3), ({5: 1, 7: 2, 9: 0}, [0.5, 0.5, 0])],
)
def test_rows_that_say_nothing_have_the_weighted_frequencies(weight, expected):
    y = np.repeat([5, 7, 9], [60, 30, 10])
    model = PretrainedClassifier(
        Autoencoder(**TINY), class_weight=weight, **{**LONG, "learning_rate": 0.1}
    ).fit(np.ones((100, 2)), y)
    np.testing.assert_allclose(model.predict_proba(np.ones((1, 2)))[0], expected, atol=0.02)


def test_the_temperature_is_the_one_that_made_the_labels():
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(20_000, 4))
    y = np.array([rng.choice(4, p=p) for p in softmax(logits / 2.5, axis=1)])
    assert temperature(logits, y) == pytest.approx(2.5, rel=0.03)


def test_a_few_right_answers_are_not_taken_for_certainty():
    logits = np.array([[4.0, 0.0], [0.0, 4.0]])
    one = temperature(logits, np.array([0, 1]))
    assert 0.5 < one < 1
    assert temperature(logits, np.array([1, 0])) > 1.5


@dataclass(frozen=True)
class TwoClusters:
    """N(±μ, I) in 30 dimensions with |μ| = 2: no classifier errs less than Φ(−2)."""

    seed: int
    best: float = 0.97725

    def draw(self):
        rng = np.random.default_rng(self.seed)
        truth = rng.integers(0, 2, 1500)
        mean = rng.normal(size=30)
        shift = np.outer(2 * truth - 1, 2 * mean / np.linalg.norm(mean))
        few = np.full(1500, -1)
        for each in (0, 1):
            few[np.flatnonzero(truth == each)[:4]] = each
        return rng.normal(size=(1500, 30)) + shift, truth, few


@pytest.mark.parametrize("seed", [0, 2])
def test_rows_without_labels_lead_from_eight_labels_to_the_best_possible(seed):
    problem = TwoClusters(seed)
    X, truth, few = problem.draw()
    network = Autoencoder(8, hidden=(), likelihood="gaussian_shared")
    how = {"pretrain": False, "learning_rate": 1e-2, "validation_fraction": 0, "random_state": 0}
    alone = PretrainedClassifier(network, **how).fit(X, few).score(X, truth)
    others = {"consistency": 1.0, "confidence": 0.9, "corruption": GaussianNoise(0.5)}
    model = PretrainedClassifier(network, max_epochs=20, **others, **how).fit(X, few)
    assert alone < problem.best - 0.1
    assert abs(model.score(X, truth) - problem.best) < 0.03


def two_rings(n=600):
    """Two circles around each other with little noise, and one label of each."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 2
    turn = rng.uniform(0, 2 * np.pi, n)
    X = (1 + truth)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    few = np.where(np.arange(n) < 2, truth, -1)
    return X + 0.03 * rng.normal(size=X.shape), truth, few


def test_labels_spread_along_what_rows_lie_on():
    """Two labels say nothing of rings; a graph of codes, which are the rows turned, does."""
    X, truth, few = two_rings()
    turned = {"hidden": (), "tied": True, "likelihood": "gaussian_shared", "max_epochs": 60}
    network = Autoencoder(2, learning_rate=1e-2, batch_size=50, random_state=0, **turned)
    how = {
        "autoencoder": network.fit(X),
        "head": (32,),
        "corruption": GaussianNoise(0.05),
        "consistency": 1.0,
        "confidence": 0.9,
        "learning_rate": 1e-2,
        "max_epochs": 30,
        "validation_fraction": 0,
        "random_state": 0,
    }
    assert PretrainedClassifier(**how).fit(X, few).score(X, truth) < 0.8
    assert PretrainedClassifier(neighbours=8, **how).fit(X, few).score(X, truth) > 0.98


def test_rows_without_a_label_keep_to_the_shares_of_the_classes(rng):
    truth = (np.arange(400) < 100).astype(int)
    X = rng.normal(size=(400, 4)) + 0.5 * truth[:, None]
    few = np.full(400, -1)
    few[[0, 1, 2, 3, 396, 397, 398, 399]] = truth[[0, 1, 2, 3, 396, 397, 398, 399]]
    how = {"consistency": 1.0, "corruption": GaussianNoise(0.05), "learning_rate": 1e-2}
    how |= {"max_epochs": 20, "batch_size": 100, "validation_fraction": 0, "random_state": 0}
    network = Autoencoder(**TINY).fit(X)
    found = {}
    said = {"few": {0: 0.75, 1: 0.25}, "labels": "labels", "many": {0: 0.25, 1: 0.75}}
    for name, shares in said.items():
        model = PretrainedClassifier(network, class_shares=shares, **how).fit(X, few)
        found[name] = model.predict_proba(X)[:, 1].mean()
    assert found["few"] + 0.08 < found["labels"] < found["many"] - 0.08
    assert found["labels"] == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("most", [20, 60, 1000])
def test_labels_are_in_the_graph_at_their_rows(monkeypatch, rows, classes, most):
    seen = []

    def spy(codes, chosen, n_rows, y, k):
        seen.append((codes.numpy(), chosen, n_rows, y, k))
        return spread_module.spread_labels(codes, chosen, n_rows, y, k)

    monkeypatch.setattr(spread_module, "GRAPH_ROWS", most)
    monkeypatch.setattr(fine_tune, "spread_labels", spy)
    few = np.where(np.arange(120) % 3 == 0, classes, -1)
    how = {"neighbours": 4, "consistency": 1.0, "corruption": "masking", "max_epochs": 1}
    network = Autoencoder(**TINY).fit(rows)
    weight = {0: 1.0, 1: 3.0, 2: 1.0}
    model = PretrainedClassifier(
        network, validation_fraction=0, class_weight=weight, random_state=0, **how
    )
    model.fit(rows, few)
    codes, chosen, n_rows, y, k = seen[0]
    assert (n_rows, k, len(chosen)) == (120, 4, min(most, 120))
    np.testing.assert_allclose(
        codes, network.transform(rows.astype(np.float32))[chosen], atol=1e-5
    )
    assert ((y > 0).sum(1) == (few[chosen] >= 0)).all()
    assert (y > 0).sum() == min(most, 40)
    labelled = few[chosen] >= 0
    assert (y.argmax(1) == few[chosen])[labelled].all()
    given = np.array([weight[each] for each in few[chosen][labelled]])
    np.testing.assert_allclose(y.sum(1)[labelled] / given, y.sum(1)[labelled][0] / given[0])


def test_held_out_labels_do_not_spread(rows, classes):
    """Labels of held-out rows may be any: training does not see them."""
    how = {"neighbours": 3, "consistency": 1.0, "corruption": "masking", **QUICK}
    first = PretrainedClassifier(Autoencoder(**TINY), validation_fraction=0.5, patience=9, **how)
    _, held = hold_out(classes.astype(float), 0.5, np.random.default_rng(0), by_class=True)
    swapped = classes.copy()
    pair = next([a, b] for a in held for b in held if classes[a] != classes[b])
    swapped[pair] = swapped[pair[::-1]]
    nll = [e.nll for e in first.fit(rows, classes).history_]
    assert nll == [e.nll for e in first.fit(rows, swapped).history_]


def test_a_code_of_all_rows_needs_fewer_labels():
    """The first principal component of the two clusters is the line between their means."""
    problem = TwoClusters(0)
    X, truth, few = problem.draw()
    network = Autoencoder(
        1, hidden=(), likelihood="gaussian_shared", max_epochs=10, learning_rate=1e-2
    )
    how = {"freeze": True, "learning_rate": 1e-2, "validation_fraction": 0, "random_state": 0}
    pretrained = PretrainedClassifier(network, **how).fit(X, few).score(X, truth)
    scratch = PretrainedClassifier(network, pretrain=False, **{**how, "freeze": False})
    assert pretrained > 0.9
    assert pretrained > scratch.fit(X, few).score(X, truth) + 0.05


# ---- what moves and what stays --------------------------------------------------------------


def test_a_fitted_autoencoder_is_used_as_it_is_and_stays_so(rows, classes, autoencoder):
    before = weights(autoencoder.model_)
    model = PretrainedClassifier(autoencoder, freeze=True, **QUICK).fit(rows, classes)
    assert same(before, weights(model.autoencoder_.model_))
    moved = PretrainedClassifier(autoencoder, **QUICK).fit(rows, classes)
    assert not same(before, weights(moved.autoencoder_.model_))
    assert same(before, weights(autoencoder.model_))
    assert not np.array_equal(moved.autoencoder_.transform(rows), autoencoder.transform(rows))


def test_an_autoencoder_that_is_not_fitted_is_fitted_to_all_rows(rows, classes, autoencoder):
    few = np.where(np.arange(120) < 40, classes, -1)
    model = PretrainedClassifier(Autoencoder(**TINY), freeze=True, **QUICK).fit(rows, few)
    assert same(weights(autoencoder.model_), weights(model.autoencoder_.model_))


def test_without_pretraining_the_same_network_begins_at_random(rows, classes):
    how = {"freeze": True, "pretrain": False, **QUICK}
    model = PretrainedClassifier(Autoencoder(**TINY), **how).fit(rows, classes)
    assert model.autoencoder_.history_ == []
    found = weights(model.autoencoder_.model_)
    trained = weights(Autoencoder(**TINY).fit(rows).model_)
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in trained.items()
    }
    assert not same(found, trained)


def test_as_many_layers_stay_as_are_frozen_and_the_decoder_without_reconstruction(
    rows, classes, autoencoder
):
    before = weights(autoencoder.model_)
    for more, moving in (
        ({"freeze": 1}, ["encoder_network.layers.1"]),
        ({}, ["encoder_network"]),
        ({"gradual": True, "layer_decay": 0.5}, ["encoder_network"]),
        ({"layer_decay": 0}, []),
        ({"reconstruction": 0.1}, ["encoder_network", "decoder_network", "parameters_of_all"]),
    ):
        how = {**QUICK, "max_epochs": 8, "validation_fraction": 0}
        model = PretrainedClassifier(autoencoder, **how, **more)
        after = weights(model.fit(rows, classes).autoencoder_.model_)
        moved = {name for name in before if not np.array_equal(before[name], after[name])}
        expected = {name for name in before if any(name.startswith(each) for each in moving)}
        assert moved == expected, more
        assert all(p.requires_grad for p in model.autoencoder_.model_.parameters())


def test_the_same_seed_gives_the_same_model(rows, classes):
    few = np.where(np.arange(120) % 3, classes, -1)
    how = {"corruption": "masking", "consistency": 1.0, "confidence": 0.5, **QUICK}
    small = {name: value for name, value in TINY.items() if name != "random_state"}
    one, two = (
        PretrainedClassifier(Autoencoder(**small), **how).fit(rows, few).predict_proba(rows)
        for _ in range(2)
    )
    assert np.array_equal(one, two)


def test_early_stopping_keeps_the_best_epoch(rows, classes):
    how = {"learning_rate": 0.1, "patience": 3, "max_epochs": 60, "validation_fraction": 0.3}
    model = PretrainedClassifier(Autoencoder(**TINY), **how, random_state=0).fit(rows, classes)
    costs = [epoch.validation_nll for epoch in model.history_]
    assert model.n_iter_ == len(costs) == int(np.argmin(costs)) + 4 < 60
    places = hold_out(classes, 0.3, np.random.default_rng(0), by_class=True)[1]
    eta = np.log(model.predict_proba(rows[places])) * model.temperature_
    log_p = eta - np.log(np.exp(eta).sum(1, keepdims=True))
    assert -log_p[np.arange(len(places)), classes[places]].mean() == pytest.approx(
        min(costs), rel=1e-4
    )


def test_held_out_labels_are_a_part_of_each_class_but_never_all():
    y = np.repeat([0, 1, 2], [40, 11, 1])
    train, aside = hold_out(y, 0.25, np.random.default_rng(0), by_class=True)
    assert np.bincount(y[aside], minlength=3).tolist() == [10, 3, 0]
    assert sorted([*train, *aside]) == list(range(52))
    assert [len(each) for each in hold_out(y, 0.0, np.random.default_rng(0), by_class=False)] == [
        52,
        0,
    ]


# ---- whatever an autoencoder takes ----------------------------------------------------------


def test_other_rows_than_arrays(rows, classes, tmp_path):
    few = np.where(np.arange(120) % 3, classes, -1)
    images = np.random.default_rng(0).integers(0, 256, (120, 6, 5), dtype=np.uint8)
    counts = sp.csr_array(np.random.default_rng(0).poisson(0.05, (120, 40)))
    frame = pd.DataFrame({"a": rows[:, 0], "b": rows[:, 1], "t": np.where(classes, "x", "y")})
    frame.loc[::5, "a"] = np.nan
    holes = np.where(np.random.default_rng(0).random(rows.shape) < 0.1, np.nan, rows)
    for X, more in (
        (images, {"network": "conv"}),
        (counts, {"likelihood": "poisson"}),
        (frame, {}),
        (pl.from_pandas(frame), {}),
        (holes, {}),
        (rows.astype(np.float32), {"penalty": Contractive(0.01)}),
        (rows, {"encoder": "gaussian"}),
        (rows, {"tied": True}),
    ):
        how = {"corruption": "masking", "consistency": 1.0, "reconstruction": 0.01, **QUICK}
        model = PretrainedClassifier(Autoencoder(**{**TINY, **more}), **how).fit(X, few)
        probability = model.predict_proba(X)
        np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
        assert np.array_equal(model.predict(X), model.classes_[probability.argmax(1)])
        assert 0 <= model.score(X, few) <= 1


def test_rows_that_are_read_in_passes(rows, classes, tmp_path):
    path = tmp_path / "rows.parquet"
    names = list("abcd")
    frame = pd.DataFrame(rows, columns=names)
    frame.to_parquet(path, row_group_size=25)
    few = np.where(np.arange(120) % 7, -1, classes)
    network = Autoencoder(**{**TINY, "validation_fraction": 0}).fit(frame)
    read = PretrainedClassifier(network, **QUICK).fit(str(path), few)
    held = PretrainedClassifier(network, **QUICK).fit(frame, few)
    np.testing.assert_allclose(
        read.predict_proba(str(path)), held.predict_proba(frame), rtol=1e-4, atol=1e-6
    )
    how = {"reconstruction": 0.1, **QUICK}
    joint = PretrainedClassifier(Autoencoder(**TINY), **how).fit(str(path), few)
    assert joint.history_[0].penalties["reconstruction"] != 0
    with pytest.raises(InvalidDataError, match="X has 120 rows, but y has 3 labels"):
        PretrainedClassifier(network, **QUICK).fit(str(path), [0, 1, 1])


def test_masking_of_hidden_cells_is_for_the_autoencoder(rows, classes):
    network = Autoencoder(**TINY, corruption=Masking(0.3))
    model = PretrainedClassifier(network, reconstruction=0.1, **QUICK).fit(rows, classes)
    assert np.isfinite(model.history_[-1].penalties["reconstruction"])


@pytest.mark.parametrize("kind", [PretrainedClassifier, PretrainedRegressor])
def test_it_says_that_it_learns_from_unlabelled_rows(kind):
    assert kind().learns_from_unlabelled
