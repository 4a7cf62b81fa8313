"""Tables as strangers have them: a strategy for frames of mixed columns with odd cells.

A table is drawn as lists of cells with None where one is missing, and then made a pandas, a polars
or an Arrow frame. Columns are chosen among `KINDS`, so each example has several kinds; which kinds
and libraries come up is tested as well.
"""

import datetime
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

DAY = datetime.datetime(2021, 3, 4, 5, 6, 7)
LIBRARIES = ("pandas", "pandas objects", "polars", "arrow")


def _extreme(rng, n):
    return rng.choice([1e300, 1e-300, -1e300, 0.0, 1.5], n).tolist()


def _once(rng, n):
    """One level is seen a single time."""
    cells = rng.choice(["a", "b"], n).tolist()
    cells[int(rng.integers(n))] = "once"
    return cells


KINDS = {
    "real": lambda rng, n: rng.normal(size=n).tolist(),
    "far": lambda rng, n: (1e9 + rng.normal(size=n)).tolist(),
    "extreme": _extreme,
    "count": lambda rng, n: rng.poisson(2.0, n).tolist(),
    "integer": lambda rng, n: rng.integers(-5, 90, n).tolist(),
    "boolean": lambda rng, n: (rng.random(n) < 0.5).tolist(),
    "text": lambda rng, n: rng.choice(["clerk", "smith", "ü", ""], n).tolist(),
    "once": _once,
    "date": lambda rng, n: [
        DAY + datetime.timedelta(hours=int(h)) for h in rng.integers(0, 9999, n)
    ],
    "constant": lambda rng, n: [0.1] * n,
    "constant text": lambda rng, n: ["same"] * n,
    "missing": lambda rng, n: [None] * n,
}


@dataclass(frozen=True)
class Odd:
    """Two frames of the same columns: to train on, and to judge."""

    library: str
    kinds: tuple[str, ...]
    whole_names: bool
    train: object
    new: object


def made(library, columns, whole_names):
    """A frame of a library from lists of cells."""
    names = [j if whole_names else f"c{j}" for j in range(len(columns))]
    if library == "pandas objects":
        holes = [None, pd.NA]
        cells = [
            [holes[i % 2] if cell is None else cell for i, cell in enumerate(column)]
            for column in columns
        ]
        return pd.DataFrame(
            {name: pd.Series(c, dtype=object) for name, c in zip(names, cells, strict=True)}
        )
    table = pa.table({str(name): pa.array(c) for name, c in zip(names, columns, strict=True)})
    if library == "arrow":
        return table
    if library == "polars":
        return pl.from_arrow(table)
    frame = table.to_pandas()
    frame.columns = names
    return frame


@st.composite
def odd_frames(draw, libraries=LIBRARIES):
    """Frames with holes; the new ones with more of them, in another order of rows."""
    library = draw(st.sampled_from(libraries))
    kinds = tuple(draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6)))
    n = draw(st.integers(2, 40))
    rate = draw(st.sampled_from([0.0, 0.2, 0.7]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    whole_names = library.startswith("pandas") and draw(st.booleans())
    train = [punched(rng, KINDS[kind](rng, n), rate) for kind in kinds]
    order = rng.permutation(n)
    # only what was seen: another number may be one that the likelihood can't have
    new = [punched(rng, [column[i] for i in order], max(rate, 0.1)) for column in train]
    frames = (made(library, columns, whole_names) for columns in (train, new))
    return Odd(library, kinds, whole_names, *frames)


def punched(rng, column, rate):
    """The column with some of its cells missing."""
    return [None if rng.random() < rate else cell for cell in column]


def cells(frame):
    """The columns as lists, None where a cell is missing, whatever the library says for that."""
    if isinstance(frame, pd.DataFrame):
        columns = [frame.iloc[:, j] for j in range(frame.shape[1])]
        gaps = [column.isna().to_numpy() for column in columns]
        return [
            [None if gap else cell for cell, gap in zip(column.tolist(), holes, strict=True)]
            for column, holes in zip(columns, gaps, strict=True)
        ]
    if isinstance(frame, pl.DataFrame):
        return [column.to_list() for column in frame.get_columns()]
    return [column.to_pylist() for column in frame.columns]
