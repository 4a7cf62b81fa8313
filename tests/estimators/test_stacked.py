"""`StackedAutoencoder`: an autoencoder to the outside, with a training of its own."""

import contextlib
import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import (
    Contractive,
    Deterministic,
    FileFormatError,
    GaussianCode,
    InvalidParameterError,
    IsthmusWarning,
    Masking,
    PretrainedClassifier,
    StackedAutoencoder,
    UnsupportedTypeError,
    load,
    save,
)
from isthmus.estimators import fitting
from isthmus.estimators.progress import Silent
from isthmus.saving import read_model, write_model

SMALL = {"hidden": (6, 5), "layer_epochs": 2, "max_epochs": 2, "random_state": 0}
ROWS = np.random.default_rng(0).normal(size=(80, 4))


@parametrize_with_checks([StackedAutoencoder(layer_epochs=1, max_epochs=1)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def small(**more):
    return StackedAutoencoder(3, **{**SMALL, **more})


def test_records_of_each_layer_and_of_the_whole():
    model = small().fit(ROWS)
    assert [len(each) for each in model.layer_history_] == [2, 2, 2]
    assert len(model.history_) == model.n_iter_ == 2
    assert model.transform(ROWS).shape == (80, 3)
    assert model.reconstruct(ROWS).shape == (80, 4)
    greedy = small(fine_tune=False).fit(ROWS)
    assert greedy.history_ == []
    assert not np.array_equal(greedy.transform(ROWS), model.transform(ROWS))


def test_the_same_seed_gives_the_same_model():
    assert np.array_equal(small().fit_transform(ROWS), small().fit_transform(ROWS))


def test_layers_may_differ():
    stages = [
        {"corruption": Masking(0.25), "max_epochs": 1},
        {"penalty": Contractive(0.1), "max_epochs": 3},
        {"learning_rate": 1e-2},
    ]
    model = small(layers=stages, fine_tune=False).fit(ROWS)
    assert [len(each) for each in model.layer_history_] == [1, 3, 2]
    named = [set(each[0].penalties) for each in model.layer_history_]
    assert named == [set(), {"Contractive"}, set()]
    copied = clone(model)
    assert copied.layers == stages


@pytest.mark.parametrize(
    "how",
    [
        {"corruption": Masking(0.25, rescale=False)},
        {"penalty": Contractive(0.1)},
        {"corruption": "gaussian_noise"},
    ],
)
def test_the_papers_are_configurations(how):
    pixels = np.random.default_rng(0).random((60, 12)).astype(np.float32)
    units = {"activation": "sigmoid", "encoder": Deterministic("sigmoid")}
    model = small(likelihood="continuous_bernoulli", **units, **how).fit(pixels)
    codes = model.transform(pixels)
    assert ((codes > 0) & (codes < 1)).all()
    assert np.isfinite(model.score(pixels))


@pytest.mark.parametrize(
    ("X", "how"),
    [
        (np.where(np.random.default_rng(1).random(ROWS.shape) < 0.1, np.nan, ROWS), {}),
        (
            sp.csr_array(np.random.default_rng(1).poisson(0.05, (80, 40))),
            {"likelihood": "poisson"},
        ),
        (pd.DataFrame({"a": ROWS[:, 0], "t": np.where(ROWS[:, 1] > 0, "x", "y")}), {}),
        (np.random.default_rng(1).integers(0, 256, (80, 5, 4), dtype=np.uint8), {}),
        (ROWS, {"encoder": GaussianCode()}),
        (ROWS, {"hidden": ()}),
        (ROWS[:5], {"validation_fraction": 0}),
        (ROWS[:1], {"validation_fraction": 0}),
        (np.ones((9, 3)), {}),
    ],
    ids=["holes", "sparse", "frame", "images", "variational", "linear", "five", "one", "constant"],
)
def test_whatever_an_autoencoder_takes(X, how):
    model = small(**how).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.score(X))


def test_rows_that_are_read_in_passes(tmp_path):
    frame = pd.DataFrame(ROWS, columns=list("abcd"))
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=30)
    model = small().fit(str(tmp_path / "rows.parquet"))
    assert model.layer_history_[1][0].validation_nll is not None
    assert model.transform(frame).shape == (80, 3)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"layers": [{}]}, InvalidParameterError, "describes 1 layers, but there are 3"),
        ({"layers": [{}, {}, {"epochs": 3}]}, InvalidParameterError, "named 'epochs'"),
        ({"layers": "all"}, UnsupportedTypeError, "list of a dictionary"),
        ({"layer_epochs": 0}, InvalidParameterError, "layer_epochs must be a whole number"),
        ({"layers": [{}, {"max_epochs": 0}, {}]}, InvalidParameterError, "max_epochs"),
        (
            {"fine_tune": "never"},
            InvalidParameterError,
            "fine_tune must be True or False; got 'nev",
        ),
    ],
)
def test_wrong_parameters(wrong, error, message):
    with pytest.raises(error, match=message):
        small(**wrong).fit(ROWS)


def test_a_file_holds_it_whole(tmp_path):
    stages = [{"corruption": [Masking(0.2), "swap"]}, {}, {"penalty": Contractive(0.1)}]
    model = small(layers=stages).fit(ROWS)
    save(model, tmp_path / "m.safetensors")
    back = load(tmp_path / "m.safetensors")
    assert type(back) is StackedAutoencoder
    assert back.layers == stages
    assert back.layer_history_ == model.layer_history_
    assert np.array_equal(back.transform(ROWS), model.transform(ROWS))
    card, tensors = read_model(tmp_path / "m.safetensors")
    numbers = {name: tensor.clone() for name, tensor in tensors.items()}
    for lie in ({"layers": [{}]}, {"layers": [{"x": 1}, {}, {}]}, {"layer_history": [[{}]]}):
        changed = {**{k: v for k, v in card.items() if k != "format"}, **lie}
        write_model(tmp_path / "lie", changed, numbers)
        with pytest.raises(FileFormatError, match="does not fit its numbers"):
            load(tmp_path / "lie")


def test_it_can_be_the_autoencoder_of_a_classifier(tmp_path):
    y = (ROWS[:, 0] > 0).astype(int)
    for network in (small(), small().fit(ROWS)):
        model = PretrainedClassifier(network, max_epochs=2, random_state=0).fit(ROWS, y)
        assert type(model.autoencoder_) is StackedAutoencoder
        save(model, tmp_path / "m.safetensors")
        assert np.array_equal(load(tmp_path / "m.safetensors").predict(ROWS), model.predict(ROWS))


def test_ctrl_c_ends_it_with_what_there_is(monkeypatch):
    steps = itertools.count(1)

    class Display(Silent):
        def tick(self, n_rows):
            if next(steps) == 4:  # 72 rows are one step an epoch, and a layer has two
                raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "display", lambda *_: contextlib.nullcontext(Display()))
    whole = small(fine_tune=False)
    model = small()
    with pytest.warns(IsthmusWarning, match="Stopped by the user"):
        model.fit(ROWS)
    assert [len(each) for each in model.layer_history_] == [2, 1, 0]
    assert model.history_ == []
    monkeypatch.undo()
    whole.fit(ROWS)
    first, other = (m.model_.encoder_network.linear_layers[0].weight for m in (model, whole))
    assert np.array_equal(first.detach(), other.detach())
    assert np.isfinite(model.transform(ROWS)).all()
