"""Labelled rows beside many others."""

from collections import Counter

import pytest
import torch

from isthmus.training import DenseRows, LabelledRows, Prior


def numbered(n, first=0):
    return torch.arange(first, first + n, dtype=torch.float32)[:, None]


def labelled(n, n_others=None):
    rows = numbered(n)
    others = None if n_others is None else DenseRows(numbered(n_others, 1000))
    return LabelledRows(DenseRows(rows), 2 * rows, 3 * rows[:, 0], others)


def generator():
    return torch.Generator().manual_seed(0)


def test_alone_each_row_comes_once_with_its_label():
    rows = labelled(10)
    assert len(rows) == 10
    batches = list(rows.batches(4, generator()))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    seen = torch.cat([batch.z for batch in batches])
    assert sorted(seen[:, 0].tolist()) == list(range(10))
    assert seen[:, 0].tolist() != list(range(10))
    for batch in batches:
        assert torch.equal(batch.y, 2 * batch.z)
        assert torch.equal(batch.weight, 3 * batch.z[:, 0])
        assert batch.others is None


@pytest.mark.parametrize("n", [3, 8, 30])
def test_beside_others_a_pass_is_one_over_them(n):
    rows = labelled(n, 23)
    assert len(rows) == 23
    batches = list(rows.batches(4, generator()))
    assert [len(batch) for batch in batches] == [4] * 5 + [3]
    others = torch.cat([batch.others for batch in batches])
    assert sorted(others[:, 0].tolist()) == list(range(1000, 1023))
    assert all(len(batch.z) == min(4, n) for batch in batches)
    assert all(len(set(batch.z[:, 0].tolist())) == len(batch.z) for batch in batches)


def test_fewer_labelled_rows_may_be_beside_a_batch():
    rows = numbered(8)
    others = DenseRows(numbered(20, 1000))
    few = LabelledRows(DenseRows(rows), rows, rows[:, 0], others, size=2)
    batches = list(few.batches(10, generator()))
    assert [(len(batch.z), len(batch.others)) for batch in batches] == [(2, 10), (2, 10)]
    alone = LabelledRows(DenseRows(rows), rows, rows[:, 0], None, size=2)
    assert [len(batch.z) for batch in alone.batches(8, generator())] == [8]


def test_the_prior_of_the_others_is_that_of_the_same_rows():
    rows, others = numbered(8), DenseRows(numbered(23, 1000))
    prior = Prior(torch.arange(23), numbered(24, 1000))
    known = LabelledRows(DenseRows(rows), rows, rows[:, 0], others, prior=prior)
    batches = list(known.batches(5, generator()))
    assert all(torch.equal(batch.others, batch.log_prior) for batch in batches)
    unknown = LabelledRows(DenseRows(rows), rows, rows[:, 0], others)
    for a, b in zip(batches, unknown.batches(5, generator()), strict=True):
        assert torch.equal(a.z, b.z)
        assert torch.equal(a.others, b.others)
        assert b.log_prior is None


def test_labelled_rows_take_turns():
    counts = Counter(
        each for batch in labelled(8, 4000).batches(4, generator())
        for each in batch.z[:, 0].tolist()
    )  # fmt: skip
    assert set(counts.values()) == {500}


def test_held_out_blocks_are_in_order():
    blocks = list(labelled(10).blocks(4, torch.device("cpu")))
    assert [block.z[:, 0].tolist() for block in blocks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
