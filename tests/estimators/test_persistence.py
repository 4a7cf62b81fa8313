"""An estimator to a file and back, and cards that lie."""

import json
import math
import struct
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from isthmus import (
    Autoencoder,
    Balance,
    BernoulliCode,
    Categorical,
    Contractive,
    Curvature,
    Deterministic,
    FileFormatError,
    Gaussian,
    GaussianCode,
    InvalidParameterError,
    IsthmusError,
    KLSparsity,
    Masking,
    NoisySigmoid,
    NotFittedError,
    StudentT,
    UnsupportedTypeError,
    load,
    save,
)
from isthmus.corruptions import Corruption
from isthmus.estimators import cards
from isthmus.estimators.construct import least_size
from isthmus.estimators.resolve import read_recipe
from isthmus.likelihoods import LIKELIHOODS
from isthmus.saving import FORMAT, KEY, read_model, write_model
from tests.estimators.tables import REAL, data_for

SMALL = {"n_components": 3, "hidden": (8,), "max_epochs": 2, "random_state": 0}


def small(**changes):
    return Autoencoder(**{**SMALL, **changes})


IMAGES = np.random.default_rng(0).random((60, 6, 5, 2))
KINDS = {
    **{family: (data_for(family), {"likelihood": family}) for family in LIKELIHOODS},
    "fixed scale": (REAL, {"likelihood": Gaussian(0.5)}),
    "row scale": (
        REAL,
        {"likelihood": Gaussian("row", floor=0.01), "encoder": GaussianCode(0.5, 0.1)},
    ),
    "learned degrees": (REAL, {"likelihood": StudentT("feature", "shared")}),
    "levels": (data_for("categorical"), {"likelihood": Categorical(7)}),
    "linear": (REAL, {"hidden": ()}),
    "deep": (REAL, {"hidden": [9, 7, 5], "activation": "relu"}),
    "tied": (REAL, {"tied": True, "hidden": (8, 4)}),
    "convolutions": (IMAGES, {"network": "conv", "likelihood": "gaussian"}),
    "bytes": ((255 * IMAGES).astype(np.uint8), {}),
    "bits": (REAL, {"encoder": BernoulliCode(0.1), "penalty": [Balance(), KLSparsity(0.1, 0.2)]}),
    "noise": (
        REAL,
        {"encoder": NoisySigmoid(2.0, grow=True), "corruption": [Masking(0.1), "swap"]},
    ),
    "contractive": (REAL, {"encoder": Deterministic("sigmoid"), "penalty": Contractive(0.01)}),
    "curvature": (REAL, {"penalty": [Curvature(0.1, 0.2, n_draws=2), Contractive(n_probes=3)]}),
    "names": (pd.DataFrame(REAL, columns=[f"é{i}" for i in range(8)]), {}),
    "huge": (1e300 * REAL, {}),
    "one row": (REAL[:1], {"validation_fraction": 0}),
    "half precision": (REAL, {"precision": "bfloat16", "optimizer": "muon"}),
    "numpy numbers": (
        REAL,
        {
            "n_components": np.int64(2),
            "hidden": np.array([4, 3]),
            "learning_rate": np.float32(1e-2),
            "corruption": Masking(np.float32(0.25)),
            "random_state": np.int64(3),
        },
    ),
}


def params_of(model):
    """Parameters for a comparison; an array of widths is as good as a tuple."""
    return {**model.get_params(), "hidden": tuple(int(width) for width in model.hidden)}


@pytest.mark.parametrize(("rows", "how"), KINDS.values(), ids=KINDS)
def test_what_is_loaded_answers_bit_for_bit(rows, how, tmp_path):
    model = small(**how).fit(rows)
    save(model, tmp_path / "m.safetensors")
    loaded = load(str(tmp_path / "m.safetensors"))
    for method in (
        "transform",
        "reconstruct",
        "score_samples",
        "score_features",
        "log_likelihood",
    ):
        assert np.array_equal(getattr(loaded, method)(rows), getattr(model, method)(rows)), method
    codes = model.transform(rows)
    assert np.array_equal(loaded.inverse_transform(codes), model.inverse_transform(codes))
    assert np.array_equal(loaded.sample(5), model.sample(5))
    assert params_of(loaded) == params_of(model)
    assert loaded.history_ == model.history_
    assert loaded.likelihood_ == model.likelihood_
    assert loaded.code_report_ == model.code_report_
    for name in ("n_features_in_", "n_iter_", "row_shape_"):
        assert getattr(loaded, name) == getattr(model, name)
    assert list(loaded.get_feature_names_out()) == list(model.get_feature_names_out())
    if hasattr(model, "feature_names_in_"):
        assert list(loaded.feature_names_in_) == list(model.feature_names_in_)
    weights = model.model_.state_dict()
    for name, tensor in loaded.model_.state_dict().items():
        assert tensor.numpy().tobytes() == weights[name].numpy().tobytes()


def test_training_goes_on_after_loading(tmp_path):
    model = small(likelihood="gaussian").fit(REAL)
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    (tmp_path / "m").write_bytes(b"")  # nothing is read any more
    before = loaded.score(REAL)
    for _ in range(40):
        loaded.partial_fit(REAL)
    assert loaded.score(REAL) > before
    assert len(loaded.history_) == 42
    again = loaded.fit(REAL)
    assert np.array_equal(again.transform(REAL), model.transform(REAL))


def test_parameters_changed_after_fit_do_not_spoil_the_file(tmp_path):
    model = small(encoder="gaussian", likelihood="gaussian").fit(REAL)
    codes = model.transform(REAL)
    model.set_params(
        n_components=5, hidden=(99,), encoder="bernoulli", activation="relu", tied=True
    )
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert np.array_equal(loaded.transform(REAL), codes)
    assert loaded.get_params() == model.get_params()


def test_a_generator_as_random_state_is_not_kept(tmp_path):
    save(small(random_state=np.random.default_rng(0)).fit(REAL), tmp_path / "m")
    assert load(tmp_path / "m").random_state is None


def test_infinite_records_are_kept(tmp_path):
    model = small().fit(REAL)
    epoch = model.history_[0]
    changes = {"nll": math.inf, "kl": math.inf, "penalties": {"L1": math.inf}}
    model.history_[0] = type(epoch)(**{**vars(epoch), **changes})
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").history_ == model.history_


def test_only_fitted_estimators_of_known_parts_are_saved(tmp_path):
    with pytest.raises(NotFittedError, match="call fit first"):
        save(small(), tmp_path / "m")

    @dataclass(frozen=True)
    class Own(Corruption):
        def __call__(self, x, width, generator):
            return x / 2

        def in_units(self, unit):
            return self

    with pytest.raises(UnsupportedTypeError, match="part of your own making"):
        save(small(corruption=Own()).fit(REAL), tmp_path / "m")
    with pytest.raises(InvalidParameterError, match=r"folder .* doesn't exist"):
        save(small().fit(REAL), tmp_path / "none" / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_missing_is_replaced_by_the_processor(tmp_path):
    model = small().fit(REAL)
    save(model.set_params(device="cuda:7"), tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.model_.device == torch.device("cpu")
    assert loaded.device == "cuda:7"


# ---- modules of the user's own --------------------------------------------------------------


def modules(width=6):
    """The example of the documentation: any pair of modules of the right shapes."""
    encoder = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))
    decoder = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 8))
    return encoder, decoder


def test_modules_of_the_users_own(tmp_path):
    encoder, decoder = modules()
    model = Autoencoder(3, network=(encoder, decoder), max_epochs=30, random_state=0)
    untouched = encoder[0].weight.clone()
    codes = model.fit_transform(REAL)
    assert codes.shape == (300, 3)
    assert model.history_[-1].nll < model.history_[0].nll
    assert torch.equal(encoder[0].weight, untouched)  # a copy is trained
    save(model, tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors", network=modules())
    assert np.array_equal(loaded.transform(REAL), codes)
    assert np.array_equal(loaded.score_samples(REAL), model.score_samples(REAL))


def test_modules_with_shared_weights_and_buffers(tmp_path):
    encoder, decoder = modules()
    decoder[2].weight = nn.Parameter(torch.randn(8, 6))
    encoder.append(nn.BatchNorm1d(3))
    shared = nn.Linear(3, 3)
    pair = nn.Sequential(encoder, shared, shared), decoder
    model = Autoencoder(3, network=pair, max_epochs=2, random_state=0).fit(REAL)
    save(model, tmp_path / "m")
    again = nn.Sequential(*modules()[0], nn.BatchNorm1d(3))
    twice = nn.Linear(3, 3)
    loaded = load(tmp_path / "m", network=(nn.Sequential(again, twice, twice), modules()[1]))
    assert np.array_equal(loaded.transform(REAL), model.transform(REAL))
    one, many = model.transform(REAL[:1]), model.transform(REAL)[:1]
    assert np.allclose(one, many)


def test_modules_must_be_given_again_and_fit(tmp_path):
    save(Autoencoder(3, network=modules(), max_epochs=1).fit(REAL), tmp_path / "own")
    save(small().fit(REAL), tmp_path / "plain")
    with pytest.raises(InvalidParameterError, match=r"give them again: load\(path, network="):
        load(tmp_path / "own")
    with pytest.raises(InvalidParameterError, match="not fitted with modules of your own; leave"):
        load(tmp_path / "plain", network=modules())
    with pytest.raises(
        InvalidParameterError, match=r"other modules: .*should be of shape \(5,\)"
    ) as e:
        load(tmp_path / "own", network=modules(width=5))
    assert "\n" not in str(e.value)


WRONG = {
    "encoder's input": (
        (nn.Linear(7, 3), nn.Linear(3, 8)),
        r"encoder.*\(n, 8\) to \(n, 3\).*failed",
    ),
    "encoder's output": (
        (nn.Linear(8, 4), nn.Linear(3, 8)),
        r"encoder.*\(n, 3\); it gave \('n', 4\)",
    ),
    "decoder's output": (
        (nn.Linear(8, 3), nn.Linear(3, 9)),
        r"decoder.*\(n, 8\); it gave \('n', 9\)",
    ),
    "dimensions": ((nn.Unflatten(1, (2, 4)), nn.Linear(3, 8)), r"encoder.*gave \('n', 2, 4\)"),
}


@pytest.mark.parametrize(("pair", "what"), WRONG.values(), ids=WRONG)
def test_modules_of_the_wrong_shape_are_refused(pair, what):
    with pytest.raises(InvalidParameterError, match=what):
        Autoencoder(3, network=pair, max_epochs=1).fit(REAL)


# ---- cards that lie -------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    how = {"encoder": GaussianCode(), "likelihood": Gaussian(), "corruption": Masking()}
    save(small(**how).fit(pd.DataFrame(REAL, columns=list("abcdefgh"))), tmp_path / "m")
    return tmp_path / "m"


def rewrite(path, change, tensors=None):
    """Write the file again with a changed card and a right check sum, as a deceiver would."""
    card, numbers = read_model(path)
    numbers = {name: tensor.clone() for name, tensor in numbers.items()}
    change(card)
    write_model(
        path,
        {name: card[name] for name in card if name != "format"},
        {**numbers, **(tensors or {})},
    )


def setting(*keys):
    """A change of one place of a card: keys, then the value."""
    *way, last, value = keys

    def change(card):
        for key in way:
            card = card[key]
        card[last] = value

    return change


def without(*keys):
    *way, last = keys

    def change(card):
        for key in way:
            card = card[key]
        del card[last]

    return change


DEEP = {"kind": "Masking", "rate": [[[[0.1]]]]}
LIES = {
    "another estimator": setting("estimator", "SemanticHasher"),
    "no estimator": without("estimator"),
    "estimator of code": setting("estimator", "os.system('true')"),
    "params a list": setting("params", []),
    "params nothing": setting("params", None),
    "unknown parameter": setting("params", "colour", "red"),
    "unknown likelihood": setting("likelihood", "kind", "Cauchy"),
    "likelihood of a builtin": setting("likelihood", "kind", "__import__"),
    "likelihood without kind": without("likelihood", "kind"),
    "likelihood of another file": setting("likelihood", {"kind": "Poisson"}),
    "likelihood with more": setting("likelihood", "tail", 3),
    "likelihood out of range": setting("likelihood", "floor", 7.0),
    "likelihood of text": setting("likelihood", "Gaussian"),
    "unknown encoder": setting("built", "encoder", {"kind": "Magic"}),
    "another encoder": setting("built", "encoder", {"kind": "Deterministic"}),
    "encoder out of range": setting("built", "encoder", "kl_weight", -1.0),
    "encoder of the wrong type": setting("built", "encoder", "kl_weight", "much"),
    "corruption as encoder": setting("built", "encoder", {"kind": "Masking", "rate": 0.1}),
    "corruption too deep": setting("params", "corruption", DEEP),
    "no built": without("built"),
    "built a number": setting("built", 3),
    "no hidden": without("built", "hidden"),
    "hidden a number": setting("built", "hidden", 8),
    "hidden of text": setting("built", "hidden", ["8"]),
    "hidden of fractions": setting("built", "hidden", [8.5]),
    "another width": setting("built", "hidden", [9]),
    "a huge width": setting("built", "hidden", [10**9]),
    "huger than any number": setting("built", "hidden", [10**400]),
    "many layers": setting("built", "hidden", [8] * 100_000),
    "a huge code": setting("built", "n_components", 10**9),
    "a code of text": setting("built", "n_components", "3"),
    "no code": setting("built", "n_components", 0),
    "unknown activation": setting("built", "activation", "exec"),
    "another network": setting("built", "network", "conv"),
    "unknown network": setting("built", "network", "transformer"),
    "tied": setting("built", "tied", True),
    "a huge likelihood": setting("likelihood", {"kind": "Categorical", "levels": 10**9}),
    "levels of text": setting("likelihood", {"kind": "Categorical", "levels": "7"}),
    "fractions of levels": setting("likelihood", {"kind": "Categorical", "levels": 7.5}),
    "no fitted": without("fitted"),
    "more columns": setting("fitted", "n_features_in", 9),
    "huge rows": setting("fitted", "row_shape", [10**9]),
    "many dimensions": setting("fitted", "row_shape", [8] + [1] * 100_000),
    "rows of text": setting("fitted", "row_shape", ["8"]),
    "negative rows": setting("fitted", "row_shape", [-2, -4]),
    "other names": setting("fitted", "feature_names_in", ["a"]),
    "names of numbers": setting("fitted", "feature_names_in", [1, 2, 3, 4, 5, 6, 7, 8]),
    "names of text": setting("fitted", "feature_names_in", "abcdefgh"),
    "divisor nothing": setting("fitted", "pixel_divisor", None),
    "divisor 0": setting("fitted", "pixel_divisor", 0),
    "report a list": setting("fitted", "code_report", [1]),
    "report of text": setting("fitted", "code_report", {"kl": "much"}),
    "history a number": setting("history", 5),
    "history of numbers": setting("history", [5]),
    "records with less": without("history", 0, "seconds"),
    "records with more": setting("history", 0, "colour", 1),
    "records of text": setting("history", 0, "nll", "low"),
    "penalties a list": setting("history", 0, "penalties", [1]),
}


@pytest.mark.parametrize("change", LIES.values(), ids=LIES)
def test_cards_that_lie_are_refused(path, change):
    rewrite(path, change)
    with pytest.raises(FileFormatError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert text.endswith("Restore it from a copy or train again.")
    assert len(text) < 700


NUMBERS = {
    "one more": {"more": torch.zeros(3)},
    "another shape": {"center": torch.zeros(9, dtype=torch.float64)},
    "two dimensions": {"scale": torch.ones(8, 1, dtype=torch.float64)},
    "another type": {"encoder_network.layers.0.weight": torch.zeros(8, 8, dtype=torch.int32)},
    "wider": {"encoder_network.layers.0.weight": torch.zeros(8, 8, dtype=torch.float64)},
    "NaN": {"encoder_network.layers.0.bias": torch.full((8,), math.nan)},
    "infinity": {"decoder_network.layers.1.bias": torch.full((8,), math.inf)},
    "scale of 0": {"scale": torch.zeros(8, dtype=torch.float64)},
    "negative scale": {"scale": -torch.ones(8, dtype=torch.float64)},
    "scale of NaN": {"scale": torch.full((8,), math.nan, dtype=torch.float64)},
    "scale of text": {"scale": torch.ones(8, dtype=torch.bool)},
}


@pytest.mark.parametrize("tensors", NUMBERS.values(), ids=NUMBERS)
def test_numbers_that_do_not_fit_are_refused(path, tensors):
    rewrite(path, lambda card: None, tensors)
    with pytest.raises(FileFormatError, match="does not fit its numbers") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_later_format_is_refused(path):
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    card = json.loads(header["__metadata__"][KEY])
    header["__metadata__"][KEY] = json.dumps({**card, "format": FORMAT + 1})
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])
    with pytest.raises(FileFormatError, match="format 2, but this version reads format 1; update"):
        load(path)


def test_a_file_without_codes_has_no_samples(tmp_path):
    model = small(likelihood="gaussian").fit(REAL)
    save(model, tmp_path / "new")
    card, tensors = read_model(tmp_path / "new")
    assert tensors.pop("codes").shape == (300, 3)
    numbers = {name: tensor.clone() for name, tensor in tensors.items()}
    write_model(tmp_path / "old", {name: card[name] for name in card if name != "format"}, numbers)
    loaded = load(tmp_path / "old")
    assert np.array_equal(loaded.transform(REAL), model.transform(REAL))
    with pytest.raises(InvalidParameterError, match=r"no prior.*fit_density"):
        loaded.sample(3)


CODES = {
    "another width": torch.zeros(5, 4),
    "one dimension": torch.zeros(3),
    "no rows": torch.zeros(0, 3),
    "another type": torch.zeros(5, 3, dtype=torch.float64),
    "NaN": torch.full((5, 3), math.nan),
}


@pytest.mark.parametrize("codes", CODES.values(), ids=CODES)
def test_codes_that_do_not_fit_are_refused(tmp_path, codes):
    save(small(likelihood="gaussian").fit(REAL), tmp_path / "m")
    rewrite(tmp_path / "m", lambda card: None, {"codes": codes})
    with pytest.raises(FileFormatError, match="does not fit its numbers"):
        load(tmp_path / "m")


def test_what_a_later_version_adds_beside_the_known_is_ignored(path):
    rewrite(path, lambda card: card.update(notes=["made later"]))
    assert load(path).n_features_in_ == 8


@pytest.mark.parametrize("width", [10**6, 10**9, 10**15])
@pytest.mark.parametrize("name", ["hidden", "n_components"])
def test_lying_sizes_take_no_memory(path, monkeypatch, name, width):
    rewrite(path, setting("built", name, [width] if name == "hidden" else width))
    monkeypatch.setattr(cards, "assemble", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(FileFormatError, match=r"describes \d+ numbers or more, but holds \d+\)"):
        load(path)


SIZES = {
    "mlp": {},
    "linear": {"hidden": ()},
    "deep": {"hidden": (9, 7)},
    "tied": {"tied": True, "hidden": (9, 7)},
    "conv": {"network": "conv"},
    "variational": {"encoder": "gaussian"},
}


IMPOSSIBLE = {
    ("tied", "zero_inflated_negative_binomial"),
    ("tied", "categorical"),
    ("conv", "categorical"),
}
FAMILIES = ("gaussian", "zero_inflated_negative_binomial", "categorical")
PAIRS = sorted({(how, family) for how in SIZES for family in FAMILIES} - IMPOSSIBLE)


@pytest.mark.parametrize(("how", "family"), PAIRS)
def test_the_least_size_is_close_to_the_real_one(how, family):
    rows = data_for(family).reshape(300, 4, 2)
    model = small(**SIZES[how], likelihood=family).fit(rows)
    least = least_size(read_recipe(model.get_params()), model.likelihood_, model.row_shape_)
    real = sum(tensor.numel() for tensor in model.model_.state_dict().values())
    small_parts = sum(t.numel() for t in model.model_.state_dict().values() if t.ndim in (1, 4))
    assert real - small_parts == least or least == 8 * model.likelihood_.traits.outputs
    assert least <= real


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value, way=()):
    """Every place in a card."""
    if way:
        yield way
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in inner:
        yield from places(part, (*way, key))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_card_is_refused_or_gives_a_model(path, tmp_path, data):
    card, numbers = read_model(path)
    way = data.draw(st.sampled_from(sorted(places(card), key=str)))
    setting(*way, data.draw(json_values))(card)
    card.pop("format", None)
    write_model(tmp_path / "lie", card, numbers)
    try:
        model = load(tmp_path / "lie")
    except IsthmusError:
        return
    assert (
        model.transform(pd.DataFrame(REAL, columns=model.feature_names_in_)).shape == (300, 3)
        if (hasattr(model, "feature_names_in_"))
        else model.n_features_in_ == 8
    )
