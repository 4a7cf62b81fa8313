"""Raw features are scikit-learn's, and lead back to the columns."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from isthmus._errors import InvalidDataError
from isthmus.comparison.features import learn_features


@pytest.fixture
def frame(rng):
    n = 120
    return pd.DataFrame(
        {
            "size": rng.normal(3, 2, n),
            "kind": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "holes": np.where(rng.uniform(size=n) < 0.2, np.nan, rng.gamma(2, size=n)),
            "flat": np.full(n, 2.5),
        }
    )


def test_a_frame_is_scaled_and_one_hot(frame):
    raw = learn_features(frame)
    features = raw.features(frame)
    assert features.dtype == np.float32
    size = StandardScaler().fit_transform(frame[["size"]])
    assert features[:, :1] == pytest.approx(size, abs=1e-5)
    # columns of levels stand in the order of their frequency, which is the alphabet's here
    hot = OneHotEncoder(sparse_output=False).fit_transform(frame[["kind"]])
    assert np.array_equal(features[:, 1:4], hot)
    holes = frame["holes"].isna().to_numpy()
    assert np.array_equal(features[:, 5], holes)
    assert not features[holes, 4].any()
    assert features[~holes, 4].std() == pytest.approx(1, abs=1e-5)
    assert not features[:, 6].any()
    assert raw.width == 7
    assert raw.coded.tolist() == [False, True, False, False]


def test_features_lead_back(frame):
    raw = learn_features(frame)
    given = raw.columns(frame)
    there = ~np.isnan(given)
    assert raw.restored(raw.features(frame))[there] == pytest.approx(given[there], abs=1e-5)


def test_trees_get_holes_and_levels(frame):
    raw = learn_features(frame)
    given = raw.for_trees(frame)
    assert np.isnan(given[:, 2]).sum() == frame["holes"].isna().sum()
    assert np.array_equal(given[:, 1], frame["kind"].map({"a": 0, "b": 1, "c": 2}))


def test_new_levels_and_new_holes_pass(frame):
    raw = learn_features(frame)
    new = frame.head(3).assign(kind=["a", "new", None], size=[1.0, np.nan, 2.0])
    features = raw.features(new)
    assert features[:, 1:4].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert features[1, 0] == 0
    assert np.isnan(raw.for_trees(new)[1:, 1]).all()


def test_many_levels_are_cut(rng):
    # level 0 is the most frequent one
    kinds = [f"k{min(a, b)}" for a, b in rng.integers(0, 150, (3000, 2))]
    raw = learn_features(pd.DataFrame({"kind": kinds, "x": rng.normal(size=3000)}))
    assert raw.width == 101


def test_images_keep_their_geometry(rng):
    images = rng.integers(0, 256, (50, 4, 5), dtype=np.uint8)
    raw = learn_features(images)
    features = raw.features(images)
    assert features.shape == (50, 20)
    flat = images.reshape(50, -1) / 255
    scale = np.sqrt(flat.var(0).mean())
    assert features == pytest.approx((flat - flat.mean(0)) / scale, abs=1e-4)
    assert raw.restored(features) == pytest.approx(flat, abs=1e-5)


def test_an_array_with_holes(rng):
    X = rng.normal(size=(40, 3))
    X[::7, 1] = np.nan
    X[:, 2] = np.nan
    raw = learn_features(X)
    assert raw.width == 4
    assert np.isfinite(raw.features(X)).all()


def test_an_identifier_is_refused_by_name(frame):
    with pytest.raises(InvalidDataError, match="'id' looks like an identifier"):
        learn_features(frame.assign(id=[f"row {i}" for i in range(len(frame))]))
