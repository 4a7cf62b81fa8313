"""Whatever a user may hand over: it works, or one sentence says why not and what to do."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from isthmus import (
    Autoencoder,
    Categorical,
    Columns,
    Gaussian,
    InvalidDataError,
    InvalidParameterError,
    IsthmusError,
    SupportError,
    UnsupportedTypeError,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
COUNTS = RNG.poisson(3.0, (40, 4))
SMALL = {"n_components": 2, "hidden": (4,), "max_epochs": 2, "random_state": 0}


def small(**changes):
    return Autoencoder(**{**SMALL, **changes})


def with_value(value, row=3, column=2):
    x = X.copy()
    x[row, column] = value
    return x


def read_only():
    x = X.copy()
    x.flags.writeable = False
    return x


def one_sentence(error):
    """A message is one line that ends as a sentence does, and not an array printed out."""
    text = str(error)
    assert "\n" not in text, text
    assert text.endswith("."), text
    assert len(text) < 450, text
    assert isinstance(error, IsthmusError)


# ---- refused at fit -------------------------------------------------------------------------

# what is given; parameters; the error; what happened, what was expected or what to do
REFUSED = {
    "no rows": (np.empty((0, 4)), {}, InvalidDataError, r"0 sample\(s\).*minimum of 1.*Look at"),
    "no columns": (np.empty((5, 0)), {}, InvalidDataError, r"0 feature\(s\).*minimum of 1"),
    "NaN in documents": (
        np.where(np.arange(4) == 2, with_value(np.nan), 1.0),
        {"likelihood": "multinomial"},
        InvalidDataError,
        r"contains NaN.*row 3, column 2.*Columns.*impute.*drop",
    ),
    "nothing but NaN": (np.full((5, 3), np.nan), {}, InvalidDataError, r"contains NaN only"),
    "a part too few": (
        X,
        {"likelihood": ["gaussian", Gaussian(1.0), "auto"]},
        InvalidParameterError,
        r"3 parts, but X has 4 columns; give one for each",
    ),
    "an object with a part too many": (
        X,
        {"likelihood": Columns((Gaussian(),) * 5)},
        InvalidParameterError,
        r"5 parts, but X has 4 columns",
    ),
    "documents in a table": (
        X,
        {"likelihood": ["gaussian", "gaussian", "gaussian", "multinomial"]},
        InvalidParameterError,
        r"Multinomial.*can't be a part of Columns.*Use Poisson",
    ),
    "a value outside one column's support": (
        with_value(np.nan),
        {"likelihood": ["gaussian", "gaussian", "gaussian", "poisson"]},
        SupportError,
        r"Poisson needs counts .*row 0 of column 3 is .*likelihood='gaussian'",
    ),
    "missing pixels": (
        np.where(RNG.random((40, 5, 5)) < 0.1, np.nan, 0.5),
        {"network": "conv"},
        InvalidParameterError,
        r"network='conv' is for pixels.*missing cells.*network='mlp'",
    ),
    "infinity": (
        with_value(np.inf),
        {},
        InvalidDataError,
        r"infinity.*inf in row 3, column 2.*Replace",
    ),
    "NaN by name": (
        pd.DataFrame(
            np.where(np.arange(4) == 2, with_value(np.nan), 1.0), columns=["age", "b", "size", "d"]
        ),
        {"likelihood": "multinomial"},
        InvalidDataError,
        r"row 3, column 'size'",
    ),
    "NaN in CSR": (
        sp.csr_array(np.where(np.arange(4) == 2, with_value(np.nan), 1.0)),
        {"likelihood": "multinomial"},
        InvalidDataError,
        r"contains NaN.*row 3, column 2.*drop",
    ),
    "None in a frame": (
        pl.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]}),
        {"likelihood": "multinomial"},
        InvalidDataError,
        r"contains NaN.*row 1, column 'a'",
    ),
    "one dimension": (
        X[0],
        {},
        InvalidDataError,
        r"Expected 2D.*got 1D.*\(4,\).*Reshape your data",
    ),
    "a number": (3.0, {}, InvalidDataError, r"Expected 2D.*got 0D.*Reshape your data"),
    "five dimensions": (np.zeros((2, 2, 2, 2, 2)), {}, InvalidDataError, r"dim 5.*Flatten"),
    "negative counts": (
        COUNTS - 1,
        {"likelihood": "poisson"},
        SupportError,
        r"Poisson needs counts.*row \d+ of column \d is -1.*use likelihood='gaussian'",
    ),
    "fractions as counts": (
        COUNTS + 0.5,
        {"likelihood": "negative_binomial"},
        SupportError,
        r"NegativeBinomial needs counts.*row 0 of column 0 is .*\.5.*likelihood='gaussian'",
    ),
    "fractions as bits": (
        RNG.random((40, 4)),
        {"likelihood": "bernoulli"},
        SupportError,
        r"Bernoulli needs values 0 or 1.*row 0 of column 0.*ContinuousBernoulli\(\)",
    ),
    "more than 1": (
        1 + RNG.random((40, 4)),
        {"likelihood": "continuous_bernoulli"},
        SupportError,
        r"\[0, 1\].*row 0 of column 0.*use likelihood='gaussian'",
    ),
    "counts by name": (
        pd.DataFrame(COUNTS - 1, columns=["red", "green", "blue", "white"]),
        {"likelihood": "poisson"},
        SupportError,
        r"row \d+ of column '(red|green|blue|white)' is -1",
    ),
    "negative levels": (
        COUNTS - 1,
        {"likelihood": "categorical"},
        SupportError,
        r"level codes 0, 1.*row \d+ of column \d is -1",
    ),
    "a level too many": (
        COUNTS,
        {"likelihood": Categorical(3)},
        SupportError,
        r"level codes 0, 1, …, 2.*row \d+ of column \d",
    ),
    "a thousand million levels": (
        COUNTS + np.array([0, 0, 10**9, 0]),
        {"likelihood": "categorical"},
        InvalidDataError,
        r"column 2 goes up to 10000000\d\d.*without gaps.*OrdinalEncoder.*levels=",
    ),
    "text": (
        X.astype(str),
        {},
        InvalidDataError,
        r"holds text.*such as '0\.12.*numbers are expected.*encode",
    ),
    "text in objects": (
        np.array([[1.0, "x"]], dtype=object),
        {},
        InvalidDataError,
        r"holds text.*such as 'x'.*encode.*drop",
    ),
    "text under one likelihood": (
        pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
        {"likelihood": "gaussian"},
        InvalidDataError,
        r"Column 'b' has type String, not numbers; encode.*or drop it",
    ),
    "dates under one likelihood": (
        pd.DataFrame({"a": [1.0], "when": pd.to_datetime(["2020-01-01"])}),
        {"likelihood": "gaussian"},
        InvalidDataError,
        r"Column 'when' has type Datetime.*not numbers; encode.*or drop it",
    ),
    "a likelihood for an image by name": (
        np.zeros((5, 3, 3)),
        {"likelihood": {0: "gaussian"}},
        InvalidParameterError,
        r"by name needs a table",
    ),
    "complex": (
        X + 1j,
        {},
        InvalidDataError,
        r"Complex data not supported.*complex128.*X\.real, X\.imag",
    ),
    "complex CSR": (
        sp.csr_array(X + 1j),
        {},
        InvalidDataError,
        r"Complex data not supported.*X\.real",
    ),
    "complex tensor": (torch.tensor(X + 1j), {}, InvalidDataError, r"Complex data not supported"),
    "ragged": (
        [[1, 2], [3, 4], [5]],
        {},
        InvalidDataError,
        r"rows differ in length.*row 0 has 2 values and row 2 has 1.*Give every row",
    ),
    "two columns of a name": (
        pd.DataFrame(X, columns=list("abca")),
        {},
        InvalidDataError,
        r"same name.*'a'.*rename",
    ),
    "nothing": (None, {}, UnsupportedTypeError, r"NoneType.*no table of numbers; give an array"),
    "a path": ("data.csv", {}, UnsupportedTypeError, r"text 'data\.csv'.*isthmus\.data\.read"),
    "a dictionary": ({"a": [1]}, {}, UnsupportedTypeError, r"dict.*give an array"),
    "a lazy frame": (
        pl.LazyFrame({"a": [1]}),
        {},
        UnsupportedTypeError,
        r"lazy frame.*collect\(\)",
    ),
    "names of two kinds": (
        pd.DataFrame(X, columns=["a", "b", 2, 3]),
        {},
        UnsupportedTypeError,
        r"'int', 'str'.*Rename the columns",
    ),
    "a range wider than float64": (
        np.array([[1.7e308], [1.7e308], [-1.7e308]]),
        {"likelihood": "gaussian"},
        InvalidDataError,
        r"column 0, from -1\.7e\+308 to 1\.7e\+308.*Divide the column by a constant\.$",
    ),
    "a fixed scale far too small": (
        1e30 * X,
        {"likelihood": Gaussian(1.0)},
        InvalidDataError,
        r"column \d, from .*e\+30.*Gaussian\(scale=1\.0.*Divide.*likelihood='gaussian'",
    ),
    "convolutions over levels": (
        RNG.integers(0, 4, (40, 5, 5)),
        {"network": "conv", "likelihood": "categorical"},
        InvalidParameterError,
        r"network='conv' is for pixels.*Categorical\(levels=4\).*network='mlp'",
    ),
    "two outputs with tied weights": (
        X,
        {"tied": True, "likelihood": Gaussian("row")},
        InvalidParameterError,
        r"tied=True gives the decoder 4 outputs, .* needs 8: use tied=False",
    ),
    "flat rows for convolutions": (
        X,
        {"network": "conv"},
        InvalidParameterError,
        r"needs images \(N, H, W\).*shape \(4,\).*Reshape.*'mlp'",
    ),
}


@pytest.mark.parametrize(("given", "params", "kind", "parts"), REFUSED.values(), ids=REFUSED)
def test_refused_at_fit(given, params, kind, parts):
    model = small(**params)
    with pytest.raises(kind) as caught:
        model.fit(given)
    one_sentence(caught.value)
    assert re.search(parts, str(caught.value)), str(caught.value)
    assert not hasattr(model, "model_")


def test_a_wider_type_of_error_is_the_builtin():
    with pytest.raises(ValueError, match="infinity"):
        small().fit(with_value(np.inf))
    with pytest.raises(TypeError, match="NoneType"):
        small().fit(None)


# ---- refused afterwards ---------------------------------------------------------------------

LATER = {
    "too few columns": (
        X[:, :3],
        InvalidDataError,
        r"X has 3 features.*expecting 4.*Give the columns",
    ),
    "too many columns": (np.c_[X, X], InvalidDataError, r"X has 8 features.*expecting 4"),
    "NaN": (with_value(np.nan), InvalidDataError, r"contains NaN.*row 3, column 2.*impute"),
    "infinity": (with_value(-np.inf), InvalidDataError, r"infinity.*-inf in row 3, column 2"),
    "no rows": (X[:0], InvalidDataError, r"0 sample\(s\)"),
    "one row flat": (X[0], InvalidDataError, r"Expected 2D.*X\.reshape\(1, -1\)"),
    "text": (X.astype(str), InvalidDataError, r"holds text"),
    "complex": (X + 1j, InvalidDataError, r"Complex data not supported"),
}
METHODS = (
    "transform",
    "reconstruct",
    "score",
    "score_samples",
    "score_features",
    "log_likelihood",
)


@pytest.fixture(scope="module")
def fitted():
    return small().fit(X)


@pytest.mark.parametrize("method", [*METHODS, "partial_fit"])
@pytest.mark.parametrize(("given", "kind", "parts"), LATER.values(), ids=LATER)
def test_refused_after_fit(fitted, given, kind, parts, method):
    before = fitted.transform(X)
    with pytest.raises(kind) as caught:
        getattr(fitted, method)(given)
    one_sentence(caught.value)
    assert re.search(parts, str(caught.value)), str(caught.value)
    assert np.array_equal(fitted.transform(X), before)


@pytest.mark.parametrize("method", [*METHODS, "partial_fit"])
def test_support_holds_after_fit(method):
    model = small(likelihood="poisson").fit(COUNTS)
    wrong = COUNTS.copy()
    wrong[7, 1] = -2
    with pytest.raises(SupportError, match="row 7 of column 1 is -2"):
        getattr(model, method)(wrong)


def test_codes_are_checked(fitted):
    with pytest.raises(InvalidDataError, match=r"3 columns, .* has 2 units; give what transform"):
        fitted.inverse_transform(np.zeros((5, 3)))
    with pytest.raises(InvalidDataError, match=r"contains NaN.*row 1, column 0"):
        fitted.inverse_transform(np.array([[0.0, 0.0], [np.nan, 0.0]]))
    large = small(hidden=()).fit(1e10 * X)
    with pytest.raises(InvalidDataError, match=r"Row 1 is too far out.*1e\+308 of column 1"):
        large.inverse_transform(np.array([[0.0, 0.0], [0.0, 1e308]]))


def test_a_row_far_out_is_scored_or_refused_by_name(fitted):
    for value, dtype in ((1e10, "f4"), (1e30, "f4"), (1e100, "f8"), (1e300, "f8")):
        far = with_value(value).astype(dtype)
        score = fitted.score_samples(far)
        assert score.argmin() == 3
        assert not np.isnan(score).any()
        assert np.isfinite(np.delete(score, 3)).all()
        assert np.isfinite(fitted.transform(far)).all()
    frame = pd.DataFrame(with_value(1.7e308), columns=["a", "b", "c", "d"])
    model = small(hidden=(), likelihood="gaussian").fit(
        pd.DataFrame(1e-3 * X, columns=list("abcd"))
    )
    with pytest.raises(InvalidDataError, match=r"Row 3 is too far out.*1\.7e\+308 of column 'c'"):
        model.transform(frame)


# ---- works ----------------------------------------------------------------------------------

WORKS = {
    "one row": (X[:1], {}),
    "two rows": (X[:2], {}),
    "five rows": (X[:5], {}),
    "one column": (X[:, :1], {}),
    "one row, one column": (X[:1, :1], {}),
    "constant ones": (np.ones((30, 3)), {}),
    "constant zeros": (np.zeros((30, 3)), {}),
    "constant thirds": (np.full((30, 3), 1 / 3), {}),
    "one constant column": (np.c_[X, np.full(40, 7e5)], {}),
    "300 levels": (RNG.integers(0, 300, (600, 3)), {"likelihood": "categorical"}),
    "300 levels unasked": (RNG.integers(0, 300, (600, 3)), {}),
    "objects": (X.astype(object), {}),
    "lists": (X.tolist(), {}),
    "Fortran order": (np.asfortranarray(X), {}),
    "every second column": (np.repeat(X, 2, axis=1)[:, ::2], {}),
    "backwards": (X[::-1], {}),
    "read-only": (read_only(), {}),
    "float16": (X.astype(np.float16), {}),
    "float32": (X.astype(np.float32), {}),
    "longdouble": (X.astype(np.longdouble), {}),
    "big-endian": (X.astype(">f8"), {}),
    "uint8": (RNG.integers(0, 256, (40, 4), dtype=np.uint8), {}),
    "uint8 counts": (COUNTS.astype(np.uint8), {"likelihood": "poisson"}),
    "int8": (RNG.integers(-100, 100, (40, 4), dtype=np.int8), {}),
    "uint64": (RNG.integers(0, 2**63, (40, 4), dtype=np.uint64), {}),
    "bool": (X > 0, {}),
    "grey images": (RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8), {}),
    "colour images": (RNG.random((40, 6, 5, 3)), {"network": "conv"}),
    "one image": (RNG.random((1, 6, 5)), {"network": "conv"}),
    "1e300": (1e300 * X, {}),
    "1e30": (1e30 * X, {}),
    "1e-300": (1e-300 * X, {}),
    "5e-324": (5e-324 * np.round(X), {}),
    "1e38 in float32": ((1e37 * X).astype(np.float32), {}),
    "1e300 isotropic": (1e300 * X, {"likelihood": "gaussian_shared"}),
    "1e-300 isotropic": (1e-300 * X, {"likelihood": "gaussian_shared"}),
    "1e-30 with scale 1": (1e-30 * X, {"likelihood": Gaussian(1.0)}),
    "1e9 ± 1": (1e9 + np.sign(X), {}),
    "all sizes": (X * [1e300, 1.0, 1e-300, 1e9], {}),
    "an outlier": (with_value(1e300), {}),
    "counts of 2⁶²": (RNG.integers(0, 2**62, (40, 4)), {"likelihood": "negative_binomial"}),
    "zeros as counts": (np.zeros((30, 3)), {"likelihood": "poisson"}),
    "ones as counts": (np.ones((30, 3)), {"likelihood": "poisson"}),
    "empty documents": (np.zeros((30, 3)), {"likelihood": "multinomial"}),
    "zeros with many zeros": (
        np.zeros((30, 3)),
        {"likelihood": "zero_inflated_negative_binomial"},
    ),
    "one level": (np.zeros((30, 3)), {"likelihood": "categorical"}),
    "constant, Laplace": (np.ones((30, 3)), {"likelihood": "laplace"}),
    "constant, Student": (np.ones((30, 3)), {"likelihood": "student_t"}),
    "constant, unit interval": (np.ones((30, 3)), {"likelihood": "continuous_bernoulli"}),
    "one row, variational": (X[:1], {"encoder": "gaussian"}),
    "one row of bits": (X[:1], {"encoder": "bernoulli"}),
    "one row, swapped": (X[:1], {"corruption": "swap"}),
    "one row, masked": (X[:1], {"corruption": ["masking", "gaussian_noise", "salt_and_pepper"]}),
    "last batch of one row": (
        X[:33],
        {"batch_size": 32, "corruption": "swap", "validation_fraction": 0},
    ),
    "batch larger than the data": (X, {"batch_size": 10_000}),
    "batch of one row": (X[:5], {"batch_size": 1, "encoder": "gaussian"}),
    "nothing held out": (X, {"validation_fraction": 0}),
    "nearly all held out": (X, {"validation_fraction": 0.99}),
    "wider code than data": (X, {"n_components": 50}),
    "no hidden layer": (X, {"hidden": ()}),
    "three hidden layers": (X, {"hidden": [8, 6, 4]}),
}


@pytest.mark.parametrize(("given", "params"), WORKS.values(), ids=WORKS)
def test_works(given, params):
    model = small(**params).fit(given)
    shape = np.shape(given)
    assert model.transform(given).shape == (shape[0], model.n_components)
    assert model.reconstruct(given).shape == shape
    for result in (
        model.transform(given),
        model.reconstruct(given),
        model.score_samples(given),
        model.score_features(given),
        model.log_likelihood(given, 3),
        model.inverse_transform(model.transform(given)),
    ):
        assert np.isfinite(result).all()
    assert all(np.isfinite(epoch.nll) for epoch in model.history_)
    assert all(torch.isfinite(weight).all() for weight in model.model_.state_dict().values())


def test_a_million_columns():
    wide = RNG.random((8, 1_000_000), dtype=np.float32)
    model = Autoencoder(2, hidden=(4,), max_epochs=1, likelihood="gaussian", random_state=0)
    codes = model.fit_transform(wide)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.score(wide))


def test_the_input_is_not_changed():
    for given in (X.copy(), COUNTS.astype(np.uint8), np.asfortranarray(X)):
        before = given.copy()
        small(corruption=["masking", "swap"]).fit(given).score_features(given)
        assert np.array_equal(given, before)
    csr = sp.csr_array(np.where(X > 0, X, 0))
    parts = csr.data.copy(), csr.indices.copy(), csr.indptr.copy()
    small().fit(csr).transform(csr)
    for before, now in zip(parts, (csr.data, csr.indices, csr.indptr), strict=True):
        assert np.array_equal(before, now)


# ---- one table in many guises ---------------------------------------------------------------

SPARSE = np.where(X > 0.5, X, 0.0)
NAMES = ["a", "b", "c", "d"]
COLUMNS = dict(zip(NAMES, SPARSE.T, strict=True))
GUISES = {
    "list": SPARSE.tolist(),
    "torch": torch.tensor(SPARSE),
    "torch with gradient": torch.tensor(SPARSE, requires_grad=True),
    "pandas": pd.DataFrame(COLUMNS),
    "pandas without names": pd.DataFrame(SPARSE),
    "pandas from Arrow": pd.DataFrame(COLUMNS).astype("float64[pyarrow]"),
    "pandas sparse": pd.DataFrame(COLUMNS).astype(pd.SparseDtype(float, 0.0)),
    "polars": pl.DataFrame(COLUMNS),
    "Arrow": pa.table(COLUMNS),
    "CSR": sp.csr_array(SPARSE),
    "CSR matrix": sp.csr_matrix(SPARSE),
    "CSC": sp.csc_array(SPARSE),
    "COO": sp.coo_array(SPARSE),
}


@pytest.fixture(scope="module")
def plain():
    return small().fit(SPARSE)


@pytest.mark.parametrize("guise", GUISES.values(), ids=GUISES)
def test_the_same_table_gives_the_same_codes(plain, guise):
    model = small().fit(guise)
    # the scaling is summed in another order for sparse columns
    assert np.allclose(model.transform(guise), plain.transform(SPARSE), rtol=1e-5, atol=1e-6)
    assert np.allclose(model.score_samples(guise), plain.score_samples(SPARSE), rtol=1e-5)
    if not sp.issparse(guise) and not hasattr(guise, "sparse"):
        assert np.array_equal(model.transform(guise), plain.transform(SPARSE))


@pytest.mark.parametrize("guise", ["list", "torch", "CSR", "CSC", "COO", "CSR matrix"])
def test_one_model_reads_all_guises_alike(plain, guise):
    assert np.array_equal(plain.transform(GUISES[guise]), plain.transform(SPARSE))
    assert np.array_equal(plain.score_samples(GUISES[guise]), plain.score_samples(SPARSE))


def test_results_have_the_type_of_the_data(plain):
    assert plain.transform(SPARSE).dtype == np.float64
    for narrow in (np.float32, np.float16, np.uint8, np.int16, np.bool_):
        assert plain.transform(SPARSE.astype(narrow)).dtype == np.float32
    for wide in (np.int32, np.int64, np.longdouble):
        assert plain.transform(SPARSE.astype(wide)).dtype == np.float64
    close = plain.transform(SPARSE.astype(np.float32))
    assert np.allclose(close, plain.transform(SPARSE), rtol=1e-4, atol=1e-5)


def test_pixels_are_bytes_divided_by_255():
    pixels = RNG.integers(0, 256, (60, 5, 4), dtype=np.uint8)
    floats = pixels / 255
    model, twin = (small(likelihood="gaussian_shared").fit(each) for each in (pixels, floats))
    for each in (model, twin):
        assert each.row_shape_ == (5, 4)
        assert np.allclose(each.transform(pixels), each.transform(floats), atol=1e-5)
        assert np.allclose(each.score_samples(pixels), each.score_samples(floats), rtol=1e-5)
    assert np.allclose(model.transform(floats), twin.transform(floats), atol=1e-4)
    assert 0.2 < model.reconstruct(pixels).mean() < 0.8
    bits = (pixels > 128).astype(np.uint8)
    assert np.allclose(model.transform(bits), model.transform(bits / 255), atol=1e-5)
    assert repr(small().fit(bits).likelihood_).startswith("Bernoulli")


# ---- parameters -----------------------------------------------------------------------------

PARAMETERS = {
    "n_components": (0, r"n_components must be a whole number, 1 or more; got 0"),
    "hidden": ((8, 0), r"hidden must be a whole number, 1 or more; got 0"),
    "activation": ("slu", r"no activation named 'slu'; the names are .*silu"),
    "network": (
        "cnn",
        r"network must be 'mlp', 'conv', 'shortcut' or a pair of modules; got 'cnn'",
    ),
    "tied": (True, r"tied=True needs network='mlp'"),
    "encoder": ("gausian", r"no encoder named 'gausian'.*Did you mean 'gaussian'\?"),
    "likelihood": ("poison", r"no likelihood named 'poison'.*Did you mean 'poisson'\?"),
    "corruption": (["masking", "swop"], r"no corruption named 'swop'.*Did you mean 'swap'\?"),
    "penalty": ("contractiv", r"no penalty named 'contractiv'.*Did you mean 'contractive'\?"),
    "optimizer": ("adamv", r"no optimizer named 'adamv'; the names are adamw"),
    "learning_rate": (0.0, r"learning_rate must be a number above 0.*got 0\.0"),
    "batch_size": (2.5, r"batch_size must be a whole number, 1 or more; got 2\.5"),
    "max_epochs": (-1, r"max_epochs must be a whole number, 1 or more; got -1"),
    "validation_fraction": (1.0, r"validation_fraction must be a number in \[0, 1\); got 1\.0"),
    "patience": (True, r"patience must be a whole number, 1 or more; got True"),
    "device": ("gpu7", r"device must be 'auto', 'cpu' or .*got 'gpu7'"),
    "precision": ("float16", r"precision must be one of auto, float32, bfloat16; got 'float16'"),
    "random_state": (-3, r"random_state must be between 0 and 2\*\*63 - 1; got -3"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_wrong_parameters_are_refused_by_name(name):
    value, parts = PARAMETERS[name]
    changes = {name: value, "network": "conv"} if name == "tied" else {name: value}
    with pytest.raises(InvalidParameterError, match=parts):
        small(**changes).fit(X)


def test_what_is_no_truth_value():
    with pytest.raises(InvalidParameterError, match=r"tied must be True or False; got 'no'"):
        small(tied="no").fit(X)


def test_every_parameter_is_checked():
    assert set(PARAMETERS) | {"verbose"} == set(Autoencoder().get_params())


KINDS = {
    "encoder": (Gaussian(), r"encoder must be .* or one of the names"),
    "likelihood": (Gaussian, r"given the class Gaussian; give an object, such as Gaussian\(\)"),
    "corruption": (0.3, r"corruption must be .*got 0\.3 of type float"),
    "network": ((torch.nn.Identity(),), r"pair of torch modules \(encoder, decoder\)"),
}


@pytest.mark.parametrize("name", KINDS)
def test_objects_of_the_wrong_kind_are_refused(name):
    value, parts = KINDS[name]
    with pytest.raises(UnsupportedTypeError, match=parts):
        small(**{name: value}).fit(X)
