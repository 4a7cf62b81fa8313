"""Fine-tuning on behalf of the pretrained estimators: from rows and labels to encoder and head."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from isthmus._errors import InvalidParameterError, NotFittedError, UnsupportedTypeError
from isthmus._random import make_generator
from isthmus.corruptions import CORRUPTIONS
from isthmus.data import Data, Matrix, Stream
from isthmus.data.convert import as_matrix
from isthmus.estimators.apply import common_unit
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.fitted import Fitted
from isthmus.estimators.fitting import begin_fit
from isthmus.estimators.held_out import Tried
from isthmus.estimators.learn import follow
from isthmus.estimators.progress import display
from isthmus.estimators.resolve import several, truth, whole
from isthmus.estimators.tables import open_rows
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.prediction import Predictor, Supervision, Thaw, make_head
from isthmus.sparse import Batch
from isthmus.training import (
    Epoch,
    LabelledRows,
    Part,
    Plan,
    Prior,
    Rows,
    RowsInMemory,
    Stepper,
    StreamRows,
    WarmUpAndCosine,
    count_steps,
    graph_rows,
    make_rows,
    spread_labels,
    train,
)
from isthmus.virtual import Virtual

GRAPH_BLOCK = 1024


@dataclass(frozen=True)
class Tuning:
    """How encoder and head are trained together.

    Attributes:
        head: Hidden widths of the head.
        frozen: How many of the encoder's lowest layers stay; None for all of them.
        gradual: Whether its layers begin to move one by one.
        layer_decay: Each layer's speed, as a factor of that of the layer above it.
        objective: C, on what the encoder sees, in the user's units.
        reconstruction: λ.
        consistency: c.
        radius: Of the adversary's step, in the user's units.
        neighbours: Near rows that each is joined to where labels spread; 0 if they don't.
        labelled_batch: Labelled rows per step beside rows of all; None is as many.
    """

    head: tuple[int, ...]
    frozen: int | None
    gradual: bool
    layer_decay: float
    objective: Objective
    reconstruction: float
    consistency: float
    radius: float
    neighbours: int
    labelled_batch: int | None


def read_tuning(params: dict[str, Any]) -> Tuning:
    """How to fine-tune, from an estimator's parameters.

    Raises:
        InvalidParameterError: A value outside its range, consistency without a corruption, or
            neighbours or shares of classes without consistency.
    """
    freeze, decay = params["freeze"], params["layer_decay"]
    weights = {name: params[name] for name in ("reconstruction", "consistency", "adversary")}
    for name, value in {**weights, "layer_decay": decay}.items():
        wrong = isinstance(value, bool) or not isinstance(value, int | float | np.number)
        if wrong or not 0 <= value < float("inf"):
            raise InvalidParameterError(f"{name} must be a number, 0 or more; got {value!r}.")
    corruptions = several(CORRUPTIONS, params["corruption"])
    if weights["consistency"] and not (corruptions or weights["adversary"]):
        raise InvalidParameterError(
            "consistency compares predictions for clean and corrupted rows, and there is no "
            "corruption; give one, such as corruption=Masking(0.25), or adversary=1.0."
        )
    near = whole("neighbours", params.get("neighbours", 0), 0)
    if near and not weights["consistency"]:
        raise InvalidParameterError(
            f"neighbours={near} spreads labels to rows without one, and only consistency learns "
            "from these; give consistency=1.0 as well, or neighbours=0."
        )
    if params.get("class_shares") is not None and not weights["consistency"]:
        raise InvalidParameterError(
            "class_shares are of virtual labels, and only consistency learns from these; give "
            "consistency=1.0 as well, or leave them out."
        )
    if not isinstance(params["head"], tuple | list):
        raise InvalidParameterError(
            f"head must be a tuple of widths, such as (64,) or (); got {params['head']!r}."
        )
    size = params["labelled_batch_size"]
    held = (
        None if freeze is True else whole("freeze", int(freeze) if freeze is False else freeze, 0)
    )
    return Tuning(
        tuple(whole("head", width, 1) for width in params["head"]),
        held,
        truth("gradual", params["gradual"]),
        float(decay),
        Objective(corruptions),
        float(weights["reconstruction"]),
        float(weights["consistency"]),
        float(weights["adversary"]),
        near,
        None if size is None else whole("labelled_batch_size", size, 1),
    )


# ---- the autoencoder ------------------------------------------------------------------------


def pretrained(given: Any, X: Any, seed: int, defaults: dict[str, Any], *, train: bool) -> Fitted:
    """A fitted autoencoder that may be changed.

    Args:
        given: None, an autoencoder, or one in a `sklearn.frozen.FrozenEstimator`. A fitted one is
            copied, with its weights.
        X: All rows.
        seed: For an autoencoder without one.
        defaults: Parameters of the autoencoder that stands for None.
        train: Whether it is trained on X; if not, its weights are random.

    Raises:
        UnsupportedTypeError: No autoencoder.
        NotFittedError: A frozen one that is not fitted.
    """
    frozen = isinstance(given, FrozenEstimator)
    autoencoder = given.estimator if frozen else given
    if autoencoder is None:
        autoencoder = Autoencoder(**defaults)
    if not isinstance(autoencoder, Fitted):
        raise UnsupportedTypeError(
            "autoencoder must be an Autoencoder or a StackedAutoencoder, or a fitted one in "
            f"FrozenEstimator; got {given!r} of type {type(given).__name__}."
        )
    fitted = hasattr(autoencoder, "model_")
    if frozen and not fitted:
        raise NotFittedError("The autoencoder in FrozenEstimator is not fitted yet; fit it first.")
    if fitted:
        return copy.deepcopy(autoencoder)
    fresh: Fitted = clone(autoencoder)
    if fresh.random_state is None:
        fresh.set_params(random_state=seed)
    if train:
        return fresh.fit(X)
    begin_fit(fresh, X, open_rows(X, fresh.get_params(deep=False)["likelihood"]), seed)
    return fresh


def gathered(data: Data, rows: NDArray[np.intp]) -> Matrix:
    """The rows of these numbers, in order, in memory."""
    if isinstance(data, Matrix):
        return data
    found = []
    for matrix in data.matrices():
        first = matrix.first_row or 0
        low, high = np.searchsorted(rows, [first, first + len(matrix)])
        if high > low:
            dtype = np.result_type(matrix.dtype, np.float32)
            found.append((low, matrix.take(rows[low:high] - first, dtype)))
    parts = [part for _, part in sorted(found, key=lambda pair: int(pair[0]))]
    return as_matrix(np.concatenate(parts))


# ---- head and training ----------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """Labels as the head sees them.

    Attributes:
        likelihood: p(y | h).
        y: Labels in the user's units or codes of classes, (n, 1).
        weight: Of each, (n,).
        scaling: Centre and scale.
        virtual: What rows without a label ask for.
        shares: Of the classes among these rows, (K,); None if unknown.
    """

    likelihood: Likelihood
    y: NDArray[np.float64]
    weight: NDArray[np.float64]
    scaling: tuple[float, float]
    virtual: Virtual
    shares: NDArray[np.float64] | None = None

    def head(self, model: Model, hidden: tuple[int, ...], activation: str, seed: int) -> Model:
        """p(y | h) at its best constant."""
        center, scale = self.scaling
        start = self.likelihood.start((torch.from_numpy(self.y) - center) / scale, scale)
        widths = (model.shape.n_components, *hidden)
        generator = make_generator(seed)
        made = make_head(self.likelihood, widths, activation, start, self.scaling, generator)
        return made.to(model.device)


@dataclass(frozen=True)
class Places:
    """Which labels are for what.

    Attributes:
        rows: The numbers of the labelled rows in the whole data.
        train: Places among the labels.
        held_out: Places among the labels.
    """

    rows: NDArray[np.intp]
    train: NDArray[np.intp]
    held_out: NDArray[np.intp]


class Course:
    """One fine-tuning: made, then run.

    Args:
        autoencoder: Fitted; its model is changed.
        data: All rows.
        answers: Their labels.
        places: Which of them are trained on.
        tuning: How.
        seed: Of the head, the order and all draws.
    """

    def __init__(
        self,
        autoencoder: Fitted,
        data: Data,
        answers: Answers,
        places: Places,
        tuning: Tuning,
        seed: int,
    ) -> None:
        model = autoencoder.model_
        head = answers.head(model, tuning.head, autoencoder._recipe.activation, seed)
        self.predictor = Predictor(model, head)
        self._autoencoder, self._tuning, self._seed = autoencoder, tuning, seed
        layers = self.predictor.encoder_layers()
        frozen = len(layers) if tuning.frozen is None else tuning.frozen
        self._moving = tuple(tuple(layer) for layer in layers[frozen:])
        self.predictor.hold(frozen, decoder=tuning.reconstruction == 0)
        unit, shares = common_unit(model), answers.shares
        self.objective = Supervision(
            seen=tuning.objective.in_units(unit),
            rows=autoencoder.objective_.in_units(unit),
            reconstruction=tuning.reconstruction,
            consistency=tuning.consistency,
            virtual=answers.virtual,
            shares=None if shares is None else torch.from_numpy(shares).to(model.device),
            radius=tuning.radius / unit,
            thaw=Thaw(self._moving) if tuning.gradual else None,
        )
        self._labelled = gathered(data, places.rows)
        self._numbers = places.rows if isinstance(data, Matrix) else np.arange(len(places.rows))
        self._answers = answers
        others = _all_rows(data, model) if self.objective.reads_all_rows else None
        prior = self._prior(others, places) if tuning.neighbours else None
        self.rows = self._at(places.train, others, prior)
        self.held_out = self._at(places.held_out) if len(places.held_out) else None

    def _prior(self, others: Rows[Batch] | None, places: Places) -> Prior:
        """What the labels that are trained on say of all rows, in the codes as they are."""
        if not isinstance(others, RowsInMemory):
            raise InvalidParameterError(
                f"neighbours={self._tuning.neighbours} needs all rows in memory, and these are "
                "read from files; give neighbours=0, or an array."
            )
        answers, rng = self._answers, np.random.default_rng(self._seed)
        labelled = places.rows[places.train]
        chosen = graph_rows(labelled, len(others), rng)
        seen = places.train[np.isin(labelled, chosen)]
        at = np.searchsorted(chosen, places.rows[seen])
        y = np.zeros((len(chosen), answers.likelihood.traits.width(1)))
        y[at, answers.y[seen, 0].astype(np.intp)] = answers.weight[seen]
        model = self.predictor.model
        numbers = torch.from_numpy(chosen).to(model.device)
        with torch.no_grad():
            codes = [model.code(others.batch(each)) for each in numbers.split(GRAPH_BLOCK)]
        near = self._tuning.neighbours
        return spread_labels(torch.cat(codes), chosen, len(others), y, near)

    def _at(
        self,
        places: NDArray[np.intp],
        others: Rows[Batch] | None = None,
        prior: Prior | None = None,
    ) -> LabelledRows:
        model, answers = self.predictor.model, self._answers
        rows = make_rows(self._labelled, self._numbers[places], model)
        y = self.predictor.head.scaled(torch.from_numpy(answers.y[places]).to(model.device))
        weight = torch.from_numpy(answers.weight[places]).float().to(model.device)
        size = self._tuning.labelled_batch
        return LabelledRows(rows, y.float(), weight, others, size, prior)

    def _parts(self) -> list[Part]:
        """The highest layer of the encoder is the fastest; head and decoder have full speed."""
        decay, n = self._tuning.layer_decay, len(self._moving)
        layers = [Part(layer, decay ** (n - i)) for i, layer in enumerate(self._moving)]
        return [*layers, Part(tuple(self.predictor.others()))]

    def run(self, plan: Plan, history: list[Epoch], verbose: int) -> None:
        """Train; Ctrl-C ends it early.

        Args:
            plan: How.
            history: Gets one record per epoch.
            verbose: Whether a bar is shown.
        """
        schedule = WarmUpAndCosine.over(count_steps(len(self.rows), plan))
        parts = [part for part in self._parts() if part.speed > 0]
        stepper = Stepper(self.predictor, plan.optimizer, plan.learning_rate, schedule, parts)
        generator = make_generator(self._seed, self.predictor.device)
        what = (self.predictor, self.objective, self.rows, plan, generator, self.held_out)
        try:
            with display(verbose, len(self.rows), plan.max_epochs) as shown:
                follow(train(*what, shown.tick, stepper), history, shown.show)
        finally:
            self.predictor.requires_grad_(requires_grad=True)
        self._autoencoder._session = type(self._autoencoder._session)()
        self._autoencoder._tried = Tried()

    def held_out_eta(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """η of the held-out labels, (n, …), and the labels, (n,); None without such."""
        if self.held_out is None:
            return None
        found = []
        with torch.no_grad():
            for batch in self.held_out.blocks(1024, self.predictor.device):
                eta = self.predictor.decode(self.predictor.code(batch.z))[0]
                found.append((eta.flatten(1).double().cpu(), batch.y[:, 0].double().cpu()))
        etas, labels = zip(*found, strict=True)
        return torch.cat(etas).numpy(), torch.cat(labels).numpy()


def _all_rows(data: Data, model: Model) -> Rows[Batch]:
    if isinstance(data, Stream):
        return StreamRows(data, model)
    return make_rows(data, np.arange(len(data)), model)
