"""`fit --patches`, and the verbs that take its file: the figures of Python's pipeline."""

import contextlib
import itertools
import re
import signal

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from isthmus import Autoencoder, OutlierDetector, PatchFeatures, SemanticHasher, load, save
from isthmus.data import read
from isthmus.estimators import fitting
from isthmus.estimators.progress import Silent
from isthmus.saving import read_model, write_model

DIGITS = np.uint8(load_digits().images[:300] * 15)
FAST = ("--max-epochs", 2, "--hidden", 8, "-k", 4, "--seed", 0, "--quiet")
SHORT = {"max_epochs": 2, "hidden": (8,), "random_state": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images in one array and as files, and models of their patterns."""
    folder = tmp_path_factory.mktemp("patches")
    np.save(folder / "x.npy", DIGITS)
    (folder / "png").mkdir()
    for i, image in enumerate(DIGITS):
        Image.fromarray(image).save(folder / "png" / f"{i:03}.png")
    patterns = PatchFeatures(8, patch_size=4, random_state=0).fit(DIGITS)
    save(patterns, folder / "patterns.safetensors")
    code = make_pipeline(PatchFeatures(8, patch_size=4, random_state=0), Autoencoder(4, **SHORT))
    save(code.fit(DIGITS), folder / "code.safetensors")
    odd = OutlierDetector(Autoencoder(4, **SHORT), level=0.05, random_state=0)
    save(make_pipeline(patterns, odd).fit(DIGITS), folder / "odd.safetensors")
    two = make_pipeline(code, Autoencoder(2, **SHORT)).fit(DIGITS)
    save(two, folder / "nested.safetensors")
    return folder


@pytest.fixture
def large(monkeypatch):
    """Files are read in parts of some rows."""
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", 1)
    monkeypatch.setattr("isthmus.data.sources.block_rows", lambda *_: 70)


@pytest.mark.parametrize("name", ["x.npy", "png"])
def test_fit_is_that_of_python(run, folder, tmp_path, name):
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / name, "-o", path, "--patches", "8:4", *FAST)
    assert (ended.code, ended.err) == (0, "")
    said = ended.json
    assert (said["rows"], said["columns"], said["features"]) == (300, 64, 8 * 9)
    assert said["steps"] == ["PatchFeatures", "Autoencoder"]
    twin = load(folder / "code.safetensors")
    np.testing.assert_array_equal(load(path).transform(DIGITS), twin.transform(DIGITS))


def test_values_of_the_option(run, folder, tmp_path):
    path = tmp_path / "m.safetensors"
    given = ("fit", folder / "x.npy", "-o", path, *FAST, "--patches")
    assert run(*given, "5:3:2").code == 0
    features = load(path)[0]
    assert (features.n_atoms, features.patch_size, features.grid) == (5, 3, 2)
    for text in ("many", "5:3:2:1", "5:", "-5", "1.5"):
        assert f"--patches {text}: expected" in run(*given, text).line
    assert "n_atoms must be" in run(*given, "0").line
    assert "give one of the two" in run(*given, "5", "--column", "a=gaussian").line


def test_flat_rows_are_signals_and_that_is_told(run, folder, tmp_path):
    np.save(tmp_path / "flat.npy", DIGITS.reshape(300, 64))
    path = tmp_path / "m.safetensors"
    given = ("fit", tmp_path / "flat.npy", "-o", path, "--patches", "4", *FAST)
    assert "rows are flat" in run(*given[:-1]).err
    assert run(*given).err == ""
    loud = ("fit", folder / "x.npy", "-o", path, "--patches", "4:3", *FAST[:-1])
    assert "rows are flat" not in run(*loud).err


def test_patterns_and_odd_images(run, folder, tmp_path):
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / "x.npy", "-o", path, "--patches", 8, "--outliers", 0.05, *FAST)
    assert ended.json["steps"] == ["PatchFeatures", "OutlierDetector"]
    assert (ended.json["level"], ended.json["calibrated"]) == (0.05, True)
    said = run("score", path, folder / "x.npy").json
    assert said["flagged"] == (load(path).predict(DIGITS) == -1).sum()


# ---- transform ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["patterns", "code", "nested"])
def test_transform(run, folder, tmp_path, name):
    model, out = folder / f"{name}.safetensors", tmp_path / "codes.parquet"
    twin = load(model)
    expected = twin.transform(DIGITS)
    for data in ("x.npy", "png"):
        said = run("transform", model, folder / data, "-o", out).json
        assert (said["rows"], said["row_shape"]) == (300, list(expected.shape[1:]))
        found = read(out)
        assert found.column_names == list(twin.get_feature_names_out())
        np.testing.assert_array_equal(np.column_stack(found.columns), expected)


@pytest.mark.parametrize("ending", ["parquet", "csv", "npy"])
@pytest.mark.parametrize("name", ["patterns", "code", "nested"])
def test_large_files_go_block_by_block(run, folder, tmp_path, large, monkeypatch, name, ending):
    model, out = folder / f"{name}.safetensors", tmp_path / f"codes.{ending}"
    twin, sizes = load(model), []
    expected = twin.transform(DIGITS)
    whole = PatchFeatures._in_blocks

    def watched(self, data):
        for first, block in whole(self, data):
            sizes.append(len(block))
            yield first, block

    monkeypatch.setattr(PatchFeatures, "_in_blocks", watched)
    ended = run("transform", model, folder / "x.npy", "-o", out)
    assert ended.code == 0, ended.err
    assert ended.json["rows"] == 300
    found = read(out)
    if ending != "npy":
        assert found.column_names == list(twin.get_feature_names_out())
        found = np.column_stack(found.columns)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert max(sizes) <= 70
    assert sum(sizes) >= 300


def test_python_reads_what_is_not_in_memory_too(folder):
    features = load(folder / "patterns.safetensors")
    expected = features.transform(DIGITS)
    np.testing.assert_array_equal(features.transform(str(folder / "x.npy")), expected)
    parts = list(features.feature_blocks(lambda: iter([DIGITS[:100], DIGITS[100:]])))
    assert list(map(len, parts)) == [100, 200]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_a_row_of_a_part_is_told_by_its_number(run, folder, tmp_path, large):
    X = np.float32(DIGITS)
    X[250, 2, 3] = np.nan
    np.save(tmp_path / "nan.npy", X)
    for name in ("patterns", "code", "nested"):
        model = folder / f"{name}.safetensors"
        ended = run("transform", model, tmp_path / "nan.npy", "-o", tmp_path / "codes.parquet")
        assert ended.code == 2
        assert re.search(r"nan\.npy: .*[Rr]ow 250\b", ended.line)
        assert not (tmp_path / "codes.parquet").exists()


def test_one_image_is_printed(run, folder, tmp_path):
    np.save(tmp_path / "one.npy", DIGITS[:1])
    twin = load(folder / "code.safetensors")
    said = run("transform", folder / "code.safetensors", tmp_path / "one.npy").json
    np.testing.assert_array_equal(np.float32(said["values"]), twin.transform(DIGITS[:1]))
    assert said["names"] == list(twin.get_feature_names_out())


def test_bits_are_packed(run, table, files, tmp_path):
    hasher = SemanticHasher(12, decoder_hidden=(), max_epochs=2, random_state=0).fit(table)
    save(hasher, tmp_path / "h.safetensors")
    given = ("transform", tmp_path / "h.safetensors", files / "table.npy", "-o")
    assert run(*given, tmp_path / "bits.npy").json["dtype"] == "uint8"
    np.testing.assert_array_equal(np.load(tmp_path / "bits.npy"), hasher.transform(table))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("isthmus.data.stream.LARGE_BYTES", 1)
        ended = run(*given, tmp_path / "bits.parquet")
    assert ended.code == 2
    assert "must be in memory" in ended.line


# ---- score ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["code", "odd", "nested"])
def test_score(run, folder, tmp_path, name):
    model, out = folder / f"{name}.safetensors", tmp_path / "scores.csv"
    twin = load(model)
    ended = run("score", model, folder / "x.npy", "-o", out)
    assert ended.code == 0, ended.err
    found = read(out)
    np.testing.assert_allclose(found["score"], twin.score_samples(DIGITS), rtol=1e-6)
    if name == "odd":
        flagged = found["flagged"].to_numpy(zero_copy_only=False)
        np.testing.assert_array_equal(flagged, twin.predict(DIGITS) == -1)
        assert {each for each in found["reason_1"].to_pylist() if each} <= set(
            twin[0].get_feature_names_out()
        )


def test_scores_of_large_files(run, folder, monkeypatch):
    model = folder / "odd.safetensors"
    whole = run("score", model, folder / "x.npy").json
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", 1)
    monkeypatch.setattr("isthmus.data.sources.block_rows", lambda *_: 70)
    parts = run("score", model, folder / "x.npy").json
    assert (parts["rows"], parts["flagged"]) == (300, whole["flagged"])
    assert parts["mean"] == pytest.approx(whole["mean"], rel=1e-5)
    rows = [[row["row"] for row in said["rows_flagged"]] for said in (whole, parts)]
    assert rows[0] == rows[1]


# ---- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["inverse", "impute", "sample"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("code", "a pipeline of PatchFeatures and Autoencoder, which isthmus {} can't use; what"),
        ("patterns", "a PatchFeatures, which isthmus {} can't use; it gives patterns"),
        ("odd", "a pipeline of PatchFeatures and OutlierDetector, which isthmus {} can't use; it"),
    ],
)
def test_there_is_no_way_back(run, folder, tmp_path, verb, name, words):
    data = () if verb == "sample" else (folder / "x.npy",)
    ended = run(verb, folder / f"{name}.safetensors", *data, "-o", tmp_path / "x.npy")
    assert ended.code == 2
    assert words.format(verb) in ended.line


def test_verbs_that_do_not_fit(run, folder, tmp_path):
    ended = run("score", folder / "patterns.safetensors", folder / "x.npy")
    assert "use isthmus transform" in ended.line
    out = tmp_path / "x.npy"
    ended = run("transform", folder / "odd.safetensors", folder / "x.npy", "-o", out)
    assert "use isthmus score" in ended.line


def test_other_data(run, folder, tmp_path):
    np.save(tmp_path / "wide.npy", DIGITS[:, :, :7])
    np.save(tmp_path / "none.npy", DIGITS[:0])
    (tmp_path / "empty.npy").touch()
    out = tmp_path / "codes.parquet"
    for name, words in (("wide.npy", "56 features"), ("none.npy", "0 sample"), ("empty.npy", "")):
        ended = run("transform", folder / "code.safetensors", tmp_path / name, "-o", out)
        assert ended.code == 2
        assert name in ended.line
        assert words in ended.line
    ended = run("fit", tmp_path / "none.npy", "-o", tmp_path / "m.safetensors", "--patches", 4)
    assert (ended.code, "none.npy: " in ended.line) == (2, True)


def test_images_to_fit_must_be_in_memory(run, folder, tmp_path, large):
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / "x.npy", "-o", path, "--patches", "4", *FAST)
    assert ended.code == 2
    assert "as many images as fit in memory" in ended.line
    assert not path.exists()


def test_files_that_were_cut_or_edited(run, folder, tmp_path):
    path, whole = tmp_path / "m.safetensors", (folder / "code.safetensors").read_bytes()
    for part in (whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(part)
        for given in (
            ("info", path),
            ("transform", path, folder / "x.npy", "-o", tmp_path / "c.npy"),
        ):
            ended = run(*given)
            assert (ended.code, "m.safetensors" in ended.line) == (2, True)


# ---- Ctrl-C and info ------------------------------------------------------------------------


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_ctrl_c_while_patterns_are_learned(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.estimators.patch_features.learn", interrupted)
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / "x.npy", "-o", path, "--patches", "4", *FAST)
    assert (ended.code, ended.line) == (130, "isthmus: stopped by Ctrl-C.")
    assert not path.exists()


@pytest.fixture
def ctrl_c_in_epoch_3(monkeypatch):
    """Ctrl-C is pressed while a code is learned."""
    epochs = itertools.count(1)

    class Display(Silent):
        def show(self, epoch):
            if next(epochs) == 3:
                signal.raise_signal(signal.SIGINT)

    @contextlib.contextmanager
    def display(*_):
        yield Display()

    monkeypatch.setattr(fitting, "display", display)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("ctrl_c_in_epoch_3")
@pytest.mark.parametrize(
    "options", [("--patches", "4:4"), ("--outliers", 0.05), ("--patches", 4, "--outliers", 0.05)]
)
def test_ctrl_c_keeps_the_best_model(run, folder, tmp_path, options):
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / "x.npy", "-o", path, *FAST, "--max-epochs", 1000, *options)
    assert ended.code == 0, ended.err
    assert (ended.json["epochs"], ended.json["stopped_by"]) == (3, "interrupt")
    assert "Stopped by the user in epoch 4" in ended.err
    assert run("score", path, folder / "x.npy").json["rows"] == 300


def test_info(run, folder):
    said = run("info", folder / "patterns.safetensors").json
    assert (said["estimator"], said["columns"], said["row_shape"]) == ("PatchFeatures", 64, [8, 8])
    assert (said["patterns"], said["params"]["patch_size"]) == (8, 4)
    said = run("info", folder / "nested.safetensors").json
    assert (said["estimator"], said["columns"]) == ("Pipeline", 64)
    inner, last = said["steps"]
    assert (inner["step"], inner["estimator"]) == ("pipeline", "Pipeline")
    assert [step["estimator"] for step in inner["steps"]] == ["PatchFeatures", "Autoencoder"]
    assert (last["estimator"], last["columns"], last["training"]["epochs"]) == (
        "Autoencoder",
        4,
        2,
    )
    last = run("info", folder / "odd.safetensors").json["steps"][1]
    assert (last["estimator"], last["reference_rows"]) == ("OutlierDetector", 30)
    assert last["calibrated"] is True


@pytest.mark.parametrize(
    "edit",
    [
        {"steps": []}, {"steps": [1]}, {"steps": [["a", {}]]}, {"steps": [["a", []]]},
        {"steps": None}, {"estimator": []}, {"estimator": "PatchFeatures"},
    ],
)  # fmt: skip
def test_cards_of_strangers(run, folder, tmp_path, edit):
    card, tensors = read_model(folder / "code.safetensors")
    own = {name: value for name, value in card.items() if name not in ("sha256", "format")}
    path = tmp_path / "m.safetensors"
    write_model(path, {**own, **edit}, tensors)
    for given in (("info", path), ("transform", path, folder / "x.npy")):
        ended = run(*given)
        assert (ended.code, "m.safetensors has a card" in ended.line) == (2, True)
