"""Greedy layers against PCA, against their composition, and in a bounded memory."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from isthmus import Bernoulli, Deterministic, Gaussian, Masking, stacking
from isthmus.objective import Objective
from isthmus.stacking import Above, Cache, Layer, Mirrored, train_layers
from isthmus.training import DenseRows, Plan, train
from tests.problems import LinearGaussian, make_model

PLAN = Plan(max_epochs=2, batch_size=32, precision="float32")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def rows():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(200, 6))).float()


def stack(rows, hidden=(5, 4), activation="tanh", plan=PLAN, objective=None, encoder=None):
    model = make_model(rows, Gaussian("shared"), encoder, 3, hidden, activation).float()
    layers = [Layer(objective or Objective(), plan)] * (len(hidden) + 1)
    list(train_layers(model, layers, DenseRows(rows), None, generator()))
    return model


# ---- memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(7, 7), (7, 3), (3, 7), (2, 9, 4, 9, 1)])
def test_codes_are_overwritten_in_place(widths, monkeypatch):
    monkeypatch.setattr(stacking, "LAYER_ROWS", 8)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(53, widths[0]))).float()
    cache = Cache(len(x), max(widths), torch.device("cpu"))
    cache.fill(iter(x.split(10)), widths[0])
    place = cache.rows.untyped_storage().data_ptr()
    for i, width in enumerate(widths[1:]):
        matrix = torch.from_numpy(
            np.random.default_rng(i).normal(size=(x.shape[1], width))
        ).float()
        x = x @ matrix
        cache.advance(lambda h, matrix=matrix: h @ matrix, width)
        torch.testing.assert_close(cache.rows, x)
        assert cache.rows.untyped_storage().data_ptr() == place
    assert cache.rows.untyped_storage().nbytes() == 4 * 53 * max(widths)


def test_what_is_too_much_for_the_memory_is_computed_anew_with_the_same_result(rows, monkeypatch):
    kept = stack(rows)
    monkeypatch.setattr(stacking, "CACHE_BYTES", 0)
    monkeypatch.setattr(stacking, "Cache", lambda *_: pytest.fail("memory was taken"))
    for name, value in stack(rows).state_dict().items():
        torch.testing.assert_close(value, kept.state_dict()[name], msg=name)


def test_rows_above_are_the_codes_of_rows_below(rows):
    above = Above(DenseRows(rows), lambda z: z @ torch.ones(6, 2))
    assert len(above) == 200
    batches = list(above.batches(32, generator()))
    expected = [z @ torch.ones(6, 2) for z in DenseRows(rows).batches(32, generator())]
    assert all(torch.equal(one, two) for one, two in zip(batches, expected, strict=True))
    blocks = torch.cat(list(above.blocks(64, torch.device("cpu"))))
    torch.testing.assert_close(blocks, rows @ torch.ones(6, 2))


# ---- what is learned ------------------------------------------------------------------------


@pytest.fixture
def seen(monkeypatch):
    """The shallow autoencoders that are trained, in order."""
    found = []

    def watch(shallow, *rest, **more):
        found.append(shallow)
        return train(shallow, *rest, **more)

    monkeypatch.setattr(stacking, "train", watch)
    return found


def error_of(reconstructed, rows):
    return float((reconstructed - rows).square().sum(1).mean().detach())


def least_error(k, rows):
    rows = rows.detach().numpy().astype(np.float64)
    pca = PCA(k).fit(rows)
    return np.square(pca.inverse_transform(pca.transform(rows)) - rows).sum(1).mean()


def test_linear_layers_span_the_principal_components_of_what_they_see(seen):
    problem = LinearGaussian(n_features=8, n_components=4, noise=0.3, n_rows=1000)
    rows = torch.from_numpy(problem.rows - problem.rows.mean(0)).float()
    model = make_model(rows, Gaussian("shared"), None, 2, (4,), "identity").float()
    plan = Plan("adam", learning_rate=0.02, batch_size=100, max_epochs=50, precision="float32")
    list(train_layers(model, [Layer(Objective(), plan)] * 2, DenseRows(rows), None, generator()))
    first, second = seen
    codes = first.code(rows).detach()
    assert error_of(first.mean(codes), rows) < 1.01 * least_error(4, rows)
    assert error_of(second.mean(second.code(codes)), codes) < 1.01 * least_error(2, codes)


def test_each_layer_is_the_next_one_of_the_whole(rows, seen):
    model = make_model(rows, Gaussian("shared"), None, 3, (5, 4), "tanh").float()
    layers = [Layer(Objective(), PLAN)] * 3
    epochs = list(train_layers(model, layers, DenseRows(rows), DenseRows(rows), generator()))
    assert [number for number, _ in epochs] == [0, 0, 1, 1, 2, 2]
    assert all(epoch.validation_nll is not None for _, epoch in epochs)
    h = rows
    for shallow in seen:
        h = shallow.code(h)
    torch.testing.assert_close(model.code(rows), h)
    for shallow in seen[::-1]:
        h = shallow.mean(h)
    torch.testing.assert_close(model.mean(model.code(rows)), h)


@pytest.mark.parametrize(
    ("activation", "likelihood", "mirrored"),
    [("sigmoid", Bernoulli(fractions=True), False), ("silu", Gaussian("shared"), True)],
)
def test_units_that_are_probabilities_are_reconstructed_as_bits(
    rows, activation, likelihood, mirrored
):
    model = make_model(rows, Gaussian(), Deterministic(activation), 3, (5,), activation).float()
    built = stacking._Stack(model, DenseRows(rows), None, generator())
    built.climb(built.shallow(0))
    above = built.shallow(1)
    assert above.likelihood == likelihood
    assert isinstance(above.decoder_network, Mirrored) is mirrored
    assert above.shape.n_features == 5
    h = built._codes(rows)
    out = above.mean(above.code(h))
    # a constant at first, near the mean of each unit
    torch.testing.assert_close(out, out[:1].expand_as(out))
    assert (out[0] - h.mean(0)).abs().max().item() < 0.15


def test_a_layer_is_better_than_none(rows):
    """After greedy training the whole reconstructs better than with its first weights."""
    rows = rows @ torch.from_numpy(np.random.default_rng(1).normal(size=(6, 6))).float()
    plan = Plan(max_epochs=30, batch_size=32, learning_rate=1e-2, precision="float32")
    begun = make_model(rows, Gaussian("shared"), None, 3, (5,), "tanh").float()
    trained = stack(rows, (5,), plan=plan, objective=Objective((Masking(0.1),)))
    before, after = (
        float(model.nll(rows, model.code(rows)).mean().detach()) for model in (begun, trained)
    )
    assert after < before - 0.5


def test_a_training_that_is_broken_off_keeps_what_it_has(rows):
    model = make_model(rows, Gaussian("shared"), None, 3, (5,), "tanh").float()
    first = [layer.weight.clone() for layer in model.layers[0].linear_layers]
    layers = [Layer(Objective(), PLAN)] * 2
    running = train_layers(model, layers, DenseRows(rows), None, generator())
    next(running)
    running.close()
    now = [layer.weight for layer in model.layers[0].linear_layers]
    assert not torch.equal(first[0], now[0])
    assert torch.equal(first[1], now[1])
