"""Texts as sparse rows of word weights (TF-IDF), and as dense rows of topics (LSA).

    w_ij = (1 + log c_ij) · (1 + log((1 + n) / (1 + n_j))) ,   each row divided by its length

c_ij counts word j in text i, and n_j of the n texts have word j (Salton and Buckley, 1988, with
scikit-learn's smoothing, whose vectorizer does the counting). Words are what Unicode calls words,
of two letters or more, in small letters. A text without a known word is a row of zeros.

The topics of a text are W V, where the columns of V are the leading right singular vectors of the
weights W that the vocabulary was learned from (Deerwester et al., 1990). V is kept in half
precision: with 10,000 words and 256 topics it is 5 MB.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from isthmus._errors import FileFormatError, InvalidDataError
from isthmus._files import atomic_write

N_WORDS, N_TOPICS = 10_000, 256
MOST_COMMON = 0.5  # a word in more than this part of the texts says nothing of any of them

SETTINGS: dict[str, Any] = {"sublinear_tf": True, "dtype": np.float32}


W = TypeVar("W", bound="Words")


@dataclass(frozen=True, eq=False)
class Words:
    """A vocabulary, how rare each of its words is, and which words go together.

    Attributes:
        words: The words, (k,).
        idf: 1 + log((1 + n) / (1 + n_j)), (k,), float32.
        axes: V, (k, t), float16.
    """

    words: tuple[str, ...]
    idf: NDArray[np.float32]
    axes: NDArray[np.float16]

    @classmethod
    def fit(cls, texts: Iterable[str], seed: int, n_words: int = N_WORDS) -> Self:
        """The commonest words of some texts, without those that are in more than half of them.

        Args:
            texts: Any number of texts, read once.
            seed: Of the search for topics.
            n_words: How many words at most.

        Raises:
            InvalidDataError: There is no text, or no word in any of them.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        known = list(texts)
        # of a few texts, every word would be too common
        common = MOST_COMMON if len(known) > 10 else 1.0
        vectorizer = TfidfVectorizer(max_features=n_words, max_df=common, **SETTINGS)
        try:
            weights = vectorizer.fit_transform(known)
        except ValueError as error:
            raise InvalidDataError(
                f"The {len(known)} texts hold no word to learn from ({error}). Words are two "
                "letters or more; check that the column holds text."
            ) from error
        n_topics = min(N_TOPICS, *weights.shape)
        topics = TruncatedSVD(n_topics, n_iter=4, random_state=seed).fit(weights)
        names = tuple(map(str, vectorizer.get_feature_names_out()))
        return cls(names, vectorizer.idf_, topics.components_.T.astype(np.float16))

    def __call__(self, texts: Sequence[str]) -> sp.csr_array:
        """The texts' weights, (n, k), float32, rows of length 1 or of zeros."""
        return sp.csr_array(self._vectorizer().transform(texts))

    def topics(self, weights: sp.csr_array) -> NDArray[np.float32]:
        """What weights (n, k) say of each topic, (n, t), float32."""
        return np.asarray(weights @ self.axes.astype(np.float32))

    def _vectorizer(self) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(vocabulary=self.words, **SETTINGS)
        vectorizer.idf_ = self.idf
        return vectorizer

    def save(self, path: str | os.PathLike[str], column: str) -> None:
        """Write arrays to an NPZ file, whole or not at all.

        Args:
            path: Where.
            column: Where the texts come from, which is kept with the words.

        Raises:
            OSError: The disk refuses; an old file is untouched.
        """
        names = np.frombuffer("\0".join((column, *self.words)).encode(), np.uint8)
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, names=names, idf=self.idf, axes=self.axes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[Self, str]:
        """What `save` wrote, and the column.

        Raises:
            FileNotFoundError: There is no such file.
            FileFormatError: It is no vocabulary, or damaged.
        """
        with open(path, "rb") as file:
            try:
                with np.load(file, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in ("names", "idf", "axes")}
                words, column = _checked(cls, **arrays)
            except Exception as error:  # a damaged archive raises anything
                reason = " ".join(str(error).split()) or type(error).__name__
                raise FileFormatError(
                    f"{os.fspath(path)} is no vocabulary, or damaged ({reason}). Restore it from "
                    "a copy, or index the texts anew."
                ) from error
        return words, column

    def fingerprint(self) -> str:
        """A name for these words, weights and topics: equal for equal ones only."""
        total = hashlib.sha256("\0".join(self.words).encode())
        total.update(self.idf.tobytes())
        total.update(self.axes.tobytes())
        return total.hexdigest()[:16]


def _checked(
    kind: type[W], names: NDArray[Any], idf: NDArray[Any], axes: NDArray[Any]
) -> tuple[W, str]:
    column, *words = names.astype(np.uint8, casting="no").tobytes().decode().split("\0")
    if not words or len(set(words)) < len(words):
        raise ValueError("no words, or one of them twice")
    if idf.shape != (len(words),) or idf.dtype != np.float32 or not (idf > 0).all():
        raise ValueError(f"weights of shape {idf.shape} for {len(words)} words")
    if axes.ndim != 2 or len(axes) != len(words) or axes.dtype != np.float16:
        raise ValueError(f"topics of shape {axes.shape} for {len(words)} words")
    if not (np.isfinite(idf).all() and np.isfinite(axes).all()):
        raise ValueError("a number that is not finite")
    return kind(tuple(words), idf, axes), column
