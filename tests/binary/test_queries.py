"""Real-valued queries: exact where decoding is affine with equal norms, and better once taught."""

import numpy as np
import pytest
import torch

from isthmus.binary import METRICS, Rounds, fit_weights, make_coder, teach
from isthmus.binary.flips import EFFORTS
from isthmus.binary.learn import begin_with_rotation, encoded, with_codes
from isthmus.binary.queries import learn_queries
from isthmus.training import DenseRows, Plan
from tests.binary.cases import all_codes, random_model, random_rows
from tests.likelihoods.cases import generator


def orthogonal_decoder(k=5, d=9):
    """Decoded rows x = Q s + c with orthonormal columns Q ⊥ c: all of them have one length."""
    frame = torch.linalg.qr(random_rows(d, k + 1))[0]
    return frame[:, :k], 2 * frame[:, k]


@pytest.mark.parametrize("metric", METRICS)
def test_least_squares_give_the_metrics_own_order_where_decoding_is_affine(metric):
    axes, centre = orthogonal_decoder()
    codes, kind = all_codes(5).float(), METRICS[metric]
    signs = 2 * codes - 1
    decoded = (signs @ axes.T.float()) + centre.float()
    asked = random_rows(20, 9).float()
    weights = fit_weights([(codes[:10], kind.compared(decoded[:10]))], 5, 9)
    weights = fit_weights(
        [
            (part, kind.compared(x))
            for part, x in zip(codes.split(7), decoded.split(7), strict=True)
        ],
        5,
        9,
    )
    found = kind.bit_weights(asked, weights) @ signs.T
    true = kind.scores(asked, decoded)
    gap = (true - true.mean(1, keepdim=True)) - (found - found.mean(1, keepdim=True))
    assert gap.abs().max() < 1e-4


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_numpy_for_tables_and_for_lists(metric):
    q, x = random_rows(4, 6), random_rows(7, 6, seed=8)
    if metric == "cosine":
        unit = [each.numpy() / np.linalg.norm(each, axis=1, keepdims=True) for each in (q, x)]
        true = unit[0] @ unit[1].T
    else:
        true = -((q.numpy()[:, None] - x.numpy()[None]) ** 2).sum(2)
    kind = METRICS[metric]
    np.testing.assert_allclose(kind.scores(q, x).numpy(), true, rtol=1e-10, atol=1e-12)
    lists = x.expand(4, 7, 6)
    np.testing.assert_allclose(kind.scores(q, lists).numpy(), true, rtol=1e-10, atol=1e-12)


def trained(n=500, d=8, k=16):
    """A model whose bits were learned by turns, and its rows: clusters on a sphere."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, d))
    rows = centres[rng.integers(12, size=n)] + 0.4 * rng.normal(size=(n, d))
    rows = torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True)).float()
    model = random_model(n_bits=k, n_features=d).float()
    held = DenseRows(rows)
    begin_with_rotation(model, held, generator(1))
    return model, held


def divergence(coder, base):
    """Mean KL of the query's softmax from the true one, among all rows but itself."""
    z = base.rows.batch(base.chosen)
    own = torch.eye(len(z), dtype=torch.bool)
    scores = base.metric.scores(base.true(z), base.true(z)).masked_fill(own, -torch.inf)
    share = torch.softmax(scores / coder.queries.temperature, 1)
    with torch.no_grad():
        found = coder.asked(z) @ (2.0 * base.codes - 1).T
    log_q = found.masked_fill(own, -torch.inf).log_softmax(1).masked_fill(own, 0.0)
    return float(-(share * log_q).sum(1).mean())


def test_teaching_brings_queries_nearer_to_the_truth_and_leaves_codes_alone():
    model, rows = trained()
    plan = Plan(learning_rate=3e-3, batch_size=128)
    args = (model, rows, METRICS["cosine"], 1.0, EFFORTS["fast"], generator(2))
    coder, base = make_coder(*args)
    before, codes = divergence(coder, base), base.codes.clone()
    teach(coder, base, plan, generator(3))
    assert divergence(coder, base) < 0.95 * before
    assert torch.equal(encoded(model, rows, EFFORTS["fast"], 1.0, base.chosen), codes)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_rows_teach_little_and_break_nothing(n):
    model, rows = trained(n=n)
    coder, base = make_coder(model, rows, METRICS["cosine"], 1.0, EFFORTS["fast"], generator(2))
    learn_queries(base, coder.queries, Plan(batch_size=32), generator(3))
    assert all(torch.isfinite(p).all() for p in coder.queries.state_dict().values())


def test_by_turns_both_networks_learn():
    """Over all rounds the decoder explains the rows better, in each the encoder its codes."""
    model, rows = trained()
    plan = Plan(learning_rate=3e-3, batch_size=64)
    records = list(with_codes(model, rows, plan, Rounds(2, 3, 1.0), generator(4)))
    assert [each.number for each in records] == list(range(1, 10))
    assert records[-1].nll < records[0].nll
    for first in (0, 3, 6):
        assert records[first + 2].penalties["bits"] < records[first].penalties["bits"]
