"""The demo: its figures are right, its report is whole, its commands and its Python work."""

import errno
import json
import math
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from isthmus import demo, load
from isthmus._errors import InvalidParameterError
from isthmus._files import write_text
from isthmus.cli import main
from isthmus.demo import pages
from tests.report.html_reader import require_self_contained

NAMES = ("usual", "variational", "denoising", "contractive")
EPOCHS = 2


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder and the record of one short run."""
    folder = tmp_path_factory.mktemp("demo") / "a folder"
    return folder, demo.run(folder, verbose=False, max_epochs=EPOCHS)


@pytest.fixture(scope="module")
def split():
    """The demo's split, made anew: images and classes of both sides."""
    digits = load_digits()
    return train_test_split(
        digits.images, digits.target, test_size=500, stratify=digits.target, random_state=0
    )


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, float | int) else []


# ---- the record ---------------------------------------------------------------------------------


def test_the_record_is_plain_finite_and_written(made):
    folder, record = made
    assert all(map(math.isfinite, numbers(dict(record))))

    def refuse(name):
        raise ValueError(name)

    text = (folder / "report.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse) == record
    assert {*NAMES, "pca", "data", "settings", "report", "seconds"} == set(record)
    assert record["report"] == str(folder / "report.html")
    for name in (*NAMES, "pca"):
        figures = record[name]
        assert figures["code"] == [64, 8]
        nats, bits = figures["nats_per_image"], figures["bits_per_dimension"]
        assert nats == pytest.approx(-bits * 64 * math.log(2))
    assert record["usual"]["epochs"] == EPOCHS


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_those_of_the_saved_model(made, split, name):
    folder, record = made
    train, test, train_classes, test_classes = split
    model, figures = load(folder / f"{name}.safetensors"), record[name]
    assert model.score(test) == pytest.approx(figures["nats_per_image"])
    judge = KNeighborsClassifier(1).fit(model.transform(train), train_classes)
    assert judge.score(model.transform(test), test_classes) == figures["one_nn_accuracy"]
    lost = ((model.reconstruct(test) - test) ** 2).sum()
    assert figures["r2"] == pytest.approx(1 - lost / ((test - test.mean(0)) ** 2).sum())
    assert figures["rmse"] == pytest.approx(math.sqrt(lost / test.size))
    given_code = "log p(x | f(x))"
    assert figures["scored"] == ("bound on log p(x)" if name == "variational" else given_code)


def test_the_weighted_bound_is_above_the_evidence(made):
    figures = made[1]["variational"]
    assert figures["weighted"]["nats_per_image"] > figures["nats_per_image"]


def test_the_figures_of_pca(made, split):
    train, test, train_classes, test_classes = (each.reshape(len(each), -1) for each in split)
    figures, pca = made[1]["pca"], PCA(8).fit(train)
    codes = pca.transform(test)
    back = pca.inverse_transform(codes)
    std = math.sqrt(((pca.inverse_transform(pca.transform(train)) - train) ** 2).mean())
    given_code = norm(back, std).logpdf(test).sum(1).mean()
    assert figures["nats_per_image"] == pytest.approx(given_code)
    full = multivariate_normal(pca.mean_, pca.get_covariance()).logpdf(test).mean()
    assert figures["probabilistic"]["nats_per_image"] == pytest.approx(full)
    judge = KNeighborsClassifier(1).fit(pca.transform(train), train_classes.ravel())
    assert figures["one_nn_accuracy"] == judge.score(codes, test_classes.ravel())
    assert figures["r2"] == pytest.approx(
        1 - ((back - test) ** 2).sum() / ((test - test.mean(0)) ** 2).sum()
    )


def test_held_out_digits_are_the_splits(made, split):
    assert np.array_equal(np.load(made[0] / "held-out.npy"), split[1])


def test_the_same_again_and_nothing_else_changed(made, tmp_path):
    folder, record = made
    before = torch.get_num_threads(), torch.get_rng_state(), np.random.get_state()[1].copy()
    again = demo.run(tmp_path, verbose=False, max_epochs=EPOCHS)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert np.array_equal(np.random.get_state()[1], before[2])
    for name in (*NAMES, "pca", "data"):
        one, other = dict(record[name]), dict(again[name])
        assert one.pop("seconds", None) is None or other.pop("seconds") >= 0
        assert one == other
    for name in NAMES:
        old, new = (load(place / f"{name}.safetensors").model_ for place in (folder, tmp_path))
        pairs = zip(old.parameters(), new.parameters(), strict=True)
        assert all(torch.equal(mine, yours) for mine, yours in pairs)


# ---- the report ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def html(made):
    return (made[0] / "report.html").read_text(encoding="utf-8")


def test_the_report_is_one_file(html):
    reader = require_self_contained(html)
    assert any(pointer.startswith("data:") for pointer in reader.pointers)
    assert len(reader.ids) == len(set(reader.ids))


def test_the_report_has_all_its_sections(html):
    assert re.findall(r"<h2>(.*?)</h2>", html) == [
        "In numbers",
        "In pictures",
        "In Python",
        "Next",
    ]
    leads = ["There and back.", "Repair.", "New digits.", "Maps.", "Learning curves."]
    assert re.findall(r"<figcaption><b>(.*?)</b>", html) == leads
    assert "J(x) = − log p(x | h) + KL(p(h | x̃) ‖ p(h)) + Σ λₖ Ωₖ" in html
    assert "doesn&#x27;t pay for the code" in html


def test_every_picture_says_what_it_shows(html):
    alts = re.findall(r'<svg[^>]* role="img" aria-label="([^"]+)"', html)
    assert len(alts) == html.count("<svg") == 2 + 3 + 6 + 4
    assert len(set(alts)) == len(alts)


def test_the_figures_of_the_page_are_the_records(made, html):
    record = made[1]
    for name in (*NAMES, "pca"):
        nats = f"{record[name]['nats_per_image']:.1f}".replace("-", "−")
        assert f">{nats}</td>" in html
        assert f">{record[name]['one_nn_accuracy']:.1%}</td>" in html
    caption = re.search(r"Repair\.</b>(.*?)</figcaption>", html, re.S)[1]
    for name in ("denoising", "usual", "contractive", "pca"):
        assert f"{record[name]['repaired_rmse']:.2f}" in caption


def test_the_python_of_the_report_gives_the_same_models(made, split, capsys):
    record, names = made[1], {}
    with demo.one_thread():
        exec(pages.source(record), names)
    assert float(capsys.readouterr().out) == pytest.approx(record["usual"]["nats_per_image"])
    for name in NAMES:
        assert names[name].score(split[1]) == pytest.approx(record[name]["nats_per_image"])
    assert names["codes"].shape == (500, 8)
    assert names["images"].shape == (500, 8, 8)


def test_the_commands_of_the_report_work(made, html, tmp_path, monkeypatch, capsys, rng):
    folder, record = made
    rows = rng.normal(size=(40, 9))
    header = ",".join("abcdefghi")
    np.savetxt(tmp_path / "my.csv", rows, delimiter=",", header=header, comments="")
    monkeypatch.chdir(tmp_path)
    printed = []
    for command in pages.commands(folder):
        assert command.replace("'", "&#x27;") in html
        program, *arguments = shlex.split(command)
        assert program == "isthmus"
        with pytest.raises(SystemExit) as end, demo.one_thread():
            main(arguments)
        assert end.value.code == 0
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0]["mean"] == pytest.approx(record["usual"]["nats_per_image"])
    assert np.load("new.npy").shape == (100, 8, 8)
    assert load("my.safetensors").n_features_in_ == 9


# ---- what is printed ----------------------------------------------------------------------------


def test_the_table_fits_a_terminal(made, capsys):
    pages.print_table(made[1])
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in err
    for name in NAMES:
        nats = f"{made[1][name]['nats_per_image']:.1f}".replace("-", "−")
        assert any(line.startswith(name) and nats in line for line in lines)
    assert "can't be compared" in " ".join(err.split())


def test_quiet_is_quiet_and_verbose_names_the_report(monkeypatch, tmp_path, made, capsys):
    monkeypatch.setattr(demo, "measure", lambda *_: dict(made[1]))
    monkeypatch.setattr(demo, "compose", lambda *_: "<html>")
    monkeypatch.setattr(demo, "PARTS", {})
    demo.run(tmp_path, verbose=False)
    assert capsys.readouterr() == ("", "")
    demo.run(tmp_path, verbose=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].endswith(str(tmp_path / "report.html"))


# ---- when it can't go on ------------------------------------------------------------------------


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InvalidParameterError, match=r"taken is a file"):
        demo.run(tmp_path / "taken", verbose=False)
    assert (tmp_path / "taken").read_text() == "mine"


def test_ctrl_c_ends_the_demo_and_not_one_training(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("isthmus.estimators.fitting.train", interrupted)
    (tmp_path / "report.html").write_text("old")
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path, verbose=False)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"
    assert torch.get_num_threads() == threads


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device") as refusal:
        write_text(path, "new")
    assert refusal.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
