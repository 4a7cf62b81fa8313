"""Scans, balls and weighted distances: all of them equal comparing with each code."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from isthmus import InvalidDataError, InvalidParameterError
from isthmus.hashing import Ball, in_range, nearest, nearest_weighted, pack, scan, unpack
from isthmus.hashing import ball as ball_module
from isthmus.hashing.codes import as_words

WIDTHS = [8, 13, 16, 64, 65, 100, 128, 200, 4096]


def some_codes(n, n_bits, seed=0, centres=5, rate=0.03):
    """Clustered codes, with many ties and duplicates."""
    rng = np.random.default_rng(seed)
    middle = rng.random((centres, n_bits)) < 0.5
    return middle[rng.integers(0, centres, n)] ^ (rng.random((n, n_bits)) < rate)


def brute_force(bits, query):
    distances = (bits != query).sum(axis=1)
    return distances, np.lexsort((np.arange(len(bits)), distances))


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_packing_has_an_inverse_and_the_first_bit_highest(n_bits):
    bits = some_codes(20, n_bits)
    codes = pack(bits)
    assert codes.shape == (20, -(-n_bits // 8))
    assert (unpack(codes, n_bits) == bits).all()
    assert (codes[:, 0] >> 7 == bits[:, 0]).all()


def test_bad_codes_are_refused():
    with pytest.raises(InvalidDataError, match=r"row 1, column 2 is 0\.5"):
        pack(np.array([[0.0] * 8, [1, 0, 0.5, 0, 0, 0, 0, 0]]))
    with pytest.raises(InvalidParameterError, match="8 to 4096"):
        pack(np.zeros((3, 7)))
    with pytest.raises(InvalidDataError, match="beyond the 13th"):
        unpack(np.full((1, 2), 255, np.uint8), 13)
    with pytest.raises(InvalidDataError, match="uint8 of shape"):
        unpack(np.zeros((1, 3), np.uint8), 13)


def kernels():
    missing = pytest.mark.skipif(find_spec("faiss") is None, reason="faiss isn't installed")
    return [pytest.param(True, marks=missing, id="faiss"), pytest.param(False, id="numpy")]


@pytest.mark.parametrize("with_faiss", kernels())
@pytest.mark.parametrize("by_table", [False, True])
@pytest.mark.parametrize("n_bits", WIDTHS)
def test_nearest_is_brute_force_with_ties(n_bits, with_faiss, by_table, monkeypatch):
    monkeypatch.setattr(scan, "BLOCK", 64)
    if by_table:
        monkeypatch.setattr(scan, "_ones", scan._count_by_table)
    if not with_faiss:
        monkeypatch.setattr(scan, "_faiss", lambda: None)
    bits, asked = some_codes(300, n_bits), some_codes(10, n_bits, seed=1)
    asked[0] = bits[7]
    for k in (1, 10, 299, 1000):
        distances, rows = nearest(as_words(pack(bits)), as_words(pack(asked)), k)
        for query, d, r in zip(asked, distances, rows, strict=True):
            truth, order = brute_force(bits, query)
            assert (r == order[:k]).all()
            assert (d == truth[order[:k]]).all()


@pytest.mark.skipif(find_spec("faiss") is None, reason="faiss isn't installed")
@pytest.mark.parametrize("order", ["torch, faiss", "faiss, torch"])
def test_faiss_and_torch_work_in_one_process(order):
    code = (
        f"import {order}\n"
        "import numpy as np\n"
        "from isthmus.hashing import nearest\n"
        "words = np.arange(5000, dtype=np.uint64)[:, None]\n"
        "assert nearest(words, words[7:9], 1)[1].tolist() == [[7], [8]]\n"
        "assert float((torch.ones(300, 300) @ torch.ones(300, 300)).sum()) == 300.0**3\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr


def test_more_queries_than_one_and_none():
    words = as_words(pack(some_codes(5, 16)))
    assert nearest(words[:0], words, 3)[0].shape == (5, 0)
    assert nearest(words, words[:0], 3)[1].shape == (0, 3)


@pytest.mark.parametrize("n_bits", WIDTHS[:-1])
def test_balls_are_brute_force_whatever_the_way(n_bits, monkeypatch):
    monkeypatch.setattr(ball_module, "PATIENCE", 0)
    monkeypatch.setattr(ball_module, "LOOK_UP", 1e-9)
    monkeypatch.setattr(ball_module, "CANDIDATE", 1e-9)
    bits, asked = some_codes(400, n_bits), some_codes(4, n_bits, seed=2)
    asked[0], asked[1] = bits[3], bits[5] ^ (np.arange(n_bits) < 2)
    words = as_words(pack(bits))
    ball, ways = Ball(words, n_bits), set()
    for radius in {0, 1, 2, 3, n_bits // 16, n_bits // 2, n_bits, n_bits + 5}:
        for query, word in zip(asked, as_words(pack(asked)), strict=True):
            truth, order = brute_force(bits, query)
            order = order[truth[order] <= radius]
            ways.add(ball.way(word, radius))
            for distances, rows in (ball.within(word, radius), in_range(words, word, radius)):
                assert (rows == order).all()
                assert (distances == truth[order]).all()
    assert ways >= {"flips"} | ({"scan"} if n_bits > 8 else set())
    assert n_bits < 128 or "pieces" in ways


def test_few_queries_are_scanned_and_many_looked_up():
    bits = np.random.default_rng(0).random((150_000, 64)) < 0.5
    words = as_words(pack(bits))
    ball = Ball(words, 64)
    ways = [ball.way(words[0], 2) for _ in range(ball_module.PATIENCE + 1)]
    assert ways == ["scan"] * ball_module.PATIENCE + ["flips"]
    assert ball.way(words[0], 3) == "pieces"
    assert ball.way(words[0], 4) == "scan"


@pytest.mark.parametrize("radius", [1, 4])
def test_an_index_holds_while_few_codes_are_newer(radius, monkeypatch):
    monkeypatch.setattr(ball_module, "PATIENCE", 0)
    monkeypatch.setattr(ball_module, "LOOK_UP", 1e-9)
    monkeypatch.setattr(ball_module, "CANDIDATE", 1e-9)
    words = as_words(pack(some_codes(300, 128)))
    ball, sorts = Ball(words[:100], 128), []
    monkeypatch.setattr(
        np, "argsort", lambda *a, sort=np.argsort, **k: sorts.append(1) or sort(*a, **k)
    )
    for n in (100, 110, 112, 113, 300):
        ball.grow(words[:n])
        for query in words[[0, n - 1]]:
            assert ball.way(query, radius) == ("flips" if radius == 1 else "pieces")
            found = ball.within(query, radius)
            truth = in_range(words[:n], query, radius)
            assert all((a == b).all() for a, b in zip(found, truth, strict=True))
    assert len(sorts) == 3 * (1 if radius == 1 else radius + 1)


@pytest.mark.parametrize("n_bits", [8, 13, 64, 100])
def test_weighted_distances_are_their_definition(n_bits):
    rng = np.random.default_rng(0)
    bits = some_codes(300, n_bits)
    # whole numbers, so that sums are exact and ties are ties
    queries = rng.integers(-3, 4, (6, n_bits)).astype(float)
    distances, rows = nearest_weighted(pack(bits), queries, 20)
    for query, d, r in zip(queries, distances, rows, strict=True):
        truth = (np.abs(query) * (bits != (query > 0))).sum(axis=1)
        order = np.lexsort((np.arange(300), truth))[:20]
        assert (r == order).all()
        assert (d == truth[order]).all()


def test_sure_queries_have_hamming_distances():
    bits, asked = some_codes(200, 32), some_codes(5, 32, seed=1)
    codes, words = pack(bits), as_words(pack(bits))
    weighted = nearest_weighted(codes, 2.0 * asked - 1, 15)
    plain = nearest(words, as_words(pack(asked)), 15)
    assert all((a == b).all() for a, b in zip(weighted, plain, strict=True))
