"""Predicting from the code: p(y | h) is a second decoder of the same h = E[h | x].

The encoder and a small *head* are trained together on the rows that have a label:

    L = E_labelled[ − w_y log p(y | h̃) ] + c E_all[ − log p(ŷ | h̃) ] + λ E_all[ J(x) ] ,
    h̃ = f(x̃),   x̃ ~ C(x̃ | x)

The first term is the likelihood of the labels; the last one, the autoencoder's own objective,
keeps the encoder to what all rows say while few labels pull at it. The middle one makes
predictions *consistent*: ŷ is a virtual label, which the model gives to the clean row and must
find again in a corrupted one. So a row without a label teaches that its neighbours under C are of
its class. Of classes ŷ has the probabilities p(y | h), and the term is KL(p(y | h) ‖ p(y | h̃))
(Sajjadi et al., 2016); or it is the most probable one, where that is probable enough (Lee, 2013;
Sohn et al., 2020); what labels of near rows say may be its prior (`isthmus.virtual`). Of
numbers ŷ is drawn from p(y | h), which is the same up to a constant. The copy may besides be moved
a step where its prediction changes most (virtual adversarial training, Miyato et al., 2018).

All terms are in nats per row and in the units of the user, so λ = 1 weighs what a label says like
what the features say.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.encoders import Deterministic
from isthmus.entry import TableEntry
from isthmus.likelihoods import Eta, Likelihood
from isthmus.model import Model, Shape
from isthmus.networks import MLP
from isthmus.objective import Objective, Terms
from isthmus.sparse import Batch, dense
from isthmus.virtual import Virtual, aligned, with_prior

THAWED_BY = 0.5
PROBE = 0.1


@dataclass(frozen=True, eq=False)
class Labelled:
    """Some rows with labels, and some others without.

    Attributes:
        z: Scaled rows (n, d).
        y: Their labels, scaled, (n, 1).
        weight: w of each, (n,).
        others: Scaled rows (m, d) of the whole data; None where only labels teach.
        log_prior: log s(y) of each of the others, (m, K): what near labels say of them; None
            where they were not asked.
    """

    z: Batch
    y: Tensor
    weight: Tensor
    others: Batch | None = None
    log_prior: Tensor | None = None

    def __len__(self) -> int:
        return len(self.z if self.others is None else self.others)


def make_head(
    likelihood: Likelihood,
    widths: tuple[int, ...],
    activation: str,
    start: Eta,
    scaling: tuple[float, float],
    generator: torch.Generator,
) -> Model:
    """p(y | h) as a model whose only room is the way from the code.

    Args:
        likelihood: Of y, one feature.
        widths: k, and the hidden widths of the head.
        activation: Of its hidden layers.
        start: The likelihood's best constant, which it emits at step 0.
        scaling: Centre and scale of y.
        generator: Source of the initial weights.
    """
    center, scale = (torch.tensor([value], dtype=torch.float64) for value in scaling)
    decoder = MLP([*widths, likelihood.traits.width(1)], activation, generator)
    shape = Shape(1, widths[0])
    encoder = Deterministic()
    return Model(likelihood, encoder, (nn.Identity(), decoder), shape, start, center, scale).eval()


class Predictor(nn.Module):
    """An encoder and a head; the decoder of the rows is there for J(x).

    Args:
        model: A model of the rows.
        head: p(y | h), from `make_head`.
    """

    def __init__(self, model: Model, head: Model) -> None:
        super().__init__()
        self.model = model
        self.head = head

    @property
    def shape(self) -> Shape:
        """d and k."""
        return self.model.shape

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def table(self) -> TableEntry | None:
        """Of a table, what the encoder sees."""
        return self.model.table

    @property
    def parameters_of_all_rows(self) -> nn.ParameterDict:
        """Learned scales of rows and labels."""
        both = (("x", self.model), ("y", self.head))
        return nn.ParameterDict(
            {
                f"{name}_{key}": value
                for name, model in both
                for key, value in model.parameters_of_all_rows.items()
            }
        )

    def code(self, z: Batch) -> Tensor:
        """E[h | x], (n, k)."""
        return self.model.code(z)

    def code_of(self, entered: Batch) -> Tensor:
        """E[h | x̃] from what the encoder network sees, (n, k)."""
        return self.model.encoder.mean(self.model.encode(entered))

    def decode(self, h: Tensor) -> Eta:
        """The η of p(y | h) for codes (n, k)."""
        return self.head.decode(h)

    @contextmanager
    def computing_in_half_precision(self, half: bool) -> Iterator[None]:
        """Networks in bfloat16 inside the block."""
        with (
            self.model.computing_in_half_precision(half),
            self.head.computing_in_half_precision(half),
        ):
            yield

    # ---- what moves -------------------------------------------------------------------------

    def encoder_layers(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer of the encoder, from the data up to the code."""
        networks = [] if self.model.table is None else [self.model.table]
        layers = (
            list(module.parameters(recurse=False))
            for network in (*networks, self.model.encoder_network)
            for module in network.modules()
        )
        return [layer for layer in layers if layer]

    def others(self) -> list[nn.Parameter]:
        """All parameters outside of the encoder: of the head, and of the decoder of the rows."""
        known = {id(p) for layer in self.encoder_layers() for p in layer}
        return [p for p in self.parameters() if id(p) not in known]

    def hold(self, n_layers: int, *, decoder: bool) -> None:
        """Keep the lowest layers of the encoder as they are for good.

        Args:
            n_layers: How many.
            decoder: Whether the decoder of the rows is kept as well.
        """
        if decoder:
            self.model.requires_grad_(requires_grad=False)
        for number, layer in enumerate(self.encoder_layers()):
            for parameter in layer:
                parameter.requires_grad_(number >= n_layers)


@dataclass(frozen=True)
class Thaw:
    """Gradual unfreezing (Howard and Ruder, 2018): layers begin to move one by one from the top.

    At first only the head moves; when half of the training is done, all layers do.

    Attributes:
        layers: Of the encoder, those that will move, from the lowest to the highest.
    """

    layers: tuple[tuple[nn.Parameter, ...], ...]

    def __call__(self, progress: float) -> None:
        """Let the layers move whose time has come.

        Args:
            progress: The part of the training that is done, in [0, 1].
        """
        n = len(self.layers)
        free = min(n, int(progress / THAWED_BY * n))
        for number, layer in enumerate(self.layers):
            for parameter in layer:
                parameter.requires_grad_(number >= n - free)


@dataclass(frozen=True)
class Supervision:
    """The objective L of the module's first lines.

    Attributes:
        seen: Holds C, the corruption of what the encoder sees.
        rows: J, of which only the terms count.
        reconstruction: λ.
        consistency: c.
        virtual: What ŷ is, and what it costs.
        shares: π, of the classes among the rows without a label, (K,); None if unknown.
        radius: Length of a step that makes the copy as inconsistent as can be; 0 for none.
        thaw: Lets layers move in their turn; None if all move from the start.
    """

    seen: Objective
    rows: Objective
    reconstruction: float
    consistency: float
    virtual: Virtual
    shares: Tensor | None = None
    radius: float = 0.0
    thaw: Thaw | None = None

    @property
    def reads_all_rows(self) -> bool:
        """Whether rows without labels teach anything."""
        return self.reconstruction > 0 or self.consistency > 0

    def __call__(
        self,
        model: Predictor,
        batch: Labelled,
        generator: torch.Generator,
        progress: float = 1.0,
    ) -> Terms:
        """The terms of L for a batch: of labelled rows one each, of all rows their mean.

        Args:
            model: Encoder and head.
            batch: Rows with labels, and others.
            generator: Source of corruption and draws.
            progress: The part of the training that is done, in [0, 1].
        """
        h = model.code_of(self.seen.corrupted(model.model, batch.z, generator)[0])
        nll = batch.weight * model.head.nll(batch.y, h)
        means = {}
        if batch.others is not None and self.consistency:
            inconsistent = self._inconsistency(model, batch, generator)
            means["consistency"] = self.consistency * inconsistent.mean()
        if batch.others is not None and self.reconstruction:
            terms = self.rows(model.model, batch.others, generator, progress)
            means["reconstruction"] = self.reconstruction * terms.total().mean()
        penalties = {name: mean.expand(len(nll)) for name, mean in means.items()}
        return Terms(nll, None, None, penalties)

    def _inconsistency(
        self, model: Predictor, batch: Labelled, generator: torch.Generator
    ) -> Tensor:
        """What ŷ costs in the corrupted copy of each of the others, (m,)."""
        z = batch.others
        assert z is not None
        with torch.no_grad():
            eta = model.decode(model.code(z))
            if batch.log_prior is not None:
                eta = with_prior(eta, batch.log_prior)
            if self.shares is not None:
                eta = aligned(eta, self.shares)
        entered = self.seen.corrupted(model.model, z, generator)[0]

        def cost(x: Batch) -> Tensor:
            found = model.decode(model.code_of(x))
            return self.virtual(model.head.likelihood, eta, found, generator)

        if self.radius:
            entered = dense(entered)
            entered = entered + self.radius * _steepest(cost, entered, self.radius, generator)
        return cost(entered)

    def descend(
        self,
        model: Predictor,
        batch: Labelled,
        generator: torch.Generator,
        progress: float = 1.0,
        weight: float = 1.0,
    ) -> Terms:
        """The terms of L for a batch, and the gradient of their mean.

        Args:
            model: Its parameters' ``grad`` is set, whatever it was.
            batch: Rows with labels, and others.
            generator: Source of corruption and draws.
            progress: The part of the training that is done, in [0, 1].
            weight: Of every row in the sum: a short batch weighs less.
        """
        if self.thaw is not None:
            self.thaw(progress)
        model.zero_grad()
        terms = self(model, batch, generator, progress)
        (terms.total().mean() * min(1.0, weight * len(batch))).backward()
        return terms.detached()

    @torch.no_grad()
    def cost(self, model: Predictor, batch: Labelled, generator: torch.Generator) -> Tensor:
        """− w_y log p(y | h) of clean held-out rows, (n,).

        Args:
            model: Encoder and head.
            batch: Rows with labels.
            generator: Not used: nothing is random.
        """
        return batch.weight * model.head.nll(batch.y, model.code(batch.z))

    @torch.no_grad()
    def suspect(self, model: Predictor, batch: Labelled) -> str | None:
        """The first code unit that is not finite, or the prediction, if any."""
        h = model.code(batch.z)
        unit = (~torch.isfinite(h)).any(0).nonzero()
        if len(unit):
            return f"code unit {int(unit[0])} is not finite"
        if not torch.isfinite(model.head.nll(batch.y, h)).all():
            return "the log-likelihood of a label is not finite"
        return None


def _steepest(
    cost: Callable[[Tensor], Tensor], x: Tensor, radius: float, generator: torch.Generator
) -> Tensor:
    """Unit vectors along which the cost of each row rises most, (m, d).

    The cost has its least value, and so no slope, where the copy is the clean row. One step of the
    power method on its second derivatives is a slope beside it (Miyato et al., 2018).
    """
    direction = _unit(torch.empty_like(x).normal_(generator=generator))
    beside = (x.detach() + PROBE * radius * direction).requires_grad_()
    (slope,) = torch.autograd.grad(cost(beside).sum(), beside)
    return _unit(slope).detach()


def _unit(x: Tensor) -> Tensor:
    """Rows of length 1; 0 where there is no direction."""
    longest = x.abs().amax(1, keepdim=True)
    tiny = torch.finfo(x.dtype).tiny
    x = x / longest.clamp_min(tiny)
    unit: Tensor = x / x.norm(dim=1, keepdim=True).clamp_min(tiny)
    return unit
