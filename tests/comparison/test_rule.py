"""The sentence follows from the numbers."""

import re

import pytest

from isthmus.comparison.rule import BETTER, CHEAPER_WINS, RAW, Candidate, decide

RAW_FEATURES = Candidate("raw", 0.8, 0.80, 0.0, 0.0, 0.0, 100.0, 1.0)


def code(name, low, high, n_bytes=100.0, seconds=1.0, validation=0.8):
    middle = (low + high) / 2
    return Candidate(name, validation, 0.8 + middle, middle, low, high, n_bytes, seconds)


def verdict(*others, margin=0.02, numeric=False):
    return decide(RAW_FEATURES, others, margin, numeric=numeric)


def test_an_interval_above_zero_wins_whatever_it_costs():
    found = verdict(code("PCA", -0.01, 0.03, n_bytes=1), code("usual", 0.01, 0.05, n_bytes=900))
    assert (found.use, found.why) == ("usual", BETTER)
    assert found.sentence == (
        "Use the usual autoencoder's code: on rows that were held out accuracy is 83.0% with it "
        "and 80.0% with raw features, a difference of +3.0 points (+1.0 to +5.0)."
    )


def test_among_better_ones_validation_chooses_and_not_the_test_rows():
    found = verdict(
        code("usual", 0.01, 0.09, validation=0.81), code("PCA", 0.01, 0.05, validation=0.83)
    )
    assert found.use == "PCA"


def test_as_good_and_half_the_bytes():
    found = verdict(code("PCA", -0.015, 0.01, n_bytes=50), code("usual", -0.01, 0.01, n_bytes=60))
    assert (found.use, found.why) == ("PCA", CHEAPER_WINS)
    assert "its features are 2.0 times smaller. Accuracy is 79.8% against 80.0%" in found.sentence
    assert "not more than 2 points worse" in found.sentence


def test_as_good_and_half_the_time():
    found = verdict(code("denoising", -0.019, 0.01, n_bytes=99, seconds=0.25))
    assert found.use == "denoising"
    assert "for its speed: its predictions are 4.0 times faster." in found.sentence


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([code("PCA", -0.05, -0.01, 1), code("usual", -0.3, -0.1, 1)], "All are worse; .* PCA"),
        (
            [code("PCA", -0.021, 0.02, 1)],
            "PCA, has .* leave open whether it is more than 2",
        ),
        ([code("PCA", -0.01, 0.01, 51, 0.51)], "PCA is not more than 2 points worse .* neither"),
        ([code("PCA", 0.0, 0.01)], "shown to be better than their accuracy of 80.0%"),
        ([code("PCA", -0.02, 0.01, 1)], "leave open"),
    ],
)
def test_otherwise_raw_features(others, words):
    found = verdict(*others)
    assert (found.use, found.why) == ("raw", RAW)
    assert found.sentence.startswith("Use the raw features: nothing that was tried is shown")
    assert re.search(words, found.sentence), found.sentence


def test_r2_is_told_as_a_number():
    found = verdict(code("usual", 0.011, 0.031), numeric=True)
    assert "R² is 0.821 with it and 0.800 with raw" in found.sentence
    assert "+0.021 (+0.011 to +0.031)." in found.sentence
