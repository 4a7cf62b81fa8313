"""The one sentence:

    J(x) = − log p(x | h) + KL(p(h | x̃) ‖ p(h)) + Σ λ_k Ω_k ,   h ~ p(h | x̃),  x̃ ~ C(x̃ | x)

The usual, the variational, the denoising, the contractive and the hashing autoencoder are five
choices of its four parts: likelihood and code (held by the model), corruption and penalties (held
here). Every term is a number per example; nothing is reduced until the training loop does it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus.backpropagation import backward, forward
from isthmus.corruptions import Cells, Corruption, corrupt, corrupt_cells
from isthmus.model import Model
from isthmus.networks import MLP
from isthmus.penalties import Maps, Penalty
from isthmus.sparse import Batch, dense, take

DRAWS = 4


@dataclass(frozen=True)
class Terms:
    """J, term by term, for each row of a batch.

    Attributes:
        nll: −log p(x | h) in the user's units, nats, (n,).
        kl: KL(p(h | x̃) ‖ p(h)), nats, (n,); None for a code without a prior.
        kl_cost: What is minimised in its place (weighted, with free bits), (n,) or None.
        penalties: λ_k Ω_k by name, each (n,).
    """

    nll: Tensor
    kl: Tensor | None
    kl_cost: Tensor | None
    penalties: dict[str, Tensor]

    def total(self) -> Tensor:
        """J for each row, (n,)."""
        total = self.nll if self.kl_cost is None else self.nll + self.kl_cost
        for value in self.penalties.values():
            total = total + value
        return total

    def detached(self) -> "Terms":
        """The same numbers without a graph."""
        return Terms(
            self.nll.detach(),
            None if self.kl is None else self.kl.detach(),
            None if self.kl_cost is None else self.kl_cost.detach(),
            {name: value.detach() for name, value in self.penalties.items()},
        )


@dataclass(frozen=True)
class Objective:
    """Corruption and penalties: what the training adds to a model.

    Attributes:
        corruptions: Applied one after the other to what the encoder sees.
        penalties: Each adds its own term.
    """

    corruptions: tuple[Corruption, ...] = ()
    penalties: tuple[Penalty, ...] = ()

    @property
    def keeps_rows(self) -> bool:
        """Whether each row is reconstructed to itself."""
        return all(corruption.keeps_rows for corruption in self.corruptions)

    def in_units(self, unit: float) -> "Objective":
        """The same objective for data that are divided by ``unit``."""
        return Objective(
            tuple(corruption.in_units(unit) for corruption in self.corruptions),
            tuple(penalty.in_units(unit) for penalty in self.penalties),
        )

    def __call__(
        self, model: Model, z: Batch, generator: torch.Generator, progress: float = 1.0
    ) -> Terms:
        """The terms of J for a batch.

        Args:
            model: The model.
            z: Scaled rows (n, d).
            generator: Source of corruption and of noise in the code.
            progress: The part of the training that is done, in [0, 1].
        """
        encoder = model.encoder
        seen, target = self.corrupted(model, z, generator)
        eta = model.encode(seen)
        noise = encoder.draw_noise((len(z), model.shape.n_components), generator)
        h = encoder.draw(eta, noise, progress)
        kl = encoder.kl(eta) if encoder.stochastic else None
        return Terms(
            nll=model.nll(target, h) / self.share(model.shape.n_features),
            kl=None if kl is None else kl.sum(1),
            kl_cost=None if kl is None else encoder.kl_objective(kl),
            penalties=self._penalties(model, z, h, generator),
        )

    def share(self, n_features: int) -> float:
        """Which part of a table's observed cells counts: below 1, only what is hidden."""
        return min((each.share(n_features) for each in self.corruptions), default=1.0)

    @property
    def n_near(self) -> int:
        """How many nearest rows half of each batch is drawn from; 0 where any batch will do."""
        return max((penalty.n_near() for penalty in self.penalties), default=0)

    @torch.no_grad()
    def step(self, model: Model, z: Tensor, generator: torch.Generator) -> Tensor:
        """One step of the chain that corruption and model make: z′ ~ p(z | h), h ~ p(h | x̃).

        Its stationary distribution is the data's where p(z | h) is p(z | x̃) (Bengio et al., 2013).

        Args:
            model: The model.
            z: Scaled rows (n, d); of a table, cells may be missing.
            generator: Source of corruption, of noise in the code and of the draw.

        Returns:
            Scaled rows (n, d), of a table without holes.
        """
        eta = model.encode(self._seen(model, z, generator)[0])
        noise = model.encoder.draw_noise((len(z), model.shape.n_components), generator)
        h = model.encoder.draw(eta, noise)
        return model.likelihood.sample(model.decode(h), generator)

    def _walked(self, model: Model, z: Batch, generator: torch.Generator) -> Batch:
        """Each row some steps down the chain: L of them with probability (1 − p) p^L."""
        going_on = max((each.going_on() for each in self.corruptions), default=0.0)
        if not going_on:
            return z
        walked = dense(z).clone()
        walking = torch.arange(len(walked), device=walked.device)
        while True:
            chance = torch.rand(len(walking), generator=generator, device=walked.device)
            walking = walking[chance < going_on]
            if not len(walking):
                return walked
            walked[walking] = self.step(model, walked[walking], generator).to(walked.dtype)

    def corrupted(self, model: Model, z: Batch, generator: torch.Generator) -> tuple[Batch, Batch]:
        """What the encoder sees of x̃, and the cells that count."""
        walked = self._walked(model, z, generator)
        seen, corrupted = self._seen(model, walked, generator)
        target = self._aimed_at(model, z, generator)
        if corrupted is None or self.share(model.shape.n_features) == 1:
            return seen, target
        return seen, dense(target).masked_fill(~corrupted.isnan(), torch.nan)

    def _aimed_at(self, model: Model, z: Batch, generator: torch.Generator) -> Batch:
        """The rows that are to be reconstructed: z, unless a corruption takes rows for others."""
        for corruption in self.corruptions:
            if not corruption.keeps_rows:
                z = take(z, corruption.aims(model.enter(z), generator))
        return z

    def _seen(
        self, model: Model, z: Batch, generator: torch.Generator
    ) -> tuple[Batch, Tensor | None]:
        """What the encoder sees of x̃, and of a table the corrupted cells.

        Of a table the cells are corrupted before they enter.

        Raises:
            InvalidParameterError: Only hidden cells are to count, and the data are no table.
        """
        if model.table is None:
            if self.share(model.shape.n_features) < 1:
                raise InvalidParameterError(
                    "Masking(targets='hidden') is for tables, with a likelihood per column; "
                    "give likelihood as a list or as Columns(...), or use targets='all'."
                )
            entered = model.enter(z)
            return corrupt(self.corruptions, entered, model.entry_width, generator), None
        if not self.corruptions:
            return model.enter(z), None
        cells = Cells(dense(z), model.table.is_real, model.table.is_category)
        corrupted = corrupt_cells(self.corruptions, cells, generator)
        return model.enter(corrupted), corrupted

    def descend(
        self,
        model: Model,
        z: Batch,
        generator: torch.Generator,
        progress: float = 1.0,
        weight: float = 1.0,
    ) -> Terms:
        """The terms of J for a batch, and the gradient of their weighted sum.

        Args:
            model: Its parameters' ``grad`` is set, whatever it was.
            z: Scaled rows (n, d).
            generator: Source of corruption and of noise in the code.
            progress: The part of the training that is done, in [0, 1].
            weight: Of every row in the sum.

        Returns:
            What calling the objective returns, without a graph.
        """
        layers = model.layers
        if layers is not None:
            return self._descend_layers(model, layers, z, generator, progress, weight)
        model.zero_grad()
        terms = self(model, z, generator, progress)
        (terms.total().sum() * weight).backward()
        return terms.detached()

    def _descend_layers(
        self,
        model: Model,
        layers: tuple[MLP, MLP],
        z: Batch,
        generator: torch.Generator,
        progress: float,
        weight: float,
    ) -> Terms:
        """Only the code in the middle, and penalties, are left to torch to differentiate."""
        (down, up), encoder, half = layers, model.encoder, model.half_precision
        if self.penalties:
            model.zero_grad()
        elif model.table is not None:
            model.table.zero_grad()
        entered, target = self.corrupted(model, z, generator)
        learned = isinstance(entered, Tensor) and entered.requires_grad  # vectors of levels
        given = entered.detach() if learned and isinstance(entered, Tensor) else entered
        with torch.no_grad():
            eta, trace_down = forward(down, given, half=half)
        noise = encoder.draw_noise((len(z), model.shape.n_components), generator)
        h = encoder.draw(eta.requires_grad_(), noise, progress)
        kl = encoder.kl(eta) if encoder.stochastic else None
        kl_cost = None if kl is None else encoder.kl_objective(kl)
        share = self.share(model.shape.n_features)
        with torch.no_grad():
            out, trace_up = forward(up, h, half=half)
            nll, slope = model.slope(target, out, weight / share)
            slope = trace_up.to_input(backward(up, trace_up, slope)).to(h.dtype)
        penalties = self._penalties(model, z, h, generator)
        if h is not eta or penalties:
            total = (h * slope).sum()
            for cost in (*penalties.values(), *(() if kl_cost is None else (kl_cost,))):
                total = total + weight * cost.sum()
            total.backward()
            assert eta.grad is not None
            slope = eta.grad
        with torch.no_grad():
            slope = backward(down, trace_down, slope, add=bool(penalties))
            to_vectors = trace_down.to_input(slope).to(given.dtype) if learned else None
        if to_vectors is not None:
            assert isinstance(entered, Tensor)
            entered.backward(to_vectors)
        if share != 1:
            nll /= share
        return Terms(nll, None if kl is None else kl.sum(1), kl_cost, penalties).detached()

    def _penalties(
        self, model: Model, z: Batch, h: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        if not self.penalties:
            return {}
        entered, values = dense(model.enter(z)), {}
        for name, penalty in zip(self.penalty_names, self.penalties, strict=True):
            half = model.half_precision and not penalty.needs_full_precision
            with model.computing_in_half_precision(half):
                values[name] = penalty(entered, h, self._maps(model, generator))
        return values

    @staticmethod
    def _maps(model: Model, generator: torch.Generator) -> Maps:
        return Maps(
            encoder=model.encoder_network,
            decoder=model.decoder_network,
            n_components=model.shape.n_components,
            mean_activation=model.encoder.mean_activation,
            code=lambda x: model.encoder.mean(model.encode(x)),
            decode=lambda h: model.mean_entered(model.decoded(h)),
            mean=model.mean_entered,
            mean_is_featurewise=model.mean_is_featurewise,
            generator=generator,
            half=model.half_precision,
        )

    @torch.no_grad()
    def cost(self, model: Model, z: Batch, generator: torch.Generator) -> Tensor:
        """The negative score of held-out rows in nats, (n,): what early stopping watches.

        For a code without a prior it is −log p(x | f(x)). For a stochastic one it is the negative
        evidence bound, an average over a few draws. An objective that counts only hidden cells is
        measured on them, for it trains nothing else.

        Args:
            model: The model.
            z: Scaled rows (n, d).
            generator: Source of the draws.
        """
        if self.share(model.shape.n_features) == 1:
            size = (len(z), model.shape.n_components)
            return model.cost(z, [model.encoder.draw_noise(size, generator) for _ in range(DRAWS)])
        drawn = [self(model, z, generator) for _ in range(DRAWS)]
        nlls = [terms.nll if terms.kl is None else terms.nll + terms.kl for terms in drawn]
        return torch.stack(nlls).mean(0)

    @torch.no_grad()
    def suspect(self, model: Model, z: Batch) -> str | None:
        """The first code unit or column where a batch gives no finite number, if any."""
        z = dense(z)
        h = model.code(z)
        unit = (~torch.isfinite(h)).any(0).nonzero()
        if len(unit):
            return f"code unit {int(unit[0])} is not finite"
        column = (~torch.isfinite(model.log_prob(z, h))).any(0).nonzero()
        if len(column):
            return f"the log-likelihood of column {int(column[0])} is not finite"
        return None

    @torch.no_grad()
    def choices(self, model: Model, z: Batch) -> list[str]:
        """For each penalty that can be computed in more than one way: which is taken, and why.

        Args:
            model: The model.
            z: A few scaled rows.
        """
        entered, maps = dense(model.enter(z)), self._maps(model, torch.Generator())
        chosen = [penalty.choice(entered, maps) for penalty in self.penalties]
        return [
            f"{name}: {choice.method} ({choice.reason})"
            for name, choice in zip(self.penalty_names, chosen, strict=True)
            if choice is not None
        ]

    @property
    def penalty_names(self) -> list[str]:
        """A name for each penalty; of two of a kind, the second one has a number."""
        names: list[str] = []
        for penalty in self.penalties:
            kind = type(penalty).__name__
            count = sum(name.split("_")[0] == kind for name in names)
            names.append(kind if not count else f"{kind}_{count + 1}")
        return names
