"""The verb ``dedupe``: which codes of a store are near-duplicates of which."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from isthmus.cli import store_options
from isthmus.cli.show import show

if TYPE_CHECKING:
    import pyarrow as pa

    from isthmus.hashing import Pairs

MOST_SHOWN = 20


def dedupe(
    store: store_options.StoreFile,
    radius: store_options.Radius = 0,
    output: store_options.NewClusters = None,
    pairs: store_options.NewPairs = None,
    remove: store_options.Remove = False,
) -> None:
    """Find near-duplicates: codes within a radius of each other, and what they connect.

    Of each cluster the code that was written first stands for it; the others are its duplicates.
    With -o they are written with what they duplicate; with --pairs, every pair within the radius.
    """
    import numpy as np

    from isthmus import CodeStore
    from isthmus.cli.targets import require_table_target
    from isthmus.hashing import close_pairs, clusters
    from isthmus.hashing.codes import as_words
    from isthmus.hashing.scan import ones_between

    for target in (output, pairs):
        require_table_target(target)
    _require_store(store)
    with CodeStore(store) as opened:
        ids, codes = opened.codes()
        lowest = clusters(codes, opened.n_bits, radius)
        later = np.flatnonzero(lowest != np.arange(len(lowest)))
        first = lowest[later]
        apart = ones_between(as_words(codes[later] ^ codes[first]))
        names = _names(ids)
        table = _table(names, ("id", "duplicate_of"), (later, first), apart)
        within = close_pairs(codes, opened.n_bits, radius)
        n_pairs = None if pairs is None else _write_pairs(pairs, names, within)
        if output is not None:
            _write(output, table)
        removed = opened.delete([ids[row] for row in later]) if remove else 0
    record: dict[str, Any] = {
        "store": store,
        "radius": radius,
        "codes": len(ids),
        "clusters": len(np.unique(first)),
        "duplicates": len(later),
        "removed": removed,
    }
    if n_pairs is not None:
        record |= {"pairs": n_pairs}
    if output is None:
        record["shown"] = table.slice(0, MOST_SHOWN).to_pylist()
    show(record)


def _require_store(path: str) -> None:
    import os

    from isthmus._errors import InvalidDataError

    if "://" not in path and not os.path.isfile(path):
        raise InvalidDataError(f"There is no store {path}; make one with isthmus index.")


def _names(ids: list[Any]) -> "pa.Array[Any]":
    """Ids as a column; where there are texts and numbers, all are text."""
    import pyarrow as pa

    text = any(isinstance(each, str) for each in ids)
    return pa.array(map(str, ids) if text else ids, pa.string() if text else pa.int64())


def _table(ids: Any, names: tuple[str, str], rows: tuple[Any, Any], distances: Any) -> "pa.Table":
    """Pairs of rows as pairs of ids."""
    import pyarrow as pa

    columns = [ids.take(pa.array(each)) for each in rows]
    return pa.table([*columns, pa.array(distances)], names=[*names, "distance"])


def _write_pairs(path: str, ids: Any, within: "Iterator[Pairs]") -> int:
    import numpy as np

    from isthmus.data.growing import growing

    n_pairs = 0
    with growing(path) as add:
        # even without a pair the file has its columns
        nothing = np.zeros(0, np.int64)
        add(_table(ids, ("id", "other"), (nothing, nothing), np.zeros(0, np.int32)))
        for left, right, distances in within:
            add(_table(ids, ("id", "other"), (left, right), distances))
            n_pairs += len(left)
    return n_pairs


def _write(path: str, table: "pa.Table") -> None:
    from isthmus.cli.targets import write_rows

    write_rows(table, path, None)
