"""What some rows teach after training: how far predictions err, what scores and codes are usual.

The first two are of rows that the weights never saw, though early stopping did choose among the
epochs by them. Without held-out rows, hidden cells are tried on training rows, and there are no
reference scores: those of rows that were trained on would be too good. Codes are kept where the
code has no prior to draw from, and there any rows will do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._errors import FileFormatError
from isthmus._random import make_generator
from isthmus.analysis.impute import LEVELS, STRATA, TRIED_ROWS, Spread, try_on_hidden
from isthmus.estimators.apply import feature_scores
from isthmus.estimators.learn import Split, encoded, report_rows
from isthmus.model import Model
from isthmus.sparse import dense

REFERENCE, CODES = "reference_scores", "codes"
REFERENCE_ROWS = 8192
REFERENCE_CELLS = 1 << 21
CODE_ROWS, CODE_CELLS = 4096, 1 << 20
BLOCK_CELLS = 1 << 22
BLOCK = 2048


@dataclass(frozen=True)
class Tried:
    """What held-out rows have taught.

    Attributes:
        spread: How far predictions of hidden cells err; None for data without cells to hide.
        reference: Scores of their features, float32 (r, d), in nats; None without such rows.
        codes: E[h | x] of some rows, held out or not, float32 (r, k); None for a code with a
            prior.
    """

    spread: Spread | None = None
    reference: NDArray[np.float32] | None = None
    codes: NDArray[np.float32] | None = None


def try_out(model: Model, parts: Split, seed: int, *, hid: bool) -> Tried:
    """Look at the held-out rows once more.

    Args:
        model: Trained.
        parts: The rows.
        seed: Which cells are hidden.
        hid: Whether cells were corrupted in training; if not, only data with holes are tried.
    """
    spread = None
    if model.table is not None:
        z = torch.cat(list(_first(parts, TRIED_ROWS, model)))
        if hid or bool(z.isnan().any()):
            spread = try_on_hidden(model, z, make_generator(seed, model.device))
    codes = codes_of(model, encoded(model, parts.some(_code_rows(model))))
    if parts.read_held_out is None:
        return Tried(spread, codes=codes)
    few = min(REFERENCE_ROWS, max(1, REFERENCE_CELLS // model.shape.n_features))
    with torch.no_grad():
        scores = [feature_scores(model, z).float().cpu() for z in _first(parts, few, model)]
    return Tried(spread, torch.cat(scores).numpy(), codes)


def _code_rows(model: Model) -> int:
    shape = model.shape
    wide = max(1, REFERENCE_CELLS // shape.n_features), max(1, CODE_CELLS // shape.n_components)
    return min(CODE_ROWS, *wide)


def codes_of(model: Model, eta: Tensor) -> NDArray[np.float32] | None:
    """E[h | x] of some rows from their η; None for a code with a prior, which can do without."""
    if model.encoder.stochastic:
        return None
    return model.encoder.mean(eta).float().cpu().numpy()


def _first(parts: Split, n_rows: int, model: Model) -> Iterator[Tensor]:
    """z of the first held-out rows, or of some rows where none were held out."""
    if parts.read_held_out is None:
        yield dense(parts.some(min(n_rows, report_rows(model.shape.n_features))))
        return
    size = min(BLOCK, n_rows, max(1, BLOCK_CELLS // model.shape.n_features))
    for z in parts.read_held_out.blocks(size, model.device):
        yield dense(z)[:n_rows]
        n_rows -= len(z)
        if n_rows <= 0:
            return


def spread_card(spread: Spread | None) -> Any:
    """What was learnt on hidden cells as JSON: quantiles by column, where there are any."""
    if spread is None:
        return None
    columns = spread.residuals.permute(2, 0, 1).cpu().tolist()
    known = {str(j): column for j, column in enumerate(columns) if not np.isnan(column[0][0])}
    return {"gibbs": spread.gibbs, "residuals": known}


def tried_from_file(card: Any, tensors: Mapping[str, Tensor], model: Model) -> Tried:
    """What `save` wrote, checked; older files hold less.

    Raises:
        FileFormatError: It is not what was written.
    """
    shape = model.shape
    reference = _numbers(tensors, REFERENCE, shape.n_features)
    if reference is not None and np.isnan(reference).any():
        raise FileFormatError("a reference score that is NaN")
    codes = _numbers(tensors, CODES, shape.n_components)
    if codes is not None and not np.isfinite(codes).all():
        raise FileFormatError("a code that is not finite")
    return Tried(_spread(card, shape.n_features), reference, codes)


def _numbers(tensors: Mapping[str, Tensor], name: str, width: int) -> NDArray[np.float32] | None:
    if name not in tensors:
        return None
    shape, kind = tuple(tensors[name].shape), tensors[name].dtype
    if len(shape) != 2 or shape[1] != width or kind != torch.float32 or not shape[0]:
        raise FileFormatError(f"{name} of shape {shape} and type {kind}")
    return np.asarray(tensors[name].clone().numpy())


def _spread(card: Any, n_features: int) -> Spread | None:
    """The spread again, checked.

    Raises:
        FileFormatError: It is not what `spread_card` writes.
    """
    if card is None:
        return None
    residuals = torch.full((STRATA, LEVELS, n_features), torch.nan)
    for name, column in card["residuals"].items():
        values = torch.tensor(column, dtype=torch.float32)
        if values.shape != (STRATA, LEVELS) or not values.isfinite().all():
            raise FileFormatError(f"it has no {STRATA} × {LEVELS} quantiles for column {name}")
        if not 0 <= int(name) < n_features:
            raise FileFormatError(f"it has quantiles for a column {name} that is not there")
        residuals[:, :, int(name)] = values
    if not isinstance(card["gibbs"], bool):
        raise FileFormatError(f"{card['gibbs']!r} in place of true or false")
    return Spread(card["gibbs"], residuals)
