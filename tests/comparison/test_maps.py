"""Maps of the test rows, beside PCA's plane."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from isthmus.analysis import neighbour_accuracy, neighbourhoods
from isthmus.comparison.features import learn_features
from isthmus.comparison.judges import Task
from isthmus.comparison.labels import read_labels
from isthmus.comparison.maps import draw_maps
from isthmus.comparison.measure import Bench
from isthmus.comparison.rows import divide


@pytest.fixture(scope="module")
def bench():
    digits = load_digits()
    labels = read_labels(digits.target.tolist(), "digit")
    parts = divide(len(digits.images), labels.kinds, labels.known, 0)
    raw = learn_features(digits.images[parts.learn])
    task = Task.of(False, 10, len(parts.train), raw.width, 0)
    return Bench(raw, digits.images, labels, parts, task)


@pytest.fixture(scope="module")
def maps(bench):
    return draw_maps(bench, (60, 0), pytest.fail)


def test_neighbours_stay_together_where_a_plane_puts_others_between(bench, maps):
    plane, near = maps
    assert plane.name == "PCA"
    test = bench.parts.test
    rows = bench.rows[test].reshape(len(test), -1)
    assert near.neighbours > plane.neighbours + 0.15
    found, flat = (neighbourhoods(rows, each.codes) for each in (near, plane))
    assert found.trustworthiness > flat.trustworthiness + 0.05
    assert found.kept > flat.kept + 0.05


def test_the_figure_of_a_map_is_what_the_ten_nearest_training_rows_tell(bench, maps):
    plane = maps[0]
    values, parts = bench.labels.values, bench.parts
    flat = bench.rows.reshape(len(bench.rows), -1)
    centred = flat - flat[parts.learn].mean(0)
    axes = np.linalg.svd(centred[parts.learn], full_matrices=False)[2][:2]
    train, test = centred[parts.train] @ axes.T, centred[parts.test] @ axes.T
    told = neighbour_accuracy(train, values[parts.train], test, values[parts.test])
    assert plane.neighbours == pytest.approx(told, abs=0.005)


def test_one_column_has_no_map(bench):
    raw = learn_features(np.arange(12.0)[:, None])
    parts = divide(12, None, np.zeros(12, bool), 0)
    assert draw_maps(Bench(raw, np.arange(12.0)[:, None], None, parts, None), (1, 0), list) == []
