"""The verb ``info``: what a model's file, a store of codes or a file of data holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from isthmus._progress import counting
from isthmus.cli import options
from isthmus.cli.show import show

if TYPE_CHECKING:
    from isthmus.data import Schema

MOST_LINES = 50
SQLITE = b"SQLite format 3"
LOG_WIDTH = 160


def info(path: options.AnyFile, key: options.Key = None, quiet: options.Quiet = False) -> None:
    """Describe a model, a store of codes or data.

    Of a model: its format, parts, sizes and training. Of data: rows, columns, type, range,
    constant columns, missing values, and the likelihood that `fit` would choose. A table with
    names is also printed column by column on standard error: kind, likelihood and why. Large
    files, folders and patterns are read once, block by block.
    """
    if _is_store(path):
        show(_describe_store(path))
        return
    if path.suffix.lower() != ".safetensors":
        show(_describe(path, key, quiet))
        return
    if key is not None:
        raise typer.BadParameter(f"--key is for an .npz file, and {path} is a model's.")
    show(describe_model(path))


def _is_store(path: Path) -> bool:
    """Whether a file is SQLite's, whatever its name."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _describe_store(path: Path) -> dict[str, Any]:
    from isthmus import CodeStore

    with CodeStore(path) as store:
        return {
            "store": str(path),
            "bytes": path.stat().st_size,
            "codes": len(store),
            "n_bits": store.n_bits,
            "fingerprint": store.fingerprint,
        }


def describe_model(path: Path) -> dict[str, Any]:
    """The card of a model's file, with its records of epochs summed up.

    Raises:
        FileNotFoundError: There is no such file.
        FileFormatError: It is no model's file, or damaged.
    """
    from isthmus._errors import FileFormatError
    from isthmus.saving import read_model

    card, tensors = read_model(path)
    try:
        return {
            "model": str(path),
            "bytes": path.stat().st_size,
            "format": card["format"],
            "isthmus": card["isthmus"],
            **_of_estimator(card, tensors),
        }
    except KeyError as error:
        raise FileFormatError(f"{path} has a card without {error}.") from error
    except (AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} has a card that can't be read ({error}).") from error


def _of_estimator(card: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    readers = {"Pipeline": _of_pipeline, "PatchFeatures": _of_patches}
    return readers.get(card["estimator"], _of_autoencoder)(card, tensors)


def _of_pipeline(card: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    steps = []
    for i, (name, inner) in enumerate(card["steps"]):
        held = {key.partition(".")[2]: t for key, t in tensors.items() if key.startswith(f"{i}.")}
        steps.append({"step": name, **_of_estimator(inner, held)})
    first = {name: steps[0][name] for name in ("columns", "row_shape", "names")}
    return {"estimator": card["estimator"], **first, "steps": steps}


def _of_patches(card: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    fitted = card["fitted"]
    return {
        "estimator": card["estimator"],
        "columns": fitted["n_features_in"],
        "row_shape": fitted["row_shape"],
        "names": fitted["feature_names_in"],
        "params": card["params"],
        "patterns": len(tensors["atoms"]),
    }


def _of_autoencoder(card: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """An autoencoder, or what has one inside."""
    from isthmus.cli.composed import are_enough
    from isthmus.cli.fit import training_summary

    rows = card.get("autoencoder", card)
    params, fitted = card["params"], rows["fitted"]
    reference = tensors.get("reference_scores", ())
    record = {
        "estimator": card["estimator"],
        "likelihood": rows["likelihood"],
        "columns": fitted["n_features_in"],
        "row_shape": fitted["row_shape"],
        "names": fitted["feature_names_in"],
        "params": params,
        "numbers": sum(tensor.numel() for tensor in tensors.values()),
        "reference_rows": len(reference),
        "code_report": fitted["code_report"],
        "training": training_summary(
            card.get("history", rows["history"]), fitted["n_features_in"]
        ),
    }
    if "offset" in card:
        calibrated = are_enough(len(reference), params["level"])
        record |= {"offset": card["offset"], "calibrated": calibrated}
    return record


def _describe(path: Path, key: str | None, quiet: bool) -> dict[str, Any]:
    from isthmus.cli.described import describe
    from isthmus.cli.ending import about
    from isthmus.data import count_rows, is_source, open_data
    from isthmus.data.sources import all_pieces

    rows = open_data(path, key)
    with about(path), counting(not quiet, count_rows(rows)) as tick:
        record, schema = describe(lambda: all_pieces(rows) if is_source(rows) else [rows], tick)
    if schema is not None:
        print_schema(schema)
    return {"data": str(path), **record}


def print_schema(schema: "Schema") -> None:
    """The schema as a table on standard error, without the columns after the first ones."""
    from rich.console import Console
    from rich.table import Table

    from isthmus.data.schema import HEAD

    table = Table(*HEAD, box=None, pad_edge=False)
    for line in schema.table()[:MOST_LINES]:
        table.add_row(*map(_plain_text, line))
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    console.print(table)
    if len(schema) > MOST_LINES:
        console.print(f"… {len(schema) - MOST_LINES} columns more")


def _plain_text(words: str) -> Any:
    from rich.text import Text

    return Text(words)  # names and levels may hold what looks like markup
