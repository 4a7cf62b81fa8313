"""∂f/∂x and ∂r/∂x in the user's units: against autograd row by row and finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

from isthmus import Autoencoder, InvalidDataError, InvalidParameterError
from isthmus.analysis import jacobian
from isthmus.analysis.learned import learned

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(60, 6)) * [1, 10, 0.1, 3, 1, 100] + [0, 5, 0, -3, 1e3, 0]
COUNTS = RNG.poisson(3.0, (60, 6)).astype(float)
UNIT = RNG.random((60, 6))
OF = ["encoder", "reconstruction"]


def fitted(X, **params):
    defaults = {"n_components": 3, "hidden": (7,), "max_epochs": 3, "random_state": 0}
    return Autoencoder(**{**defaults, **params}).fit(X)


MODELS = {
    "gaussian": (REAL, {}),
    "isotropic": (REAL, {"likelihood": "gaussian", "hidden": ()}),
    "row": (REAL, {"likelihood": "laplace", "encoder": "gaussian"}),
    "tied": (REAL, {"tied": True, "hidden": (8, 5), "activation": "tanh"}),
    "wide code": (REAL, {"n_components": 9}),
    "bernoulli": ((UNIT > 0.5).astype(float), {"likelihood": "bernoulli"}),
    "continuous": (UNIT, {"likelihood": "continuous_bernoulli"}),
    "poisson": (COUNTS, {"likelihood": "poisson"}),
    "zero-inflated": (COUNTS, {"likelihood": "zero_inflated_negative_binomial"}),
    "multinomial": (COUNTS, {"likelihood": "multinomial"}),
    "table": (REAL, {"likelihood": ["gaussian"] * 3 + ["laplace"] * 3}),
    "images": (UNIT.reshape(-1, 3, 2), {"network": "conv", "likelihood": "continuous_bernoulli"}),
    "modules": (
        REAL,
        {"network": (nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)), nn.Linear(3, 6))},
    ),
}


def truth(model, X, of):
    known = learned(model, X)
    function = known.encode if of == "encoder" else known.reconstruct
    x = known.tensor(known.matrix.rows(0, len(X), np.float64))
    found = [
        torch.autograd.functional.jacobian(lambda r: function(r.unsqueeze(0)).squeeze(0), row)
        for row in x
    ]
    return torch.stack(found).numpy()


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("name", MODELS)
def test_is_the_full_jacobian_in_the_users_units(name, of):
    X, params = MODELS[name]
    model = fitted(X, **params)
    X = X[:8]
    found, wanted = jacobian(model, X, of=of), truth(model, X, of)
    assert found.shape == (8, 6 if of == "reconstruction" else model.n_components, 6)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["gaussian", "poisson", "bernoulli"])
def test_is_how_transform_and_reconstruct_move(name):
    X, params = MODELS[name]
    model = fitted(X, **params)
    found = {of: jacobian(model.model_, X, of=of) for of in OF}
    known = learned(model.model_, X)
    x = torch.from_numpy(X)
    for j in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[j] = 1e-6 * X[:, j].std()
        for of, function in (("encoder", known.encode), ("reconstruction", known.reconstruct)):
            with torch.no_grad():
                slope = (function(x + step) - function(x - step)) / (2 * step[j])
            scale = np.abs(found[of][:, :, j]).max()
            np.testing.assert_allclose(
                found[of][:, :, j], slope.numpy(), rtol=1e-4, atol=1e-4 * scale
            )


def test_many_points_go_in_blocks_that_change_nothing(monkeypatch):
    X, params = MODELS["gaussian"]
    model = fitted(X, **params)
    together = jacobian(model, X)
    monkeypatch.setattr("isthmus.analysis.learned.BLOCK_CELLS", 100)
    np.testing.assert_allclose(jacobian(model, X), together, rtol=1e-12)


def test_points_in_float32_give_float32():
    X, params = MODELS["continuous"]
    X = X.astype(np.float32)
    assert jacobian(fitted(X, **params), X).dtype == np.float32


class Frozen(nn.Linear):
    def forward(self, x):
        return super().forward(x.detach())


def test_refuses_what_has_no_derivative():
    X, params = MODELS["gaussian"]
    model = fitted(X, **params)
    with pytest.raises(InvalidParameterError, match="of must be"):
        jacobian(model, X, of="decoder")
    with pytest.raises(InvalidDataError, match=r"features|columns"):
        jacobian(model, X[:, :4])
    stuck = fitted(REAL, network=(Frozen(6, 3), nn.Linear(3, 6)))
    with pytest.raises(InvalidParameterError, match="Frozen can't be differentiated"):
        jacobian(stuck, REAL)
