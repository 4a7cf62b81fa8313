"""The options of verbs that make stores of codes or ask them, each with its words of help."""

from pathlib import Path
from typing import Annotated

import typer

NewStore = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="STORE",
        show_default=False,
        help="The store: a file, or milvus://host:port/name, or postgresql://….",
    ),
]
StoreFile = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        show_default=False,
        help="What `isthmus index` wrote, or the address of a server.",
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option("--text", metavar="COLUMN", show_default=False, help="The column of texts."),
]
VectorColumn = Annotated[
    str | None,
    typer.Option(
        "--vectors",
        metavar="COLUMN",
        show_default=False,
        help="The column of vectors, made elsewhere: lists of numbers.",
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="COLUMN",
        show_default=False,
        help="The column of ids, text or integers. Without it, rows are counted from 0.",
    ),
]
Bits = Annotated[
    int | None,
    typer.Option(
        "--bits", show_default=False, help="Bits of a code, 8 to 4,096; 128 unless told otherwise."
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        help="What near means for vectors: cosine, unless told otherwise, or euclidean.",
    ),
]
Refine = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        help="How far bits of vectors are flipped while it helps: none, fast (unless told "
        "otherwise) or best.",
    ),
]
LearnFrom = Annotated[
    int, typer.Option(metavar="ROWS", help="Learn from a sample of this many rows at most.")
]
HasherEpochs = Annotated[
    int | None,
    typer.Option("--max-epochs", show_default=False, help="Passes over the rows at most."),
]
Add = Annotated[
    bool,
    typer.Option("--add", help="Add rows to a store that is there, with the hasher it has."),
]
Files = Annotated[
    str | None,
    typer.Option(
        "--files",
        metavar="NAME",
        show_default=False,
        help="How the files beside the store begin: the name of the store unless told otherwise; "
        "needed for a server.",
    ),
]
Query = Annotated[
    str | None,
    typer.Argument(metavar="[QUERY]", show_default=False, help="The text to search for."),
]
QueryFile = Annotated[
    Path | None,
    typer.Option(
        "--queries", metavar="FILE", show_default=False, help="A file of queries, as for `index`."
    ),
]
Nearest = Annotated[int, typer.Option("--nearest", "-k", help="How many answers.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        show_default=False,
        help='What the payload must have: year>=1990, group=sci.space or lang=\'["de","en"]\'. '
        "Several must all hold.",
    ),
]
IndexName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How codes are found: scan compares a query with all of them; ivf with those of the "
        "nearest cells, which finds most and pays for many queries of some 10⁷ codes.",
    ),
]
Radius = Annotated[
    int,
    typer.Option("--radius", "-r", help="Bits in which two codes may differ and count as one."),
]
NewClusters = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="The .csv, .parquet, .feather or .arrow file of duplicates, what each duplicates and "
        "how far it is from it. Without it, the first 20 are printed.",
    ),
]
NewPairs = Annotated[
    str | None,
    typer.Option(
        "--pairs", metavar="FILE", show_default=False, help="A file for all pairs in the radius."
    ),
]
Remove = Annotated[
    bool, typer.Option("--remove", help="Remove the duplicates from the store; they are gone.")
]
