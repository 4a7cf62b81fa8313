"""`fit --outliers`, and `score` of the file: the figures of Python's `OutlierDetector`."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_cases import FAST, NAMES

from isthmus import Autoencoder, OutlierDetector, load, save
from isthmus.data import read, write
from isthmus.saving import read_model, write_model

FEW = {
    "max_epochs": 40,
    "learning_rate": 0.01,
    "batch_size": 64,
    "hidden": (8,),
    "random_state": 0,
}
TRAINED = (
    "--max-epochs",
    40,
    "--learning-rate",
    0.01,
    "--batch-size",
    64,
    "--hidden",
    8,
    "-k",
    2,
    "--seed",
    0,
    "--quiet",
)
REASONS = ["reason_1", "reason_2", "reason_3"]


def rows(n=400, dtype=np.float64):
    """Two numbers seen through five columns; rows 7 and 300 are odd in one column each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(n, 5))
    X[7, 1], X[300, 3] = 9, -9
    return X.astype(dtype)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same rows in one file and in two, in float32, and a detector's file."""
    folder = tmp_path_factory.mktemp("outliers")
    write(folder / "all.parquet", rows(), NAMES)
    (folder / "set").mkdir()
    write(folder / "set" / "0.parquet", rows()[:150], NAMES)
    write(folder / "set" / "1.parquet", rows()[150:], NAMES)
    np.save(folder / "single.npy", rows(dtype=np.float32))
    parts = {"encoder": "gaussian", "likelihood": "robust", "corruption": "masking"}
    detector = OutlierDetector(Autoencoder(2, **FEW, **parts), level=0.05, random_state=0)
    save(detector.fit(read(folder / "all.parquet")), folder / "m.safetensors")
    return folder


def test_a_detector_is_that_of_python(run, folder, tmp_path):
    path = tmp_path / "d.safetensors"
    ended = run("fit", folder / "all.parquet", "-o", path, "--outliers", 0.05, *TRAINED)
    assert (ended.code, ended.err) == (0, "")
    ours, twin = load(path), load(folder / "m.safetensors")
    said = ended.json
    assert (said["level"], said["calibrated"], said["offset"]) == (0.05, True, ours.offset_)
    assert (said["likelihood"]["kind"], said["columns"]) == ("StudentT", 5)
    assert ours.offset_ == twin.offset_
    table = read(folder / "all.parquet")
    np.testing.assert_array_equal(ours.score_samples(table), twin.score_samples(table))


def test_parts_that_were_asked_for_stay(run, folder, tmp_path):
    path = tmp_path / "d.safetensors"
    given = ("fit", folder / "all.parquet", "-o", path, "--outliers", 0.05, *FAST)
    assert run(*given, "--encoder", "deterministic", "--likelihood", "laplace").code == 0
    inner = load(path).autoencoder_
    assert inner.get_params()["encoder"] == "deterministic"
    assert inner.get_params()["likelihood"] == "laplace"
    assert inner.get_params()["corruption"] == "masking"
    assert run(*given, "--column", "b=laplace").code == 0
    assert type(load(path).autoencoder_.likelihood_.parts[1]).__name__ == "Laplace"


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # as an array
@pytest.mark.parametrize("name", ["all.parquet", "single.npy", "set"])
def test_figures_are_those_of_python(run, folder, tmp_path, name):
    detector, out = load(folder / "m.safetensors"), tmp_path / "flags.parquet"
    said = run("score", folder / "m.safetensors", folder / name, "--by-feature", "-o", out).json
    X, found = read(folder / ("all.parquet" if name == "set" else name)), read(out)
    assert found.column_names == [
        "score", "p_value", "flagged", *REASONS, *(f"{each}_nats" for each in NAMES),
    ]  # fmt: skip
    np.testing.assert_array_equal(found["score"].to_numpy(), detector.score_samples(X))
    np.testing.assert_array_equal(found["p_value"].to_numpy(), detector.p_values(X))
    flagged = found["flagged"].to_numpy()
    np.testing.assert_array_equal(flagged, detector.predict(X) == -1)
    odd = np.array(NAMES)[detector.odd_columns(X)]
    for place, column in enumerate(REASONS):
        names = found[column].to_numpy(zero_copy_only=False)
        np.testing.assert_array_equal(names[flagged], odd[flagged, place])
        assert all(name is None for name in names[~flagged])
    assert (said["flagged"], said["level"]) == (flagged.sum(), 0.05)
    assert (said["reference_rows"], said["calibrated"]) == (40, True)
    assert 2 <= said["flagged"] < 100


def test_the_shape_is_that_of_an_autoencoders_file(run, folder, tmp_path):
    detector = load(folder / "m.safetensors")
    save(detector.autoencoder_, tmp_path / "a.safetensors")
    ours = run("score", folder / "m.safetensors", folder / "set", "-q").json
    theirs = run("score", tmp_path / "a.safetensors", folder / "set", "-q", "--flag", 0.05).json
    assert list(ours) == list(theirs)
    assert ours == theirs
    assert {7, 300} <= {row["row"] for row in ours["rows_flagged"]}
    scores = [row["score"] for row in ours["rows_flagged"]]
    assert scores == sorted(scores)


def test_another_level_is_asked_of_the_held_out_rows(run, folder):
    table = read(folder / "all.parquet")
    p = load(folder / "m.safetensors").p_values(table)
    for level, promised in ((0.2, True), (0.01, False)):
        said = run("score", folder / "m.safetensors", folder / "all.parquet", "--flag", level).json
        assert (said["level"], said["calibrated"]) == (level, promised)
        assert said["flagged"] == (p <= level).sum()


def test_few_rows_are_said_one_by_one(run, folder, tmp_path):
    detector, one = load(folder / "m.safetensors"), rows()[[7]]
    write(tmp_path / "one.parquet", one, NAMES)
    said = run("score", folder / "m.safetensors", tmp_path / "one.parquet").json
    table = read(tmp_path / "one.parquet")
    np.testing.assert_array_equal(said["scores"], detector.score_samples(table))
    np.testing.assert_array_equal(said["p_values"], detector.p_values(table))
    assert (said["rows"], said["flagged"], said["rows_flagged"][0]["reason_1"]) == (1, 1, "b")
    assert "feature_scores" not in said


def test_too_few_held_out_rows_are_told(run, folder, tmp_path):
    path = tmp_path / "d.safetensors"
    loud = [option for option in FAST if option != "--quiet"]
    given = ("fit", folder / "all.parquet", "-o", path, "--outliers", 0.01, *loud)
    ended = run(*given)
    assert "than the 99 that a level of 0.01 needs" in ended.err
    assert ended.json["calibrated"] is False
    said = run("score", path, folder / "all.parquet").json
    assert (said["calibrated"], said["reference_rows"]) == (False, 40)
    assert said["flagged"] == (load(path).predict(read(folder / "all.parquet")) == -1).sum() > 0


def test_without_held_out_rows_there_are_flags_and_no_p_values(run, folder, tmp_path):
    path, out = tmp_path / "d.safetensors", tmp_path / "flags.csv"
    options = ("--outliers", 0.02, "--validation-fraction", 0, *FAST)
    assert run("fit", folder / "all.parquet", "-o", path, *options).code == 0
    said = run("score", path, folder / "all.parquet").json
    assert (said["reference_rows"], said["calibrated"]) == (0, False)
    assert (said["rows_flagged"][0]["p_value"], said["rows_flagged"][0]["reason_1"]) == (
        None,
        None,
    )
    assert run("score", path, folder / "all.parquet", "-o", out).code == 0
    expected = load(path).predict(read(folder / "all.parquet")) == -1
    np.testing.assert_array_equal(read(out)["flagged"].to_numpy(zero_copy_only=False), expected)
    assert run("score", path, folder / "all.parquet", "--flag", 0.5).code == 2


@pytest.mark.parametrize("n", [1, 5])
def test_hardly_any_rows(run, tmp_path, n):
    write(tmp_path / "x.parquet", rows()[:n], NAMES)
    path = tmp_path / "d.safetensors"
    ended = run("fit", tmp_path / "x.parquet", "-o", path, "--outliers", 0.05, *FAST)
    assert (ended.code, ended.json["calibrated"]) == (0, False)
    assert run("score", path, tmp_path / "x.parquet").json["flagged"] == 0


def test_tables_of_several_kinds(run, tmp_path):
    rng, n = np.random.default_rng(0), 300
    kind = np.where(rng.random(n) < 0.5, "small", "big")
    size = np.where(kind == "big", 20.0, 5.0) + rng.normal(size=n)
    size[5] = 500
    table = pa.table({"kind": kind, "size": pa.array(size, mask=rng.random(n) < 0.1)})
    pq.write_table(table, tmp_path / "x.parquet")
    path = tmp_path / "d.safetensors"
    ended = run("fit", tmp_path / "x.parquet", "-o", path, "--outliers", 0.1, *TRAINED)
    assert ended.code == 0, ended.err
    first = run("score", path, tmp_path / "x.parquet").json["rows_flagged"][0]
    assert first["row"] == 5
    odd = load(path).odd_columns(table[5:6])[0]
    assert [first["reason_1"], first["reason_2"]] == [table.column_names[j] for j in odd]


# ---- refusals -------------------------------------------------------------------------------


def test_levels_and_targets_are_checked_first(run, folder, tmp_path):
    ended = run("fit", "none.csv", "-o", tmp_path / "d.safetensors", "--outliers", 1)
    assert (ended.code, "--outliers 1: the level must lie" in ended.line) == (2, True)
    ended = run("score", folder / "m.safetensors", "none.csv", "-o", tmp_path / "flags.npy")
    assert (ended.code, "names that flags come with" in ended.line) == (2, True)


@pytest.mark.parametrize("verb", ["transform", "inverse", "impute", "sample"])
def test_verbs_that_do_not_fit(run, folder, tmp_path, verb):
    data = () if verb == "sample" else (folder / "all.parquet",)
    ended = run(verb, folder / "m.safetensors", *data, "-o", tmp_path / "x.parquet")
    assert ended.code == 2
    assert f"holds an OutlierDetector, which isthmus {verb} can't use" in ended.line
    assert "use isthmus score" in ended.line
    assert not (tmp_path / "x.parquet").exists()


def test_other_data(run, folder, tmp_path):
    write(tmp_path / "narrow.parquet", rows()[:, :3], NAMES[:3])
    write(tmp_path / "none.parquet", rows()[:0], NAMES)
    (tmp_path / "empty.csv").touch()
    for name, words in (
        ("narrow.parquet", "names should match"),
        ("none.parquet", "0 sample"),
        ("empty.csv", "empty"),
    ):
        ended = run("score", folder / "m.safetensors", tmp_path / name)
        assert ended.code == 2
        assert name in ended.line
        assert words in ended.line
    ended = run("fit", tmp_path / "none.parquet", "-o", tmp_path / "d", "--outliers", 0.1)
    assert ended.code == 2


def test_files_that_were_cut_or_edited(run, folder, tmp_path):
    path, whole = tmp_path / "d.safetensors", (folder / "m.safetensors").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for given in (("info", path), ("score", path, folder / "all.parquet")):
        assert run(*given).code == 2
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    for given in (("info", path), ("score", path, folder / "all.parquet")):
        assert "damaged" in run(*given).line
    card, tensors = read_model(folder / "m.safetensors")
    strangers = [
        {"offset": "low"}, {"params": {"level": "much"}}, {"autoencoder": [1]}, {"params": None},
    ]  # fmt: skip
    for edit in strangers:
        own = {name: value for name, value in card.items() if name not in ("sha256", "format")}
        write_model(path, {**own, **edit}, tensors)
        ended = run("score", path, folder / "all.parquet")
        assert ended.code == 2, edit
        assert ended.line
        assert run("info", path).code in (0, 2)  # it shows the card, and never a traceback


# ---- what it is -----------------------------------------------------------------------------


def test_info(run, folder):
    said, twin = run("info", folder / "m.safetensors").json, load(folder / "m.safetensors")
    assert (said["estimator"], said["columns"], said["names"]) == ("OutlierDetector", 5, NAMES)
    assert (said["params"]["level"], said["offset"]) == (0.05, twin.offset_)
    assert (said["reference_rows"], said["calibrated"]) == (40, True)
    assert said["training"]["epochs"] == 40
