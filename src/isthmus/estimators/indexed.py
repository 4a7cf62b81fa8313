"""`Index`: words, hasher and store as one, which `isthmus index` makes and `isthmus search` asks.

A query is compared with all codes of the store, which leaves a short list, and the short list with
the query itself:

| index of | codes of | short list by | put in order by |
|---|---|---|---|
| vectors | what is near | a real-valued query | the query against what codes decode to |
| texts | what is of a kind | Hamming distance | the weights of words |

A server compares bits with bits, so there vectors too are found by Hamming distance first.
Beside the store lie the hasher (``….hasher.safetensors``) and, for texts, the words
(``….words.npz``). The store knows both by their fingerprint.
"""

import os
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import FileFormatError, InvalidDataError, InvalidParameterError
from isthmus._random import draw_seed
from isthmus.corruptions import NeighbourWalk
from isthmus.data.records import Content, Records
from isthmus.data.words import Words
from isthmus.encoders import NoisySigmoid
from isthmus.estimators.hasher import SemanticHasher
from isthmus.estimators.persistence import load, save
from isthmus.hashing import CodeStore, Hits, Item
from isthmus.hashing.checks import check_count
from isthmus.hashing.engine import is_new

HASHER, WORDS = ".hasher.safetensors", ".words.npz"
SHORT_LIST = 200


class Found(NamedTuple):
    """One answer: its id, its distance in bits, how well it fits itself, and its payload."""

    id: str | int
    distance: float
    score: float
    payload: Any


class Index:
    """Texts or vectors that are found again by their codes.

    Args:
        store: Where codes and payloads are.
        hasher: What makes the codes.
        words: How texts become rows; None for vectors.
        text: The field of a payload that holds the text.
    """

    def __init__(
        self,
        store: CodeStore,
        hasher: SemanticHasher,
        words: Words | None = None,
        text: str | None = None,
    ) -> None:
        self.store = store
        self.hasher = hasher
        self.words = words
        self.text = text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.store.close()

    # ---- making and opening -----------------------------------------------------------------

    @classmethod
    def learn(
        cls,
        path: str,
        content: Content,
        hasher: SemanticHasher,
        text: str | None = None,
        files: str | None = None,
    ) -> Self:
        """Fit words and hasher, write them, and make an empty store for their codes.

        Args:
            path: Of the store, as `CodeStore` takes it.
            content: Texts or vectors to learn from.
            hasher: Not yet fitted.
            text: The field of a payload that holds the text; None for vectors.
            files: How the files beside the store begin; ``path`` if None.

        Raises:
            IsthmusError: As in `SemanticHasher.fit`, `Words.fit` and `CodeStore`.
        """
        beside = require_new(path, hasher.n_bits, files)
        words: Words | None = None
        rows: Any = content
        if isinstance(content, list):
            words = Words.fit(content, draw_seed(hasher.random_state))
            weights = words(content)
            # an empty text teaches nothing
            rows = words.topics(weights[np.diff(weights.indptr) > 0])
        hasher.fit(rows)
        store = CodeStore(path, hasher.n_bits, _fingerprint(hasher, words))
        save(hasher, beside + HASHER)
        if words is not None:
            words.save(beside + WORDS, text or "")
        return cls(store, hasher, words, text)

    @classmethod
    def open(cls, path: str, files: str | None = None, index: str = "scan") -> Self:
        """What `learn` made.

        Args:
            path: Of the store.
            files: How the files beside it begin; ``path`` if None.
            index: How nearest codes are found, see `CodeStore`.

        Raises:
            InvalidDataError: The store, or a file that belongs to it, isn't there.
            FileFormatError: One of them is damaged.
            InvalidParameterError: They don't belong together.
        """
        beside = _beside(path, files)
        if not _is_server(path) and not os.path.isfile(path):
            raise InvalidDataError(f"There is no store {path}; make one with isthmus index.")
        if not os.path.isfile(beside + HASHER):
            raise InvalidDataError(
                f"There is no file {beside + HASHER}, the hasher of {path}. It is written beside "
                "the store by isthmus index; keep them together."
            )
        hasher = load(beside + HASHER)
        if not isinstance(hasher, SemanticHasher):
            raise FileFormatError(
                f"{beside + HASHER} holds an {type(hasher).__name__}, no SemanticHasher."
            )
        text, words = _read_words(beside + WORDS)
        store = CodeStore(path, hasher.n_bits, _fingerprint(hasher, words), index=index)
        return cls(store, hasher, words, text)

    # ---- writing and asking -----------------------------------------------------------------

    def next_id(self) -> int:
        """The first number above all ids that are numbers."""
        return 1 + max(
            (name for name in self.store.codes()[0] if isinstance(name, int)), default=-1
        )

    def add(self, records: Records) -> int:
        """Encode some records and write them, new or in place of those of the same ids.

        Args:
            records: Ids, contents and payloads. Of an id that comes twice the last one counts. A
                text without a word that is known can't be found: it is left out.

        Returns:
            How many texts were left out.
        """
        last = {name: row for row, name in enumerate(records.ids)}
        chosen, n_unknown = np.array(sorted(last.values()), np.int64), 0
        if self.words is not None:
            weights = self._weights(records.content)
            known = np.diff(weights.indptr) > 0
            chosen, n_unknown = chosen[known[chosen]], int((~known).sum())
            rows: Any = self.words.topics(weights[chosen])
        else:
            rows = self._vectors(records.content)[chosen]
        if len(chosen):
            ids, payloads = ([each[i] for i in chosen] for each in (records.ids, records.payloads))
            self.store.upsert(ids, self.hasher.transform(rows), payloads)
        return n_unknown

    def search(
        self, content: Content, k: int = 10, where: Mapping[str, Any] | None = None
    ) -> list[list[Found]]:
        """The k best answers to each query, best first.

        Args:
            content: Queries: texts or vectors, as the index has.
            k: How many.
            where: What payloads must have, see `isthmus.hashing.filters`.

        Raises:
            InvalidParameterError: ``k`` or ``where`` is not what a store takes.
            InvalidDataError: Queries that the hasher can't take, or a text without a known word.
        """
        n_near = max(SHORT_LIST, check_count("k", k, 1))
        asked: NDArray[Any]
        if self.words is not None:
            rows: Any = self._weights(content)
            unknown = np.flatnonzero(np.diff(rows.indptr) == 0)
            if len(unknown):
                raise InvalidDataError(
                    f"The query {content[unknown[0]]!r:.60} has no word that the index knows; "
                    "ask with others."
                )
            asked = self.hasher.transform(self.words.topics(rows))
        else:
            rows = self._vectors(content)
            if self.store.weighted:
                asked = self.hasher.query(rows)
            else:  # a server compares bits with bits
                asked = self.hasher.transform(rows, self.hasher.refine_of_queries)
        hits = self.store.search(asked, n_near, where)
        return [self._best(rows[[i]], hit, k) for i, hit in enumerate(hits)]

    def _weights(self, content: Content) -> Any:
        if self.words is None or not isinstance(content, list):
            raise InvalidDataError("The index is one of texts; vectors were given.")
        return self.words(content)

    def _vectors(self, content: Content) -> NDArray[np.float32]:
        if isinstance(content, list):
            raise InvalidDataError("The index is one of vectors; texts were given.")
        return content

    def _best(self, row: Any, hits: Hits, k: int) -> list[Found]:
        # what another process removed meanwhile has no item any more
        near = zip(hits.distances, self.store.get(hits.ids), strict=True)
        found = [(float(distance), item) for distance, item in near if item is not None]
        if not found:
            return []
        items = [item for _, item in found]
        scores = self._scores(row, items)
        best = np.argsort(-scores, kind="stable")[:k]
        return [Found(items[j].id, found[j][0], float(scores[j]), items[j].payload) for j in best]

    def _scores(self, row: Any, items: list[Item]) -> NDArray[Any]:
        """How well each item fits a query (1, d)."""
        if self.words is None:
            codes = np.stack([item.code for item in items])
            return np.asarray(self.hasher.rerank(row, codes)[0])
        texts = [(item.payload or {}).get(self.text) or "" for item in items]
        return np.asarray((self.words(texts) @ row.T).todense()).ravel()


def hasher_of_texts(n_bits: int) -> SemanticHasher:
    """A hasher of topics whose codes are alike where texts are of a kind.

    Its options were chosen on held-out posts of 20 Newsgroups, see docs/autoencoders/hashing.md.
    """
    return SemanticHasher(
        n_bits,
        hidden=(512,),
        decoder_hidden=(),
        encoder=NoisySigmoid(8.0, grow=True),
        corruption=NeighbourWalk(5, steps=2),
        balance=1.6 / n_bits,  # few bits must all be used, many need not
        refine="none",
        rounds=0,
        max_epochs=30,
        batch_size=1024,
    )


def require_new(path: str, n_bits: int, files: str | None = None) -> str:
    """How the files beside a new store begin; it can be made, and nothing is there yet.

    Learning takes minutes, so what would refuse its result should do so before.

    Raises:
        InvalidParameterError: There is something, nobody says where files go, or `CodeStore`
            can't make a store of such codes there.
        UnreachableError: The server doesn't answer.
        MissingPackageError: The engine needs a package that isn't installed.
    """
    beside = _beside(path, files)
    there = [name for name in (path, beside + HASHER, beside + WORDS) if os.path.exists(name)]
    if there:
        raise InvalidParameterError(
            f"{there[0]} is there already. Add to it with --add, give another name, or remove it."
        )
    if _is_server(path):
        _require_free(path, n_bits)
    else:
        _require_folder(path, n_bits)
    return beside


def _require_folder(path: str, n_bits: int) -> None:
    """A store can be made where a file will be."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with TemporaryDirectory(dir=folder) as trial:
            CodeStore(os.path.join(trial, "trial.store"), n_bits).close()
    except OSError as error:
        raise InvalidParameterError(
            f"{path} can't be made: {error.strerror}. The folder {folder} must exist and be "
            "writable."
        ) from error


def _require_free(path: str, n_bits: int) -> None:
    """A server has no store of that name, or an empty one that takes these codes."""
    try:
        store = CodeStore(path)
    except InvalidParameterError as refusal:
        if is_new(refusal):
            return
        raise
    with store:
        if len(store) or store.fingerprint is not None or store.n_bits != n_bits:
            raise InvalidParameterError(
                f"The server has that store already, of {len(store)} codes of {store.n_bits} bits "
                f"of the hasher {store.fingerprint!r}. Add to it with --add, or give another name."
            )


def _beside(path: str, files: str | None) -> str:
    if files is None and _is_server(path):
        raise InvalidParameterError(
            f"{path} is a server: say with --files how the names of the hasher's files begin."
        )
    return path if files is None else files


def _is_server(path: str) -> bool:
    return "://" in path


def _fingerprint(hasher: SemanticHasher, words: Words | None) -> str:
    return hasher.fingerprint_ if words is None else f"{hasher.fingerprint_}-{words.fingerprint()}"


def _read_words(path: str) -> tuple[str | None, Words | None]:
    """The field of texts and the words; nothing for an index of vectors."""
    if not os.path.isfile(path):
        return None, None
    words, column = Words.load(path)
    return column, words
