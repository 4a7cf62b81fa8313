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
    words = Words.fit(TEXTS, 0)
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
    words = Words.fit(texts, 0, n_words=40)
    assert words(texts).toarray() == pytest.approx(expected, abs=1e-6)
    assert "common" not in words.words


def test_a_text_without_a_known_word_is_zero():
    assert Words.fit(TEXTS, 0)(["xyzzy", "", "¿?"]).nnz == 0


def test_topics_keep_the_geometry_that_they_can():
    texts = [f"word{i % 7} word{i % 11} other{i % 5} more{i % 3}" for i in range(60)]
    words = Words.fit(texts, 0)
    weights = words(texts)
    gram = weights.toarray() @ weights.toarray().T
    topics = words.topics(weights)
    # no more topics than words: nothing is lost but the half precision
    assert topics.shape == (60, len(words.words))
    assert topics @ topics.T == pytest.approx(gram, abs=5e-3)


def test_what_is_saved_comes_back(tmp_path):
    words = Words.fit(TEXTS, 0)
    words.save(tmp_path / "w.npz", "body")
    again, column = Words.load(tmp_path / "w.npz")
    assert column == "body"
    assert again.words == words.words
    assert again.fingerprint() == words.fingerprint()
    assert np.array_equal(again(TEXTS).toarray(), words(TEXTS).toarray())
    assert Words.fit(TEXTS[1:], 0).fingerprint() != words.fingerprint()


@pytest.mark.parametrize("texts", [[], ["", " "], ["a ! 7"]])
def test_texts_without_words_are_refused(texts):
    with pytest.raises(InvalidDataError, match="no word"):
        Words.fit(texts, 0)


SOUND = {
    "names": np.frombuffer(b"body\0a\0b", np.uint8),
    "idf": np.ones(2, np.float32),
    "axes": np.ones((2, 1), np.float16),
}


@pytest.mark.parametrize(
    "changed",
    [
        {"names": np.frombuffer(b"body\0a\0a", np.uint8)},
        {"names": np.frombuffer(b"body", np.uint8)},
        {"names": np.frombuffer(b"body\0a\0\xff", np.uint8)},
        {"names": np.array(["body", "a", "b"])},
        {"names": np.array([{}], object)},
        {"idf": np.ones(3, np.float32)},
        {"idf": -np.ones(2, np.float32)},
        {"idf": np.ones(2)},
        {"idf": np.full(2, np.inf, np.float32)},
        {"axes": np.ones((3, 1), np.float16)},
        {"axes": np.full((2, 1), np.nan, np.float16)},
        {"axes": None},
    ],
)
def test_files_of_strangers_are_refused(tmp_path, changed):
    arrays = {name: x for name, x in {**SOUND, **changed}.items() if x is not None}
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(FileFormatError, match="no vocabulary"):
        Words.load(tmp_path / "w.npz")


def test_what_is_no_archive_is_refused(tmp_path):
    np.savez(tmp_path / "sound.npz", **SOUND)
    assert Words.load(tmp_path / "sound.npz")[1] == "body"
    (tmp_path / "w.npz").write_bytes((tmp_path / "sound.npz").read_bytes()[:200])
    with pytest.raises(FileFormatError, match="no vocabulary"):
        Words.load(tmp_path / "w.npz")
