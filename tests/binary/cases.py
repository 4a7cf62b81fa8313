"""Models with random decoders, in double precision, and their codes."""

import itertools

import numpy as np
import torch

from isthmus import Gaussian, Multinomial, NoisySigmoid
from isthmus.model import Model, Shape
from isthmus.networks import Shortcut
from tests.likelihoods.cases import generator


def random_model(n_bits=10, n_features=6, hidden=(), likelihood=None, seed=0):
    """A model whose decoder is not at its start: every weight is random."""
    source = generator(seed)
    likelihood = likelihood or Gaussian(0.7)
    rows = torch.rand(50, n_features, generator=source).mul(4).floor().double()
    start = likelihood.start(rows)
    encoder = Shortcut([n_features, n_bits], "gelu", source)
    decoder = Shortcut([n_bits, *hidden, n_features], "gelu", source, signs=True)
    one = torch.ones(n_features)
    shape = Shape(n_features, n_bits)
    model = Model(likelihood, NoisySigmoid(), (encoder, decoder), shape, start, 0 * one, one)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(0.0, 0.5, generator=source)
    return model.double().eval()


def random_codes(n, n_bits, seed=1):
    return torch.randint(2, (n, n_bits), generator=generator(seed)).double()


def random_rows(n, n_features, seed=2):
    return torch.randn(n, n_features, generator=generator(seed)).double()


def all_codes(n_bits):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n_bits)), dtype=torch.float64)


def documents(n, n_words, seed=3):
    counts = np.random.default_rng(seed).poisson(0.7, size=(n, n_words))
    return torch.from_numpy(counts).double()


LINEAR = random_model()
BENT = random_model(hidden=(16,))
WORDS = random_model(hidden=(16,), likelihood=Multinomial())
