"""The verbs under one name, ``isthmus``."""

from collections.abc import Callable
from typing import Annotated

import typer

from isthmus.cli.apply import inverse, sample, transform
from isthmus.cli.dedupe import dedupe
from isthmus.cli.demo import demo
from isthmus.cli.fit import fit
from isthmus.cli.impute import impute
from isthmus.cli.index import index, search
from isthmus.cli.info import info
from isthmus.cli.judge import score
from isthmus.cli.report import report

# an example in the help is one line that can be copied: \b keeps it from being wrapped
EXAMPLES: dict[Callable[..., None], str] = {
    fit: "fit flowers.csv -o model.safetensors -k 2 --corruption masking:0.3",
    transform: "transform model.safetensors flowers.csv -o codes.parquet",
    inverse: "inverse model.safetensors codes.parquet -o rows.csv",
    score: "score model.safetensors flowers.csv -o scores.csv",
    impute: "impute model.safetensors flowers.csv -o filled.csv",
    sample: "sample model.safetensors -n 100 -o new.npy --seed 0",
    index: "index corpus.parquet --text body --bits 128 -o news.store",
    search: 'search news.store "space shuttle" -k 5 --where "year>=1993"',
    dedupe: "dedupe news.store --radius 3 -o duplicates.parquet",
    report: "report flowers.csv --label species -o report.html",
    info: "info model.safetensors",
    demo: "demo -o isthmus-demo",
}

app = typer.Typer(
    name="isthmus",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from isthmus import __version__

        print(f"isthmus {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog="\b\nExamples:\n"
    + "\n".join(f"  isthmus {EXAMPLES[verb]}" for verb in (fit, transform, score)),
)
def isthmus(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Autoencoders from raw data to a narrow code and back.

    Data are .npy, .npz, .csv, .jsonl, .parquet, .feather and .arrow files, or a folder of images.
    Results are one JSON object on standard output; progress goes to standard error.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


for verb, example in EXAMPLES.items():
    app.command(epilog=f"\b\nExample:\n  isthmus {example}")(verb)
