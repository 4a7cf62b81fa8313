"""Pipelines of this library's estimators in one file."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from torch import nn

from isthmus import (
    Autoencoder,
    FileFormatError,
    InvalidParameterError,
    NotFittedError,
    OutlierDetector,
    PatchFeatures,
    UnsupportedTypeError,
    load,
    save,
)
from isthmus.saving import read_model, write_model

IMAGES = load_digits().images[:200]


def chain(**how):
    patterns = PatchFeatures(8, patch_size=4, n_patches=500, random_state=0)
    return make_pipeline(patterns, Autoencoder(4, max_epochs=2, random_state=0, **how))


def test_patterns_and_their_code(tmp_path):
    fitted = chain().fit(IMAGES)
    save(fitted, tmp_path / "p.safetensors")
    again = load(tmp_path / "p.safetensors")
    assert [name for name, _ in again.steps] == ["patchfeatures", "autoencoder"]
    assert np.array_equal(again.transform(IMAGES), fitted.transform(IMAGES))
    assert np.array_equal(again.score_samples(IMAGES), fitted.score_samples(IMAGES))


def test_a_pipeline_in_a_pipeline_that_detects(tmp_path):
    inner = chain().fit(IMAGES)
    detector = OutlierDetector(Autoencoder(2, max_epochs=2), random_state=0)
    fitted = make_pipeline(inner, detector).fit(IMAGES)
    save(fitted, tmp_path / "p")
    assert np.array_equal(load(tmp_path / "p").predict(IMAGES), fitted.predict(IMAGES))


def modules(width):
    return nn.Linear(width, 4), nn.Linear(4, width)


def test_modules_of_the_users_own_are_given_again(tmp_path):
    width = PatchFeatures(8, patch_size=4, random_state=0).fit_transform(IMAGES).shape[1]
    fitted = chain(network=modules(width)).fit(IMAGES)
    save(fitted, tmp_path / "p")
    with pytest.raises(InvalidParameterError, match="give them again"):
        load(tmp_path / "p")
    again = load(tmp_path / "p", network=modules(width))
    assert np.array_equal(again.transform(IMAGES), fitted.transform(IMAGES))


def test_what_cant_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save(chain(), tmp_path / "p")
    for other in (PCA(2).fit(IMAGES[0]), make_pipeline(PCA(2)).fit(IMAGES[0]), "model"):
        with pytest.raises(UnsupportedTypeError, match="no estimator of this library"):
            save(other, tmp_path / "p")
    assert not list(tmp_path.iterdir())


def no_steps(card):
    card["steps"] = []


def a_step_that_is_none(card):
    card["steps"][0] = ["x"]


def a_step_of_another_make(card):
    card["steps"][0][1]["estimator"] = "PCA"


def steps_exchanged(card):
    card["steps"].reverse()


@pytest.mark.parametrize(
    "change", [no_steps, a_step_that_is_none, a_step_of_another_make, steps_exchanged]
)
def test_a_strangers_file_is_refused(tmp_path, change):
    save(chain().fit(IMAGES), tmp_path / "p")
    card, tensors = read_model(tmp_path / "p")
    change(card)
    write_model(tmp_path / "q", card, tensors)
    with pytest.raises(FileFormatError, match="card"):
        load(tmp_path / "q")
