"""Data on the way in and out: any input as one matrix, its summary, and files.

| name | what it does |
|---|---|
| `as_matrix` | any array, frame, tensor or sparse matrix as a `Matrix` |
| `check_finite` | refuse missing and infinite values, by row and column |
| `summarise` | centre, spread, range and kind of every column, in one pass |
| `infer_likelihood` | what ``likelihood="auto"`` means for these data |
| `read`, `write` | NPY, NPZ, CSV, Parquet, Feather, folders of images |

This room never imports torch, so that stores, searches and the command line start without it.
"""

from isthmus.data.convert import as_matrix
from isthmus.data.files import read, write
from isthmus.data.infer import infer_columns, infer_likelihood, pixel_divisor
from isthmus.data.matrix import Matrix, check_finite
from isthmus.data.summary import Summary, summarise

__all__ = [
    "Matrix",
    "Summary",
    "as_matrix",
    "check_finite",
    "infer_columns",
    "infer_likelihood",
    "pixel_divisor",
    "read",
    "summarise",
    "write",
]
