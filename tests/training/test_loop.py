"""The loop: what an epoch reports, which weights are kept, and what happens when steps fail."""

import contextlib
import itertools
import math

import numpy as np
import pytest
import torch

from isthmus import (
    L1,
    Gaussian,
    GaussianCode,
    IsthmusWarning,
    Masking,
    TrainingError,
)
from isthmus.encoders import Deterministic
from isthmus.objective import Objective
from isthmus.training import DenseRows, Plan, train, validate
from tests.problems import make_model
from tests.training.stubs import BreaksIn, Fails, N, data

PLAN = Plan(batch_size=16, max_epochs=4, learning_rate=1e-2, precision="float32")


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, two):
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def finite(model):
    return all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


def begin(encoder=None, likelihood=None, hidden=(8,)):
    rows = data()
    return make_model(rows, likelihood or Gaussian(), encoder, 2, hidden), DenseRows(rows)


def run(model, rows, plan=PLAN, objective=None, held_out=None, **more):
    generator = torch.Generator().manual_seed(0)
    return train(model, objective or Objective(), rows, plan, generator, held_out, **more)


# ---- what is reported -----------------------------------------------------------------------


def test_one_record_per_epoch_in_order():
    model, rows = begin(GaussianCode())
    objective = Objective((Masking(0.1),), (L1(0.1), L1(0.2)))
    ticks = []
    records = list(
        run(model, rows, objective=objective, held_out=DenseRows(data(40, 1)), tick=ticks.append)
    )
    assert [record.number for record in records] == [1, 2, 3, 4]
    assert ticks == [16] * 40
    for record in records:
        assert set(record.penalties) == {"L1", "L1_2"}
        assert record.kl > 0
        assert record.seconds >= N / record.rows_per_second > 0
        assert record.skipped_steps == 0
    rates = [record.learning_rate for record in records]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-2 * 1e-2


def test_the_nll_of_an_epoch_is_the_mean_over_its_rows():
    # with a rate of nearly 0 the weights stay, and the epoch's mean is that of the whole set
    model, rows = begin()
    with torch.no_grad():
        by_row = -model.log_prob(rows.values, model.code(rows.values)).sum(1)
    plan = Plan(batch_size=48, max_epochs=1, learning_rate=1e-30, precision="float32")
    (record,) = run(model, rows, plan)
    assert record.nll == pytest.approx(float(by_row.mean()), rel=1e-6)
    assert record.validation_nll is None


def test_validation_is_the_mean_negative_score():
    model, _ = begin()
    rows = data(5000)  # more than one block
    with torch.no_grad():
        log_prob, kl = model.evidence(rows)
    expected = -float((log_prob.double().sum(1) - kl.double().sum(1)).mean())
    assert validate(model, DenseRows(rows), Objective()) == pytest.approx(expected, rel=1e-6)
    model, _ = begin(GaussianCode())
    assert validate(model, DenseRows(rows), Objective()) == validate(
        model, DenseRows(rows), Objective()
    )


def test_every_row_is_seen_once_per_epoch_in_a_new_order():
    model, rows = begin()

    class Watched(DenseRows):
        seen: list = []  # noqa: RUF012  # of this test alone

        def batch(self, index):
            self.seen.append(index.clone())
            return super().batch(index)

    list(run(model, Watched(rows.values), Plan(batch_size=48, max_epochs=2, precision="float32")))
    assert [len(index) for index in Watched.seen] == [48, 48, 48, 16] * 2
    first, second = torch.cat(Watched.seen[:4]), torch.cat(Watched.seen[4:])
    assert torch.equal(first.sort().values, torch.arange(N))
    assert torch.equal(second.sort().values, torch.arange(N))
    assert not torch.equal(first, second)


def test_a_row_of_a_short_last_batch_weighs_no_more():
    # one epoch, one step with and one without company: the gradient of a lone row in a short
    # batch is divided by the full batch size
    model, rows = begin()
    rows = DenseRows(rows.values[:17])
    seen = []
    stepper = StepperSpy(model, seen)
    list(run(model, rows, Plan(batch_size=16, max_epochs=1, precision="float32"), stepper=stepper))
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(17, generator=generator)
    for index, found in zip(order.split(16), seen, strict=True):
        z = rows.values[index]
        nll = -model.log_prob(z, model.code(z)).sum() / 16
        (expected,) = torch.autograd.grad(nll, model.encoder_network.linear_layers[0].weight)
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-7)


class StepperSpy:
    """Notes a gradient and doesn't move."""

    slowdown, rate, n_skipped = 1.0, 1.0, 0

    def __init__(self, model, seen):
        self.model, self.seen, self.n_steps = model, seen, 0

    def settle(self):
        pass

    def step(self):
        self.seen.append(self.model.encoder_network.linear_layers[0].weight.grad.clone())
        self.model.zero_grad()
        self.n_steps += 1

    def release(self):
        pass


# ---- which weights are kept -----------------------------------------------------------------


@pytest.mark.parametrize("encoder", [Deterministic(), GaussianCode()], ids=str)
def test_early_stopping_restores_the_best_weights(encoder):
    # few rows and a large network: the held-out nll rises while the other falls
    rows = data(20)
    model = make_model(rows, Gaussian(), encoder, 4, (64,))
    held_out = DenseRows(data(200, 1))
    plan = Plan(batch_size=5, max_epochs=200, learning_rate=1e-2, patience=5, precision="float32")
    kept, records = [], []
    for record in run(model, DenseRows(rows), plan, held_out=held_out):
        records.append(record)
        kept.append(weights(model))
    losses = [record.validation_nll for record in records]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1 < 199  # it did stop early
    assert len(losses) - 1 - best == 5
    assert validate(model, held_out, Objective()) == min(losses)
    assert same(kept[best], model.state_dict())
    assert [record.best for record in records] == [
        loss < min([math.inf, *losses[:i]]) for i, loss in enumerate(losses)
    ]
    assert not model.training


def test_without_held_out_rows_the_last_weights_are_kept():
    model, rows = begin()
    for record in run(model, rows):
        last = weights(model)
        assert record.best
    assert record.number == 4
    assert same(last, model.state_dict())


def test_the_caller_may_stop_and_the_best_weights_are_kept():
    model, rows = begin()
    held_out = DenseRows(data(50, 1))
    epochs = run(model, rows, Plan(batch_size=4, learning_rate=3.0), held_out=held_out)
    records = list(itertools.islice(epochs, 6))
    epochs.close()
    assert validate(model, held_out, Objective()) == min(
        record.validation_nll for record in records
    )


def test_an_interrupt_keeps_the_best_weights():
    model, rows = begin()
    held_out = DenseRows(data(50, 1))
    counter = itertools.count(1)

    def tick(_):
        if next(counter) == 25:  # in the third epoch of ten steps
            raise KeyboardInterrupt

    records = []
    with pytest.raises(KeyboardInterrupt):
        records.extend(run(model, rows, held_out=held_out, tick=lambda n: tick(n)))
    model_again, _ = begin()
    kept = [
        weights(model_again)
        for _ in itertools.islice(run(model_again, rows, held_out=held_out), 2)
    ]
    losses = [validate_weights(model_again, each, held_out) for each in kept]
    assert same(kept[int(np.argmin(losses))], model.state_dict())
    assert not model.training
    assert not model.half_precision


def validate_weights(model, state, held_out):
    model.load_state_dict(state)
    return validate(model, held_out, Objective())


# ---- steps that fail ------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_failed_step_is_left_out(value):
    model, rows = begin()
    clean, _ = begin()
    objective = Objective(penalties=(Fails(lambda step: step in (3, 17), value),))
    records = list(run(model, rows, objective=objective))
    assert [record.skipped_steps for record in records] == [1, 1, 0, 0]
    assert finite(model)
    assert all(math.isfinite(record.nll) for record in records)
    list(run(clean, rows))
    assert abs(validate(model, rows, Objective()) - validate(clean, rows, Objective())) < 0.2


def test_steps_that_keep_failing_are_tried_again_more_slowly():
    model, rows = begin()
    kept = []

    def follow():
        for record in run(model, rows, objective=objective):
            kept.append((weights(model), record))

    objective = Objective(penalties=(Fails(lambda step: 10 <= step < 20),))
    with pytest.warns(
        IsthmusWarning, match=r"last good weights with half the learning rate \(now"
    ):
        follow()
    assert [record.skipped_steps for _, record in kept] == [0, 10, 0, 0]
    assert same(kept[0][0], kept[1][0])  # the second epoch did nothing, then was taken back
    assert not same(kept[1][0], kept[2][0])  # and the third one went on
    clean, _ = begin()
    rates = [record.learning_rate for record in run(clean, rows)]
    assert [record.learning_rate for _, record in kept[2:]] == [rate / 2 for rate in rates[2:]]
    assert finite(model)


def test_when_nothing_helps_the_layer_is_named_and_good_weights_are_kept():
    model, rows = begin()
    objective = Objective(penalties=(Fails(lambda step: step >= 20),))
    kept = []

    def follow():
        for _ in run(
            model, rows, Plan(batch_size=16, max_epochs=50, learning_rate=1e-2), objective
        ):
            kept.append(weights(model))

    what = r"can't go on: the gradient of encoder_network\.layers\.0\.weight is not"
    with (
        pytest.warns(IsthmusWarning, match="half the learning rate"),
        pytest.raises(TrainingError, match=what) as caught,
    ):
        follow()
    assert 10 < len(kept) < 20
    assert same(kept[1], model.state_dict())
    text = str(caught.value)
    assert "keeps its last good weights" in text
    assert "lower learning_rate" in text
    assert "\n" not in text
    assert isinstance(caught.value, ArithmeticError)


def test_a_column_without_a_number_is_named():
    model, rows = begin(likelihood=BreaksIn())
    with (
        pytest.warns(IsthmusWarning),
        pytest.raises(TrainingError, match="log-likelihood of column 2 is not finite"),
    ):
        list(run(model, rows, Plan(batch_size=16, max_epochs=50)))
    assert finite(model)


def test_a_code_without_a_number_is_named():
    model, rows = begin()
    with torch.no_grad():
        model.encoder_network.linear_layers[-1].bias[1] = math.nan
    with (
        pytest.warns(IsthmusWarning),
        pytest.raises(TrainingError, match="code unit 1 is not finite"),
    ):
        list(run(model, rows, Plan(batch_size=16, max_epochs=50)))


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
@pytest.mark.parametrize("rate", [1e2, 1e6, 1e20, 1e38])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_far_too_large_steps_never_end_in_nan(rate, optimizer):
    model, rows = begin()
    plan = Plan(optimizer=optimizer, learning_rate=rate, batch_size=16, max_epochs=20)
    held_out = DenseRows(data(50, 1))
    with contextlib.suppress(TrainingError):
        list(run(model, rows, plan, held_out=held_out))
    assert finite(model)
    assert math.isfinite(validate(model, held_out, Objective()))
