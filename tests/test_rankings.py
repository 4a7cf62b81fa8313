"""The measures of `benchmarks/rankings.py`, against all orders of equals."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from isthmus.hashing.codes import as_words, pack

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from rankings import average_precision, by_distance, expected_hits, nearest_ten

K = [1, 2, 3, 5, 6]


@pytest.fixture
def problem(rng):
    """Six rows at distances 0 … 2 from each of eight queries."""
    return rng.integers(0, 3, (8, 6)), rng.random((8, 6)) < 0.5


def orders(distances):
    """Every ranking that agrees with the distances."""
    groups = [np.flatnonzero(distances == d) for d in np.unique(distances)]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield [row for part in parts for row in part]


@pytest.mark.parametrize("k", K)
def test_hits_are_the_mean_over_orders(problem, k):
    distances, relevant = problem
    truth = [
        np.mean([each[order[:k]].sum() for order in orders(row)])
        for row, each in zip(distances, relevant, strict=True)
    ]
    np.testing.assert_allclose(expected_hits(distances, relevant, k), truth, rtol=1e-12)


@pytest.mark.parametrize("k", [*K, None])
def test_precisions_are_the_mean_over_orders(problem, k):
    distances, relevant = problem
    counts = np.stack([(distances == d).sum(1) for d in range(3)], axis=1)
    hits = np.stack([((distances == d) & relevant).sum(1) for d in range(3)], axis=1)
    places = np.arange(1, (k or 6) + 1)
    truth = []
    for row, each in zip(distances, relevant, strict=True):
        found = np.array([each[order[:k]] for order in orders(row)])
        precisions = (found * found.cumsum(1) / places).sum(1).mean()
        truth.append(precisions / max(found.sum(1).mean(), 1e-300))
    np.testing.assert_allclose(average_precision(counts, hits, k), truth, rtol=1e-12)


def test_rows_are_counted_at_their_distances(rng):
    base, queries = rng.random((40, 19)) < 0.5, rng.random((5, 19)) < 0.5
    labels, wanted = rng.integers(0, 3, 40), rng.integers(0, 3, 5)
    counts, hits = by_distance(as_words(pack(base)), as_words(pack(queries)), labels, wanted, 19)
    apart = (base != queries[:, None]).sum(2)
    for i in range(5):
        for d in range(20):
            assert counts[i, d] == (apart[i] == d).sum()
            assert hits[i, d] == ((apart[i] == d) & (labels == wanted[i])).sum()


def test_ten_rows_are_nearest_and_equals_share_the_last_places(rng):
    distances = rng.integers(0, 6, (30, 40))
    likely = nearest_ten(distances)
    np.testing.assert_allclose(likely.sum(1), 10, rtol=1e-6)
    hits = expected_hits(distances, likely, 10)
    np.testing.assert_allclose(hits, np.square(likely).sum(1), rtol=1e-5)
    for row, each in zip(distances, likely, strict=True):
        drawn = np.argsort(row + 1e-6 * rng.random((2000, 40)), axis=1)[:, :10]
        share = np.bincount(drawn.ravel(), minlength=40) / 2000
        assert (np.abs(share - each) <= 5 * np.sqrt(each * (1 - each) / 2000) + 1e-6).all()
