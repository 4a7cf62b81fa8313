"""`isthmus report` finds the labels, writes two files and prints the sentence."""

import json

import numpy as np
import pytest

from isthmus.comparison import judges

FAST = ("--max-epochs", "1", "-k", "2", "--quiet")


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Boosting that is over soon."""
    monkeypatch.setattr(judges, "ROUNDS", 3)
    monkeypatch.setattr(judges, "LEAST_ROUNDS", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("report")
    y = rng.integers(0, 2, 60)
    X = rng.normal(size=(60, 4)) + 2 * y[:, None]
    np.savez(folder / "both.npz", x=X, y=y)
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", y)
    lines = ["a,b,c,d,kind"]
    lines += [
        ",".join([*(f"{v:.4f}" for v in row), "yes" if k else "no"])
        for row, k in zip(X, y, strict=True)
    ]
    (folder / "x.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize(
    ("data", "label"),
    [("x.csv", "kind"), ("both.npz", "y"), ("x.npy", "y.npy")],
)
def test_labels_are_a_column_an_array_or_a_file(run, folder, tmp_path, data, label, monkeypatch):
    monkeypatch.chdir(folder)
    page = tmp_path / "page.html"
    ended = run("report", data, "--label", label, "-o", page, *FAST)
    assert ended.code == 0, ended.err
    told = ended.json
    written = json.loads((tmp_path / "page.json").read_text("utf-8"))
    assert told["sentence"] == written["sentence"]
    assert told["figures"] == str(tmp_path / "page.json")
    assert written["data"]["name"] == data
    assert len(written["label"]["classes"]) == 2
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_without_a_label_and_without_a_column(run, folder, tmp_path):
    page = tmp_path / "page.html"
    ended = run("report", folder / "x.csv", "--drop", "kind", "-o", page, *FAST)
    assert ended.json["use"] is None
    assert json.loads((tmp_path / "page.json").read_text("utf-8"))["data"]["row_shape"] == [4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label", "kin"], "no column named 'kin'"),
        (["--label", "kind", "--task", "regression"], "is no number"),
        (["--label", "kind", "-o", "page.pdf"], "must end in .html"),
        (["--label", "kind", "-o", "none/page.html"], "no folder none"),
        (["--label", "kind", "--margin", "2"], "margin must be in"),
        (["--label", "kind", "--drop", "e"], "no column named 'e'"),
    ],
)
def test_mistakes_end_with_one_line(run, folder, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = run("report", folder / "x.csv", *arguments, *FAST)
    assert ended.code == 2
    assert words in ended.line
    assert not list(tmp_path.iterdir())
