"""Where to compute and how finely: half precision changes nothing beyond noise."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from isthmus import Autoencoder, Contractive, Curvature, Gaussian, InvalidParameterError
from isthmus.objective import Objective
from isthmus.training import find_device, precision, require_precision
from isthmus.training.precision import (
    is_small,
    on_one_thread,
    products_per_row,
    wants_half_precision,
)
from tests.problems import make_model
from tests.training.stubs import data


@pytest.fixture(scope="module")
def digits():
    images = load_digits().images.astype(np.uint8) * 15
    return images[:1400], images[1400:]


HOW = {
    "usual": {},
    "variational": {"encoder": "gaussian"},
    "bits": {"likelihood": "continuous_bernoulli"},
    "contractive": {"penalty": Contractive(1.0, method="exact"), "hidden": (128, 64)},
    "by estimate": {"penalty": Contractive(1.0, method="estimate"), "activation": "tanh"},
    "of r": {"penalty": Contractive(0.01, of="reconstruction"), "hidden": (128, 64)},
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_half_precision_gives_the_same_held_out_loss(digits, how):
    train, test = digits
    how = {"n_components": 16, "hidden": (128,), "max_epochs": 15, "random_state": 0, **how}
    full = Autoencoder(**how, precision="float32").fit(train)
    half = Autoencoder(**how, precision="bfloat16").fit(train)
    assert half.score(test) == pytest.approx(full.score(test), rel=0.01)
    assert half.history_[-1].nll == pytest.approx(full.history_[-1].nll, rel=0.01)
    assert not np.array_equal(half.transform(test), full.transform(test))  # it was another way
    for name, value in half.history_[-1].penalties.items():
        assert value == pytest.approx(full.history_[-1].penalties[name], rel=0.05)
    for model in (full, half):
        assert all(weight.dtype == torch.float32 for weight in model.model_.parameters())


def test_penalties_compute_in_half_precision_unless_they_compare_what_is_close():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(40, 12, generator=generator)
    model = make_model(z, Gaussian(1.0), hidden=(30, 20))

    def values(penalty, half):
        with model.computing_in_half_precision(half):
            terms = Objective((), (penalty,))(model, z, generator.manual_seed(0))
        (value,) = terms.penalties.values()
        return value

    half, full = (values(Contractive(1.0), half) for half in (True, False))
    assert not torch.equal(half, full)
    torch.testing.assert_close(half, full, rtol=0.05, atol=0)
    # 1e-3 apart, two Jacobians are the same in bfloat16 but for its rounding
    half, full = (values(Curvature(1.0, std=1e-3), half) for half in (True, False))
    assert torch.equal(half, full)


def test_the_networks_compute_in_half_precision_and_the_likelihood_does_not(monkeypatch):
    seen = {"layer": set(), "likelihood": set()}
    linear, slope = F.linear, Gaussian._slope

    def watched_linear(x, weight, bias):
        out = linear(x, weight, bias)
        seen["layer"].add(out.dtype)
        return out

    def watched_slope(self, x, eta, weight):
        seen["likelihood"] |= {x.dtype, *(each.dtype for each in eta)}
        return slope(self, x, eta, weight)

    monkeypatch.setattr(F, "linear", watched_linear)
    monkeypatch.setattr(Gaussian, "_slope", watched_slope)
    model = Autoencoder(2, hidden=(8,), precision="bfloat16", max_epochs=1, validation_fraction=0)
    model.fit(np.random.default_rng(0).normal(size=(30, 4)))
    assert torch.bfloat16 in seen["layer"]
    assert seen["likelihood"] == {torch.float32}
    seen["layer"].clear()
    model.transform(np.zeros((3, 4), np.float32))
    assert seen["layer"] == {torch.float32}


def test_auto_asks_for_hardware_and_for_work(monkeypatch):
    model = make_model(data(), Gaussian(), n_components=3, hidden=(8,))
    assert products_per_row(model) == 5 * 8 + 8 * 3 + 3 * 8 + 8 * 5
    for able in (True, False):
        monkeypatch.setattr(precision, "multiplies_half_precision", lambda device, able=able: able)
        assert not wants_half_precision("auto", model, 256)
        assert wants_half_precision("auto", model, 10**6) is able
        assert wants_half_precision("bfloat16", model, 1)
        assert not wants_half_precision("float32", model, 10**6)


def test_the_work_of_convolutions_is_counted():
    images = np.zeros((10, 8, 8), np.float32)
    images[::2] = 1
    how = {"network": "conv", "hidden": (16,), "max_epochs": 1, "validation_fraction": 0}
    model = Autoencoder(2, likelihood=Gaussian(1.0), **how).fit(images).model_
    down = 9 * 32 * 16 + 9 * 32 * 64 * 4 + 256 * 16 + 16 * 2
    up = 2 * 16 + 16 * 256 + 9 * 64 * 32 * 16 + 9 * 32 * 64
    assert products_per_row(model) == down + up


def test_names():
    assert require_precision("auto") == "auto"
    with pytest.raises(InvalidParameterError, match="one of auto, float32, bfloat16; got 'half'"):
        require_precision("half")
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda")
    for wrong in ("gpu", "cuda:99", 7.5, None):
        with pytest.raises(
            InvalidParameterError, match="device must be 'auto', 'cpu' or"
        ) as caught:
            find_device(wrong)
        assert "\n" not in str(caught.value)


def test_a_small_network_is_for_one_thread_and_a_large_one_for_all():
    model = make_model(data(), Gaussian(), n_components=3, hidden=(8,))
    assert is_small(model, 256)
    assert not is_small(model, 10**6)


def test_the_number_of_threads_comes_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with on_one_thread(wanted=True):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with on_one_thread(wanted=False):
            assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), on_one_thread(wanted=True):
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_fitting_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Autoencoder(2, hidden=(8,), max_epochs=1).fit(np.eye(30, 4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
