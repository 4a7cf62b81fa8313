"""Verbs of codes that are kept and asked: ``index``, ``search``."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from isthmus._progress import counting
from isthmus.cli import options, store_options
from isthmus.cli.ending import about
from isthmus.cli.show import show

if TYPE_CHECKING:
    from isthmus import SemanticHasher
    from isthmus.data.records import Content, Reading

MOST_QUERIES, N_BITS = 1000, 128


def index(  # noqa: PLR0913  # an option for each parameter of the hasher that matters here
    data: options.DataFile,
    output: store_options.NewStore,
    text: store_options.TextColumn = None,
    vectors: store_options.VectorColumn = None,
    id_column: store_options.IdColumn = None,
    n_bits: store_options.Bits = None,
    metric: store_options.Metric = None,
    refine: store_options.Refine = None,
    learn_from: store_options.LearnFrom = 200_000,
    max_epochs: store_options.HasherEpochs = None,
    add: store_options.Add = False,
    files: store_options.Files = None,
    random_state: options.Seed = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Learn binary codes of texts or vectors, and store them to be searched.

    Of a table, --text names the column of texts, or --vectors the column of lists of numbers; the
    other columns are kept as payload, which --where looks at. Rows of an array are vectors. Beside
    the store lie the hasher that made its codes and, for texts, the words it knows. With --add and
    without --id, rows are counted on from the largest number among the ids.
    """
    from isthmus._random import draw_seed
    from isthmus.data.records import Reading, sample
    from isthmus.estimators.indexed import Index, require_new
    from isthmus.estimators.resolve import whole
    from isthmus.hashing.codes import check_n_bits

    reading = Reading(data, text, vectors, id_column, key)
    given = {"--bits": n_bits, "--metric": metric, "--refine": refine, "--max-epochs": max_epochs}
    whole("learn_from", learn_from, 1)
    began = time.perf_counter()
    with about(data):
        first = 0
        if add:
            _require_none(given, "--add", "the store has its hasher")
            made = Index.open(output, files)
            first = made.next_id() if id_column is None else 0
        else:
            n_bits = check_n_bits(N_BITS if n_bits is None else n_bits)
            require_new(output, n_bits, files)
            seed = draw_seed(random_state)
            hasher = _hasher(text is not None, n_bits, metric, refine)
            hasher.set_params(random_state=seed, verbose=0 if quiet else 1)
            if max_epochs is not None:
                hasher.set_params(max_epochs=max_epochs)
            content = sample(reading.blocks(), learn_from, seed)
            made = Index.learn(output, content, hasher, text, files)
        learned = time.perf_counter()
        with made.store, counting(not quiet, reading.count()) as tick:
            n_rows = n_left_out = 0
            for records in reading.blocks(first):
                n_left_out += made.add(records)
                n_rows += len(records)
                tick(len(records))
            total = len(made.store)
    show(
        {
            "store": output,
            "rows": n_rows,
            "left_out": n_left_out,
            "stored": total,
            "n_bits": made.hasher.n_bits,
            "words": None if made.words is None else len(made.words.words),
            "seconds_learning": round(learned - began, 3),
            "seconds_encoding": round(time.perf_counter() - learned, 3),
        }
    )


def _hasher(
    of_texts: bool, n_bits: int, metric: str | None, refine: str | None
) -> "SemanticHasher":
    """What learns the codes."""
    from isthmus import SemanticHasher
    from isthmus.estimators.indexed import hasher_of_texts

    if of_texts:
        given = {"--metric": metric, "--refine": refine}
        _require_none(given, "--text", "they are for vectors")
        return hasher_of_texts(n_bits)
    return SemanticHasher(n_bits, metric=metric or "cosine", refine=refine or "fast")


def _require_none(given: dict[str, Any], beside: str, reason: str) -> None:
    """Refuse options that would be ignored."""
    from isthmus._errors import InvalidParameterError

    idle = [name for name, value in given.items() if value is not None]
    if idle:
        raise InvalidParameterError(f"{', '.join(idle)} with {beside}: {reason}; leave it out.")


def search(  # noqa: PLR0913  # a way to ask has an option of its own
    store: store_options.StoreFile,
    query: store_options.Query = None,
    queries: store_options.QueryFile = None,
    vectors: store_options.VectorColumn = None,
    text: store_options.TextColumn = None,
    k: store_options.Nearest = 10,
    where: store_options.Where = None,
    index: store_options.IndexName = "scan",
    files: store_options.Files = None,
    key: options.Key = None,
) -> None:
    """Find what is like a text or a vector.

    A short list by the distance of codes is put in order by the query itself: texts by the
    weights of their words, vectors by what their codes decode to. That is the score; higher is
    better. Many queries come from a file, --queries.
    """
    from isthmus.cli.wheres import read_where
    from isthmus.data.records import Reading
    from isthmus.estimators.indexed import Index

    conditions = read_where(where)
    reading = None if queries is None else Reading(queries, text, vectors, None, key)
    with Index.open(store, files, index) as opened:
        answers = [
            [found._asdict() for found in each]
            for content in _asked(query, reading)
            for each in opened.search(content, k, conditions)
        ]
    if query is not None:
        show({"store": store, "query": query, "found": answers[0]})
    else:
        show({"store": store, "queries": len(answers), "found": answers})


def _asked(query: str | None, reading: "Reading | None") -> Iterator["Content"]:
    """The queries, in blocks."""
    from isthmus._errors import InvalidParameterError

    if (query is None) == (reading is None):
        raise InvalidParameterError(
            "Give one query as text, or a file of them with --queries; one of the two."
        )
    if query is not None:
        yield [query]
    elif reading is not None:
        n_rows = 0
        with about(reading.path):
            for records in reading.blocks():
                n_rows += len(records)
                if n_rows > MOST_QUERIES:
                    raise InvalidParameterError(
                        f"{reading.path} holds more than {MOST_QUERIES} queries, too many to "
                        "print; use isthmus.CodeStore from Python."
                    )
                yield records.content
