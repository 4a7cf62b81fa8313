"""`isthmus info` of models and of data."""

import numpy as np
import pytest
from cli_cases import NAMES

from isthmus import load


def test_a_model(run, files):
    path = files / "table.safetensors"
    said = run("info", path).json
    twin = load(path)
    assert said["format"] == 1
    assert said["estimator"] == "Autoencoder"
    assert said["likelihood"]["kind"] == "Gaussian"
    assert said["params"]["encoder"] == "gaussian"
    assert said["params"]["hidden"] == [8]
    assert (said["columns"], said["names"]) == (5, NAMES)
    assert said["bytes"] == path.stat().st_size
    assert said["training"]["epochs"] == 2
    best = min(epoch.validation_nll for epoch in twin.history_)
    assert said["training"]["validation_nll"] == best


@pytest.mark.parametrize("ending", ["npy", "csv", "parquet", "feather", "arrow"])
def test_data(run, files, table, ending):
    said = run("info", files / f"table.{ending}").json
    assert (said["rows"], said["columns"], said["row_shape"]) == (60, 5, [5])
    assert said["names"] == (None if ending == "npy" else NAMES)
    assert said["dtype"] == "float64"
    assert (said["minimum"], said["maximum"]) == (table.min(), table.max())
    assert said["missing_values"] == said["infinite_values"] == 0
    assert said["constant_columns"] == {"count": 0, "first": []}
    assert said["likelihood"] == "gaussian"


def test_a_folder_of_images(run, files, images):
    said = run("info", files / "images").json
    assert (said["rows"], said["row_shape"], said["dtype"]) == (40, [6, 7], "uint8")
    assert (said["minimum"], said["maximum"]) == (images.min(), images.max())
    assert said["likelihood"] == "gaussian_shared"


def test_a_member_of_an_archive(run, files):
    assert run("info", files / "table.npz", "--key", "second").json["columns"] == 3
    assert (
        "--key is for an .npz file" in run("info", files / "table.safetensors", "--key", "x").line
    )


def test_constant_missing_and_infinite_values(run, tmp_path):
    (tmp_path / "gaps.csv").write_text("a,b,c,d\n1,2,,0.5\n1,,,inf\n1,4,,0.5\n")
    said = run("info", tmp_path / "gaps.csv").json
    assert said["missing_values"] == 4
    assert said["missing_columns"] == {"count": 2, "first": ["b", "c"]}
    assert (said["infinite_values"], said["infinite_columns"]["first"]) == (1, ["d"])
    assert said["constant_columns"]["first"] == ["a"]
    assert (said["minimum"], said["maximum"]) == (0.5, None)
    assert said["likelihood"] is None


def test_constant_columns_by_position(run, tmp_path):
    np.save(tmp_path / "x.npy", np.column_stack([np.arange(9.0) / 7, np.full(9, 0.1)]))
    assert run("info", tmp_path / "x.npy").json["constant_columns"] == {"count": 1, "first": [1]}


def test_counts_and_bits(run, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "bits.npy", rng.integers(0, 2, (50, 3)))
    np.save(tmp_path / "counts.npy", rng.poisson(3.0, (500, 3)))
    assert run("info", tmp_path / "bits.npy").json["likelihood"] == "bernoulli"
    assert run("info", tmp_path / "counts.npy").json["likelihood"] == "poisson"


def test_what_is_neither_is_refused(run, files, tmp_path):
    assert "none.safetensors" in run("info", tmp_path / "none.safetensors").line
    (tmp_path / "m.safetensors").write_bytes(b"12345678")
    ended = run("info", tmp_path / "m.safetensors")
    assert ended.code == 2
    assert "not a model file" in ended.line


def test_a_card_that_lacks_a_part_is_refused(run, tmp_path):
    from isthmus.saving import write_model

    path = tmp_path / "m.safetensors"
    write_model(path, {"params": {}}, {})
    ended = run("info", path)
    assert ended.code == 2
    assert "has a card without 'isthmus'" in ended.line


MIXED = "age,job,when,note\n39,clerk,2020-01-01,\n50,[b]smith[/b],2020-01-03,\n,clerk,,\n"


def test_a_table_of_several_kinds(run, tmp_path):
    (tmp_path / "mixed.csv").write_text(MIXED)
    ended = run("info", tmp_path / "mixed.csv")
    said = ended.json
    assert (said["rows"], said["columns"], said["likelihood"]) == (3, 4, "columns")
    assert said["missing_values"] == 5
    assert [column["kind"] for column in said["schema"]] == [
        "positive",
        "categorical",
        "date",
        "missing",
    ]
    age, job, *_ = said["schema"]
    assert (age["mean"], age["missing"], age["levels"]["count"]) == (44.5, 1, 0)
    assert job["levels"] == {"count": 2, "first": ["clerk", "[b]smith[/b]"]}
    lines = ended.err.splitlines()
    assert lines[0].split()[:3] == ["column", "kind", "likelihood"]
    assert len(lines) >= 5
    assert "[b]smith[/b]" in ended.err


def test_an_identifier_is_shown_and_not_refused(run, tmp_path):
    rows = "\n".join(f"{i},{i % 7 - 3.5}" for i in range(150))
    (tmp_path / "id.csv").write_text(f"id,x\n{rows}\n")
    said = run("info", tmp_path / "id.csv").json
    assert [column["kind"] for column in said["schema"]] == ["identifier", "real"]


def test_only_the_first_columns_are_printed(run, tmp_path):
    names = [f"c{j}" for j in range(60)]
    (tmp_path / "wide.csv").write_text(
        ",".join(names) + "\n" + "\n".join([",".join(["1.5"] * 60), ",".join(["2.5"] * 60)]) + "\n"
    )
    ended = run("info", tmp_path / "wide.csv")
    assert len(ended.json["schema"]) == 60
    assert "10 columns more" in ended.err
    assert "c59" not in ended.err


def test_models_of_every_kind(run, files, table, tmp_path):
    from isthmus import (
        Autoencoder,
        PretrainedClassifier,
        PretrainedRegressor,
        SemanticHasher,
        StackedAutoencoder,
        save,
    )

    inner = Autoencoder(2, hidden=(4,), max_epochs=1, random_state=0)
    labels = (table[:, 0] > 0).astype(int)
    made = [
        SemanticHasher(8, decoder_hidden=(), max_epochs=2, random_state=0).fit(table),
        StackedAutoencoder(2, hidden=(4,), max_epochs=1, random_state=0).fit(table),
        PretrainedClassifier(inner, max_epochs=1, random_state=0).fit(table, labels),
        PretrainedRegressor(inner, max_epochs=1, random_state=0).fit(table, table[:, 0]),
    ]
    for estimator in made:
        save(estimator, tmp_path / "m.safetensors")
        ended = run("info", tmp_path / "m.safetensors")
        assert ended.code == 0, ended.err
        assert ended.json["estimator"] == type(estimator).__name__
        assert ended.json["columns"] == 5
        assert ended.json["likelihood"]["kind"] == "Gaussian"
        assert ended.json["training"]["epochs"] >= 1
        if not isinstance(estimator, StackedAutoencoder):
            verbs = ("inverse", "score", "impute")
            for verb in verbs if hasattr(estimator, "transform") else ("transform", *verbs):
                output = () if verb == "score" else ("-o", tmp_path / "out.npy")
                refused = run(verb, tmp_path / "m.safetensors", files / "table.npy", *output)
                assert refused.code == 2
                assert f"which isthmus {verb} can't use" in refused.line
            assert run("sample", tmp_path / "m.safetensors").code == 2


def test_a_store(run, tmp_path):
    from isthmus import CodeStore

    with CodeStore(tmp_path / "a.codes", 13, "name") as store:
        store.upsert([1, 2], np.zeros((2, 2), np.uint8))
    said = run("info", tmp_path / "a.codes").json
    assert (said["codes"], said["n_bits"], said["fingerprint"]) == (2, 13, "name")
    (tmp_path / "b.db").write_bytes(b"SQLite format 3\0 and nothing else")
    assert run("info", tmp_path / "b.db").code == 2
