"""Results of data larger than memory: from blocks of rows to a file that grows.

Codes, rows that are decoded, scores and filled tables go the same way: the blocks of
`isthmus.estimators.apply`, each made a table, each added to the file (`isthmus.data.growing`).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isthmus._random import make_generator
from isthmus.data import Unseen
from isthmus.data.columns import put_back, without
from isthmus.data.growing import growing
from isthmus.data.opening import open_table
from isthmus.data.sources import all_pieces, open_source
from isthmus.estimators.apply import (
    Array,
    OfRows,
    codes_in_blocks,
    codes_to_read,
    data_to_read,
    in_blocks,
    precision_for,
    row_scores,
    score_and_parts,
)
from isthmus.estimators.fill import fill_part
from isthmus.estimators.tables import as_users_rows, is_frame
from isthmus.model import Model

if TYPE_CHECKING:
    from isthmus.estimators.fitted import Fitted

GROUP_CELLS = 1 << 20
ROWS = 1 << 16

PathLike = str | os.PathLike[str]
Tick = Callable[[int], None]


def _quietly(n: int) -> None:
    """Nobody counts."""


def write_codes(
    estimator: "Fitted", X: Any, path: PathLike, *, score: bool = False, tick: Tick = _quietly
) -> int:
    """Write E[h | x] of each row, and its score if wanted, in the order of the rows.

    Args:
        estimator: Fitted.
        X: Rows as in `fit`.
        path: A file for tables. It is written under a temporary name and then renamed.
        score: Whether the last column is the log-likelihood (or its bound) in nats.
        tick: Called with the number of rows of each block.

    Returns:
        The number of rows.

    Raises:
        NotFittedError: There is no model yet.
        InvalidParameterError: Another ending, or a missing folder.
        IsthmusError: As in `transform`; there is no new file then.
    """
    estimator._require_fitted()
    names = [str(name) for name in estimator.get_feature_names_out()] + ["score"] * score
    blocks = fitted_blocks(estimator, X, score=score)
    return write_tables(path, (as_table(block, names) for block in grouped(blocks)), tick)


def write_rows(estimator: "Fitted", codes: Any, path: PathLike, *, tick: Tick = _quietly) -> int:
    """Write E[x | h] for each code, in their order; an image is laid flat.

    Args:
        estimator: Fitted.
        codes: (n, k), in memory or not.
        path: As in `write_codes`.
        tick: As there.

    Returns:
        The number of rows.

    Raises:
        IsthmusError: As in `inverse_transform`; there is no new file then.
    """
    estimator._require_fitted()
    data = codes_to_read(estimator, codes)
    model = estimator._session.in_precision(precision_for(data), estimator.model_)
    blocks = (block for _, block in codes_in_blocks(model.mean, model, data))
    tables = (_users_table(estimator, block) for block in grouped(blocks))
    return write_tables(path, tables, tick)


def write_filled(
    estimator: "Fitted",
    X: Any,
    paths: list[str],
    n_draws: int | None,
    seed: int,
    tick: Tick = _quietly,
    aside: Sequence[str] = (),
) -> tuple[int, int]:
    """Write the rows with their missing cells filled in.

    Args:
        estimator: Fitted.
        X: Rows as in `fit`.
        paths: One file for each draw.
        n_draws: As in `impute`.
        seed: Of the draws.
        tick: As in `write_codes`.
        aside: Columns that the model doesn't know and that are written as they are.

    Returns:
        The number of rows, and of missing cells.

    Raises:
        IsthmusError: As in `impute`; there is no new file then.
    """
    estimator._require_fitted()
    generator, unseen = make_generator(seed, estimator.model_.device), Unseen()
    n_rows = n_holes = 0
    with ExitStack() as files:
        adds = [files.enter_context(growing(path)) for path in paths]
        for whole in _parts(X):
            part = without(whole, aside)
            filled = fill_part(estimator, part, unseen, n_draws, generator, n_rows)
            for add, each in zip(adds, filled, strict=True):
                add(_arrow(estimator, put_back(each, whole, aside)))
            n_holes += count_holes(part)
            n_rows += part.shape[0]
            tick(part.shape[0])
        unseen.warn()
    return n_rows, n_holes


def fitted_blocks(estimator: "Fitted", X: Any, *, score: bool = False) -> Iterator[Array]:
    """Codes (m, k), and scores behind them if wanted, block by block in the order of the rows."""
    estimator._require_fitted()
    return _blocks(estimator, X, _code_and_score if score else _code, far=score)


def score_blocks(estimator: "Fitted", X: Any, *, by_feature: bool) -> Iterator[Array]:
    """Scores (m,), or before those of features, (m, 1 + d), block by block in the rows' order."""
    estimator._require_fitted()
    return _blocks(estimator, X, score_and_parts if by_feature else row_scores, far=True)


def write_tables(path: PathLike, tables: Iterator[Any], tick: Tick = _quietly) -> int:
    """Write tables one below the other.

    Returns:
        The number of rows.
    """
    n_rows = 0
    with growing(path) as add:
        for table in tables:
            add(table)
            n_rows += table.num_rows
            tick(table.num_rows)
    return n_rows


def grouped(blocks: Iterator[Array]) -> Iterator[Array]:
    """Blocks joined until they are worth an Arrow array for each column.

    Many small arrays would lie between those of torch, and keep what it frees from the system.
    """
    waiting: list[Array] = []
    for block in blocks:
        waiting.append(block)
        if sum(each.size for each in waiting) >= GROUP_CELLS or sum(map(len, waiting)) >= ROWS:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def as_table(block: Array, names: list[str]) -> Any:
    """Numbers (m, k) as an Arrow table."""
    import pyarrow as pa

    columns = [pa.array(np.ascontiguousarray(column)) for column in block.T]
    return pa.table(columns, names=names)


def numbered(path: PathLike, n_draws: int | None) -> list[str]:
    """The names of the files of several draws, numbered from 1; the name itself for None."""
    given = Path(path)
    if n_draws is None:
        return [str(path)]
    return [str(given.with_name(f"{given.stem}-{i + 1}{given.suffix}")) for i in range(n_draws)]


def count_holes(rows: Any) -> int:
    """How many cells are missing."""
    if is_frame(rows):
        return sum(int(cells.missing.sum()) for cells in open_table(rows))
    return int(np.isnan(np.asarray(rows, dtype=float)).sum())


def _blocks(estimator: "Fitted", X: Any, function: OfRows, *, far: bool) -> Iterator[Array]:
    data = data_to_read(estimator, X)
    model = estimator._session.in_precision(precision_for(data), estimator.model_)
    for _, block in in_blocks(function, model, data, far_is_possible=far):
        yield block


def _code(model: Model, z: Tensor) -> Tensor:
    return model.code(z)


def _code_and_score(model: Model, z: Tensor) -> Tensor:
    return torch.cat([model.code(z), row_scores(model, z)[:, None]], 1)


def _parts(X: Any) -> Iterator[Any]:
    """The rows as they were given, part by part."""
    source = open_source(X)
    if source is None:
        yield X
        return
    import pyarrow as pa

    for piece in all_pieces(source):
        if piece.shape[0]:
            yield pa.Table.from_batches([piece]) if isinstance(piece, pa.RecordBatch) else piece


def _users_table(estimator: "Fitted", rows: Array) -> Any:
    """Decoded rows as the table that the user knows, without holes in its types."""
    if estimator.schema_ is not None:
        return _arrow(estimator, as_users_rows(rows, estimator.schema_))
    return _arrow(estimator, rows)


def _arrow(estimator: "Fitted", rows: Any) -> Any:
    """Rows of any make as an Arrow table."""
    import narwhals as nw

    if is_frame(rows):
        return nw.from_native(rows, eager_only=True).to_arrow()
    flat = np.asarray(rows).reshape(len(rows), -1)
    names = getattr(estimator, "feature_names_in_", range(flat.shape[1]))
    return as_table(flat, [name if isinstance(name, str) else f"x{name}" for name in names])
