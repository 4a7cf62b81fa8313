"""The loop and what it needs: rows, steps, precision, held-out means."""

from isthmus.training.ahead import ahead
from isthmus.training.contracts import Goal, Learner
from isthmus.training.evaluation import validate
from isthmus.training.freed import freed_memory_kept
from isthmus.training.labelled import LabelledRows
from isthmus.training.loop import Epoch, Plan, count_steps, train
from isthmus.training.near import NearRows, near_rows
from isthmus.training.optimizers import (
    OPTIMIZERS,
    Part,
    Stepper,
    WarmUpAndCosine,
    require_optimizer,
    steady,
)
from isthmus.training.precision import find_device, on_one_thread, require_precision
from isthmus.training.rows import DenseRows, HeldOut, Rows, RowsInMemory, make_rows
from isthmus.training.spread import Prior, graph_rows, spread_labels
from isthmus.training.stream import Choice, SetAside, StreamRows

__all__ = [
    "OPTIMIZERS",
    "Choice",
    "DenseRows",
    "Epoch",
    "Goal",
    "HeldOut",
    "LabelledRows",
    "Learner",
    "NearRows",
    "Part",
    "Plan",
    "Prior",
    "Rows",
    "RowsInMemory",
    "SetAside",
    "Stepper",
    "StreamRows",
    "WarmUpAndCosine",
    "ahead",
    "count_steps",
    "find_device",
    "freed_memory_kept",
    "graph_rows",
    "make_rows",
    "near_rows",
    "on_one_thread",
    "require_optimizer",
    "require_precision",
    "spread_labels",
    "steady",
    "train",
    "validate",
]
