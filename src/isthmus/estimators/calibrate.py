"""Temperature: one number that makes probabilities honest (Guo et al., 2017).

    p_T(y | h) = softmax(η / T) ,      T = argmax Σ log p_T(y_i | h_i) − ½ (log T)²

over held-out labels. Networks that were trained to the end are too sure of themselves, T > 1. The
last term is a prior: log T ~ N(0, 1). Where a few held-out rows are all predicted rightly, the
likelihood alone would ask for T = 0, which is certainty.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

WIDEST = 5.0


def temperature(logits: NDArray[np.float64], y: NDArray[np.intp]) -> float:
    """T for held-out rows.

    Args:
        logits: η, (n, K).
        y: Their classes, codes (n,).
    """

    def cost(log_t: float) -> float:
        log_prob = log_softmax(logits / np.exp(log_t), axis=1)
        return float(0.5 * log_t**2 - log_prob[np.arange(len(y)), y].sum())

    found = minimize_scalar(cost, bounds=(-WIDEST, WIDEST), method="bounded")
    return float(np.exp(found.x))
