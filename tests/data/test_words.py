import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from isthmus._errors import FileFormatError, InvalidDataError
from isthmus.data.words import Words

TEXTS = [
    "The boat crosses the narrow strait",
    "A narrow code crosses from data to data",
    "Ein schmales Land, zwei Meere: das Meer, die See",
    "",
    "boat boat boat data",
]


def test_weights_are_those_of_the_formula():
    words = Words.fit(TEXTS)
    rows = words(TEXTS).toarray()
    j = words.words.index("boat")
    assert words.idf[j] == pytest.approx(1 + np.log(6 / 3))
    raw = {
        w: (1 + np.log(3 if w == "boat" else 1)) * words.idf[words.words.index(w)]
        for w in ("boat", "data")
    }
    length = np.hypot(*raw.values())
    assert rows[4, j] == pytest.approx(raw["boat"] / length, rel=1e-6)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1, 0, 1], abs=1e-6)


def test_weights_are_scikit_learns():
    texts = [f"word{i % 7} word{i % 11} other{i} common" for i in range(60)]
    truth = TfidfVectorizer(max_features=40, max_df=0.5, sublinear_tf=True)
    expected = truth.fit_transform(texts).toarray()
    words = Words.fit(texts, n_words=40)
    assert words(texts).toarray() == pytest.approx(expected, abs=1e-6)
    assert "common" not in words.words


def test_a_text_without_a_known_word_is_zero():
    assert Words.fit(TEXTS)(["xyzzy", "", "¿?"]).nnz == 0


def test_a_card_is_json_and_comes_back():
    words = Words.fit(TEXTS)
    again = Words.from_card(json.loads(json.dumps(words.card())))
    assert again.words == words.words
    assert again.fingerprint() == words.fingerprint()
    assert np.array_equal(again(TEXTS).toarray(), words(TEXTS).toarray())
    assert Words.fit(TEXTS[1:]).fingerprint() != words.fingerprint()


@pytest.mark.parametrize("texts", [[], ["", " "], ["a ! 7"]])
def test_texts_without_words_are_refused(texts):
    with pytest.raises(InvalidDataError, match="no word"):
        Words.fit(texts)


@pytest.mark.parametrize(
    "card",
    [
        [],
        {},
        {"words": ["a", "a"], "idf": [1, 1]},
        {"words": ["a", "b"], "idf": [1]},
        {"words": [1], "idf": [1]},
        {"words": [], "idf": []},
        {"words": "ab", "idf": [1, 1]},
        {"words": ["a"], "idf": [-1]},
        {"words": ["a"], "idf": [float("nan")]},
        {"words": ["a"], "idf": ["x"]},
    ],
)
def test_cards_of_strangers_are_refused(card):
    with pytest.raises(FileFormatError, match="no vocabulary"):
        Words.from_card(card)
