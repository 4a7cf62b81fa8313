"""Trustworthiness and continuity against scikit-learn, accuracy against counting."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness

from isthmus import InvalidDataError, InvalidParameterError, analysis
from isthmus.analysis import neighbourhoods as quality


def pair(rng, n=60, noise=1.0):
    x = rng.normal(size=(n, 5))
    return x, x[:, :2] + noise * rng.normal(size=(n, 2))


@pytest.mark.parametrize("k", [1, 5, 29])
@pytest.mark.parametrize("noise", [0.0, 1.0, 100.0])
def test_they_are_those_of_scikit_learn_both_ways_round(rng, k, noise):
    x, h = pair(rng, noise=noise)
    found = quality(x, h, k)
    np.testing.assert_allclose(found.trustworthiness, trustworthiness(x, h, n_neighbors=k))
    np.testing.assert_allclose(found.continuity, trustworthiness(h, x, n_neighbors=k))
    assert (found.n_rows, found.n_neighbors, found.exact) == (60, k, True)


def test_blocks_change_nothing(rng, monkeypatch):
    x, h = pair(rng)
    whole = quality(x, h)
    monkeypatch.setattr("isthmus.analysis.maps.BLOCK_CELLS", 100)
    assert quality(x, h) == whole


def test_what_is_kept_is_counted(rng):
    x, h = pair(rng)
    near = [np.argsort(cdist(each, each), axis=1)[:, 1:8] for each in (x, h)]
    common = [len(set(a) & set(b)) for a, b in zip(*near, strict=True)]
    np.testing.assert_allclose(quality(x, h, 7).kept, np.mean(common) / 7)


def test_a_turned_and_scaled_copy_is_perfect_and_a_shuffled_one_is_not(rng):
    x = rng.normal(size=(200, 2))
    same = quality(x, 3 * x[:, ::-1] + 1)
    assert same.trustworthiness == same.continuity == same.kept == 1
    mixed = quality(x, rng.permutation(x))
    assert max(abs(mixed.trustworthiness - 0.5), abs(mixed.continuity - 0.5)) < 0.1
    assert mixed.kept < 0.2


def test_folding_costs_trust_and_tearing_costs_continuity(rng):
    line = np.sort(rng.uniform(-1, 1, 300))[:, None]
    folded = quality(line, np.abs(line))
    torn = quality(np.abs(line), line)
    assert folded.trustworthiness < 0.9 < folded.continuity
    assert torn.continuity < 0.9 < torn.trustworthiness


def test_of_many_rows_a_sample_is_measured_and_says_so(rng):
    x, h = pair(rng, n=2000)
    whole = quality(x, h, 20, n_rows=None)
    part = quality(x, h, 20, n_rows=500, random_state=1)
    assert whole.exact
    assert (part.n_rows, part.exact) == (500, False)
    assert part == quality(x, h, 20, n_rows=500, random_state=1)
    assert part != quality(x, h, 20, n_rows=500, random_state=2)
    # a quarter of the rows and a quarter of the neighbours are regions of the same size
    finer = quality(x, h, 5, n_rows=500)
    assert finer.trustworthiness == pytest.approx(whole.trustworthiness, abs=0.02)


def test_images_and_their_rows_are_the_same(rng):
    images = rng.integers(0, 256, (40, 3, 4), dtype=np.uint8)
    h = rng.normal(size=(40, 2))
    assert quality(images, h, 5) == quality(images.reshape(40, 12).astype(float), h, 5)


@pytest.mark.parametrize("k", [0, 30, 2.0, "5", True])
def test_neighbours_outside_their_range_are_refused(rng, k):
    x, h = pair(rng)
    with pytest.raises(InvalidParameterError, match=r"n_neighbors.*60 rows"):
        quality(x, h, k)


def test_what_does_not_go_together_is_refused(rng):
    x, h = pair(rng)
    with pytest.raises(InvalidDataError, match="60 rows and 59 codes"):
        quality(x, h[1:])
    with pytest.raises(InvalidParameterError, match="n_rows"):
        quality(x, h, n_rows=0)
    h[7, 1] = np.nan
    with pytest.raises(InvalidDataError, match="row 7"):
        quality(x, h)


# ---- accuracy -----------------------------------------------------------------------------------


def voted(distances, y, k):
    near = y[np.argsort(distances, axis=1)[:, :k]]
    return np.array([np.bincount(row).argmax() for row in near])


@pytest.mark.parametrize("k", [1, 3, 10])
def test_accuracy_is_the_vote_of_the_nearest(rng, k):
    h, new = rng.normal(size=(80, 2)), rng.normal(size=(30, 2))
    y, z = (h[:, 0] > 0).astype(int), (new[:, 0] > 0.3).astype(int)
    right = np.mean(voted(cdist(new, h), y, k) == z)
    assert analysis.neighbour_accuracy(h, y, new, z, n_neighbors=k) == pytest.approx(right)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_without_new_codes_each_is_asked_among_the_others(rng, k):
    h = rng.normal(size=(80, 2))
    y = (h[:, 0] + 0.5 * rng.normal(size=80) > 0).astype(int)
    distances = cdist(h, h) + np.diag(np.full(80, np.inf))
    right = np.mean(voted(distances, y, k) == y)
    assert analysis.neighbour_accuracy(h, y, n_neighbors=k) == pytest.approx(right)
    assert 0.5 < right < 1


def test_labels_may_be_words(rng):
    h = rng.normal(size=(40, 2))
    words = np.where(h[:, 0] > 0, "right", "left")
    assert analysis.neighbour_accuracy(h, words, n_neighbors=3) > 0.8


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"y": np.zeros(19)}, InvalidDataError, r"\(19,\).*20 codes"),
        ({"new_codes": np.zeros((3, 2))}, InvalidDataError, "together"),
        ({"new_y": np.zeros(3)}, InvalidDataError, "together"),
        ({"new_codes": np.zeros((3, 4)), "new_y": np.zeros(3)}, InvalidDataError, "have 4 numb"),
        ({"n_neighbors": 20}, InvalidParameterError, "from 1 to 19"),
        ({"n_neighbors": 0}, InvalidParameterError, "from 1 to 19"),
        ({"n_neighbors": 1.0}, InvalidParameterError, "from 1 to 19"),
    ],
)
def test_what_has_no_accuracy_is_refused(rng, given, error, words):
    how = {"codes": rng.normal(size=(20, 2)), "y": np.arange(20) % 2, **given}
    with pytest.raises(error, match=words):
        analysis.neighbour_accuracy(**how)
