"""Units and what comes back, where the truth is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from isthmus.comparison.features import learn_features
from isthmus.comparison.units import count_units, kept


def test_dead_and_redundant_units_are_counted(rng):
    h = rng.normal(size=(500, 4))
    codes = np.column_stack(
        [h, np.full(500, 3.0), h[:, 0], 2 * h[:, 1] - h[:, 2], 1e-5 * rng.normal(size=500)]
    )
    found = count_units(codes)
    assert (found.count, found.dead, found.redundant) == (8, 2, 2)


def test_a_unit_with_something_of_its_own_is_not_redundant(rng):
    h = rng.normal(size=(2000, 2))
    codes = np.column_stack([h, h[:, 0] + 0.2 * rng.normal(size=2000)])
    assert count_units(codes).redundant == 0
    codes[:, 2] = h[:, 0] + 0.05 * rng.normal(size=2000)
    assert count_units(codes).redundant == 1


def test_the_effective_number_of_units(rng):
    q = np.linalg.qr(rng.normal(size=(100, 5)))[0]
    assert count_units(q - q.mean(0)).effective == pytest.approx(5, abs=0.5)
    assert count_units(np.outer(rng.normal(size=100), rng.normal(size=5))).effective == (
        pytest.approx(1)
    )


def test_fewer_rows_than_units(rng):
    found = count_units(rng.normal(size=(3, 10)))
    assert found.redundant >= 8


def test_nothing_varies():
    found = count_units(np.ones((10, 3)))
    assert (found.dead, found.redundant, found.effective) == (3, 0, 0.0)


def test_pcas_r2_is_the_variance_it_explains(rng):
    X = rng.normal(size=(80, 2, 3)) @ np.diag([3.0, 1.0, 0.2])
    flat = X.reshape(80, 6)
    pca = PCA(3).fit(flat)
    back = pca.inverse_transform(pca.transform(flat))
    whole, each = kept(learn_features(X), flat, back)
    assert whole == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-6)
    assert each == pytest.approx(r2_score(flat, back, multioutput="raw_values"), abs=1e-6)


def test_categories_and_holes(rng):
    frame = pd.DataFrame({"kind": ["a"] * 6 + ["b"] * 4, "x": np.arange(10.0), "y": [1.0] * 10})
    raw = learn_features(frame)
    given = raw.columns(frame)
    told = given.copy()
    told[9, 0] = 0  # one of four wrong guesses remains
    told[:, 1] = given[:, 1].mean()
    given[0, 1] = np.nan
    told[0, 1] = 1e9
    whole, each = kept(raw, given, told)
    assert each[:2] == pytest.approx([0.75, 0.0])
    assert np.isnan(each[2])
    assert whole == pytest.approx(0.375)
