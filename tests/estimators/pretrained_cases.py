"""Rows, classes and small networks of the tests on pretrained estimators."""

import numpy as np

TINY = {"n_components": 2, "hidden": (6,), "max_epochs": 2, "random_state": 0}
QUICK = {"max_epochs": 3, "random_state": 0}
ROWS = np.random.default_rng(0).normal(size=(120, 4))
CLASSES = (ROWS[:, :3] + 0.5 * np.random.default_rng(1).gumbel(size=(120, 3))).argmax(1)
