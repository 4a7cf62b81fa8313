"""Ω(h, x): what is added to the objective besides likelihood and divergence.

A penalty gives a number per example. It is given the batch, its code and the maps it may
differentiate, and never reduces over rows: the training loop does that, once.

| name | Ω for one example |
|---|---|
| ``contractive`` | λ ‖∂f/∂x‖²_F (Rifai et al., 2011) or λ ‖∂r/∂x‖²_F (Alain and Bengio, 2014) |
| ``curvature`` | λ E‖∂f/∂x(x) − ∂f/∂x(x + ε)‖²_F (Rifai et al., 2011b), of f or of r |
| ``l1`` | λ Σ_j |h_j| |
| ``kl_sparsity`` | λ Σ_j KL(Bernoulli(ρ) ‖ Bernoulli(mean of h_j over the batch)) (Ng, 2011) |
| ``neighbours`` | −λ log q(a near row | the row) in the map of the codes (t-SNE, UMAP) |
| ``balance`` | λ · (bits that are on half the time, and uncorrelated with each other) |
"""

from isthmus._registry import Registry
from isthmus.penalties._penalty import Maps, Penalty
from isthmus.penalties.activities import L1, Balance, KLSparsity
from isthmus.penalties.jacobians import Contractive, Curvature
from isthmus.penalties.neighbours import Neighbours

PENALTIES: Registry[Penalty] = Registry(
    "penalty",
    Penalty,  # type: ignore[type-abstract]  # mypy wants a concrete class where isinstance does not
    {
        "contractive": Contractive,
        "curvature": Curvature,
        "l1": L1,
        "kl_sparsity": KLSparsity,
        "balance": Balance,
        "neighbours": Neighbours,
    },
)

__all__ = [
    "L1",
    "PENALTIES",
    "Balance",
    "Contractive",
    "Curvature",
    "KLSparsity",
    "Maps",
    "Neighbours",
    "Penalty",
]
