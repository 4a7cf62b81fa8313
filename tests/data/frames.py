"""The same table in every library."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

N = 40
rng = np.random.default_rng(5)
DAY = datetime.datetime(2021, 3, 4, 5, 6, 7, 891)
COLUMNS = {
    "x": rng.normal(size=N),
    "f": rng.normal(size=N).astype(np.float32),
    "count": rng.poisson(3, N),
    "small": rng.integers(18, 90, N).astype(np.uint8),
    "job": rng.choice(["clerk", "smith", "baker"], N),
    "flag": rng.random(N) < 0.5,
    "when": [DAY + datetime.timedelta(hours=17 * i, microseconds=i) for i in range(N)],
    "day": [DAY.date() + datetime.timedelta(days=3 * i) for i in range(N)],
}
HOLED = ("x", "f", "count", "job", "flag", "when", "day")


def lists(holes: bool) -> dict[str, list[object]]:
    """Columns as lists; every fifth cell of some is None."""
    plain = {
        name: [getattr(v, "item", lambda v=v: v)() for v in values]
        for name, values in COLUMNS.items()
    }
    if holes:
        for k, name in enumerate(HOLED):
            plain[name] = [None if i % 5 == k % 5 else v for i, v in enumerate(plain[name])]
    return plain


def as_arrow(holes: bool = True) -> pa.Table:
    types = {"f": pa.float32(), "small": pa.uint8(), "count": pa.int32()}
    return pa.table({name: pa.array(v, types.get(name)) for name, v in lists(holes).items()})


def as_polars(holes: bool = True) -> pl.DataFrame:
    return pl.from_arrow(as_arrow(holes)).with_columns(pl.col("job").cast(pl.Categorical))


def as_pandas(holes: bool = True) -> pd.DataFrame:
    kinds = {"count": "Int64", "flag": "boolean", "job": "category"}
    return as_arrow(holes).to_pandas().astype(kinds)


def as_objects(holes: bool = True) -> pd.DataFrame:
    """Nothing but Python objects, as old pandas code has it."""
    return pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in lists(holes).items()})


MAKERS = {
    "arrow": as_arrow,
    "batch": lambda holes=True: as_arrow(holes).combine_chunks().to_batches()[0],
    "dictionaries": lambda holes=True: as_arrow(holes).set_column(
        4, "job", as_arrow(holes)["job"].dictionary_encode()
    ),
    "chunks": lambda holes=True: pa.concat_tables(
        [as_arrow(holes).slice(0, 7), as_arrow(holes).slice(7)]
    ),
    "polars": as_polars,
    "enum": lambda holes=True: as_polars(holes).cast(
        {"job": pl.Enum(["baker", "clerk", "smith"])}
    ),
    "pandas": as_pandas,
    "pandas text": lambda holes=True: as_pandas(holes).astype({"job": "str"}),
    "pandas arrow": lambda holes=True: as_arrow(holes).to_pandas(types_mapper=pd.ArrowDtype),
    "pandas objects": as_objects,
}


def same_frame(one: object, two: object) -> bool:
    """Whether two frames have the same library, types, order and cells; missing equals missing."""
    assert type(one) is type(two)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, two, check_exact=True)
        return True
    if isinstance(one, pl.DataFrame):
        return one.schema == two.schema and one.equals(two)
    return one.schema == two.schema and one.to_pylist() == two.to_pylist()


EPOCH = datetime.datetime(1970, 1, 1)


def truth() -> np.ndarray:
    """What the table of frames.py is in numbers, cell by cell in plain Python."""
    plain = lists(holes=True)
    levels = list(dict.fromkeys(job for job in plain["job"] if job is not None))
    reads = {
        "job": levels.index,
        "when": lambda v: (v - EPOCH) / datetime.timedelta(days=1),
        "day": lambda v: (v - EPOCH.date()).days,
    }
    columns = [
        [np.nan if v is None else float(reads.get(name, float)(v)) for v in values]
        for name, values in plain.items()
    ]
    return np.array(columns).T
