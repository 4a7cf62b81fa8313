"""Label efficiency: shares, nesting, pairing, and curves whose values are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from isthmus import analysis
from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.analysis.labels import shared_order


@pytest.mark.parametrize("seed", range(5))
def test_every_stretch_holds_each_class_by_its_share(seed):
    classes = np.repeat([0, 1, 2, 3], [600, 300, 99, 1])
    order = shared_order(classes, 1000, np.random.default_rng(seed))
    assert sorted(order) == list(range(1000))
    assert set(classes[order[:4]]) == {0, 1, 2, 3}
    for start in range(4, 900, 100):
        counts = np.bincount(classes[order[start : start + 100]], minlength=4)
        assert np.abs(counts[:3] - [60, 30, 9.9]).max() <= 3


class Recorder(ClassifierMixin, BaseEstimator):
    """Notes what it is given."""

    seen: list = []  # noqa: RUF012  # clones share it

    def __init__(self, random_state=None, learns_from_unlabelled=False):
        self.random_state = random_state
        self.learns_from_unlabelled = learns_from_unlabelled

    def fit(self, X, y):
        Recorder.seen.append((self.random_state, np.asarray(X)[:, 0], np.asarray(y)))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[-1], len(X))


def test_small_sets_lie_in_large_ones_and_the_seed_is_handed_on():
    Recorder.seen.clear()
    X = np.arange(40.0)[:, None]
    y = np.array(["no", "yes"] * 20)
    analysis.label_efficiency({"a": Recorder()}, X, y, [8, 4, 16], seeds=[3, 5])
    seeds, rows, labels = zip(*Recorder.seen, strict=True)
    assert seeds == (3, 3, 3, 5, 5, 5)
    assert [len(each) for each in rows] == [4, 8, 16] * 2
    assert set(rows[0]) < set(rows[1]) < set(rows[2])
    assert set(rows[2]) != set(rows[5])
    assert all(
        np.array_equal(y[each.astype(int)], said) for each, said in zip(rows, labels, strict=True)
    )


def test_who_learns_from_unlabelled_rows_gets_them_without_their_labels():
    Recorder.seen.clear()
    X = np.arange(40.0)[:, None]
    y = np.array(["no", "yes"] * 20)
    found = analysis.label_efficiency(
        {"a": Recorder(learns_from_unlabelled=True)}, X, y, [4], seeds=1
    )
    ((_, rows, labels),) = Recorder.seen
    assert len(rows) == 30
    assert np.bincount(labels + 1).tolist() == [26, 2, 2]
    known = labels >= 0
    assert np.array_equal(y[rows[known].astype(int)] == "yes", labels[known] == 1)
    assert found.scores["a"] == pytest.approx(0.5, abs=0.1)


def test_curves_of_separated_classes(rng):
    X = np.concatenate([rng.normal(size=(100, 3)) + 8 * i for i in range(3)])
    y = np.repeat(["a", "b", "c"], 100)
    found = analysis.label_efficiency(
        {
            "nearest": KNeighborsClassifier(1),
            "spread": LabelSpreading(gamma=0.1),
            "piped": make_pipeline(StandardScaler(), LogisticRegression(C=100.0)),
            "guess": DummyClassifier(),
        },
        pd.DataFrame(X, columns=list("xyz")),
        y,
        [3, 30, 225],
        seeds=3,
    )
    assert found.measure == "accuracy"
    for name in ("nearest", "spread", "piped"):
        assert found.scores[name].min() > 0.99, name
    assert found.scores["guess"] == pytest.approx(1 / 3, abs=0.03)
    low, high = found.differences("guess")["nearest"]
    assert (low > 0.6).all()
    assert (high < 0.7).all()
    assert [line[:2] for line in found.table()[:2]] == [(3, "nearest"), (3, "spread")]


def test_intervals_are_scipys(rng):
    scores = {"a": rng.normal(size=(2, 6)), "b": rng.normal(size=(2, 6))}
    curve = analysis.LabelEfficiency(np.array([1, 2]), scores, "accuracy")
    truth = ttest_rel(scores["b"], scores["a"], axis=1).confidence_interval(0.9)
    low, high = curve.differences("a", 0.9)["b"]
    assert low == pytest.approx(truth.low)
    assert high == pytest.approx(truth.high)


def test_numbers(rng):
    X = rng.normal(size=(80, 2))
    estimators = {"line": LinearRegression(), "mean": DummyRegressor()}
    found = analysis.label_efficiency(estimators, X, X @ [1.0, 2.0] + 3, [5, 60], seeds=2)
    assert found.measure == "R²"
    assert found.scores["line"] == pytest.approx(1.0)
    assert found.scores["mean"].max() < 0.01
    (low, _) = found.intervals()["line"]
    assert np.isfinite(low).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"y": [0] * 10}, InvalidDataError, "one class only, .*0"),
        ({"y": [0, 1] * 4}, InvalidDataError, r"each of the 10 rows.*\(8,\)"),
        ({"y": [0, 1, None, 1] + [0, 1] * 3}, InvalidDataError, "first in row 2"),
        ({"sizes": [1]}, InvalidDataError, "sizes from 1 to 1 .*between 2"),
        ({"sizes": [9]}, InvalidDataError, "and 8 "),
        ({"sizes": [2.5]}, InvalidParameterError, "sizes .*2.5"),
        ({"sizes": []}, InvalidParameterError, "sizes is empty"),
        ({"seeds": 0}, InvalidParameterError, "seeds is empty"),
        ({"estimators": {}}, InvalidParameterError, "estimators is empty"),
        ({"unlabelled": ["b"]}, InvalidParameterError, "'b', which is none of a"),
        (
            {"estimators": {"a": DummyClassifier(), "b": DummyRegressor()}},
            InvalidParameterError,
            "one kind",
        ),
    ],
)
def test_wrong_input(change, error, words):
    given = {
        "estimators": {"a": DummyClassifier()},
        "X": np.zeros((10, 1)),
        "y": [0, 1] * 5,
        "sizes": [4],
    }
    with pytest.raises(error, match=words):
        analysis.label_efficiency(**{**given, **change})
