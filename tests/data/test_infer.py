import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from isthmus.data import as_matrix, infer_columns, infer_likelihood, pixel_divisor, summarise

rng = np.random.default_rng(0)


def inferred(x):
    matrix = as_matrix(x)
    return infer_likelihood(matrix, summarise(matrix))


OVER = rng.negative_binomial(2, 0.3, (500, 20))
UINT8 = rng.integers(0, 256, (50, 30), dtype=np.uint8)

CASES = {
    "bits": (rng.integers(0, 2, (50, 8)), "bernoulli"),
    "bool": (rng.integers(0, 2, (50, 8)).astype(bool), "bernoulli"),
    "bits as floats": (rng.integers(0, 2, (50, 8)).astype(np.float32), "bernoulli"),
    "bits as uint8": (rng.integers(0, 2, (50, 8), dtype=np.uint8), "bernoulli"),
    "bits as images": (rng.integers(0, 2, (50, 4, 4)).astype(float), "bernoulli"),
    "sparse bits": (sp.csr_array(rng.integers(0, 2, (50, 8))), "bernoulli"),
    "all zero": (np.zeros((9, 2)), "bernoulli"),
    "Poisson": (rng.poisson(3, (500, 20)), "poisson"),
    "Poisson 10": (rng.poisson(10, (500, 5)), "poisson"),
    "Poisson of rare events": (rng.poisson(0.02, (5000, 50)), "poisson"),
    "Poisson as floats": (rng.poisson(3, (500, 20)).astype(float), "poisson"),
    "over-dispersed": (OVER, "negative_binomial"),
    "over-dispersed, sparse": (sp.csr_array(OVER), "negative_binomial"),
    "rates that vary by row": (
        rng.poisson(rng.gamma(1, 2, (500, 1)) * np.ones(20)),
        "negative_binomial",
    ),
    "genes, some of them large": (
        rng.negative_binomial(1, 1 / (1 + np.geomspace(0.1, 150, 40)), (300, 40)),
        "negative_binomial",
    ),
    "counts and a constant": (np.hstack([OVER, np.full((500, 1), 7000)]), "negative_binomial"),
    "uint8 pixels": (UINT8, "gaussian_shared"),
    "uint8 images": (UINT8.reshape(50, 5, 6), "gaussian_shared"),
    "float images": (rng.random((50, 5, 6)), "gaussian_shared"),
    "images of levels 0 to 16": (rng.integers(0, 17, (50, 8, 8)).astype(float), "gaussian_shared"),
    "centred images": (rng.normal(size=(50, 5, 6)), "gaussian"),
    "real": (rng.normal(size=(50, 6)), "gaussian"),
    "real in [0, 1]": (rng.random((50, 6)), "gaussian"),
    "one fraction": (np.vstack([OVER, np.full(20, 0.5)]), "gaussian"),
    "one negative": (np.vstack([OVER, np.full(20, -1)]), "gaussian"),
    "ages": (rng.integers(18, 91, (500, 1)), "gaussian"),
    "ages and incomes": (
        np.stack([rng.integers(0, 91, 500), rng.integers(0, 90_000, 500)], 1),
        "gaussian",
    ),
    "years": (rng.integers(1950, 2020, (500, 2)), "gaussian"),
    "ratings": (rng.integers(1, 6, (500, 9)), "gaussian"),
    "row numbers": (np.arange(5000)[:, None], "gaussian"),
    "constant counts": (np.full((30, 2), 5), "gaussian"),
    "one row": (np.array([[3, 4, 5]]), "gaussian"),
    "huge integers": (np.array([[0], [2**62]]), "gaussian"),
    "named uint8 counts": (
        pd.DataFrame(OVER).clip(0, 255).astype(np.uint8).add_prefix("w"),
        "negative_binomial",
    ),
}


@pytest.mark.parametrize(("x", "expected"), CASES.values(), ids=CASES)
def test_what_the_data_ask_for(x, expected):
    assert inferred(x) == expected


@pytest.mark.parametrize("mean", [0.05, 1.0, 5.0])
def test_poisson_counts_are_rarely_taken_for_over_dispersed(mean):
    draws = np.random.default_rng(7)
    names = [inferred(draws.poisson(mean, (60, 3))) for _ in range(300)]
    assert names.count("negative_binomial") <= 6


def hours(n, seed):
    """Of work in a week: 40 for every second one, and from 1 to 99."""
    draws = np.random.default_rng(seed)
    x = np.where(draws.random(n) < 0.5, 40, draws.normal(40, 17, n).round())
    return np.r_[1, np.clip(x, 5, 99)][:, None]


@pytest.mark.parametrize("n", [3000, 50_000])
def test_a_few_low_values_make_no_counts(n):
    x = hours(n, 0)
    assert x.mean() < 100
    assert x.var() > 2 * x.mean()
    assert inferred(x) == "gaussian"
    # with as many near zero as such counts have, they are
    assert inferred(np.random.default_rng(0).negative_binomial(2, 2 / 42, (n, 1))) != "gaussian"


@pytest.mark.parametrize("mean", [1.0, 5.0, 10.0, 15.0])
@pytest.mark.parametrize("theta", [0.3, 3.0, 1e6])
def test_counts_that_come_down_near_zero_are_rarely_refused(mean, theta):
    draws = np.random.default_rng(3)
    samples = [draws.negative_binomial(theta, theta / (theta + mean), (400, 1)) for _ in range(60)]
    near = [x for x in samples if x.min() < 5]
    assert len(near) >= 5
    # the index of dispersion may refuse three in a thousand besides
    assert sum(inferred(x) == "gaussian" for x in near) <= max(2, len(near) // 20)


def test_each_column_by_itself():
    n = 2000
    table = np.stack(
        [
            rng.integers(0, 2, n),
            rng.poisson(4, n),
            rng.negative_binomial(1, 0.2, n),
            rng.normal(size=n),
            rng.integers(18, 90, n),
            np.full(n, 3),
            rng.poisson(4, n) - 3,
        ],
        axis=1,
    )
    matrix = as_matrix(table)
    assert infer_columns(matrix, summarise(matrix)) == (
        "bernoulli",
        "poisson",
        "negative_binomial",
        "gaussian",
        "gaussian",
        "gaussian",
        "gaussian",
    )


@pytest.mark.parametrize(
    ("x", "counts", "expected"),
    [
        (UINT8, False, 255),
        (UINT8, True, 1),
        (UINT8 % 2, False, 1),
        (UINT8.astype(int), False, 1),
        (UINT8 / 255, False, 1),
        (pd.DataFrame(UINT8).add_prefix("c"), False, 1),
    ],
)
def test_pixels_are_divided_by_255(x, counts, expected):
    matrix = as_matrix(x)
    assert pixel_divisor(matrix, summarise(matrix), counts=counts) == expected
