"""The loop and what it needs: rows, steps, precision, held-out means."""

from isthmus.training.evaluation import validate
from isthmus.training.loop import Epoch, Plan, train
from isthmus.training.optimizers import OPTIMIZERS, Stepper, require_optimizer, steady
from isthmus.training.precision import find_device, require_precision
from isthmus.training.rows import DenseRows, Rows, make_rows

__all__ = [
    "OPTIMIZERS",
    "DenseRows",
    "Epoch",
    "Plan",
    "Rows",
    "Stepper",
    "find_device",
    "make_rows",
    "require_optimizer",
    "require_precision",
    "steady",
    "train",
    "validate",
]
