"""The estimator on data that are read in passes: the same results as in memory."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus import (
    Autoencoder,
    FileFormatError,
    InvalidDataError,
    InvalidParameterError,
    NotFittedError,
    SupportError,
    UnsupportedTypeError,
)
from tests.problems import LinearGaussian

PROBLEM = LinearGaussian(n_rows=1500)
X = PROBLEM.rows.astype(np.float32)
NAMES = [f"c{j}" for j in range(X.shape[1])]
FAST = {"hidden": (16,), "max_epochs": 3, "batch_size": 64, "random_state": 0}


def write(path, rows, names=NAMES):
    columns = {name: rows[:, j] for j, name in enumerate(names)}
    pq.write_table(pa.table(columns), path, row_group_size=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows")
    write(path / "0.parquet", X[:900])
    write(path / "1.parquet", X[900:])
    return path


@pytest.fixture(scope="module")
def fitted(folder):
    return Autoencoder(3, **FAST).fit(str(folder / "*.parquet"))


def frame(rows=X):
    return pa.table({name: rows[:, j] for j, name in enumerate(NAMES)})


def test_results_equal_those_in_memory(fitted, folder):
    parts = [frame(X[i : i + 41]) for i in range(0, len(X), 41)]
    for method in ("transform", "reconstruct", "score_samples", "score_features"):
        function = getattr(fitted, method)
        whole = function(frame())
        np.testing.assert_array_equal(function(str(folder / "*.parquet")), whole)
        batches = function(lambda: iter(parts))
        np.testing.assert_allclose(batches, whole, rtol=1e-5, atol=1e-5)
    assert list(fitted.feature_names_in_) == NAMES


def test_codes_are_written_in_blocks(fitted, folder, tmp_path, monkeypatch):
    for module in ("isthmus.data.growing", "isthmus.estimators.outflow"):
        monkeypatch.setattr(f"{module}.GROUP_CELLS", 500)
    path = tmp_path / "codes.parquet"
    assert fitted.transform_to(folder, path, score=True) == len(X)
    found = pq.read_table(path)
    assert found.column_names == [*fitted.get_feature_names_out(), "score"]
    assert pq.ParquetFile(path).metadata.num_row_groups > 3
    codes = np.column_stack([found.column(j).to_numpy() for j in range(3)])
    np.testing.assert_array_equal(codes, fitted.transform(frame()))
    np.testing.assert_array_equal(found["score"].to_numpy(), fitted.score_samples(frame()))
    assert fitted.transform_to(frame(), path) == len(X)
    assert pq.read_table(path).num_columns == 3


def test_scales_and_start_are_those_in_memory(fitted):
    twin = Autoencoder(3, **FAST).fit(frame())
    np.testing.assert_allclose(fitted.model_.center, twin.model_.center, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fitted.model_.scale, twin.model_.scale, rtol=1e-12)
    assert fitted.likelihood_ == twin.likelihood_
    assert set(fitted.code_report_) == set(twin.code_report_)
    # after as much training it explains as much
    assert fitted.score(frame()) == pytest.approx(twin.score(frame()), abs=1.0)


def test_the_same_seed_gives_the_same_weights(fitted, folder):
    again = Autoencoder(3, **FAST).fit(folder)
    for name, weight in again.model_.state_dict().items():
        assert (weight == fitted.model_.state_dict()[name]).all(), name


def test_the_likelihood_is_chosen_from_the_whole(tmp_path):
    counts = np.random.default_rng(0).poisson(2.0, (600, 4)).astype(np.int32)
    np.save(tmp_path / "x.npy", counts)
    streamed = Autoencoder(2, **FAST).fit(tmp_path / "x.npy")
    assert streamed.likelihood_ == Autoencoder(2, **FAST).fit(counts).likelihood_
    counts[500, 2] = -1
    with pytest.raises(SupportError, match="row 500 of column 2"):
        Autoencoder(2, likelihood="poisson", **FAST).fit(
            lambda: iter([counts[:300], counts[300:]])
        )


def test_pixels_are_divided(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (300, 6, 7), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    model = Autoencoder(2, **FAST).fit(str(tmp_path / "x.npy"))
    assert model.reconstruct(str(tmp_path / "x.npy")).shape == (300, 6, 7)
    np.testing.assert_array_equal(model.transform(tmp_path / "x.npy"), model.transform(images))
    assert float(model.model_.center.max()) < 1


def test_few_rows(tmp_path):
    write(tmp_path / "x.parquet", X[:1])
    model = Autoencoder(2, validation_fraction=0.9, hidden=(4,), max_epochs=2).fit(tmp_path)
    assert model.transform(tmp_path).shape == (1, 2)


def test_refused_at_transform(fitted, folder, tmp_path):
    rows = X.copy()
    rows[777, 4] = np.nan
    write(tmp_path / "x.parquet", rows)
    target = tmp_path / "codes.parquet"
    target.write_bytes(b"old")
    with pytest.raises(InvalidDataError, match="row 777 of column 'c4' is nan"):
        fitted.transform_to(tmp_path / "x.parquet", target)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.parquet", "x.parquet"]
    write(tmp_path / "y.parquet", X[:, :4], NAMES[:4])
    with pytest.raises(InvalidDataError, match="Give the columns that fit saw"):
        fitted.transform(str(tmp_path / "y.parquet"))
    with pytest.raises(InvalidParameterError, match=r"'\.npy' is not known"):
        fitted.transform_to(folder, tmp_path / "codes.npy")
    with pytest.raises(NotFittedError):
        Autoencoder().transform_to(folder, target)


def test_refused_at_fit(tmp_path):
    with pytest.raises(UnsupportedTypeError, match="only once"):
        Autoencoder(2, **FAST).fit(x for x in [X])
    rows = X.copy()
    rows[1200, 1] = np.inf
    with pytest.raises(InvalidDataError, match=r"infinity.* row 1200, column 1"):
        Autoencoder(2, **FAST).fit(lambda: iter([rows[:1000], rows[1000:]]))
    write(tmp_path / "x.parquet", X)
    with open(tmp_path / "x.parquet", "rb+") as file:
        file.truncate(5000)
    with pytest.raises(FileFormatError, match=r"x\.parquet.*row group 0"):
        Autoencoder(2, **FAST).fit(tmp_path)
