"""The table, on the terminal and on the page, and the report around it."""

import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isthmus import __version__
from isthmus import report as pages
from isthmus.demo import pictures
from isthmus.demo.experiment import PARTS, SAME, UNITS, Digits, Trained, given
from isthmus.report import Html

Record = Mapping[str, Any]
HEADINGS = (
    "scored",
    "nats per image",
    "bits per dim.",
    "seconds",
    "size",
    "1-NN accuracy",
    "R²",
)
SHORT = {"log p(x | f(x))": "x | f(x)", "bound on log p(x)": "x, bound", "log p(x)": "x"}
NOTE = (
    "The two halves can't be compared with each other. Above, a deterministic code is scored by "
    "log p(x | f(x)), which doesn't pay for the code; below, log p(x) pays for it, and the "
    "variational figures are lower bounds on it. Higher nats are better, lower bits are better."
)
CHANGES = {
    "usual": "− log p(x | h)",
    "variational": "− log p(x | h) + KL(p(h | x) ‖ p(h)),  h ~ p(h | x)",
    "denoising": "− log p(x | h),  h of the corrupted x̃",
    "contractive": "− log p(x | h) + λ ‖∂f/∂x‖²,  h = f(x)",
}
NEXT = (
    "On the command line: score the held-out digits again (the mean is the table's first figure), "
    "draw new ones, and fit data of your own."
)
EXPLANATION = (
    "Nats and bits are of densities over grey levels from 0 to 16; bits per dimension are of "
    "−log p, divided by the 64 pixels. K = {samples} is the importance-weighted bound with that "
    "many codes for each image, which lies nearer to log p(x). 1-NN accuracy is how often the "
    "nearest training digit, by its code, is of the same class (on the pixels themselves: "
    "{pixels:.1%}; standard error of these figures: about {error:.1f} points). R² is the part of "
    "the held-out pixels' variance that comes back from the code. One run, one seed."
)


def rows_of(record: Record) -> tuple[list[list[str]], list[list[str]]]:
    """The table's cells: what is scored given the code, and what is scored in full."""
    given_code: list[list[str]] = []
    full: list[list[str]] = []
    for name in PARTS:
        figures = record[name]
        (full if "weighted" in figures else given_code).append(_row(name, figures))
        if "weighted" in figures:
            samples = figures["weighted"]["samples"]
            full.append(_row(f"{name}, K={samples}", figures["weighted"]))
    given_code.append(_row("PCA", record["pca"]))
    full.append(_row("probabilistic PCA", record["pca"]["probabilistic"]))
    return given_code, full


def _row(name: str, figures: Record) -> list[str]:
    return [
        name,
        figures["scored"],
        f"{figures['nats_per_image']:.1f}".replace("-", "−"),
        f"{figures['bits_per_dimension']:.2f}".replace("-", "−"),
        f"{figures['seconds']:.1f}" if "seconds" in figures else "",
        "{}→{}".format(*figures["code"]) if "code" in figures else "",
        f"{figures['one_nn_accuracy']:.1%}" if "one_nn_accuracy" in figures else "",
        f"{figures['r2']:.3f}" if "r2" in figures else "",
    ]


def print_table(record: Record) -> None:
    """The table on standard error."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("log p of", no_wrap=True)
    for heading in HEADINGS[1:]:
        # the last space of a heading is where it breaks, so that 80 columns are enough
        table.add_column("\n".join(heading.rsplit(" ", 1)), justify="right", no_wrap=True)
    given_code, full = rows_of(record)
    for row in (*given_code, [], *full):
        table.add_row(*(SHORT.get(cell, cell) for cell in row))
    console = Console(stderr=True, highlight=False)
    console.print(f"{record['data']['held_out']} held-out digits\n")
    console.print(table)
    console.print(f"\n{NOTE}", width=min(80, console.width))


def compose(trained: Sequence[Trained], digits: Digits, record: Record, folder: Path) -> str:
    """The report as HTML."""
    with pages.drawing_style():
        return pages.page(
            "Isthmus demo",
            _top(record),
            pages.section(
                "In numbers", _figures(record), pages.paragraph(NOTE), _explanation(record)
            ),
            pages.section(
                "In pictures",
                pages.columns(
                    pictures.reconstructions(trained, digits, record),
                    pictures.repairs(trained, digits, record),
                ),
                pictures.samples(trained, digits),
                pictures.maps(trained, digits, record),
                pictures.learning(trained),
            ),
            pages.section("In Python", pages.code(source(record))),
            pages.section("Next", pages.paragraph(NEXT), pages.code("\n".join(commands(folder)))),
            foot=_versions(),
        )


def _top(record: Record) -> Html:
    data = record["data"]
    changes = {name: (f"`{record[name]['parts']}`", CHANGES[name]) for name in PARTS}
    changes["usual"] = ("", CHANGES["usual"])
    return pages.header(
        "Four autoencoders, one sentence",
        pages.paragraph(
            "An autoencoder takes data through a narrow code and back. Isthmus trains every kind "
            "of it by making one sentence small, on average over the data:"
        ),
        pages.formula(
            "J(x) = − log p(x | h) + KL(p(h | x̃) ‖ p(h)) + Σ λₖ Ωₖ ,",
            "h ~ p(h | x̃),   x̃ ~ C(x̃ | x)",
        ),
        pages.paragraph(
            "A likelihood p(x | h), an encoder p(h | x), a corruption C, penalties Ω. Here are "
            "four choices of these parts, trained without labels on "
            f"{data['train']:,} handwritten digits of 8×8 pixels (they come with scikit-learn) "
            f"and measured on {data['held_out']} others. The networks are the same, and so is the "
            f"likelihood; the code has {UNITS} numbers for {data['pixels']} pixels."
        ),
        pages.table(
            ["", "its part", "J(x)"],
            [[name, *change] for name, change in changes.items()],
            left=(1, 2),
        ),
    )


def _figures(record: Record) -> Html:
    given_code, full = rows_of(record)
    return pages.table(["", *HEADINGS], given_code, full, left=(1,))


def _explanation(record: Record) -> Html:
    hits = record["usual"]["one_nn_accuracy"]
    error = 100 * math.sqrt(hits * (1 - hits) / record["data"]["held_out"])
    return pages.aside(
        EXPLANATION.format(
            samples=record["variational"]["weighted"]["samples"],
            pixels=record["data"]["one_nn_accuracy"],
            error=error,
        )
    )


def source(record: Record) -> str:
    """Python that gives the same models."""
    n_test = record["data"]["held_out"]
    settings = {**SAME, "max_epochs": record["settings"]["max_epochs"]}
    fits = "\n".join(
        f"{name} = Autoencoder({', '.join([str(UNITS), *given(parts), '**same'])}).fit(train)"
        for name, parts in PARTS.items()
    )
    return f"""
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from isthmus import Autoencoder, Contractive, GaussianNoise

digits = load_digits()
train, test = train_test_split(
    digits.images, test_size={n_test}, stratify=digits.target, random_state=0
)

same = dict(
    {f",{chr(10)}    ".join(given(settings))},
)
{fits}

print(usual.score(test))                 # nats per image, as in the first row above
codes = usual.transform(test)            # ({n_test}, {UNITS})
images = usual.inverse_transform(codes)  # ({n_test}, 8, 8)
"""


def commands(folder: Path) -> list[str]:
    """What to type next."""

    def quoted(name: str) -> str:
        return shlex.quote(str(folder / name))

    return [
        f"isthmus score {quoted('usual.safetensors')} {quoted('held-out.npy')}",
        f"isthmus sample {quoted('variational.safetensors')} -n 100 -o new.npy --seed 0",
        "isthmus fit my.csv -o my.safetensors -k 8 --corruption gaussian_noise:0.3",
    ]


def _versions() -> str:
    import sklearn
    import torch

    return (
        f"isthmus {__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"Python {platform.python_version()}."
    )
