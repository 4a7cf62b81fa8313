"""Tables of every kind of data; all of them vary with two hidden factors."""

import numpy as np

RNG = np.random.default_rng(0)
FACTORS = RNG.normal(size=(300, 2))
REAL = FACTORS @ RNG.normal(size=(2, 8)) + 0.3 * RNG.normal(size=(300, 8))
UNIT = 1 / (1 + np.exp(-REAL))
COUNTS = RNG.poisson(np.exp(0.5 * REAL))
DATA = {
    "bernoulli": (REAL > 0).astype(float),
    "continuous_bernoulli": UNIT,
    "categorical": np.digitize(REAL, [-1, 0, 1]).astype(float),
    "poisson": COUNTS,
    "negative_binomial": COUNTS,
    "zero_inflated_negative_binomial": COUNTS * (RNG.random(COUNTS.shape) < 0.8),
    "multinomial": COUNTS,
}


def data_for(family):
    return DATA.get(family, REAL)
