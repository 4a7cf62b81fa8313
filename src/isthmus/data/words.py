"""Texts as sparse rows of word weights (TF-IDF), from a vocabulary that is kept as JSON.

    w_ij = (1 + log c_ij) · (1 + log((1 + n) / (1 + n_j))) ,   each row divided by its length

c_ij counts word j in text i, and n_j of the n texts have word j (Salton and Buckley, 1988, with
scikit-learn's smoothing, whose vectorizer does the counting). Words are what Unicode calls words,
of two letters or more, in small letters. A text without a known word is a row of zeros.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import FileFormatError, InvalidDataError
from isthmus._files import atomic_write

N_WORDS = 10_000
MOST_COMMON = 0.5  # a word in more than this part of the texts says nothing of any of them
FORMAT = 1

SETTINGS: dict[str, Any] = {"sublinear_tf": True, "dtype": np.float32}


@dataclass(frozen=True, eq=False)
class Words:
    """A vocabulary and how rare each of its words is.

    Attributes:
        words: The words, (k,).
        idf: 1 + log((1 + n) / (1 + n_j)), (k,), float32.
    """

    words: tuple[str, ...]
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, texts: Iterable[str], n_words: int = N_WORDS) -> Self:
        """The commonest words of some texts, without those that are in more than half of them.

        Args:
            texts: Any number of texts, read once.
            n_words: How many words at most.

        Raises:
            InvalidDataError: There is no text, or no word in any of them.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        known = list(texts)
        # of a few texts, every word would be too common
        common = MOST_COMMON if len(known) > 10 else 1.0
        vectorizer = TfidfVectorizer(max_features=n_words, max_df=common, **SETTINGS)
        try:
            vectorizer.fit(known)
        except ValueError as error:
            raise InvalidDataError(
                f"The {len(known)} texts hold no word to learn from ({error}). Words are two "
                "letters or more; check that the column holds text."
            ) from error
        return cls(tuple(map(str, vectorizer.get_feature_names_out())), vectorizer.idf_)

    def __call__(self, texts: Sequence[str]) -> sp.csr_array:
        """The texts' weights, (n, k), float32, rows of length 1 or of zeros."""
        return sp.csr_array(self._vectorizer().transform(texts))

    def _vectorizer(self) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(vocabulary=self.words, **SETTINGS)
        vectorizer.idf_ = self.idf
        return vectorizer

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, whole or not at all.

        Raises:
            OSError: The disk refuses; an old file is untouched.
        """
        card = {"format": FORMAT, "words": self.words, "idf": self.idf.tolist()}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(card, ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            FileFormatError: It is no vocabulary, or damaged.
        """
        with open(path, encoding="utf-8") as file:
            try:
                card = json.load(file)
                return cls(*_checked(card))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise FileFormatError(
                    f"{os.fspath(path)} is no vocabulary, or damaged ({error}). Restore it from "
                    "a copy, or index the texts anew."
                ) from error


def _checked(card: Mapping[str, Any]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    if card["format"] != FORMAT:
        raise ValueError(f"format {card['format']!r}, where {FORMAT} is known")
    words, idf = card["words"], np.asarray(card["idf"], np.float32)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("the words are no list of text")
    if not words or len(set(words)) < len(words):
        raise ValueError("no words, or one of them twice")
    if idf.shape != (len(words),) or not np.isfinite(idf).all() or not (idf > 0).all():
        raise ValueError(f"weights of shape {idf.shape} for {len(words)} words")
    return tuple(words), idf
