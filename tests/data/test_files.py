import contextlib
import io
import os
import pickle
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp
from PIL import Image
from pyarrow import dataset, feather, parquet

from isthmus._errors import (
    FileFormatError,
    InvalidDataError,
    InvalidParameterError,
    IsthmusError,
    IsthmusWarning,
    UnsupportedTypeError,
)
from isthmus._files import atomic_write
from isthmus.data import as_matrix, read, write
from isthmus.data.files import write_table
from isthmus.data.sources import open_source

X = np.array([[0.1, -2.5e-300], [3.0, 1e300], [1 / 3, 0.0]])
FORMATS = [".npy", ".npz", ".csv", ".parquet", ".feather", ".arrow", ".CSV", ".NPZ"]
TABLES = [".csv", ".parquet", ".feather", ".arrow"]


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_is_read_back_bit_for_bit(tmp_path, ending):
    path = tmp_path / f"codes{ending}"
    write(path, X, names=["a", "b,\"c'"])
    matrix = as_matrix(read(path))
    assert np.array_equal(matrix.rows(0, 3, np.float64), X)
    if ending.lower() in TABLES:
        assert matrix.names == ("a", "b,\"c'")
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", ["?", "u1", "i8", "f2", "f4", "g", ">f8"])
def test_every_type_is_written(tmp_path, ending, kind):
    x = np.array([[0, 1], [1, 0]]).astype(kind)
    write(tmp_path / f"x{ending}", x[:, ::-1])
    assert np.array_equal(as_matrix(read(tmp_path / f"x{ending}")).rows(0, 2), [[1, 0], [0, 1]])


@pytest.mark.parametrize("ending", FORMATS)
def test_one_dimension_is_one_column(tmp_path, ending):
    path = tmp_path / f"scores{ending}"
    write(path, np.array([1.5, 2.5]), names=["score"])
    if ending.lower() in TABLES:
        assert read(path).to_pydict() == {"score": [1.5, 2.5]}
    else:
        assert read(path, "x" if "npz" in ending.lower() else None).tolist() == [1.5, 2.5]


@pytest.mark.parametrize("ending", TABLES)
def test_names_by_default(tmp_path, ending):
    write(tmp_path / f"x{ending}", X)
    assert read(tmp_path / f"x{ending}").column_names == ["x0", "x1"]


def test_text_can_be_written(tmp_path):
    write(tmp_path / "ids.csv", np.array(["a", "b"]), names=["id"])
    assert read(tmp_path / "ids.csv").to_pydict() == {"id": ["a", "b"]}


def test_an_npz_keeps_the_names(tmp_path):
    write(tmp_path / "x.npz", X, names=["a", "b"])
    with np.load(tmp_path / "x.npz") as archive:
        assert archive["names"].tolist() == ["a", "b"]


def test_npy_is_mapped_not_loaded(tmp_path):
    with open(tmp_path / "big.npy", "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**25, 2**12)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 2**37)  # a hole: 128 GiB that take no space
    matrix = as_matrix(read(tmp_path / "big.npy"))
    assert (len(matrix), matrix.n_features, matrix.nbytes) == (2**25, 2**12, 2**37)
    assert not matrix.rows(2**25 - 3, 2**25).any()
    assert not matrix.take(np.array([5, 2**24])).any()
    images = as_matrix(np.load(tmp_path / "big.npy", mmap_mode="r").reshape(-1, 64, 64))
    assert images.row_shape == (64, 64)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.coo_array, sp.lil_array])
def test_sparse_is_written_and_read(tmp_path, make):
    write(tmp_path / "x.npz", make(X))
    assert np.array_equal(read(tmp_path / "x.npz").toarray(), X)
    with pytest.raises(UnsupportedTypeError, match=r"\.npz"):
        write(tmp_path / "x.csv", make(X))


def test_sparse_by_its_parts(tmp_path):
    csr = sp.csr_array(X)
    parts = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr}
    np.savez(tmp_path / "x.npz", **parts, shape=csr.shape)
    assert np.array_equal(read(tmp_path / "x.npz").toarray(), X)
    parts["indices"] = csr.indices + 1000
    np.savez(tmp_path / "bad.npz", **parts, shape=csr.shape)
    with pytest.raises(FileFormatError, match=r"bad\.npz"):
        read(tmp_path / "bad.npz")
    sp.save_npz(tmp_path / "csc.npz", sp.csc_array(X))
    assert np.array_equal(as_matrix(read(tmp_path / "csc.npz")).rows(0, 3, float), X)


def test_which_array_of_an_archive(tmp_path):
    path = tmp_path / "a.npz"
    y = np.arange(3)
    np.savez(path, x_train=X, y_train=y, x_test=X[:1])
    assert np.array_equal(read(path), X)
    assert np.array_equal(read(path, "x_test"), X[:1])
    assert np.array_equal(read(path, "y_train"), y)
    np.savez(path, X=X, other=X[:2])
    assert np.array_equal(read(path), X)
    np.savez(path, only=X, labels=y)
    assert np.array_equal(read(path), X)
    np.savez(path, one=X, two=X)
    with pytest.raises(InvalidParameterError, match=r"2 arrays .*one \(3, 2\), two \(3, 2\)"):
        read(path)
    with pytest.raises(InvalidParameterError, match=r"no array 'three'; .*one"):
        read(path, "three")
    np.savez(path, y=y)
    with pytest.raises(InvalidParameterError, match=r"0 arrays .*y \(3,\)"):
        read(path)


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n1,2\n", ("a", "b"), [[1, 2]]),
        ("1,2\n3,4.5\n", ("x0", "x1"), [[1, 2], [3, 4.5]]),
        ("0,1\n3,4\n", ("0", "1"), [[3, 4]]),
        ('"2001","2002"\n3,4\n', ("2001", "2002"), [[3, 4]]),
        ("0\n3\n", ("x0",), [[0], [3]]),
        ("\ufeffa,b\r\n1,2\r\n", ("a", "b"), [[1, 2]]),
        ("1e3,nan_count\n1,2", ("1e3", "nan_count"), [[1, 2]]),
        ("ok\ntrue\nfalse\n", ("ok",), [[1], [0]]),
    ],
)
def test_csv_with_and_without_a_line_of_names(tmp_path, text, names, rows):
    (tmp_path / "x.csv").write_text(text, encoding="utf-8", newline="")
    matrix = as_matrix(read(tmp_path / "x.csv"))
    assert matrix.names == names
    assert matrix.rows(0, 9, np.float64).tolist() == rows


def test_a_gap_in_the_first_line_of_values_is_missing_not_a_name(tmp_path):
    (tmp_path / "x.csv").write_text("1,,3\n4,5,6\n")
    matrix = as_matrix(read(tmp_path / "x.csv"))
    assert np.array_equal(matrix.rows(0, 2), [[1, np.nan, 3], [4, 5, 6]], equal_nan=True)


def test_names_that_are_numbers_survive(tmp_path):
    write(tmp_path / "x.csv", X, names=["0", "17"])
    assert read(tmp_path / "x.csv").column_names == ["0", "17"]


def test_csv_of_very_long_lines(tmp_path):
    x = np.arange(8000.0).reshape(2, -1)
    write(tmp_path / "wide.csv", x, names=[f"n{j:0400}" for j in range(4000)])  # 1.6 MB of names
    assert np.array_equal(as_matrix(read(tmp_path / "wide.csv")).rows(0, 2), x)


def test_pandas_files(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    frame.to_feather(tmp_path / "p.feather")
    for path in tmp_path.iterdir():
        assert as_matrix(read(path)).rows(0, 2).tolist() == [[1, 0.5], [2, 1.5]]


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_what_pandas_calls_its_rows_is_no_column(tmp_path, ending):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}, index=[7, 3, 9])
    path = tmp_path / f"x{ending}"
    write_table(path, pa.Table.from_pandas(frame))
    assert read(path).column_names == ["a", "b"]
    named = frame.rename_axis("city")
    write_table(path, pa.Table.from_pandas(named))
    assert read(path).column_names == ["a", "b"]
    if ending == ".parquet":
        assert open_source(path).columns == ["a", "b"]
        assert open_source(dataset.dataset(path)).columns == ["a", "b"]
        assert open_source(path, ["b", "city"]).columns == ["b", "city"]


@pytest.mark.parametrize("note", [b"no json", b"[1, 2]", b"{}", b'{"index_columns": 3}'])
def test_a_note_of_pandas_that_makes_no_sense_is_left_aside(tmp_path, note):
    table = pa.table({"a": [1.0, 2.0]}).replace_schema_metadata({b"pandas": note})
    path = tmp_path / "x.parquet"
    write_table(path, table)
    assert read(path).column_names == ["a"]
    assert open_source(path).columns == ["a"]


def test_a_first_column_without_a_name_in_csv_is_what_rows_are_called(tmp_path):
    path = tmp_path / "x.csv"
    pd.DataFrame({"a": [1.5, 2.5], "b": [3, 4]}).to_csv(path)
    with pytest.warns(IsthmusWarning, match="first column of .* has no name"):
        assert read(path).column_names == ["a", "b"]
    path.write_text("a,,b\n1,2,3\n")
    assert read(path).column_names == ["a", "", "b"]


def test_arrow_stream_and_compressed_feather(tmp_path):
    table = pa.table({"a": [1, 2]})
    with pa.ipc.new_stream(str(tmp_path / "s.arrow"), table.schema) as stream:
        stream.write_table(table)
    feather.write_feather(table, tmp_path / "z.feather", compression="zstd")
    for path in tmp_path.iterdir():
        assert read(path).equals(table)


def save_image(path, mode="L", size=(4, 3), value=7):
    Image.new(mode, size, value).save(path)


@pytest.mark.parametrize(
    ("mode", "shape"), [("L", (3, 4)), ("RGB", (3, 4, 3)), ("RGBA", (3, 4, 4)), ("1", (3, 4))]
)
def test_a_folder_of_images(tmp_path, mode, shape):
    for i, name in enumerate(["b.png", "a.PNG", "c.tiff"]):
        save_image(tmp_path / name, mode, value=0 if i else 1 if mode == "1" else 9)
    (tmp_path / "labels.csv").write_text("a\n1\n")
    (tmp_path / ".hidden.png").write_text("")
    (tmp_path / "more.png").mkdir()
    images = read(tmp_path)
    assert images.dtype == np.uint8
    assert images.shape == (3, *shape)
    assert [bool(image.any()) for image in images] == [False, True, False]
    assert as_matrix(images).row_shape == shape


def test_a_palette_is_looked_up(tmp_path):
    Image.new("RGB", (4, 3), (250, 0, 10)).quantize(4).save(tmp_path / "a.png")
    assert read(tmp_path)[0, 0, 0].tolist() == [250, 0, 10]


def test_jpeg(tmp_path):
    save_image(tmp_path / "a.jpg", value=128)
    assert np.abs(read(tmp_path).astype(int) - 128).max() <= 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (5, 3)}, r"b\.png is 5 × 3 pixels of mode L, but a\.png is 4 × 3"),
        ({"mode": "RGB"}, r"b\.png is 4 × 3 pixels of mode RGB, but a\.png is .* mode L"),
        ({"mode": "I;16"}, r"b\.png has pixels of type uint16"),
    ],
)
def test_images_that_differ_are_refused_by_name(tmp_path, options, message):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "b.png", **options)
    with pytest.raises(InvalidDataError, match=message):
        read(tmp_path)


def contents():
    """A sound file of each format, as bytes, large enough to be cut in the middle."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    table = pa.table({"a": x[:, 0]})
    made = {}
    for ending, save in {
        ".npy": lambda f: np.save(f, x),
        ".npz": lambda f: np.savez_compressed(f, x=x),
        ".parquet": lambda f: parquet.write_table(table, f),
        ".feather": lambda f: feather.write_feather(table, f),
        ".png": lambda f: Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(f, "png"),
    }.items():
        file = io.BytesIO()
        save(file)
        made[ending] = file.getvalue()
    return made


SOUND = contents()


def put(tmp_path, ending, data):
    """A file, or a folder with one image, and what to read."""
    path = tmp_path / f"bad{ending}"
    path.write_bytes(data)
    return tmp_path if ending == ".png" else path


@pytest.mark.parametrize("ending", SOUND)
@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9])
def test_files_that_are_cut_off(tmp_path, ending, part):
    data = SOUND[ending]
    with pytest.raises(FileFormatError, match=rf"bad\{ending} can't be read.*cut off"):
        read(put(tmp_path, ending, data[: int(len(data) * part)]))


@pytest.mark.parametrize("ending", [*SOUND, ".arrow"])
def test_files_of_another_format(tmp_path, ending):
    with pytest.raises(FileFormatError, match=rf"bad\{ending} can't be read"):
        read(put(tmp_path, ending, b"this is only text, in some lines\n" * 20))


@pytest.mark.parametrize("ending", SOUND)
def test_damage_anywhere_is_an_error_or_data_never_a_crash(tmp_path, ending):
    rng = np.random.default_rng(1)
    for _ in range(60):
        data = bytearray(SOUND[ending])
        for place in rng.integers(0, min(len(data), 400), 4):
            data[place] = rng.integers(256)
        with contextlib.suppress(IsthmusError):
            as_matrix(read(put(tmp_path, ending, bytes(data))))


def test_csv_with_a_short_line(tmp_path):
    with pytest.raises(FileFormatError, match=r"bad\.csv.*Expected 2 columns, got 1"):
        read(put(tmp_path, ".csv", b"a,b\n1,2\n3\n"))


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet", ".feather", ".arrow"])
def test_empty_files(tmp_path, ending):
    with pytest.raises(InvalidDataError, match=rf"bad\{ending} is empty"):
        read(put(tmp_path, ending, b""))


def test_csv_of_names_alone_has_no_rows(tmp_path):
    with pytest.raises(InvalidDataError, match=r"0 sample\(s\)"):
        as_matrix(read(put(tmp_path, ".csv", b"a,b\n")))


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(InvalidDataError, match=r"no file .*none\.npy"):
        read(tmp_path / "none.npy")
    with pytest.raises(InvalidDataError, match="holds no images"):
        read(tmp_path)
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidParameterError, match=r"'\.xlsx' is not known.*\.npy.*folders"):
        read(tmp_path / "x.xlsx")
    with pytest.raises(InvalidParameterError, match=r"'\.txt' is not known"):
        write(tmp_path / "x.txt", X)
    write(tmp_path / "x.npy", X)
    for path in (tmp_path, tmp_path / "x.npy"):
        with pytest.raises(InvalidParameterError, match="key='k'"):
            read(path, "k")


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("import builtins; builtins.isthmus_bomb = True",))


def test_pickles_are_refused_and_never_run(tmp_path):
    import builtins

    objects = np.array([[Bomb()]], dtype=object)
    np.save(tmp_path / "o.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "o.npz", x=objects, allow_pickle=True)
    (tmp_path / "p.npy").write_bytes(pickle.dumps(Bomb()))
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        archive.writestr("x.npy", pickle.dumps(Bomb()))
    for name in ("o.npy", "o.npz", "p.npy", "p.npz"):
        with pytest.raises(FileFormatError, match=name):
            read(tmp_path / name)
    assert not hasattr(builtins, "isthmus_bomb")


def test_what_can_not_be_written(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(InvalidParameterError, match=r"3 names .* 2 column"):
        write(path, X, names=["a", "b", "c"])
    with pytest.raises(InvalidParameterError, match="named 'a'"):
        write(path, X, names=["a", "a"])
    with pytest.raises(InvalidDataError, match="flatten"):
        write(path, np.zeros((2, 2, 2)))
    with pytest.raises(UnsupportedTypeError, match="complex"):
        write(path, X + 1j)
    with pytest.raises(UnsupportedTypeError, match="object"):
        write(tmp_path / "x.npy", np.array([{}]))
    with pytest.raises(InvalidParameterError, match="doesn't exist"):
        write(tmp_path / "no" / "x.npy", X)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet", ".feather"])
def test_a_failure_leaves_the_old_file(tmp_path, ending, monkeypatch):
    path = tmp_path / f"x{ending}"
    write(path, X)
    old = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, X * 2)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_write_cleans_up(tmp_path, error):
    path = tmp_path / "x.bin"

    def fail_half_way():
        with atomic_write(path) as temporary:
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".bin"
            temporary.write_bytes(b"half")
            assert not path.exists()
            raise error

    with pytest.raises(error):
        fail_half_way()
    assert os.listdir(tmp_path) == []


def test_atomic_write_replaces_and_keeps_permissions_and_links(tmp_path):
    path, link = tmp_path / ("n" * 250), tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(InvalidParameterError, match="is a folder"), atomic_write(tmp_path):
        pass


def test_a_mapped_file_can_be_replaced_by_its_own_rows(tmp_path):
    path = tmp_path / "x.npy"
    write(path, X)
    write(path, read(path)[1:])
    assert np.array_equal(read(path), X[1:])


def test_importing_and_using_this_room_never_imports_torch(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from isthmus.data import *\n"
        f"write({str(tmp_path / 'x.csv')!r}, np.eye(3))\n"
        f"matrix = as_matrix(read({str(tmp_path / 'x.csv')!r}))\n"
        "infer_likelihood(matrix, summarise(matrix))\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'polars' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
