"""The verb ``fit``: from data to the file of a model."""

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from isthmus.cli import options
from isthmus.cli.ending import about
from isthmus.cli.show import show


def fit(  # noqa: PLR0913  # one option for each of the estimator's parameters
    context: typer.Context,
    data: options.DataFile,
    output: options.NewModel,
    n_components: options.NComponents = 32,
    hidden: options.Hidden = "256",
    activation: options.Activation = "silu",
    network: options.Network = "mlp",
    tied: options.Tied = False,
    encoder: options.Encoder = "deterministic",
    likelihood: options.Likelihood = "auto",
    column: options.ColumnLikelihood = None,
    corruption: options.Corruption = None,
    penalty: options.Penalty = None,
    optimizer: options.Optimizer = "adamw",
    learning_rate: options.LearningRate = 1e-3,
    batch_size: options.BatchSize = 256,
    max_epochs: options.MaxEpochs = 100,
    validation_fraction: options.ValidationFraction = 0.1,
    patience: options.Patience = 10,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    outliers: options.Outliers = None,
    patches: options.Patches = None,
    random_state: options.Seed = None,
    drop: options.Drop = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Learn a model from data and write it to a file.

    Ctrl-C ends the training early; the best model so far is written.
    """
    from isthmus import Autoencoder
    from isthmus.cli.composed import compose
    from isthmus.cli.parts import (
        read_likelihood,
        read_part,
        read_parts,
        read_patches,
        read_widths,
        require_level,
    )
    from isthmus.cli.targets import require_model_target
    from isthmus.corruptions import CORRUPTIONS
    from isthmus.encoders import ENCODERS
    from isthmus.estimators.outliers import ROBUST
    from isthmus.penalties import PENALTIES

    require_model_target(output)
    require_level("--outliers", outliers)
    patterns = read_patches(patches, column)
    autoencoder = Autoencoder(
        n_components,
        hidden=read_widths(hidden),
        activation=activation,
        network=network,
        tied=tied,
        encoder=read_part(ENCODERS, "--encoder", encoder),
        likelihood=read_likelihood(likelihood, column),
        corruption=read_parts(CORRUPTIONS, "--corruption", corruption),
        penalty=read_parts(PENALTIES, "--penalty", penalty),
        optimizer=optimizer,
        learning_rate=learning_rate,
        batch_size=batch_size,
        max_epochs=max_epochs,
        validation_fraction=validation_fraction,
        patience=patience,
        device=device,
        precision=precision,
        random_state=random_state,
        verbose=0 if quiet else 1,
    )
    left_out = {name for name in ROBUST if _is_left_out(context, name)}
    if column:
        left_out.discard("likelihood")
    estimator = compose(autoencoder, outliers, patterns, left_out)
    show(_fit_and_save(estimator, data, (key, drop or ()), output))


def _is_left_out(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT"


def _fit_and_save(
    estimator: Any, data: Path, how: tuple[str | None, Sequence[str]], output: str
) -> dict[str, Any]:
    from isthmus import save
    from isthmus.cli.composed import described, notes
    from isthmus.data import count_rows, open_data
    from isthmus.estimators.chained import scoring_autoencoder
    from isthmus.estimators.progress import say

    rows = open_data(data, *how)
    began = time.perf_counter()
    with about(data), watching_ctrl_c() as interrupt:
        estimator.fit(rows)
    seconds = time.perf_counter() - began
    save(estimator, output)
    autoencoder: Any = scoring_autoencoder(estimator)
    for note in notes(estimator):
        say(autoencoder.verbose)(note)
    history = [asdict(epoch) for epoch in autoencoder.history_]
    early = interrupt.happened or len(history) < autoencoder.max_epochs
    by_whom = "interrupt" if interrupt.happened else "patience" if early else "max_epochs"
    return {
        "model": output,
        "likelihood": autoencoder.likelihood_,
        "rows": count_rows(rows),
        "columns": estimator.n_features_in_,
        "n_components": autoencoder.n_components,
        "parameters": sum(weight.numel() for weight in autoencoder.model_.parameters()),
        **training_summary(history, autoencoder.n_features_in_),
        "seconds": round(seconds, 3),
        "stopped_early": early,
        "stopped_by": by_whom,
        **described(estimator),
    }


def training_summary(history: list[dict[str, Any]], n_features: int) -> dict[str, Any]:
    """What a training came to, from its records.

    Args:
        history: One record per epoch with the fields of `isthmus.training.Epoch`.
        n_features: d.

    Returns:
        Figures of the best epoch (of the last one, where none gave a number), in nats per row.
        Those per dimension are of the held-out rows, or of the training rows where none were
        held out.
    """
    if not history:
        return {"epochs": 0}
    best = next((epoch for epoch in reversed(history) if epoch["best"]), history[-1])
    held_out = best["validation_nll"]
    nll = best["nll"] if held_out is None else held_out
    nats = None if nll is None else nll / n_features
    speeds = [epoch["rows_per_second"] for epoch in history]
    return {
        "epochs": len(history),
        "best_epoch": best["number"] if best["best"] else None,
        "validation_nll": held_out,
        "train_nll": best["nll"],
        "train_kl": best["kl"],
        "nats_per_dimension": nats,
        "bits_per_dimension": None if nats is None else nats / math.log(2),
        "rows_per_second": round(len(speeds) / sum(1 / speed for speed in speeds), 1),
    }


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed."""

    happened: bool = False


@contextmanager
def watching_ctrl_c() -> Iterator[Interrupt]:
    """Within this block Ctrl-C does what it does otherwise, and is noted.

    The estimator takes it as the wish to end the training, and does not say so in its attributes.
    Where Ctrl-C is already handled in another way, or ignored, that stays.
    """
    interrupt = Interrupt()

    def note(signal_number: int, frame: Any) -> None:
        interrupt.happened = True
        raise KeyboardInterrupt

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
