"""What `hashing` measures on: vectors, texts and images, each as base, queries and labels."""

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.datasets import _twenty_newsgroups as newsgroups
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

N_QUERIES = 1000
N_WORDS, N_TOPICS = 10_000, 256


@dataclass(frozen=True)
class Corpus:
    """Rows to search in and rows to search with.

    Attributes:
        base: Rows as they are compared exactly, (n, d), an array or CSR.
        queries: (m, d).
        base_vectors: The same as dense vectors, which are hashed, (n, d').
        query_vectors: (m, d').
        base_labels: (n,), for measuring only; empty where neighbours are the truth.
        query_labels: (m,).
    """

    base: NDArray | sp.csr_matrix
    queries: NDArray | sp.csr_matrix
    base_vectors: NDArray[np.float32]
    query_vectors: NDArray[np.float32]
    base_labels: NDArray
    query_labels: NDArray


def folder() -> Path:
    """Where the data sets are."""
    if "ISTHMUS_DATA" not in os.environ:
        raise SystemExit("Set ISTHMUS_DATA to the folder that holds the data sets.")
    return Path(os.environ["ISTHMUS_DATA"])


def vectors(path: Path) -> Corpus:
    """Embeddings (``x`` of an NPZ, or an NPY) at unit length; 1,000 random rows are queries."""
    loaded = np.load(path, allow_pickle=False)
    x = normalize((loaded if isinstance(loaded, np.ndarray) else loaded["x"]).astype(np.float32))
    order = np.random.default_rng(0).permutation(len(x))
    queries, base = x[order[:N_QUERIES]], x[order[N_QUERIES:]]
    nothing = np.zeros(0, int)
    return Corpus(base, queries, base, queries, nothing, nothing)


def texts() -> Corpus:
    """20 Newsgroups by date without headers and quotes: TF-IDF, and LSA for dense hashes.

    The 10,000 words that occur most often in the training posts, at least three letters long and
    no stop words; 1 + log of a word's count times its smoothed idf, rows of unit length.
    """
    with gzip.open(folder() / "20newsgroups_bydate.jsonl.gz", "rt", newline="\n") as file:
        posts = [json.loads(line) for line in file]
    body: dict[str, list[str]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    for post in posts:
        text = newsgroups.strip_newsgroup_quoting(newsgroups.strip_newsgroup_header(post["text"]))
        body[post["split"]].append(text)
        labels[post["split"]].append(post["label"])
    words = TfidfVectorizer(
        max_features=N_WORDS,
        stop_words="english",
        sublinear_tf=True,
        token_pattern=r"\b[a-zA-Z]{3,}\b",
        dtype=np.float32,
    )
    base = words.fit_transform(body["train"])
    queries = words.transform(body["test"])
    topics = TruncatedSVD(N_TOPICS, n_iter=4, random_state=0).fit(base)
    dense = [normalize(topics.transform(rows)).astype(np.float32) for rows in (base, queries)]
    return Corpus(base, queries, *dense, *(np.array(labels[part]) for part in ("train", "test")))


def images(name: str) -> Corpus:
    """60,000 training images as base, 10,000 test images as queries, pixels 0 … 1."""
    file = np.load(folder() / f"{name}.npz", allow_pickle=False)
    base, queries = file["x_train"], file["x_test"]
    flat = [x.reshape(len(x), -1).astype(np.float32) / 255 for x in (base, queries)]
    return Corpus(base, queries, *flat, file["y_train"], file["y_test"])
