"""The whole comparison on small data: who wins where the truth is known, and what is refused."""

import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits

from isthmus._errors import InvalidDataError, InvalidParameterError, IsthmusWarning
from isthmus.comparison import Settings, compare, judges
from isthmus.comparison.representations import quietly
from tests.report.html_reader import require_self_contained

FAST = Settings(max_epochs=3, n_components=3)
NAMES = {"raw", "PCA", "random projection", "usual", "variational", "denoising", "contractive"}
TUNED = NAMES | {"fine-tuned"}


def noisy_plane(rng, n=400, d=40):
    """Two classes, told by one of the three factors that all columns share."""
    y = rng.integers(0, 2, n)
    factors = rng.normal(size=(n, 3))
    factors[:, 0] += np.where(y == 1, 3, -3)
    X = factors @ rng.normal(size=(3, d)) + rng.normal(size=(n, d))
    return X, np.where(rng.uniform(size=n) < 0.05, 1 - y, y)


@pytest.fixture(autouse=True, scope="module")
def few_rounds():
    """Boosting that is over soon: no test here is about how good it is."""
    before = judges.ROUNDS, judges.LEAST_ROUNDS
    judges.ROUNDS, judges.LEAST_ROUNDS = 5, 1
    yield
    judges.ROUNDS, judges.LEAST_ROUNDS = before


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 240
    y = rng.integers(0, 3, n)
    return pd.DataFrame(
        {
            "age": y * 5 + rng.normal(40, 5, n).round(),
            "job": np.array(["cook", "clerk", "pilot"])[(y + (rng.uniform(size=n) < 0.3)) % 3],
            "pay": np.where(rng.uniform(size=n) < 0.1, np.nan, rng.gamma(2, 1000, n)),
            "ill": rng.uniform(size=n) < 0.2,
            "class": np.array(["low", "mid", "high"])[y],
        }
    )


@pytest.fixture(scope="module")
def found(table):
    return compare(table, "class", FAST, name="people & <pay>")


def test_every_representation_meets_every_judge(found):
    record = found.record
    assert set(record["representations"]) == TUNED
    for name, each in record["representations"].items():
        assert set(each["judges"]) == {"linear", "neighbours", "boosting"}
        scores = {judge: row["validation_score"] for judge, row in each["judges"].items()}
        assert scores[each["judge"]] == max(scores.values())
        assert each["score"] == each["judges"][each["judge"]]["score"]
        low_first = each["difference"][1] <= each["difference"][0] <= each["difference"][2]
        assert low_first or name == "raw"
    assert set(record["reconstruction"]) == NAMES - {"raw", "random projection"}
    assert record["data"]["test"] == 72
    assert record["label"]["classes"] == ["high", "low", "mid"]
    assert record["use"] in TUNED


def test_the_page_stands_alone_and_is_written_beside_its_figures(found, tmp_path):
    beside = found.write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    reader = require_self_contained(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert found.sentence in "".join(reader.texts["p"])
    assert "people & <pay>" in reader.text("h1")
    written = json.loads(beside.read_text("utf-8"))
    assert written["sentence"] == found.sentence
    told = re.findall(r"\d+\.\d%", reader.text("td"))
    assert f"{written['representations']['raw']['score']:.1%}" in told


def test_labels_of_their_own_and_the_same_seed_give_the_same_figures(table, found):
    again = compare(table.drop(columns="class"), table["class"].to_numpy(), FAST).record
    for name, each in again["representations"].items():
        assert each["score"] == found.record["representations"][name]["score"]
    assert again["reconstruction"] == found.record["reconstruction"]


def test_small_codes_win_where_few_directions_tell(rng):
    X, y = noisy_plane(rng)
    record = compare(X, y, replace(FAST, margin=0.15)).record
    assert record["use"] not in ("raw", "random projection")
    assert record["representations"]["PCA"]["score"] > 0.9
    assert record["representations"]["PCA"]["bytes_per_row"] == 12
    assert record["representations"]["raw"]["bytes_per_row"] == 160


def test_raw_features_win_where_a_small_direction_tells(rng):
    X = rng.normal(size=(400, 12)) * np.append(np.full(11, 5.0), 0.3)
    y = X[:, 11] + 0.02 * rng.normal(size=400) > 0
    # one scale for all columns, as images have
    found = compare(X.reshape(400, 3, 4) + 30, y, FAST)
    assert found.record["use"] == "raw"
    assert found.sentence.startswith("Use the raw features")


def test_a_number(rng):
    X = rng.normal(size=(300, 5))
    record = compare(X, X @ [1.0, 2.0, 0, 0, 1.0] + 0.1 * rng.normal(size=300), FAST).record
    assert record["label"]["measure"] == "R²"
    assert record["representations"]["raw"]["score"] > 0.98
    assert record["use"] == "raw"
    assert record["representations"]["random projection"]["difference"][2] < 0


def test_images(rng):
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)[:400]
    found = compare(images, digits.target[:400], FAST)
    record = found.record
    assert record["representations"]["raw"]["bytes_per_row"] == 64
    assert 0.1 < record["reconstruction"]["usual"]["kept"] < 1
    assert record["reconstruction"]["PCA"]["kept"] == pytest.approx(0.4, abs=0.1)
    # only patterns come back from patterns
    assert "patches" not in record["reconstruction"]
    patches = record["representations"]["patches"]
    assert patches["score"] > record["representations"]["random projection"]["score"]
    require_self_contained(found.html)


def test_images_with_missing_pixels(rng):
    images = rng.random((80, 4, 5))
    images[3, 1, 1] = np.nan
    record = compare(images, rng.integers(0, 2, 80), FAST).record
    assert "patches" not in record["representations"]


def test_without_a_label(table):
    found = compare(table.drop(columns="class"), None, FAST)
    assert found.record["label"] is None
    assert found.sentence.startswith("Without a label nothing says which code is of use.")
    assert set(found.record["representations"]) == NAMES
    assert "judges" not in found.record["representations"]["raw"]
    assert "Does a code help?" not in found.html
    require_self_contained(found.html)


def test_counts_in_a_sparse_matrix(rng):
    y = rng.integers(0, 2, 80)
    counts = sp.csr_array(rng.poisson(0.3 + 0.5 * y[:, None] * (np.arange(30) < 15)))
    record = compare(counts, y, FAST).record
    assert record["data"]["row_shape"] == [30]
    assert record["representations"]["raw"]["bytes_per_row"] <= 120


def test_ctrl_c_in_one_training_ends_the_comparison():
    def stopped():
        warnings.warn("Stopped by the user in epoch 3; …", IsthmusWarning, stacklevel=1)

    with pytest.raises(KeyboardInterrupt):
        quietly(stopped)
    heard = []
    quietly(lambda: warnings.warn("a level", IsthmusWarning, stacklevel=1), heard.append)
    assert heard == ["a level"]


def test_rows_without_a_label_are_learned_from(rng):
    X, y = noisy_plane(rng, 400)
    labels = [None if i % 4 else int(v) for i, v in enumerate(y)]
    data = compare(X, labels, replace(FAST, max_rows=200)).record
    notes, data = data["notes"], data["data"]
    assert (data["rows"], data["rows_used"]) == (400, 200)
    n_known = data["train"] + data["validation"] + data["test"]
    assert data["learn"] == 200 - data["validation"] - data["test"]
    assert any(f"{200 - n_known} rows have no label" in note for note in notes)


def test_a_leak_is_named(table):
    table = table.assign(code=table["class"].map({"low": 7, "mid": 1, "high": 3}))
    with pytest.warns(IsthmusWarning, match="`class` follows exactly from `code`"):
        found = compare(table, "class", FAST)
    assert any("`code`" in note for note in found.record["notes"])
    assert "follows exactly from" in found.html


def test_a_near_leak_is_named_with_how_well_it_tells(table):
    code = table["class"].map({"low": 7, "mid": 1, "high": 3}).to_numpy(copy=True)
    code[5] = {7: 1, 1: 3, 3: 7}[code[5]]
    with pytest.warns(IsthmusWarning, match=r"`class` can nearly be told .*: `code` \(99\.6% of"):
        found = compare(table.assign(code=code), "class", FAST)
    assert len(found.record["notes"]) == 1
    assert "can nearly be told" in found.html


def test_a_class_of_one_row(rng):
    X, y = noisy_plane(rng, 60)
    labels = ["rare" if i == 7 else str(v) for i, v in enumerate(y)]
    record = compare(X, labels, FAST).record
    assert any("rare (1)" in note for note in record["notes"])


def test_ten_rows_and_a_constant_column(rng):
    X = rng.normal(size=(12, 3))
    X[:, 1] = 1.0
    found = compare(X, [0, 1] * 6, FAST)
    assert found.record["use"] == "raw"
    assert "leave open" in found.sentence


def test_an_identifier_is_refused_by_name(table):
    table = table.assign(id=[f"person {i}" for i in range(len(table))])
    with pytest.raises(InvalidDataError, match="'id' looks like an identifier"):
        compare(table, "class", FAST)


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        ([0, 1] * 5, InvalidDataError, r"shape \(10,\), .* each of the 20 rows .*\(20,\)"),
        (["a"] * 20, InvalidDataError, "one class only, 'a'"),
        ([None] * 20, InvalidDataError, "0 of 20 rows have a label"),
        ("b", InvalidParameterError, "no column named 'b'"),
    ],
)
def test_wrong_labels(y, error, words):
    with pytest.raises(error, match=words):
        compare(np.arange(40.0).reshape(20, 2), y, FAST)


@pytest.mark.parametrize(
    "wrong", [{"max_rows": 5}, {"max_epochs": 0}, {"margin": 1.5}, {"n_components": 0.5}]
)
def test_wrong_settings(wrong):
    (name,) = wrong
    with pytest.raises(InvalidParameterError, match=f"{name} must be"):
        Settings(**wrong)


def test_a_name_that_is_no_page(found, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"must end in \.html"):
        found.write(tmp_path / "report.pdf")
    with pytest.raises(InvalidParameterError, match="no folder"):
        found.write(tmp_path / "none" / "report.html")


def test_infinite_cells():
    X = np.ones((20, 2))
    X[3, 1] = np.inf
    with pytest.raises(InvalidDataError, match="row 3, column 1"):
        compare(X, [0, 1] * 10, FAST)
