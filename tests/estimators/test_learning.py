"""A fit as its user sees it: progress, Ctrl-C, warnings, and an error that leaves a model."""

import contextlib
import io
import itertools
import math
import sys
import time
import warnings

import numpy as np
import pytest
import torch

from isthmus import Autoencoder, InvalidDataError, IsthmusWarning, TrainingError, load, save
from isthmus.estimators import fitting
from isthmus.estimators.progress import Silent
from tests.estimators.tables import REAL
from tests.training.stubs import BreaksIn, Fails

HOW = {
    "n_components": 3,
    "hidden": (16,),
    "batch_size": 32,
    "max_epochs": 6,
    "likelihood": "gaussian",
    "random_state": 0,
}


def small(**changes):
    return Autoencoder(**{**HOW, **changes})


def weights(model):
    return {name: tensor.clone() for name, tensor in model.model_.state_dict().items()}


def same(one, two):
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def finite(model):
    return all(torch.isfinite(tensor).all() for tensor in model.model_.state_dict().values())


# ---- records --------------------------------------------------------------------------------


def test_the_history_has_one_record_per_epoch():
    model = small(encoder="gaussian", penalty=["l1", "l1"]).fit(REAL)
    assert model.n_iter_ == len(model.history_) == 6
    assert [epoch.number for epoch in model.history_] == [1, 2, 3, 4, 5, 6]
    for epoch in model.history_:
        assert set(epoch.penalties) == {"L1", "L1_2"}
        assert all(math.isfinite(value) for value in (epoch.nll, epoch.kl, epoch.validation_nll))
        assert epoch.seconds > 0


def test_the_best_epoch_is_the_one_that_is_kept():
    # the held-out rows are the first ones of the seed's permutation
    model = small(max_epochs=40, learning_rate=3e-2, hidden=(64,)).fit(REAL[:60])
    held_out = REAL[:60][np.random.default_rng(0).permutation(60)[:6]]
    losses = [epoch.validation_nll for epoch in model.history_]
    assert np.argmin(losses) < len(losses) - 1
    assert -model.score(held_out) == pytest.approx(min(losses), rel=1e-5)


def test_patience_ends_a_fit():
    model = small(max_epochs=500, patience=3, learning_rate=3e-2, hidden=(64,)).fit(REAL[:60])
    losses = [epoch.validation_nll for epoch in model.history_]
    assert model.n_iter_ < 500
    assert model.n_iter_ - 1 - int(np.argmin(losses)) == 3


def test_without_held_out_rows_nothing_stops_early():
    model = small(validation_fraction=0, max_epochs=30, patience=1, learning_rate=0.3).fit(REAL)
    assert model.n_iter_ == 30
    assert {epoch.validation_nll for epoch in model.history_} == {None}
    assert all(epoch.best for epoch in model.history_)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "muon"])
def test_every_optimiser_learns(optimizer):
    start = small(max_epochs=1, learning_rate=1e-12, optimizer=optimizer).fit(REAL).score(REAL)
    model = small(max_epochs=30, learning_rate=1e-2, optimizer=optimizer).fit(REAL)
    assert model.score(REAL) > start + 1


# ---- Ctrl-C ---------------------------------------------------------------------------------


def interrupting(monkeypatch, step=None, epoch=None):
    """Raise KeyboardInterrupt in the display's tick of this step, or at its show of this epoch."""
    steps, epochs = itertools.count(1), itertools.count(1)

    class Display(Silent):
        def tick(self, n_rows):
            if next(steps) == step:
                raise KeyboardInterrupt

        def show(self, record):
            if next(epochs) == epoch:
                raise KeyboardInterrupt

    @contextlib.contextmanager
    def display(*_):
        yield Display()

    monkeypatch.setattr(fitting, "display", display)


def test_ctrl_c_in_the_middle_of_an_epoch(monkeypatch, tmp_path):
    whole = small().fit(REAL)  # 270 rows, 9 steps an epoch
    interrupting(monkeypatch, step=9 * 3 + 4)
    model = small()
    with pytest.warns(
        IsthmusWarning, match=r"Stopped by the user in epoch 4; the model has the best"
    ):
        model.fit(REAL)
    assert model.n_iter_ == 3
    records = [(epoch.nll, epoch.validation_nll) for epoch in model.history_]
    assert records == [(epoch.nll, epoch.validation_nll) for epoch in whole.history_[:3]]
    best = min(epoch.validation_nll for epoch in model.history_)
    held_out = REAL[np.random.default_rng(0).permutation(300)[:30]]
    assert -model.score(held_out) == pytest.approx(best, rel=1e-5)
    assert model.code_report_ == {"unused_units": 0.0}
    save(model, tmp_path / "m")
    assert np.array_equal(load(tmp_path / "m").transform(REAL), model.transform(REAL))


def test_ctrl_c_while_an_epoch_is_shown(monkeypatch):
    interrupting(monkeypatch, epoch=2)
    model = small()
    with pytest.warns(IsthmusWarning, match="Stopped by the user in epoch 3"):
        model.fit(REAL)
    assert model.n_iter_ == 2
    assert not model.model_.training


def test_ctrl_c_in_the_first_epoch_leaves_a_model_that_works(monkeypatch):
    interrupting(monkeypatch, step=5)
    model = small(encoder="gaussian")
    with pytest.warns(IsthmusWarning, match="Stopped by the user in epoch 1"):
        model.fit(REAL)
    assert model.history_ == []
    assert model.n_iter_ == 1
    assert finite(model)
    assert np.isfinite(model.score(REAL))
    assert model.sample(3).shape == (3, 8)
    monkeypatch.undo()
    assert np.array_equal(
        model.fit(REAL).transform(REAL), small(encoder="gaussian").fit(REAL).transform(REAL)
    )


# ---- steps that fail ------------------------------------------------------------------------


def test_steps_left_out_are_counted_and_told():
    model = small(penalty=Fails(lambda step: step in (4, 20)))
    with pytest.warns(
        IsthmusWarning, match="2 steps were left out because their gradient was not"
    ):
        model.fit(REAL)
    assert sum(epoch.skipped_steps for epoch in model.history_) == 2
    assert finite(model)


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
def test_an_error_of_training_leaves_the_last_good_model(monkeypatch, tmp_path):
    after_epochs = []
    good = small(max_epochs=100, penalty=Fails(lambda step: False), validation_fraction=0)
    with monkeypatch.context() as patched:
        patched.setattr(Silent, "show", lambda self, epoch: after_epochs.append(weights(good)))
        good.fit(REAL)
    model = small(max_epochs=100, penalty=Fails(lambda step: step >= 30), validation_fraction=0)
    with pytest.raises(TrainingError, match=r"encoder_network\.layers\.0\.weight is not finite"):
        model.fit(REAL)
    assert same(after_epochs[2], weights(model))  # ten steps an epoch
    assert model.n_iter_ == len(model.history_) > 3
    assert np.isfinite(model.transform(REAL)).all()
    assert model.get_feature_names_out().shape == (3,)
    model.set_params(penalty=None)
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").n_iter_ == model.n_iter_


def test_a_likelihood_that_can_not_start_is_refused_by_column():
    with pytest.raises(InvalidDataError, match=r"values of column 2, from .* no log-probability"):
        small(likelihood=BreaksIn()).fit(REAL)


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
@pytest.mark.parametrize("rate", [1e3, 1e10, 1e30])
def test_a_fit_never_ends_in_nan_whatever_the_rate(rate):
    model = small(learning_rate=rate, max_epochs=15)
    with contextlib.suppress(TrainingError):
        model.fit(REAL)
    assert finite(model)
    assert np.isfinite(model.score_samples(REAL)).all() or np.isneginf(model.score(REAL))


# ---- what is shown --------------------------------------------------------------------------


class Terminal(io.StringIO):
    def __init__(self, is_one=True):
        super().__init__()
        self.is_one = is_one

    def isatty(self):
        return self.is_one


def shown(monkeypatch, *, verbose, terminal, **how):
    stream = Terminal(terminal)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    small(verbose=verbose, **how).fit(REAL)
    assert out.getvalue() == ""
    return stream.getvalue()


def test_nothing_is_shown_unasked(monkeypatch):
    assert shown(monkeypatch, verbose=0, terminal=True) == ""
    assert shown(monkeypatch, verbose=0, terminal=False) == ""


def test_without_a_terminal_there_are_lines_but_no_bar(monkeypatch):
    lines = shown(monkeypatch, verbose=1, terminal=False).splitlines()
    assert lines == ["likelihood: Gaussian(scale='feature', floor=0.001)", "unused_units: 0"]


def test_verbose_says_how_a_jacobian_is_measured(monkeypatch):
    text = shown(monkeypatch, verbose=1, terminal=False, penalty=["contractive", "l1"])
    assert "Contractive: exact (" in text
    assert "L1" not in text


@pytest.mark.parametrize("verbose", [1, 2])
def test_on_a_terminal_there_is_a_bar(monkeypatch, verbose):
    text = shown(monkeypatch, verbose=verbose, terminal=True)
    assert "\x1b" in text
    for part in ("epoch 6/6", "nll ", "held out ", "rows/s"):
        assert part in text
    assert "nan" not in text


def test_the_bar_costs_nothing_between_its_drawings(monkeypatch):
    from isthmus.estimators.progress import display

    monkeypatch.setattr(sys, "stderr", Terminal())
    with display(1, 10**9, 1) as bar:
        began = time.perf_counter()
        for _ in range(10_000):
            bar.tick(100)
        assert time.perf_counter() - began < 1.0


def test_a_fit_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(encoder="gaussian", corruption="masking", penalty="contractive").fit(REAL)
