"""Texts as sparse rows of word weights (TF-IDF), from a vocabulary that is kept as JSON.

    w_ij = (1 + log c_ij) · (1 + log((1 + n) / (1 + n_j))) ,   each row divided by its length

c_ij counts word j in text i, and n_j of the n texts have word j (Salton and Buckley, 1988, with
scikit-learn's smoothing, whose vectorizer does the counting). Words are what Unicode calls words,
of two letters or more, in small letters. A text without a known word is a row of zeros.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import FileFormatError, InvalidDataError

N_WORDS = 10_000
MOST_COMMON = 0.5  # a word in more than this part of the texts says nothing of any of them

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

    def card(self) -> dict[str, Any]:
        """Itself as JSON data."""
        return {"words": list(self.words), "idf": self.idf.tolist()}

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Self:
        """From what `card` gave.

        Raises:
            FileFormatError: It is no vocabulary.
        """
        try:
            words, idf = _checked(card)
        except (ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"This is no vocabulary, or damaged ({error}).") from error
        return cls(words, idf)

    def fingerprint(self) -> str:
        """A name for these words and weights: equal for equal ones only."""
        total = hashlib.sha256("\0".join(self.words).encode())
        total.update(self.idf.tobytes())
        return total.hexdigest()[:16]


def _checked(card: Mapping[str, Any]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    words, idf = card["words"], np.asarray(card["idf"], np.float32)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("the words are no list of text")
    if not words or len(set(words)) < len(words):
        raise ValueError("no words, or one of them twice")
    if idf.shape != (len(words),) or not np.isfinite(idf).all() or not (idf > 0).all():
        raise ValueError(f"weights of shape {idf.shape} for {len(words)} words")
    return tuple(words), idf
