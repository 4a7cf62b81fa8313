"""Pretrained estimators to a file and back, and cards that lie."""

import copy

import numpy as np
import pandas as pd
import pytest
from torch import nn

from isthmus import (
    Autoencoder,
    FileFormatError,
    InvalidParameterError,
    Masking,
    NotFittedError,
    PretrainedClassifier,
    PretrainedRegressor,
    load,
    save,
)
from isthmus.saving import read_model, write_model

TINY = {"n_components": 2, "hidden": (6,), "max_epochs": 1, "random_state": 0}
ROWS = np.random.default_rng(0).normal(size=(60, 4))
CODES = np.arange(60) % 3
LABELS = {
    "numbers": CODES,
    "fractions": CODES.astype(float),
    "text": np.array(["ä", "b", "c"])[CODES],
    "booleans": CODES > 0,
    "objects": np.array(["ä", "b", None], dtype=object)[CODES],
}


def classifier(**more):
    how = {"max_epochs": 2, "random_state": 0, "corruption": [Masking(0.2)], **more}
    return PretrainedClassifier(Autoencoder(**TINY), **how)


@pytest.mark.parametrize("kind", LABELS)
def test_a_classifier_comes_back(kind, tmp_path):
    model = classifier(head=(5,), consistency=0.5).fit(ROWS, LABELS[kind])
    save(model, tmp_path / "m.safetensors")
    back = load(tmp_path / "m.safetensors")
    assert type(back) is PretrainedClassifier
    assert back.classes_.dtype == model.classes_.dtype
    assert np.array_equal(back.predict(ROWS), model.predict(ROWS))
    assert np.array_equal(back.predict_proba(ROWS), model.predict_proba(ROWS))
    assert back.history_ == model.history_
    assert back.corruption == [Masking(0.2)]
    assert back.head == (5,)
    assert back.temperature_ == model.temperature_


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "student_t"])
def test_a_regressor_comes_back(likelihood, tmp_path):
    y = 100 + np.random.default_rng(0).poisson(20, 60)
    model = PretrainedRegressor(Autoencoder(**TINY), likelihood=likelihood, max_epochs=2)
    model.fit(ROWS, y)
    save(model, tmp_path / "m.safetensors")
    back = load(tmp_path / "m.safetensors")
    assert np.array_equal(back.predict(ROWS), model.predict(ROWS))
    assert back.n_features_in_ == 4
    again = load(tmp_path / "m.safetensors").fit(ROWS, y)
    assert np.isfinite(again.predict(ROWS)).all()


def test_a_table_and_own_modules_come_back(tmp_path):
    frame = pd.DataFrame({"a": ROWS[:, 0], "t": np.where(CODES, "x", "y")})
    model = classifier().fit(frame, CODES)
    save(model, tmp_path / "m.safetensors")
    back = load(tmp_path / "m.safetensors")
    assert np.array_equal(back.predict_proba(frame), model.predict_proba(frame))
    assert list(back.feature_names_in_) == ["a", "t"]
    modules = nn.Linear(4, 2), nn.Linear(2, 4)
    network = Autoencoder(2, network=modules, max_epochs=1, likelihood="gaussian_shared")
    model = PretrainedClassifier(network, max_epochs=2).fit(ROWS, CODES)
    save(model, tmp_path / "own.safetensors")
    with pytest.raises(InvalidParameterError, match="give them again"):
        load(tmp_path / "own.safetensors")
    back = load(tmp_path / "own.safetensors", network=modules)
    assert np.array_equal(back.predict_proba(ROWS), model.predict_proba(ROWS))


def test_nothing_to_save(tmp_path):
    with pytest.raises(NotFittedError, match="call fit first"):
        save(classifier(), tmp_path / "m.safetensors")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "m.safetensors"
    save(classifier(head=(5,)).fit(ROWS, CODES), path)
    card, tensors = read_model(path)
    return {k: v for k, v in card.items() if k != "format"}, {
        name: tensor.clone() for name, tensor in tensors.items()
    }


LIES = {
    "other classes": lambda c, t: c["fitted"].update(classes=[0, 1]),
    "the same class twice": lambda c, t: c["fitted"].update(classes=[0, 1, 1]),
    "classes of another kind": lambda c, t: c["fitted"].update(classes=["a", "b", "c"]),
    "a kind that is none": lambda c, t: c["fitted"].update(kind="O"),
    "a temperature of 0": lambda c, t: c["fitted"].update(temperature=0),
    "a huge head": lambda c, t: c["head"].update(hidden=[10**9]),
    "another head": lambda c, t: c["head"].update(hidden=[4]),
    "huge levels": lambda c, t: c["head"]["likelihood"].update(levels=10**12),
    "no levels": lambda c, t: c["head"]["likelihood"].update(levels=None),
    "an unknown estimator": lambda c, t: c.update(estimator="PretrainedThing"),
    "an autoencoder that is none": lambda c, t: c["autoencoder"].update(estimator="os.system"),
    "no autoencoder": lambda c, t: c.pop("autoencoder"),
    "a scale of 0": lambda c, t: t["head.scale"].zero_(),
    "a weight that is none": lambda c, t: t["head.decoder_network.layers.0.weight"].fill_(np.nan),
    "a missing weight": lambda c, t: t.pop("head.decoder_network.layers.0.weight"),
    "a parameter that is none": lambda c, t: c["params"].update(hedd=3),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_card_that_lies_is_refused(lie, written, tmp_path):
    card, tensors = copy.deepcopy(written)
    LIES[lie](card, tensors)
    write_model(tmp_path / "m.safetensors", card, tensors)
    with pytest.raises(FileFormatError, match=r"does not fit its numbers|other modules"):
        load(tmp_path / "m.safetensors")


def test_the_card_without_a_lie_is_read(written, tmp_path):
    write_model(tmp_path / "m.safetensors", *written)
    assert load(tmp_path / "m.safetensors").predict(ROWS).shape == (60,)
