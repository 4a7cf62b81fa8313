"""Codes of data larger than memory: from blocks of rows to the row groups of a Parquet file."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._files import atomic_write
from isthmus.estimators.apply import Array, data_to_read, in_blocks, precision_for, row_scores
from isthmus.model import Model

if TYPE_CHECKING:
    from isthmus.estimators.autoencoder import Autoencoder

GROUP_CELLS = 1 << 21


def write_codes(
    estimator: "Autoencoder",
    X: Any,
    path: str | os.PathLike[str],
    *,
    score: bool = False,
    tick: Callable[[int], None] = lambda n: None,
) -> int:
    """Write E[h | x] of each row, and its score if wanted, in the order of the rows.

    Args:
        estimator: Fitted.
        X: Rows as in `fit`.
        path: A file ending in ``.parquet``. It is written under a temporary name and then renamed.
        score: Whether the last column is the log-likelihood (or its bound) in nats.
        tick: Called with the number of rows of each row group that was written.

    Returns:
        The number of rows.

    Raises:
        NotFittedError: There is no model yet.
        InvalidParameterError: Another ending, or a missing folder.
        IsthmusError: As in `transform`; there is no new file then.
    """
    if Path(path).suffix.lower() != ".parquet":
        raise InvalidParameterError(
            f"{os.fspath(path)} can't be written in blocks; give a name ending in .parquet."
        )
    estimator._require_fitted()
    names = [str(name) for name in estimator.get_feature_names_out()] + ["score"] * score
    data = data_to_read(estimator, X)
    model = estimator._session.in_precision(precision_for(data), estimator.model_)
    function = _code_and_score if score else _code
    blocks = in_blocks(function, model, data, far_is_possible=score)
    with atomic_write(path) as temporary:
        return _write(temporary, _grouped(blocks, len(names)), names, tick)


def _code(model: Model, z: Tensor) -> Tensor:
    return model.code(z)


def _code_and_score(model: Model, z: Tensor) -> Tensor:
    return torch.cat([model.code(z), row_scores(model, z)[:, None]], 1)


def _grouped(blocks: Iterator[tuple[int, Array]], width: int) -> Iterator[Array]:
    """Blocks joined until they make a row group that is worth reading by itself."""
    waiting: list[Array] = []
    for _, block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) * width >= GROUP_CELLS:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _write(
    path: Path, groups: Iterator[Array], names: list[str], tick: Callable[[int], None]
) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    n_rows = 0
    first = next(groups)
    schema = pa.schema([(name, pa.from_numpy_dtype(first.dtype)) for name in names])
    # codes hardly repeat: a dictionary of their values is only work
    with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
        group: Array | None = first
        while group is not None:
            columns = [pa.array(np.ascontiguousarray(column)) for column in group.T]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=len(group))
            n_rows += len(group)
            tick(len(group))
            group = next(groups, None)
    pa.default_memory_pool().release_unused()
    return n_rows
