"""The options that verbs share, each with its words of help.

They carry the names of the estimator's parameters, so that Python and the command line read alike:
``--max-epochs 5`` is ``max_epochs=5``.
"""

from pathlib import Path
from typing import Annotated

import typer

DataFile = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="A .npy, .npz, .csv, .jsonl, .parquet, .feather or .arrow file, a folder of images "
        "or of .parquet files, or a quoted pattern such as 'data/*.parquet'.",
    ),
]
CodeFile = Annotated[
    Path,
    typer.Argument(metavar="CODES", show_default=False, help="A file with one code in each row."),
]
ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="A file that `isthmus fit`, or isthmus.save in Python, wrote.",
    ),
]
AnyFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL_OR_DATA",
        show_default=False,
        help="A .safetensors file as of `isthmus fit`, or data as for `isthmus fit`.",
    ),
]
NewModel = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="The .safetensors file to write.",
    ),
]
Outliers = Annotated[
    float | None,
    typer.Option(
        "--outliers",
        metavar="LEVEL",
        show_default=False,
        help="Learn to tell unusual rows, for isthmus score: at most this part of ordinary rows "
        "is flagged, such as 0.01. Encoder, likelihood and corruption are gaussian, robust and "
        "masking where they are left out.",
    ),
]
Patches = Annotated[
    str | None,
    typer.Option(
        "--patches",
        metavar="N[:SIZE[:GRID]]",
        show_default=False,
        help="Of images: learn N patterns of SIZE pixels a side, and the code of where they are, "
        "in GRID cells a side, in place of pixels. Such as 128, or 128:6:3.",
    ),
]
NewRows = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="The .npy, .npz, .csv, .parquet, .feather or .arrow file to write. "
        "Without it, up to 20 rows are printed.",
    ),
]
NewRowsOrImages = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="The .npy, .npz, .csv, .parquet, .feather or .arrow file to write, or a new folder "
        "ending in / for PNG images. Without it, up to 20 rows are printed.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="NAME", show_default=False, help="Which array of an .npz file."),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--random-state",
        "--seed",
        metavar="INTEGER",
        show_default=False,
        help="Seed; the same one gives the same result. A new one each time if left out.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No notes and no progress on standard error.")
]

NComponents = Annotated[int, typer.Option("--n-components", "-k", help="Width of the code.")]
Hidden = Annotated[
    str,
    typer.Option(
        "--hidden",
        metavar="WIDTHS",
        help="Widths of the encoder's hidden layers, such as 512,256, reversed in the decoder; "
        "none for a linear map on each side.",
    ),
]
Activation = Annotated[
    str,
    typer.Option(
        "--activation", metavar="NAME", help="Of the hidden layers: silu, relu, gelu, tanh, ..."
    ),
]
Network = Annotated[
    str, typer.Option("--network", metavar="NAME", help="mlp, or conv for images.")
]
Tied = Annotated[
    bool, typer.Option("--tied", help="The decoder uses the encoder's weights, transposed.")
]
Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        metavar="NAME[:VALUE]",
        help="The code: deterministic, gaussian (variational; gaussian:0.5 for half the weight on "
        "its divergence), noisy_sigmoid, bernoulli.",
    ),
]
Likelihood = Annotated[
    str,
    typer.Option(
        "--likelihood",
        metavar="NAME[:VALUE]",
        help="What the data are: gaussian (gaussian:1.0 for a fixed scale, gaussian:shared, "
        "gaussian:row), bernoulli, poisson, ...; auto reads the data, and so "
        "does robust, with heavy tails.",
    ),
]
ColumnLikelihood = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="COLUMN=NAME[:VALUE]",
        show_default=False,
        help="The likelihood of one column of a table, such as age=student_t:3 or "
        "zip=categorical. May be given several times; the other columns' are read from the data.",
    ),
]
Corruption = Annotated[
    list[str] | None,
    typer.Option(
        "--corruption",
        metavar="NAME[:VALUE]",
        show_default=False,
        help="Of the input, in order: gaussian_noise:0.1, masking:0.3, salt_and_pepper:0.1, "
        "swap:0.15, walkback:0.5. May be given several times. None if left out.",
    ),
]
Penalty = Annotated[
    list[str] | None,
    typer.Option(
        "--penalty",
        metavar="NAME[:VALUE]",
        show_default=False,
        help="With its weight: contractive:0.1 (contractive:0.1:reconstruction), l1:0.01, "
        "kl_sparsity, balance. May be given several times. None if left out.",
    ),
]
Optimizer = Annotated[
    str, typer.Option("--optimizer", metavar="NAME", help="adamw, adam, sgd or muon.")
]
LearningRate = Annotated[
    float,
    typer.Option("--learning-rate", help="The highest rate; it warms up and decays."),
]
BatchSize = Annotated[int, typer.Option("--batch-size", help="Rows per step.")]
MaxEpochs = Annotated[int, typer.Option("--max-epochs", help="Passes over the data at most.")]
ValidationFraction = Annotated[
    float,
    typer.Option("--validation-fraction", help="Part of the rows that is held out; 0 for none."),
]
Patience = Annotated[
    int,
    typer.Option("--patience", help="Epochs without a better held-out nll before training stops."),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, ...")
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", metavar="NAME", help="Of the networks in training: auto, float32, bfloat16."
    ),
]

NSamples = Annotated[int, typer.Option("--n-samples", "-n", help="How many rows.")]
Mean = Annotated[
    bool, typer.Option("--mean", help="The expected row for each code, not a draw of it.")
]
ByFeature = Annotated[
    bool, typer.Option("--by-feature", help="Each feature's part of each score as well.")
]
Flag = Annotated[
    float | None,
    typer.Option(
        "--flag",
        metavar="LEVEL",
        show_default=False,
        help="Flag unusual rows: at most this part of ordinary rows is flagged, such as 0.01. "
        "Of a model that was fitted with --outliers, that level if left out.",
    ),
]
NDraws = Annotated[
    int | None,
    typer.Option(
        "--n-draws",
        "-m",
        show_default=False,
        help="Multiple imputation: this many joint draws of the missing cells, in files "
        "numbered from 1. Without it, expected values and most probable levels.",
    ),
]
NewTable = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="The .csv, .parquet, .feather, .arrow or .npy file to write.",
    ),
]
DemoFolder = Annotated[
    str, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write what it makes.")
]

Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        "-y",
        metavar="COLUMN",
        show_default=False,
        help="The column to be predicted; or its position in an array, another array of the .npz "
        "file, or a file of labels. Without it, the half of the report that needs none.",
    ),
]
NewReport = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="The .html file to write.")
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        "--drop",
        metavar="COLUMN",
        show_default=False,
        help="Leave a column out, such as an identifier. May be given several times.",
    ),
]
Task = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="NAME",
        help="classification or regression; auto reads the labels.",
    ),
]
CodeWidth = Annotated[
    int | None,
    typer.Option(
        "--n-components",
        "-k",
        show_default=False,
        help="Width of all codes; a quarter of the raw features, at most 64, if left out.",
    ),
]
MaxRows = Annotated[int, typer.Option("--max-rows", help="Rows that are drawn from larger data.")]
ReportEpochs = Annotated[
    int, typer.Option("--max-epochs", help="Passes over the data at most, of each autoencoder.")
]
Margin = Annotated[
    float, typer.Option("--margin", help="How much less accuracy (or R²) counts as equal.")
]
FixedSeed = Annotated[
    int,
    typer.Option(
        "--random-state", "--seed", metavar="INTEGER", help="Seed; the same one, the same report."
    ),
]
