"""Data on the way in and out: any input as one matrix, its summary, and files.

| name | what it does |
|---|---|
| `as_matrix` | any array, frame, tensor or sparse matrix as a `Matrix` |
| `as_stream` | files, datasets and batches that are read in passes, as a `Stream` |
| `as_data` | whichever of the two the input asks for |
| `check_finite` | refuse missing and infinite values, by row and column |
| `summarise` | centre, spread, range and kind of every column, in one pass |
| `infer_likelihood` | what ``likelihood="auto"`` means for these data |
| `infer_schema`, `SchemaBuilder` | kind, likelihood and levels of each column: a `Schema` |
| `encode`, `decode`, `fill_missing` | a mixed table as numbers, and back |
| `fit_quantiles` | a column with heavy tails as a normal one |
| `survey` | the summary and a sample of rows, in one pass |
| `read`, `write` | NPY, NPZ, CSV, Parquet, Feather, folders of images |
| `open_data` | the same, but a `Source` of parts where the file is large |

This room never imports torch, so that stores, searches and the command line start without it.
"""

from isthmus.data.convert import as_matrix
from isthmus.data.decode import decode, fill_missing
from isthmus.data.files import read, write
from isthmus.data.infer import infer_columns, infer_likelihood, pixel_divisor
from isthmus.data.infer_schema import SchemaBuilder, infer_schema
from isthmus.data.matrix import Matrix, check_finite
from isthmus.data.quantiles import Quantiles, fit_quantiles
from isthmus.data.schema import Column, Schema
from isthmus.data.sources import Source, count_rows, is_source
from isthmus.data.stream import (
    Data,
    Stream,
    as_data,
    as_stream,
    count_held_out,
    is_held_out,
    open_data,
    survey,
)
from isthmus.data.summary import Summary, summarise
from isthmus.data.tables import Unseen, encode, encode_part

__all__ = [
    "Column",
    "Data",
    "Matrix",
    "Quantiles",
    "Schema",
    "SchemaBuilder",
    "Source",
    "Stream",
    "Summary",
    "Unseen",
    "as_data",
    "as_matrix",
    "as_stream",
    "check_finite",
    "count_held_out",
    "count_rows",
    "decode",
    "encode",
    "encode_part",
    "fill_missing",
    "fit_quantiles",
    "infer_columns",
    "infer_likelihood",
    "infer_schema",
    "is_held_out",
    "is_source",
    "open_data",
    "pixel_divisor",
    "read",
    "summarise",
    "survey",
    "write",
]
