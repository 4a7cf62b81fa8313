"""The hasher: bits that stand for rows, back to rows, asked in three ways."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.metrics.pairwise import cosine_similarity

import isthmus
from isthmus import (
    CodeStore,
    FileFormatError,
    InvalidDataError,
    InvalidParameterError,
    IsthmusWarning,
    Multinomial,
    NoisySigmoid,
    NotFittedError,
    SemanticHasher,
    SupportError,
    UnsupportedTypeError,
    load,
    save,
)
from isthmus.binary import coder as coder_module
from isthmus.hashing import nearest_weighted, pack, unpack

QUICK = {"max_epochs": 5, "decoder_hidden": (32,), "rounds": 2, "random_state": 0}


def clusters(n=600, d=12, seed=0):
    """Rows about 30 centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(30, d))
    return centres[rng.integers(30, size=n)] + 0.3 * rng.normal(size=(n, d))


ROWS = clusters()


def documents(n=300, n_words=400, seed=0):
    """Counts of words of ten topics, CSR."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(n_words, 0.05), size=10)
    labels = rng.integers(10, size=n)
    counts = np.stack([rng.multinomial(60, topics[label]) for label in labels])
    return sp.csr_array(counts), labels


@pytest.fixture(scope="module")
def hasher():
    return SemanticHasher(32, **QUICK).fit(ROWS)


# ---- codes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_bits", "refine"), [(8, "none"), (13, "fast"), (129, "best"), (32, "best")]
)
def test_codes_are_packed_bits_row_by_row(n_bits, refine):
    hasher = SemanticHasher(n_bits, **QUICK, refine=refine).fit(ROWS)
    codes, bits = hasher.transform(ROWS), hasher.bits(ROWS)
    assert codes.shape == (600, -(-n_bits // 8))
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, pack(bits))
    np.testing.assert_array_equal(unpack(codes, n_bits), bits)
    for i in (0, 299, 599):
        np.testing.assert_array_equal(hasher.transform(ROWS[i : i + 1])[0], codes[i])
        np.testing.assert_allclose(
            hasher.query(ROWS[i : i + 1])[0], hasher.query(ROWS)[i], rtol=1e-4, atol=1e-4
        )


def test_rows_in_parts_have_the_codes_of_all_at_once(hasher, monkeypatch):
    codes, queries = hasher.transform(ROWS), hasher.query(ROWS)
    monkeypatch.setattr("isthmus.estimators.directions.PART_CELLS", 12 * 170)
    np.testing.assert_array_equal(hasher.transform(ROWS), codes)
    np.testing.assert_allclose(hasher.query(ROWS), queries, rtol=1e-4, atol=1e-4)
    rows = ROWS.copy()
    rows[500] = 0
    with pytest.warns(IsthmusWarning, match="1 of 170 rows are all zeros, row 500 first"):
        hasher.transform(rows)


def test_refined_codes_explain_the_rows_better(hasher):
    """log p(x | code) + λ log p(code | x) never falls, so with λ = 0 the score itself doesn't."""
    free = SemanticHasher(32, **QUICK, prior=0.0).fit(ROWS)
    scores = {}
    for effort in ("none", "fast", "best"):
        free.refine = effort
        scores[effort] = free.score_samples(ROWS)
    assert (scores["fast"] >= scores["none"]).all()
    assert (scores["best"] >= scores["none"]).all()
    assert scores["best"].mean() > scores["fast"].mean() > scores["none"].mean()


def test_the_same_seed_gives_the_same_codes_and_another_seed_others(hasher):
    again = clone(hasher).fit(ROWS)
    other = clone(hasher).set_params(random_state=1).fit(ROWS)
    np.testing.assert_array_equal(again.transform(ROWS), hasher.transform(ROWS))
    assert again.fingerprint_ == hasher.fingerprint_
    assert other.fingerprint_ != hasher.fingerprint_


def test_near_rows_have_near_codes(hasher):
    """Of the 10 rows that are nearest by the cosine, how many are found: far above chance."""
    base, asked = ROWS[100:], ROWS[:100]
    true = np.argsort(-cosine_similarity(asked, base), axis=1)[:, :10]
    codes = hasher.transform(base)
    signs = 2.0 * hasher.bits(asked, "none") - 1
    for queries in (signs, hasher.query(asked)):
        found = nearest_weighted(codes, queries.astype(float), 10)[1]
        recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, true, strict=True)])
        assert recall > 0.3  # 0.02 by chance


def test_a_real_valued_query_ranks_as_brute_force_and_as_the_store(hasher, tmp_path):
    codes, queries = hasher.transform(ROWS), hasher.query(ROWS[:5]).astype(float)
    signs = 2.0 * hasher.bits(ROWS) - 1
    brute = (np.abs(queries)[:, None] * (signs[None] * queries[:, None] < 0)).sum(2)
    distances, rows = nearest_weighted(codes, queries, 20)
    np.testing.assert_allclose(np.sort(brute, 1)[:, :20], distances)
    with CodeStore(tmp_path / "codes.store", 32, fingerprint=hasher.fingerprint_) as store:
        store.upsert(list(range(len(codes))), codes)
        hits = store.search(queries, 20)
    for found, distance, row in zip(hits, distances, rows, strict=True):
        np.testing.assert_allclose(found.distances, distance)
        assert list(found.ids) == list(row)


# ---- and back -----------------------------------------------------------------------------------


def test_decoded_codes_are_rows_in_the_users_units():
    """With the Euclidean metric a shift and a common factor of the rows are those of the means."""
    one = SemanticHasher(16, **QUICK, metric="euclidean").fit(ROWS)
    two = SemanticHasher(16, **QUICK, metric="euclidean").fit(100 * ROWS + 7)
    codes = one.transform(ROWS)
    agreement = (unpack(codes, 16) == two.bits(100 * ROWS + 7)).mean()
    assert agreement > 0.99
    decoded = one.decode(codes)
    assert decoded.shape == ROWS.shape
    assert np.mean((decoded - ROWS) ** 2) < 0.5 * ROWS.var()
    np.testing.assert_allclose(two.decode(codes), 100 * decoded + 7, rtol=0.1, atol=20)
    np.testing.assert_allclose(
        two.score(100 * ROWS + 7), one.score(ROWS) - 12 * np.log(100), atol=2
    )


def test_under_the_cosine_directions_are_decoded(hasher):
    decoded = hasher.decode(hasher.transform(ROWS))
    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    assert np.mean((decoded - unit) ** 2) < 0.5 * unit.var()
    np.testing.assert_array_equal(hasher.transform(ROWS), hasher.transform(64 * ROWS))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_short_list_is_reranked_by_the_metric_of_query_and_decoded_code(metric):
    hasher = SemanticHasher(16, **QUICK, metric=metric).fit(ROWS)
    codes, asked = hasher.transform(ROWS), ROWS[:3]
    decoded = hasher.decode(codes)
    if metric == "cosine":
        true = cosine_similarity(asked, decoded)
    else:
        true = -((asked[:, None] - decoded[None]) ** 2).sum(2)
    np.testing.assert_allclose(hasher.rerank(asked, codes), true, rtol=1e-3, atol=1e-4)
    lists = np.array([[5, 1], [7, 7], [0, 599]])
    scores = hasher.rerank(asked, codes[lists])
    expected = np.take_along_axis(true, lists, axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


# ---- noise --------------------------------------------------------------------------------------


def test_noise_before_the_sigmoid_makes_bits_and_rounding_cheap():
    """Salakhutdinov and Hinton (2009); beside it the same network without noise."""
    saturated, lost = {}, {}
    rows = ROWS[:200]
    unit = torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    for noise in (0.0, None):
        learned = SemanticHasher(
            16,
            rounds=0,
            encoder=None if noise is None else NoisySigmoid(noise),
            max_epochs=60,
            decoder_hidden=(32,),
            random_state=0,
        ).fit(rows)
        saturated[noise] = learned.code_report_["saturation"]
        model = learned.model_
        with torch.no_grad():
            h = model.code(model.scaled(unit).float())
            given, rounded = (
                float((model.mean(code) - unit).square().mean()) for code in (h, (h > 0.5).float())
            )
        lost[noise] = rounded / given - 1
    assert saturated[None] >= 0.95 > saturated[0.0]
    assert lost[None] < 0.03 < 1 < lost[0.0]


@pytest.mark.parametrize(("n_bits", "noise"), [(128, 32.0), (129, 4.0)])
def test_much_noise_is_for_codes_that_are_not_wide(n_bits, noise):
    hasher = SemanticHasher(n_bits, max_epochs=1, rounds=0, decoder_hidden=(), random_state=0)
    assert hasher.fit(ROWS[:64]).model_.encoder == NoisySigmoid(noise)


@pytest.mark.parametrize(("n_bits", "prior"), [(128, 1.0), (129, 2.0)])
def test_of_many_bits_the_encoder_s_opinion_weighs_more(n_bits, prior, tmp_path):
    quick = {"max_epochs": 2, "rounds": 1, "decoder_hidden": (), "random_state": 0}
    left_open = SemanticHasher(n_bits, **quick).fit(ROWS[:64])
    said = SemanticHasher(n_bits, prior=prior, **quick).fit(ROWS[:64])
    assert left_open.fingerprint_ == said.fingerprint_
    save(left_open, tmp_path / "hasher.safetensors")
    again = load(tmp_path / "hasher.safetensors")
    assert again.prior is None
    assert again.fingerprint_ == said.fingerprint_


@pytest.mark.parametrize(("base", "asks"), [("best", "fast"), ("fast", "fast"), ("none", "none")])
def test_rows_that_ask_are_flipped_less(base, asks):
    assert SemanticHasher(16, refine=base).refine_of_queries == asks


# ---- documents and images -----------------------------------------------------------------------


def test_documents_of_a_topic_have_near_codes():
    counts, labels = documents()
    hasher = SemanticHasher(16, **QUICK).fit(counts)
    assert hasher.likelihood_ == Multinomial()
    bits = hasher.bits(counts)
    distances = (bits[:, None] != bits[None]).sum(2)
    same = labels[:, None] == labels[None]
    assert distances[same].mean() < 0.7 * distances[~same].mean()
    decoded = hasher.decode(hasher.transform(counts))
    np.testing.assert_allclose(decoded.sum(1), 1, rtol=1e-5)


def test_weights_of_words_are_documents_too():
    counts, _ = documents()
    weights = sp.csr_array(counts * (0.5 + np.random.default_rng(0).random(400)))
    hasher = SemanticHasher(16, **QUICK).fit(weights)
    assert hasher.likelihood_ == Multinomial(weighted=True)
    np.testing.assert_array_equal(hasher.transform(weights), hasher.transform(weights.toarray()))


def test_documents_without_a_known_word_are_told_of_and_get_the_same_code():
    counts, _ = documents()
    hasher = SemanticHasher(16, **QUICK).fit(counts.astype(float) * 0.5)
    empty = sp.csr_array((3, 400))
    with pytest.warns(IsthmusWarning, match="3 of 3 rows are all zeros, row 0 first"):
        codes = hasher.transform(empty)
    assert (codes == codes[0]).all()


def test_images_are_hashed_and_decoded_flat_or_not():
    images = np.random.default_rng(0).integers(256, size=(80, 4, 4)).astype(np.uint8)
    hasher = SemanticHasher(16, **QUICK, metric="euclidean").fit(images)
    codes = hasher.transform(images)
    assert hasher.decode(codes).shape == (80, 16)
    assert hasher.decode(codes).max() <= 2  # pixels count as 0 … 1


# ---- what can go wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_will_do(rows):
    hasher = SemanticHasher(8, **QUICK).fit(ROWS[:rows])
    assert hasher.transform(ROWS).shape == (600, 1)
    assert np.isfinite(hasher.decode(hasher.transform(ROWS))).all()
    assert np.isfinite(hasher.query(ROWS)).all()


def test_constant_columns_and_equal_rows_do_no_harm():
    rows = np.hstack([ROWS[:50], np.ones((50, 2))])
    assert np.isfinite(SemanticHasher(8, **QUICK).fit(rows).score(rows))
    same = np.ones((20, 3))
    assert np.isfinite(SemanticHasher(8, **QUICK).fit(same).query(same)).all()


def test_a_zero_row_is_told_of():
    rows = ROWS.copy()
    rows[[4, 9]] = 0
    with pytest.warns(IsthmusWarning, match="2 of 600 rows are all zeros, row 4 first"):
        hasher = SemanticHasher(8, **QUICK).fit(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SemanticHasher(8, **QUICK, metric="euclidean").fit(rows)
    with pytest.warns(IsthmusWarning):
        assert (hasher.rerank(np.zeros((1, 12)), hasher.transform(ROWS)) == 0).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_missing_and_infinite_values_are_refused_by_place(wrong, hasher):
    rows = ROWS.copy()
    rows[3, 2] = wrong
    for do in (SemanticHasher(8, **QUICK).fit, hasher.transform, hasher.query, hasher.score):
        with pytest.raises(InvalidDataError, match=r"row 3.*column 2|NaN|infin"):
            do(rows)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_bits": 7}, "n_bits must be a whole number from 8 to 4096; got 7"),
        ({"n_bits": 5000}, "got 5000"),
        ({"refine": "slow"}, "refine must be one of 'none', 'fast', 'best'; got 'slow'"),
        ({"metric": "manhattan"}, "no metric named 'manhattan'"),
        ({"encoder": "gaussian"}, "encoder must give bits"),
        ({"rounds": -1}, "rounds must be a whole number, 0 or more; got -1"),
        ({"prior": -1.0}, "prior must be"),
        ({"balance": float("nan")}, "balance must be"),
        ({"faithful": "much"}, "faithful must be"),
    ],
)
def test_wrong_parameters_are_refused_by_name(params, message):
    with pytest.raises(InvalidParameterError, match=message):
        SemanticHasher(**{**QUICK, **params}).fit(ROWS)


def test_what_does_not_fit_is_refused(hasher):
    with pytest.raises(InvalidDataError, match="12 features"):
        hasher.transform(ROWS[:, :5])
    with pytest.raises(InvalidDataError, match="uint8"):
        hasher.decode(np.zeros((2, 9), np.uint8))
    with pytest.raises(InvalidDataError, match="for each of the 2 queries"):
        hasher.rerank(ROWS[:2], np.zeros((3, 5, 4), np.uint8))
    with pytest.raises(NotFittedError, match="call fit first"):
        SemanticHasher().transform(ROWS)
    with pytest.raises(SupportError, match="row 0 of column 0"):
        SemanticHasher(8, **QUICK, likelihood="bernoulli").fit(ROWS)
    with pytest.raises(UnsupportedTypeError, match="in memory"):
        SemanticHasher(8, **QUICK).fit(lambda: iter([ROWS]))


@pytest.mark.parametrize("broken_off", ["by_gradient", "by_turns", "in_the_end"])
def test_after_ctrl_c_the_hasher_can_be_used(broken_off, monkeypatch):
    hasher = SemanticHasher(8, **QUICK)
    calls = {"by_gradient": 0, "by_turns": 2}.get(broken_off)
    seen = []

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    if broken_off == "in_the_end":
        monkeypatch.setattr(coder_module, "learn_queries", stop)
        with pytest.raises(KeyboardInterrupt):
            hasher.fit(ROWS)
    else:
        real = isthmus.estimators.hasher_turns.follow

        def follow(epochs, history, show=None):
            def cut():
                for epoch in epochs:
                    yield epoch
                    seen.append(epoch)
                    if len(seen) > calls:
                        raise KeyboardInterrupt

            return real(cut(), history, show)

        monkeypatch.setattr(isthmus.estimators.hasher_turns, "follow", follow)
        with pytest.warns(IsthmusWarning, match="Stopped by the user"):
            hasher.fit(ROWS)
    assert hasher.transform(ROWS).shape == (600, 1)
    assert np.isfinite(hasher.query(ROWS)).all()
    assert hasher.fingerprint_


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [{}, {"metric": "euclidean", "encoder": NoisySigmoid(2.0), "hidden": (8,), "n_bits": 13}],
)
def test_a_hasher_comes_back_from_its_file(params, tmp_path):
    hasher = SemanticHasher(**{"n_bits": 16, **QUICK, **params}).fit(ROWS)
    save(hasher, tmp_path / "hasher.safetensors")
    again = load(tmp_path / "hasher.safetensors")
    assert type(again) is SemanticHasher
    assert again.get_params() == hasher.get_params()
    assert again.fingerprint_ == hasher.fingerprint_
    np.testing.assert_array_equal(again.transform(ROWS), hasher.transform(ROWS))
    np.testing.assert_array_equal(again.query(ROWS), hasher.query(ROWS))
    assert again.score(ROWS) == hasher.score(ROWS)


def test_a_file_that_lies_is_refused(hasher, tmp_path, monkeypatch):
    honest = type(hasher._coder).state
    for lie in (
        lambda own: {**own, "flips.curvature": own["flips.curvature"][:5]},
        lambda own: {**own, "flips.curvature": own["flips.curvature"] * float("nan")},
        lambda own: {name: t for name, t in own.items() if name != "queries.temperature"},
        lambda own: {**own, "queries.more": own["queries.temperature"]},
    ):
        monkeypatch.setattr(type(hasher._coder), "state", lambda self, lie=lie: lie(honest(self)))
        save(hasher, tmp_path / "hasher.safetensors")
        with pytest.raises(FileFormatError, match="does not fit its numbers"):
            load(tmp_path / "hasher.safetensors")


def test_records_are_counted_through_both_parts():
    hasher = SemanticHasher(8, **QUICK).fit(ROWS)
    assert [epoch.number for epoch in hasher.history_] == list(range(1, hasher.n_iter_ + 1))
    assert "bits" in hasher.history_[-1].penalties
    assert "bits" not in hasher.history_[0].penalties
