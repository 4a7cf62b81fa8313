"""`isthmus fit` from every format, and what it says and refuses."""

import math
import sys

import numpy as np
import pytest
from cli_cases import FAST, NAMES

from isthmus import Autoencoder, load
from isthmus._errors import InvalidParameterError
from isthmus.cli.fit import training_summary, watching_ctrl_c
from isthmus.cli.parts import read_part, read_parts, read_value, read_widths
from isthmus.cli.show import to_json
from isthmus.corruptions import CORRUPTIONS, GaussianNoise, Masking
from isthmus.data import read
from isthmus.encoders import ENCODERS, GaussianCode
from isthmus.likelihoods import LIKELIHOODS, Gaussian, StudentT
from isthmus.penalties import PENALTIES, Contractive, Curvature

FIGURES = {
    "model", "likelihood", "rows", "columns", "n_components", "parameters", "epochs",
    "best_epoch", "validation_nll", "train_nll", "train_kl", "nats_per_dimension",
    "bits_per_dimension", "rows_per_second", "seconds", "stopped_early", "stopped_by",
}  # fmt: skip


@pytest.mark.parametrize("ending", ["npy", "csv", "parquet", "feather", "arrow"])
def test_every_format_gives_the_same_model(run, files, tmp_path, table, ending):
    target = tmp_path / "model.safetensors"
    ended = run("fit", files / f"table.{ending}", "-o", target, *FAST)
    assert (ended.code, ended.err) == (0, "")
    said = ended.json
    assert said.keys() == FIGURES
    assert (said["rows"], said["columns"], said["n_components"]) == (60, 5, 2)
    assert (said["epochs"], said["stopped_early"], said["stopped_by"]) == (2, False, "max_epochs")
    assert said["model"] == str(target)
    twin = Autoencoder(2, hidden=(8,), max_epochs=2, random_state=0).fit(table)
    best = min(epoch.validation_nll for epoch in twin.history_)
    assert said["validation_nll"] == pytest.approx(best)
    assert twin.history_[said["best_epoch"] - 1].validation_nll == best
    assert said["bits_per_dimension"] == pytest.approx(said["validation_nll"] / 5 / math.log(2))
    model = load(target)
    codes = model.transform(read(files / f"table.{ending}"))
    np.testing.assert_array_equal(codes, twin.transform(table))
    assert list(getattr(model, "feature_names_in_", NAMES)) == NAMES


def test_a_member_of_an_archive(run, files, tmp_path):
    target = tmp_path / "model.safetensors"
    ended = run("fit", files / "table.npz", "-o", target, "--key", "second", *FAST)
    assert ended.json["columns"] == 3
    refused = run("fit", files / "table.npz", "-o", target, "--key", "third", *FAST)
    assert refused.code == 2
    assert "third" in refused.line


def test_a_folder_of_images(run, files, tmp_path):
    target = tmp_path / "model.safetensors"
    said = run("fit", files / "images", "-o", target, *FAST).json
    assert said["columns"] == 42
    assert said["likelihood"]["scale"] == "shared"
    assert load(target).row_shape_ == (6, 7)


def test_all_options_reach_the_estimator(run, files, tmp_path):
    target = tmp_path / "model.safetensors"
    ended = run(
        "fit", files / "table.npy", "-o", target, "--n-components", 3, "--hidden", "8,4",
        "--activation", "tanh", "--network", "mlp", "--tied", "--encoder", "gaussian:0.5",
        "--likelihood", "gaussian:shared", "--corruption", "masking:0.3", "--corruption",
        "gaussian_noise", "--penalty", "contractive:0.2:reconstruction", "--penalty", "l1",
        "--optimizer", "sgd", "--learning-rate", 0.01, "--batch-size", 16, "--max-epochs", 1,
        "--validation-fraction", 0.2, "--patience", 3, "--device", "cpu", "--precision",
        "float32", "--random-state", 7,
    )  # fmt: skip
    assert ended.code == 0
    assert "likelihood: Gaussian(scale='shared'" in ended.err
    params = load(target).get_params(deep=False)
    assert params == {
        "n_components": 3, "hidden": (8, 4), "activation": "tanh", "network": "mlp",
        "tied": True, "encoder": GaussianCode(0.5), "likelihood": Gaussian("shared"),
        "corruption": [Masking(0.3), "gaussian_noise"],
        "penalty": [Contractive(0.2, "reconstruction"), "l1"], "optimizer": "sgd",
        "learning_rate": 0.01, "batch_size": 16, "max_epochs": 1, "validation_fraction": 0.2,
        "patience": 3, "device": "cpu", "precision": "float32", "random_state": 7, "verbose": 1,
    }  # fmt: skip


def test_without_held_out_rows_the_figures_are_of_training(run, files, tmp_path):
    target = tmp_path / "model.safetensors"
    arguments = ("fit", files / "table.npy", "-o", target, "--validation-fraction", 0, *FAST)
    said = run(*arguments).json
    assert said["validation_nll"] is None
    assert said["nats_per_dimension"] == pytest.approx(said["train_nll"] / 5)


def test_patience_is_told_from_the_end(run, files, tmp_path, monkeypatch):
    original = Autoencoder.fit

    def short(self, X):
        original(self, X)
        self.history_ = self.history_[:1]

    monkeypatch.setattr(Autoencoder, "fit", short)
    said = run("fit", files / "table.npy", "-o", tmp_path / "m.safetensors", *FAST).json
    assert (said["stopped_early"], said["stopped_by"]) == (True, "patience")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--likelihood", "gausian"], "Did you mean 'gaussian'?"),
        (["--likelihood", "bernouli"], "Did you mean 'bernoulli'?"),
        (["--likelihood", "bernoulli"], "table.npy: "),
        (["--likelihood", "auto:3"], "named 'auto'"),
        (["--likelihood", "gaussian:-1"], "--likelihood gaussian:-1: "),
        (["--likelihood", "gaussian:wide"], "'wide'"),
        (["--encoder", "gaussian:much"], "kl_weight"),
        (["--corruption", "maskng:0.3"], "Did you mean 'masking'?"),
        (["--corruption", "masking:1.5"], "1.5"),
        (["--corruption", "masking:a"], "Masking's rate must lie"),
        (["--corruption", "masking:0.1:0.2"], "rescale must be True or False"),
        (["--corruption", "swap:0.1:0.2"], "leave '0.2' out"),
        (["--penalty", "l1:"], "no value after a colon"),
        (["--penalty", "l2"], "no penalty named 'l2'"),
        (["--hidden", "8;4"], "--hidden 8;4"),
        (["--hidden", "0"], "hidden must be"),
        (["--activation", "sillu"], "sillu"),
        (["--network", "rnn"], "rnn"),
        (["--optimizer", "adamm"], "adamm"),
        (["--device", "abacus"], "abacus"),
        (["--precision", "float8"], "float8"),
        (["--max-epochs", "0"], "max_epochs"),
        (["--learning-rate", "nan"], "learning_rate"),
        (["--validation-fraction", "1"], "validation_fraction"),
    ],
)
def test_a_wrong_option_is_one_line(run, files, tmp_path, options, words):
    target = tmp_path / "m.safetensors"
    ended = run("fit", files / "table.npy", "-o", target, *FAST, *options)
    assert ended.code == 2
    assert words in ended.line
    assert not target.exists()


def test_wrong_targets_are_refused_before_the_data_are_read(run, tmp_path):
    refused = run("fit", "nothing.npy", "-o", tmp_path / "m.pkl")
    assert refused.code == 2
    assert "its ending must be .safetensors" in refused.line
    refused = run("fit", "nothing.npy", "-o", tmp_path / "none" / "m.safetensors")
    assert "there is no folder" in refused.line
    (tmp_path / "m.safetensors").mkdir()
    refused = run("fit", "nothing.npy", "-o", tmp_path / "m.safetensors")
    assert "it is a folder" in refused.line


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.csv", "", ["none.csv"]),
        ("damaged.parquet", "PAR1", ["damaged.parquet"]),
        ("data.xlsx", "a", [".xlsx"]),
    ],
)
def test_unsuitable_data_are_one_line(run, tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    ended = run("fit", tmp_path / name, "-o", tmp_path / "m.safetensors", *FAST)
    assert ended.code == 2
    assert all(word in ended.line for word in words)


def test_a_missing_file(run, tmp_path):
    ended = run("fit", tmp_path / "none.npy", "-o", tmp_path / "m.safetensors", *FAST)
    assert ended.code == 2
    assert "none.npy" in ended.line


@pytest.mark.parametrize(
    ("registry", "text", "part"),
    [
        (LIKELIHOODS, "gaussian", "gaussian"),
        (LIKELIHOODS, "gaussian:shared", Gaussian("shared")),
        (LIKELIHOODS, "gaussian:1.0", Gaussian(1.0)),
        (LIKELIHOODS, "gaussian:feature:0.01", Gaussian("feature", 0.01)),
        (LIKELIHOODS, "student_t:4", StudentT(4)),
        (ENCODERS, "gaussian:0.5", GaussianCode(0.5)),
        (CORRUPTIONS, "masking:0.3", Masking(0.3)),
        (CORRUPTIONS, "gaussian_noise:1e-2", GaussianNoise(0.01)),
        (PENALTIES, "contractive:0.2:reconstruction", Contractive(0.2, of="reconstruction")),
        (
            PENALTIES,
            "contractive:0.2:encoder:estimate:4",
            Contractive(0.2, n_probes=4, method="estimate"),
        ),
        (PENALTIES, "curvature:0.2:0.3", Curvature(0.2, 0.3)),
    ],
)
def test_parts_from_text(registry, text, part):
    assert read_part(registry, "--option", text) == part


def test_the_name_of_every_part_is_understood():
    for registry in (LIKELIHOODS, ENCODERS, CORRUPTIONS, PENALTIES):
        for name in registry:
            assert read_part(registry, "--option", name) == name
            with pytest.raises(InvalidParameterError, match="--option"):
                read_part(registry, "--option", ":".join([name, *"12345678"]))


def test_no_parts_are_none():
    assert read_parts(CORRUPTIONS, "--corruption", None) is None
    assert read_parts(CORRUPTIONS, "--corruption", []) is None


def test_values_from_text():
    assert [read_value(text) for text in ("3", "0.5", "1e3", "true", "row")] == [
        3, 0.5, 1000.0, True, "row",
    ]  # fmt: skip
    assert isinstance(read_value("3"), int)


def test_widths_from_text():
    assert read_widths("512, 256") == (512, 256)
    assert read_widths("none") == read_widths("") == ()


def test_a_training_without_an_epoch_has_no_figures():
    assert training_summary([], 5) == {"epochs": 0}


def test_an_epoch_without_a_number_is_not_the_best():
    epoch = {"number": 1, "nll": None, "kl": 0.0, "validation_nll": math.nan, "best": False}
    said = training_summary([{**epoch, "rows_per_second": 10.0}], 5)
    assert said["best_epoch"] is None
    assert to_json(said["nats_per_dimension"]) == "null"


def test_ctrl_c_is_noted_and_the_handler_comes_back():
    import signal

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        pytest.skip("this process handles Ctrl-C in another way")
    with watching_ctrl_c() as interrupt:
        assert not interrupt.happened
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert interrupt.happened
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_progress_never_reaches_standard_output(run, files, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    ended = run("fit", files / "table.npy", "-o", tmp_path / "m.safetensors", *FAST[:-1])
    assert ended.json["epochs"] == 2
    assert "likelihood: " in ended.err
