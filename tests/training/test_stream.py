"""Rows read for each pass: once each, shuffled, held out by hash, and no thread is left over."""

import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats as st
import torch

from isthmus import Gaussian, InvalidDataError
from isthmus.data import as_stream, is_held_out
from isthmus.objective import Objective
from isthmus.training import Choice, DenseRows, Plan, StreamRows, ahead, train
from tests.problems import make_model
from tests.training.stubs import data

N, D = 1000, 5
ROWS = data(N)
ROWS[:, 0] = torch.arange(N)  # tells which row it is


def threads():
    return [each for each in threading.enumerate() if each.name == "isthmus-ahead"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert threads() == []


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    columns = {f"x{j}": ROWS[:, j].numpy() for j in range(D)}
    pq.write_table(pa.table(columns), path, row_group_size=70)
    return path


def begin(path, fraction=0.0, buffer_rows=100, seed=1):
    stream = as_stream(path)
    model = make_model(ROWS, Gaussian(1.0), None, 2, (8,))
    return model, StreamRows(stream, model, Choice(fraction, seed), buffer_rows * 4 * D)


def numbers(model, batches):
    return [torch.round(model.unscaled(z)[:, 0]).long() for z in batches]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("buffer_rows", [1, 100, 333, 10_000])
@pytest.mark.parametrize("fraction", [0.0, 0.2])
def test_each_training_row_is_seen_once_per_pass(path, fraction, buffer_rows):
    model, rows = begin(path, fraction, buffer_rows)
    apart = is_held_out(0, N, fraction, 1)
    assert len(rows) == N - apart.sum()
    source = generator()
    passes = []
    for _ in range(3):
        batches = numbers(model, rows.batches(32, source))
        assert {len(batch) for batch in batches[:-1]} == {32}
        passes.append(torch.cat(batches))
        np.testing.assert_array_equal(passes[-1].sort().values, np.flatnonzero(~apart))
        if fraction:
            held_out = torch.cat(numbers(model, rows.held_out.blocks(64, model.device)))
            np.testing.assert_array_equal(held_out, np.flatnonzero(apart))
            assert len(rows.held_out) == apart.sum()
    assert not torch.equal(passes[0], passes[1])
    assert (rows.held_out is None) == (fraction == 0)


@pytest.mark.parametrize("buffer_rows", [100, 10_000])
def test_the_order_is_that_of_the_generator(path, buffer_rows):
    def order(seed):
        model, rows = begin(path, 0.1, buffer_rows)
        return torch.cat(numbers(model, rows.batches(16, generator(seed))))

    assert torch.equal(order(0), order(0))
    assert not torch.equal(order(0), order(1))


def test_a_batch_comes_from_many_parts(path):
    model, rows = begin(path, buffer_rows=300)
    batches = numbers(model, rows.batches(20, generator()))
    parts = [len({int(number) // 70 for number in batch}) for batch in batches]
    assert min(parts[:-5]) >= 3


def test_the_places_of_a_row_in_the_order_are_spread(path):
    model, rows = begin(path, buffer_rows=200)
    source, places = generator(), []
    for _ in range(60):
        seen = torch.cat(numbers(model, rows.batches(25, source)))
        places.append(seen.argsort())
    places = torch.stack(places).double().numpy()
    first = places[:, :10] / N
    assert st.kstest(first[:, 0], "uniform").pvalue > 1e-3
    # neighbours in the data are not neighbours in the order
    assert np.median(np.abs(first[:, 0] - first[:, 1])) > 0.01


def test_with_a_buffer_for_all_it_is_the_algorithm_of_the_rows_in_memory(path):
    plan = Plan(batch_size=64, max_epochs=3, learning_rate=1e-2, precision="float32")

    def trained(make):
        model, rows = begin(path, buffer_rows=N)
        list(train(model, Objective(), make(model, rows), plan, generator()))
        return model.state_dict()

    streamed = trained(lambda model, rows: rows)
    in_memory = trained(lambda model, rows: DenseRows(model.scaled(ROWS)))
    assert all(torch.equal(weight, in_memory[name]) for name, weight in streamed.items())


def test_the_buffer_holds_several_batches(path):
    model, rows = begin(path, buffer_rows=1)
    batches = numbers(model, rows.batches(50, generator()))
    assert len(set((batches[0] // 70).tolist())) > 3


def test_very_many_rows_are_not_all_held_out(path, monkeypatch):
    monkeypatch.setattr("isthmus.training.stream.HELD_OUT_BYTES", 50 * 4 * D)
    _, rows = begin(path, 0.5)
    assert len(rows.held_out) == is_held_out(0, N, 0.05, 1).sum()
    assert len(rows) + len(rows.held_out) == N


# ---- how it ends ----------------------------------------------------------------------------


def test_breaking_off_ends_the_thread(path):
    model, rows = begin(path, 0.1)
    batches = rows.batches(10, generator())
    next(batches)
    batches.close()
    assert threads() == []
    assert len(torch.cat(numbers(model, rows.batches(10, generator())))) == len(rows)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_in_a_step_ends_the_thread(path, error):
    model, rows = begin(path)
    count = iter(range(10))

    def tick(n):
        if next(count) == 3:
            raise error("stop")

    with pytest.raises(error) as caught:
        list(train(model, Objective(), rows, Plan(batch_size=10), generator(), tick=tick))
    assert threads() == []  # even while the error holds the frames of the loop
    assert caught.value is not None


def test_an_error_in_the_thread_is_raised_in_the_loop():
    model = make_model(ROWS, Gaussian(1.0), None, 2, (8,))
    good = [True]

    def batches():
        yield ROWS[:500].numpy()
        if not good[0]:
            raise OSError("gone")
        yield ROWS[500:].numpy()

    stream = as_stream(batches)
    list(stream.matrices())
    good[0] = False
    rows = StreamRows(stream, model, buffer_bytes=100)
    with pytest.raises(InvalidDataError, match="after 1 of them, with OSError: gone"):
        list(train(model, Objective(), rows, Plan(batch_size=10, max_epochs=1), generator()))


def test_items_come_in_order_and_the_iterator_is_closed():
    closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    assert list(ahead(items)) == list(range(1000))
    part = ahead(items)
    assert [next(part) for _ in range(3)] == [0, 1, 2]
    part.close()
    assert closed == ["isthmus-ahead"] * 2


def test_no_more_than_a_few_items_are_made_ahead():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    part = ahead(items, depth=2)
    next(part)
    part.close()
    assert len(made) <= 6
