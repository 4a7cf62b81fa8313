"""p(h | x): how a row becomes a code of k units.

The encoder network emits η; the encoder part says what η means. Every member draws its code as a
fixed function of η and of noise that does not depend on η (the reparameterisation of Kingma and
Welling, 2014), so that gradients pass through the draw.

| name | h | KL(p(h|x) ‖ p(h)) |
|---|---|---|
| ``deterministic`` | s(η) | none |
| ``gaussian`` | μ + σ ε, ε ~ N(0, 1) | ½ (μ² + σ² − 1) − log σ, to N(0, 1) |
| ``noisy_sigmoid`` | sigmoid(η + s ε), ε ~ N(0, 1) | none |
| ``bernoulli`` | 1[u < sigmoid(η)], u ~ U(0, 1) | log 2 − H(p), to Bernoulli(½) |

A code is *stochastic* when it has a prior p(h): then the log-likelihood is bounded from below by
the evidence bound E[log p(x|h)] − KL, and new rows can be drawn by decoding draws of the prior.
Vocabulary: n rows, k units. All divergences are in nats, per unit.
"""

from isthmus._registry import Registry
from isthmus.encoders._encoder import BitEncoder, Encoder
from isthmus.encoders.bits import BernoulliCode, NoisySigmoid
from isthmus.encoders.deterministic import Deterministic
from isthmus.encoders.gaussian import GaussianCode

ENCODERS: Registry[Encoder] = Registry(
    "encoder",
    Encoder,  # type: ignore[type-abstract]  # mypy wants a concrete class where isinstance does not
    {
        "deterministic": Deterministic,
        "gaussian": GaussianCode,
        "noisy_sigmoid": NoisySigmoid,
        "bernoulli": BernoulliCode,
    },
)

__all__ = [
    "ENCODERS",
    "BernoulliCode",
    "BitEncoder",
    "Deterministic",
    "Encoder",
    "GaussianCode",
    "NoisySigmoid",
]
