"""`transform`, `inverse`, `score`, `sample`: the same numbers as in Python, in every format."""

import numpy as np
import pytest
from cli_cases import NAMES
from PIL import Image

from isthmus import load
from isthmus.cli.targets import write_images
from isthmus.data import as_matrix, read

WRITABLE = ["npy", "npz", "csv", "parquet", "feather", "arrow"]


def dense(path):
    return as_matrix(read(path)).values


@pytest.mark.parametrize("ending", WRITABLE)
def test_transform_and_back(run, files, tmp_path, table, ending):
    model, codes, rows = files / "table.safetensors", tmp_path / f"c.{ending}", tmp_path / "r.npy"
    ended = run("transform", model, files / "table.parquet", "-o", codes)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json == {
        "output": str(codes), "rows": 60, "row_shape": [2], "dtype": "float64",
    }  # fmt: skip
    twin = load(model)
    expected = twin.transform(read(files / "table.csv"))
    np.testing.assert_allclose(dense(codes), expected, rtol=1e-12)
    if ending in ("csv", "parquet", "feather", "arrow"):
        assert read(codes).column_names == list(twin.get_feature_names_out())
    ended = run("inverse", model, codes, "-o", rows)
    assert (ended.code, ended.json["row_shape"]) == (0, [5])
    np.testing.assert_allclose(np.load(rows), twin.inverse_transform(expected), rtol=1e-10)


def test_columns_keep_their_names_on_the_way_back(run, files, tmp_path):
    codes, rows = tmp_path / "codes.npy", tmp_path / "rows.feather"
    run("transform", files / "table.safetensors", files / "table.csv", "-o", codes)
    run("inverse", files / "table.safetensors", codes, "-o", rows)
    assert read(rows).column_names == NAMES


def test_few_rows_are_printed(run, files):
    model, few = files / "table.safetensors", files / "few.csv"
    said = run("transform", model, few).json
    twin = load(model)
    assert said["names"] == list(twin.get_feature_names_out())
    np.testing.assert_array_equal(said["values"], twin.transform(read(few)))
    said = run("sample", model, "-n", 2, "--seed", 3).json
    assert said["names"] == NAMES
    np.testing.assert_allclose(said["values"], twin.sample(2, random_state=3), rtol=1e-7)


@pytest.mark.parametrize("verb", ["transform", "inverse", "sample"])
def test_many_rows_are_not_printed(run, files, tmp_path, verb):
    np.save(tmp_path / "codes.npy", np.zeros((21, 2)))
    last = {
        "transform": [files / "table.csv"],
        "inverse": [tmp_path / "codes.npy"],
        "sample": ["-n", 21],
    }
    ended = run(verb, files / "table.safetensors", *last[verb])
    assert ended.code == 2
    assert "give a file for them with -o" in ended.line


def test_score(run, files, tmp_path):
    model = files / "table.safetensors"
    expected = load(model).score_samples(read(files / "table.csv"))
    ended = run("score", model, files / "table.csv", "-o", tmp_path / "scores.csv")
    said = ended.json
    assert ended.err == ""
    assert said["mean"] == pytest.approx(expected.mean())
    assert said["nats_per_dimension"] == pytest.approx(-expected.mean() / 5)
    assert said["bits_per_dimension"] == pytest.approx(-expected.mean() / 5 / np.log(2))
    assert said["quantiles"]["0.5"] == pytest.approx(np.median(expected))
    assert (said["minimum"], said["maximum"]) == pytest.approx((expected.min(), expected.max()))
    written = read(tmp_path / "scores.csv")
    assert written.column_names == ["score"]
    np.testing.assert_allclose(written["score"].to_numpy(), expected)
    assert "scores" not in said


def test_score_of_few_rows_is_printed_by_row(run, files):
    model, few = files / "table.safetensors", files / "few.csv"
    scores = run("score", model, few).json["scores"]
    np.testing.assert_array_equal(scores, load(model).score_samples(read(few)))
    parts = run("score", model, few, "--by-feature").json["feature_scores"]
    np.testing.assert_array_equal(parts, load(model).score_features(read(few)))


def test_score_by_feature(run, files, tmp_path):
    model, target = files / "table.safetensors", tmp_path / "scores.parquet"
    said = run("score", model, files / "table.csv", "--by-feature", "-o", target).json
    expected = load(model).score_features(read(files / "table.csv"))
    assert list(said["features"]) == NAMES
    np.testing.assert_allclose(list(said["features"].values()), expected.mean(0))
    assert sum(said["features"].values()) == pytest.approx(said["mean"])
    np.testing.assert_allclose(dense(target), expected)


def test_sample(run, files, tmp_path):
    model, twin = files / "table.safetensors", load(files / "table.safetensors")
    for name, options in (("draws", []), ("means", ["--mean"])):
        target = tmp_path / f"{name}.npy"
        ended = run("sample", model, "-n", 30, "--random-state", 5, "-o", target, *options)
        assert (ended.code, ended.json["rows"]) == (0, 30)
        expected = twin.sample(30, random_state=5, mean=bool(options))
        np.testing.assert_array_equal(np.load(target), expected)


def test_a_code_without_a_prior_has_samples_too(run, files, tmp_path):
    model, target = tmp_path / "m.safetensors", tmp_path / "draws.npy"
    run("fit", files / "table.npy", "-o", model, "--max-epochs", 1, "-q")
    ended = run("sample", model, "-n", 30, "--random-state", 5, "-o", target)
    assert (ended.code, ended.json["rows"]) == (0, 30)
    np.testing.assert_array_equal(np.load(target), load(model).sample(30, random_state=5))


def test_images_as_arrays_tables_and_pictures(run, files, tmp_path):
    model = files / "images.safetensors"
    arguments = ("sample", model, "-n", 12, "--seed", 0, "--mean", "-o")
    assert run(*arguments, tmp_path / "rows.npy").json["row_shape"] == [6, 7]
    assert run(*arguments, tmp_path / "rows.npz").code == 0
    assert run(*arguments, tmp_path / "rows.csv").code == 0
    assert run(*arguments, f"{tmp_path / 'pictures'}/").code == 0
    rows = np.load(tmp_path / "rows.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npz")["x"], rows)
    np.testing.assert_allclose(dense(tmp_path / "rows.csv"), rows.reshape(12, -1), rtol=1e-6)
    pictures = read(tmp_path / "pictures")
    np.testing.assert_array_equal(pictures, (rows * 255).round().clip(0, 255))
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir())[-1] == "11.png"
    codes = tmp_path / "codes.npy"
    run("transform", model, tmp_path / "pictures", "-o", codes)
    assert run("inverse", model, codes, "-o", f"{tmp_path / 'back'}/").code == 0
    assert read(tmp_path / "back").shape == (12, 6, 7)


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 1), (3, 4, 5, 3), (3, 4, 5, 4)])
def test_pictures_of_every_kind(tmp_path, shape):
    rows = np.random.default_rng(0).integers(0, 256, shape)
    write_images(tmp_path / "whole", rows)
    write_images(tmp_path / "shares", rows / 255)
    for folder in ("whole", "shares"):
        first = np.asarray(Image.open(tmp_path / folder / "0.png"))
        np.testing.assert_array_equal(first, rows[0].squeeze())


def test_a_folder_is_only_for_images(run, files, tmp_path):
    ended = run("sample", files / "table.safetensors", "-o", f"{tmp_path / 'pictures'}/")
    assert ended.code == 2
    assert "no image" in ended.line
    ended = run("transform", files / "table.safetensors", files / "few.csv", "-o", "codes/")
    assert "only rows that are images" in ended.line
    (tmp_path / "new.v1").mkdir()
    ended = run("sample", files / "images.safetensors", "-o", f"{tmp_path / 'new.v1'}/")
    assert (ended.code, [path.name for path in (tmp_path / "new.v1").iterdir()]) == (0, ["0.png"])
    ended = run("sample", files / "images.safetensors", "-o", tmp_path / "new.v1")
    assert "'.v1' is not known" in ended.line
    (tmp_path / "full.npy").mkdir()
    ended = run("sample", files / "images.safetensors", "-o", tmp_path / "full.npy")
    assert "it is a folder" in ended.line
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "0.png").touch()
    ended = run("sample", files / "images.safetensors", "-o", f"{tmp_path / 'full'}/")
    assert "not an empty folder" in ended.line


@pytest.mark.parametrize("verb", ["transform", "inverse", "score"])
def test_wrong_targets_are_refused_before_anything_is_read(run, tmp_path, verb):
    for name, words in (("x.xlsx", "'.xlsx' is not known"), ("none/x.npy", "no folder")):
        ended = run(verb, "none.safetensors", "none.npy", "-o", tmp_path / name)
        assert ended.code == 2
        assert words in ended.line


@pytest.mark.parametrize("verb", ["transform", "inverse", "score"])
def test_a_wrong_width_names_the_file(run, files, tmp_path, verb):
    model = files / ("table.safetensors" if verb == "inverse" else "images.safetensors")
    ended = run(verb, model, files / "narrow.npy", "-o", tmp_path / "x.npy")
    assert ended.code == 2
    assert "narrow.npy: X has 3 " in ended.line


def test_missing_and_unsuitable_models(run, files, tmp_path):
    ended = run("score", tmp_path / "none.safetensors", files / "few.csv")
    assert ended.code == 2
    assert "none.safetensors" in ended.line
    ended = run("score", files / "table.npy", files / "few.csv")
    assert ended.code == 2
    assert "not a model file" in ended.line


def test_missing_values_name_the_file(run, files, tmp_path):
    (tmp_path / "gap.csv").write_text("a,b,c,d,e\n1,2,3,4,5\n1,2,,4,5\n")
    ended = run("score", files / "table.safetensors", tmp_path / "gap.csv")
    assert ended.code == 2
    assert "gap.csv: " in ended.line
    assert "NaN" in ended.line


def test_other_column_names_are_refused_in_one_line(run, files, tmp_path):
    (tmp_path / "other.csv").write_text("a,b,c,d,z\n1,2,3,4,5\n")
    ended = run("score", files / "table.safetensors", tmp_path / "other.csv")
    assert ended.code == 2
    assert "z" in ended.line


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(run, files, tmp_path):
    target = tmp_path / "codes.npy"
    ended = run("transform", files / "table.safetensors", files / "table.npy", "-o", target)
    assert ended.code == 0
    assert ended.json["rows"] == 60
    assert ended.err.startswith("isthmus: warning: X does not have valid feature names")
    assert ended.err.count("\n") == 1


def test_a_full_disk_names_the_file(run, files, tmp_path, monkeypatch):
    from isthmus.cli import targets

    def full(path, array, names):
        raise OSError("150 requested and 22 written")

    monkeypatch.setattr(targets, "write", full)
    ended = run("sample", files / "table.safetensors", "-o", tmp_path / "x.npy")
    assert ended.code == 1
    assert "x.npy can't be written: 150 requested and 22 written." in ended.line


def test_a_folder_without_permission(run, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    ended = run("sample", "none.safetensors", "-o", tmp_path / "x.npy")
    assert ended.code == 1
    assert f"{tmp_path}: No permission" in ended.line


def test_a_defect_of_the_library_shows_its_traceback(files, monkeypatch):
    from isthmus.cli import main

    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("isthmus.estimators.outflow.score_blocks", broken)
    with pytest.raises(ZeroDivisionError):
        main(["score", str(files / "table.safetensors"), str(files / "few.csv")])
