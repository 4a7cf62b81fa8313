"""Near-duplicates: brute force over all pairs, and memory that doesn't grow with them."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from test_scan import some_codes

from isthmus import InvalidDataError, InvalidParameterError
from isthmus.hashing import close_pairs, clusters, pack, pairs


def brute_force(bits, radius):
    distances = (bits[:, None] != bits).sum(axis=2)
    left, right = np.nonzero(np.triu(distances <= radius, k=1))
    return left, right, distances[left, right]


@pytest.mark.parametrize("n_bits", [8, 13, 64, 65, 200])
@pytest.mark.parametrize("n", [0, 1, 2, 150])
def test_pairs_and_clusters_are_brute_force(n, n_bits, monkeypatch):
    monkeypatch.setattr(pairs, "BLOCK", 32)
    monkeypatch.setattr(pairs, "GATHERED", 1)
    bits = some_codes(n, n_bits, rate=0.06)
    for radius in (0, 1, 2, 5, n_bits - 1, n_bits, n_bits + 3):
        found = list(close_pairs(pack(bits), n_bits, radius))
        table = np.array([row for part in found for row in zip(*part, strict=True)], int)
        table = table.reshape(-1, 3)[np.lexsort(table.reshape(-1, 3).T[1::-1])]
        truth = brute_force(bits, radius)
        assert (table == np.transpose(truth)).all()
        graph = np.zeros((n, n), bool)
        graph[truth[0], truth[1]] = True
        component = connected_components(graph, directed=False)[1] if n else np.zeros(0, int)
        lowest = np.array([np.flatnonzero(component == each)[0] for each in component], int)
        assert (clusters(pack(bits), n_bits, radius) == lowest).all()


def test_pieces_are_used_where_they_are_less_work(monkeypatch):
    """Random codes share few pieces; codes that share all are compared once, not thrice."""
    compared, count = [], pairs.ones_between
    monkeypatch.setattr(pairs, "ones_between", lambda b: compared.append(len(b)) or count(b))
    random = np.random.default_rng(0).random((2000, 60)) < 0.5
    assert list(close_pairs(pack(random), 60, 2)) == []
    assert sum(compared) < 100
    compared.clear()
    alike = np.zeros((100, 60), bool)
    assert sum(len(part.left) for part in close_pairs(pack(alike), 60, 2)) == 4950
    assert sum(compared) == 4950


def test_memory_is_linear_whatever_the_number_of_pairs():
    """1.1 million pairs of 24 bytes and more, from 1,500 codes of 64 bits."""
    codes = np.zeros((1500, 8), np.uint8)
    tracemalloc.start()
    total = sum(len(part.left) for part in close_pairs(codes, 64, 2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 1500 * 1499 // 2
    assert peak < 1_000_000


def test_duplicates_cost_no_pairs(monkeypatch):
    monkeypatch.setattr(pairs, "ones_between", None)
    codes = np.zeros((50_000, 16), np.uint8)
    assert (clusters(codes, 128, 3) == 0).all()


def test_what_is_not_meant_is_refused():
    with pytest.raises(InvalidDataError, match="uint8 of shape"):
        clusters(np.zeros((3, 3)), 16, 1)
    with pytest.raises(InvalidParameterError, match="radius"):
        close_pairs(np.zeros((3, 2), np.uint8), 16, -1)
    with pytest.raises(InvalidParameterError, match="n_bits"):
        close_pairs(np.zeros((3, 2), np.uint8), 7, 1)
