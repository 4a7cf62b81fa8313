"""Results of data that are read in parts, in files: the same as in memory."""

import itertools
import os
import signal
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus import (
    Autoencoder,
    InvalidDataError,
    IsthmusWarning,
    Masking,
    NotFittedError,
    UnsupportedTypeError,
)
from isthmus.data import read

RNG = np.random.default_rng(0)
FAST = {"hidden": (8,), "max_epochs": 2, "batch_size": 64, "random_state": 0}


def mixed(n, seed=0, holes=0.2):
    """Numbers, counts and text, with holes."""
    rng = np.random.default_rng(seed)
    size = rng.normal(10, 2, n)
    kind = np.where(size > 10, "big", "small")
    return pa.table(
        {
            "size": pa.array(size, mask=rng.random(n) < holes),
            "visits": pa.array(rng.poisson(3, n), mask=rng.random(n) < holes),
            "kind": pa.array(kind, mask=rng.random(n) < holes),
        }
    )


TABLE = mixed(600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mixed")
    pq.write_table(TABLE[:250], path / "0.parquet", row_group_size=100)
    pq.write_table(TABLE[250:], path / "1.parquet", row_group_size=100)
    return path


@pytest.fixture(scope="module")
def model(folder):
    masking = Masking(0.25, targets="hidden")
    return Autoencoder(2, corruption=masking, **FAST).fit(folder)


def test_decoded_rows_are_those_in_memory(model, folder, tmp_path):
    assert model.transform_to(folder, tmp_path / "c.parquet") == 600
    assert model.inverse_transform_to(tmp_path / "c.parquet", tmp_path / "r.parquet") == 600
    codes = model.transform(TABLE)
    assert read(tmp_path / "r.parquet").equals(model.inverse_transform(codes))
    assert model.inverse_transform(tmp_path / "c.parquet").equals(model.inverse_transform(codes))


def test_decoded_images_are_laid_flat(tmp_path):
    images = RNG.random((50, 3, 4)).astype(np.float32)
    model = Autoencoder(2, **FAST).fit(images)
    codes = model.transform(images)
    assert model.inverse_transform_to(codes, tmp_path / "r.parquet") == 50
    found = read(tmp_path / "r.parquet")
    assert found.column_names == [f"x{j}" for j in range(12)]
    flat = model.inverse_transform(codes).reshape(50, 12)
    np.testing.assert_array_equal(np.column_stack(found.columns), flat)


def test_codes_that_are_missing_or_of_another_width_are_refused(model, tmp_path):
    codes = np.zeros((300, 2))
    codes[250, 1] = np.nan
    np.save(tmp_path / "c.npy", codes)
    with pytest.raises(InvalidDataError, match="row 250, column 1"):
        model.inverse_transform_to(tmp_path / "c.npy", tmp_path / "r.parquet")
    np.save(tmp_path / "d.npy", np.zeros((3, 5)))
    with pytest.raises(InvalidDataError, match="5 columns, but a code of this model has 2"):
        model.inverse_transform_to(tmp_path / "d.npy", tmp_path / "r.parquet")
    assert not (tmp_path / "r.parquet").exists()
    with pytest.raises(NotFittedError):
        Autoencoder().inverse_transform_to(codes, tmp_path / "r.parquet")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_imputed_rows_keep_every_observed_cell(model, folder, tmp_path, ending):
    path = tmp_path / f"f.{ending}"
    assert model.impute_to(folder, path) == 600
    found = read(path)
    assert ending == "csv" or found.schema.types == TABLE.schema.types
    for name in TABLE.column_names:
        pairs = list(zip(TABLE[name].to_pylist(), found[name].to_pylist(), strict=True))
        assert all(new is not None and (old is None or old == new) for old, new in pairs)
        assert any(old is None for old, _ in pairs)


def test_imputed_rows_of_one_part_are_those_in_memory(model, tmp_path):
    for n_draws in (None, 2):
        filled = model.impute(TABLE, n_draws, random_state=3)
        assert model.impute_to(TABLE, tmp_path / "f.parquet", n_draws, random_state=3) == 600
        names = ["f.parquet"] if n_draws is None else ["f-1.parquet", "f-2.parquet"]
        for each, name in zip([filled] if n_draws is None else filled, names, strict=True):
            assert read(tmp_path / name).equals(each)


@pytest.mark.parametrize("make", [pa.Table.to_pandas, pl.from_arrow, lambda table: table])
def test_batches_of_every_library_are_imputed(model, tmp_path, make):
    parts = [make(TABLE[first : first + 90]) for first in range(0, 600, 90)]
    assert model.impute_to(lambda: iter(parts), tmp_path / "f.parquet") == 600
    found = read(tmp_path / "f.parquet")
    assert found.column_names == TABLE.column_names
    assert not any(column.null_count for column in found.columns)


def test_arrays_on_disk_are_imputed(tmp_path):
    rows = RNG.normal(size=(200, 3))
    holed = np.where(RNG.random(rows.shape) < 0.2, np.nan, rows)
    np.save(tmp_path / "x.npy", holed)
    model = Autoencoder(2, **FAST).fit(holed)
    model.impute_to(tmp_path / "x.npy", tmp_path / "f.parquet")
    found = np.column_stack(read(tmp_path / "f.parquet").columns)
    np.testing.assert_array_equal(found[~np.isnan(holed)], holed[~np.isnan(holed)])
    assert np.isfinite(found).all()


def test_what_is_read_in_parts_is_imputed_into_a_file_only(model, folder):
    with pytest.raises(UnsupportedTypeError, match=r"impute_to\(X, path\)"):
        model.impute(folder)
    with pytest.raises(UnsupportedTypeError, match=r"isthmus\.data\.read"):
        model.points(str(folder / "*.parquet"))


def test_messages_name_rows_of_the_whole(model, tmp_path):
    odd = TABLE.to_pandas()
    odd.loc[455, "size"] = np.inf
    parts = [odd[first : first + 100] for first in range(0, 600, 100)]
    for function in (model.transform, lambda X: model.impute_to(X, tmp_path / "f.parquet")):
        with pytest.raises(InvalidDataError, match="inf in row 455"):
            function(lambda: iter(parts))


def test_one_warning_for_all_parts(model, tmp_path):
    odd = TABLE.to_pandas()
    odd["more"] = 1
    odd.loc[[3, 150, 580], "kind"] = "huge"
    parts = [odd[first : first + 100] for first in range(0, 600, 100)]
    for function in (model.transform, lambda X: model.impute_to(X, tmp_path / "f.parquet")):
        with pytest.warns(IsthmusWarning) as caught:
            function(lambda: iter(parts))
        said = sorted(str(each.message) for each in caught)
        assert len(said) == 2
        assert "3 cells hold what was never seen in training" in said[1]
        assert "'huge' (3)" in said[1]
        assert "left out: 'more'" in said[0]


# ---- batches of every kind ------------------------------------------------------------------

BATCHES = {
    "an Arrow table": lambda folder: TABLE,
    "a record batch": lambda folder: TABLE.to_batches()[0],
    "pandas": lambda folder: TABLE.to_pandas(),
    "polars": lambda folder: pl.from_arrow(TABLE),
    "a folder": lambda folder: folder,
    "a pattern": lambda folder: str(folder / "*.parquet"),
    "a function": lambda folder: lambda: iter([TABLE[:100], TABLE[100:]]),
}


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
def test_partial_fit_takes_every_kind_first_and_later(folder, make):
    model = Autoencoder(2, **FAST).partial_fit(make(folder))
    assert model.schema_.names == ("size", "visits", "kind")
    before = model.score(TABLE)
    for _ in range(10):
        model.partial_fit(make(folder))
    assert model.score(TABLE) > before
    assert model.n_iter_ == 11
    assert np.isfinite(list(model.code_report_.values())).all()


def test_partial_fit_of_arrays_on_disk(tmp_path):
    rows = RNG.normal(size=(500, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", rows)
    model = Autoencoder(2, **FAST).partial_fit(rows)
    assert model.partial_fit(tmp_path / "x.npy").n_iter_ == 2
    rows[77, 2] = np.inf
    np.save(tmp_path / "y.npy", rows)
    with pytest.raises(InvalidDataError, match="row 77"):
        model.partial_fit(tmp_path / "y.npy")


@pytest.mark.parametrize("in_parts", [True, False])
def test_the_first_batch_fixes_the_schema(in_parts):
    first = mixed(300).to_pandas()
    first["empty"] = np.nan
    model = Autoencoder(2, **FAST).partial_fit(first)
    later = first[["empty", "kind", "size", "visits"]].copy()  # another order
    later.loc[5:8, "kind"] = "huge"
    later.loc[0, "empty"] = 1.0
    given = (lambda: iter([later[:100], later[100:]])) if in_parts else later
    with pytest.warns(IsthmusWarning, match="5 cells hold what was never seen") as caught:
        model.partial_fit(given)
    assert len(caught) == 1
    assert "'huge' (4)" in str(caught[0].message)
    assert set(model.schema_.columns[2].levels) == {"big", "small"}
    with pytest.raises(InvalidDataError, match="lacks 1 of the 4 columns: 'size'"):
        model.partial_fit(first.drop(columns="size"))
    wrong = pd.DataFrame({**first, "size": ["text"] * 300})
    with pytest.raises(InvalidDataError, match="'size' held cells of family 'number'"):
        model.partial_fit(wrong)


# ---- Ctrl-C ---------------------------------------------------------------------------------


@pytest.fixture
def ctrl_c_heard():
    """Ctrl-C as a terminal sends it: a process started in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(pass_number, rows):
    """Batches; in one of the passes over them somebody presses Ctrl-C."""
    passes = itertools.count()

    def batches():
        now = next(passes)
        for i in range(0, len(rows), 300):
            if (now, i) == (pass_number, 900):
                os.kill(os.getpid(), signal.SIGINT)
            yield rows[i : i + 300]

    return batches


@pytest.mark.parametrize("buffer", ["whole", "small"])
def test_ctrl_c_in_a_streaming_fit_keeps_a_model(monkeypatch, buffer, ctrl_c_heard):
    rows = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)
    if buffer == "small":
        from isthmus.training.stream import StreamRows

        monkeypatch.setattr(StreamRows.__init__, "__defaults__", (None, 20_000))
    # the first rows, the schema, the scales, and then epoch by epoch
    first_epoch = 3
    with pytest.warns(IsthmusWarning, match="Stopped by the user in epoch 1"):
        model = Autoencoder(2, **FAST).fit(interrupted(first_epoch, rows))
    assert model.n_iter_ == 1
    assert np.isfinite(model.transform(rows)).all()
    assert "isthmus-ahead" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(KeyboardInterrupt):
        Autoencoder(2, **FAST).fit(interrupted(first_epoch - 1, rows))
    assert "isthmus-ahead" not in {thread.name for thread in threading.enumerate()}
    if buffer == "small":
        with pytest.warns(IsthmusWarning, match="Stopped by the user in epoch 2"):
            model = Autoencoder(2, **FAST).fit(interrupted(first_epoch + 1, rows))
        assert len(model.history_) == 1
        assert model.p_values(rows).min() > 0


def test_ctrl_c_while_results_are_written(model, tmp_path, ctrl_c_heard):
    parts = [TABLE[i : i + 100].to_pandas() for i in range(0, 600, 100)]

    def batches():
        for i, part in enumerate(parts):
            if i == 4 and next(calls):
                os.kill(os.getpid(), signal.SIGINT)
            yield part

    for function in (model.transform_to, model.impute_to):
        calls = itertools.count(1)
        with pytest.raises(KeyboardInterrupt):
            function(batches, tmp_path / "x.parquet")
        assert list(tmp_path.iterdir()) == []
