"""`PatchFeatures`: contract, files, refusals, and that it helps."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import isthmus
from isthmus import FileFormatError, InvalidDataError, InvalidParameterError, PatchFeatures
from isthmus.saving import read_model, write_model

DIGITS = load_digits()


@parametrize_with_checks([PatchFeatures(8, n_patches=200)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def fitted(X=DIGITS.images, **params):
    params = {"patch_size": 4, "n_patches": 5000, "random_state": 0, **params}
    return PatchFeatures(16, **params).fit(X)


def test_patterns_tell_digits_better_than_as_many_numbers_of_pixels():
    features = PatchFeatures(64, patch_size=3, random_state=0)

    def right(*steps):
        model = make_pipeline(*steps, PCA(8), StandardScaler(), LogisticRegression(max_iter=500))
        return cross_val_score(model, DIGITS.images, DIGITS.target, cv=5).mean()

    flat = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    assert right(features) > right(flat) + 0.02


@pytest.mark.parametrize(
    "X",
    [
        DIGITS.images,
        np.uint8(DIGITS.images),
        np.asfortranarray(DIGITS.images),
        torch.from_numpy(DIGITS.images),
        np.stack([DIGITS.images] * 3, -1),
    ],
    ids=["float64", "uint8", "fortran", "torch", "colour"],
)
def test_kinds_of_images(X):
    found = fitted(X).transform(X)
    assert found.shape == (1797, 16 * 9)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    # corners are blank in nearly all digits
    assert (found.std(0) > 0).mean() > 0.9


def test_flat_images_are_the_same_and_signals_are_not():
    whole = fitted().transform(DIGITS.images)
    flat = fitted(DIGITS.data, image_shape=(8, 8)).transform(DIGITS.data)
    assert np.array_equal(whole, flat)
    assert fitted(DIGITS.data).transform(DIGITS.data).shape == (1797, 16 * 3)


def test_each_row_alone_is_given_the_same():
    features = fitted()
    together = features.transform(DIGITS.images[:50])
    alone = np.concatenate([features.transform(DIGITS.images[i : i + 1]) for i in range(50)])
    assert np.array_equal(together, alone)


def test_a_seed_fixes_everything():
    a, b, c = (fitted(random_state=seed).transform(DIGITS.images[:9]) for seed in (0, 0, 1))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_names_of_a_frame_are_kept(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(DIGITS.data, columns=[f"p{i}" for i in range(64)])
    features = fitted(frame, image_shape=(8, 8)).set_output(transform="pandas")
    assert list(features.transform(frame).columns[:2]) == ["patchfeatures0", "patchfeatures1"]
    isthmus.save(features, tmp_path / "f")
    assert list(isthmus.load(tmp_path / "f").feature_names_in_) == list(frame.columns)
    with pytest.raises(InvalidDataError, match="in order"):
        features.transform(frame[frame.columns[::-1]])


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (DIGITS.images, {}),
        (DIGITS.data, {"image_shape": (8, 8), "grid": 2, "threshold": 0.0}),
        (DIGITS.data, {}),
    ],
    ids=["images", "flat", "signals"],
)
def test_a_file_gives_the_same_features(tmp_path, X, params):
    features = fitted(X, **params)
    isthmus.save(features, tmp_path / "f.safetensors")
    again = isthmus.load(tmp_path / "f.safetensors")
    assert again.get_params() == features.get_params()
    assert np.array_equal(again.transform(X[:40]), features.transform(X[:40]))


def edited(tmp_path, change):
    isthmus.save(fitted(), tmp_path / "f")
    card, tensors = read_model(tmp_path / "f")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    change(card, tensors)
    write_model(tmp_path / "g", card, tensors)
    return tmp_path / "g"


def a_number(card, tensors):
    tensors["atoms"][0, 0] = float("nan")


def a_width(card, tensors):
    tensors["atoms"] = tensors["atoms"][:, :-1].clone()


def another_patch(card, tensors):
    card["params"]["patch_size"] = 3


def another_shape(card, tensors):
    card["params"]["image_shape"] = [5, 5]


def no_floor(card, tensors):
    card["fitted"]["floor"] = -1.0


def more(card, tensors):
    tensors["other"] = torch.ones(3)


@pytest.mark.parametrize(
    "change", [a_number, a_width, another_patch, another_shape, no_floor, more]
)
def test_a_strangers_file_is_refused(tmp_path, change):
    with pytest.raises(FileFormatError, match="card"):
        isthmus.load(edited(tmp_path, change))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_atoms": 0}, "n_atoms"),
        ({"patch_size": 1}, "patch_size"),
        ({"grid": 0}, "grid"),
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"image_shape": 8}, "image_shape"),
        ({"image_shape": (8, 8.5)}, "image_shape"),
        ({"n_patches": 0}, "n_patches"),
    ],
)
def test_parameters_are_refused_by_name(params, message):
    with pytest.raises(InvalidParameterError, match=message):
        PatchFeatures(**params).fit(DIGITS.data)


def with_a_hole():
    X = DIGITS.images.copy()
    X[3, 1, 1] = np.nan
    return X


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (with_a_hole(), {}, "NaN"),
        (DIGITS.data, {"image_shape": (9, 9)}, r"\(9, 9\)"),
    ],
)
def test_data_are_refused_with_a_reason(X, params, message):
    with pytest.raises(InvalidDataError, match=message):
        PatchFeatures(8, **params).fit(X)


def test_a_sparse_matrix_has_no_neighbours():
    with pytest.raises(InvalidDataError, match="toarray"):
        PatchFeatures(8).fit(csr_array(DIGITS.data))


def test_images_of_another_size_are_refused():
    with pytest.raises(InvalidDataError, match="features"):
        fitted().transform(DIGITS.images[:, 1:])


def test_a_row_far_out_is_named():
    X = DIGITS.images[:5].copy()
    X[2] *= 1e30
    with pytest.raises(InvalidDataError, match="Row 2"):
        fitted().transform(X)


def test_few_images():
    one = PatchFeatures(random_state=0).fit(DIGITS.images[:1])
    assert one.transform(DIGITS.images[:5]).shape[0] == 5
    few = PatchFeatures(128, n_patches=10, random_state=0).fit(DIGITS.images[:2])
    assert len(few.dictionary_.atoms) == 10
