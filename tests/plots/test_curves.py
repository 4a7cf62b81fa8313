"""Curves go through the numbers that were given."""

import numpy as np
import pytest

from isthmus import plots
from isthmus._errors import InvalidDataError, InvalidParameterError
from tests.plots.conftest import epoch, names, saved

# ---- learning curves ----------------------------------------------------------------------------


def test_learning_curves(ax):
    history = [
        epoch(1, 5.0, 4.0, kl=0.5),
        epoch(2, 3.0, 2.5, kl=0.5),
        epoch(3, 2.0, 2.75, best=False, kl=0.25),
    ]
    trained, held_out, kept = plots.learning_curves(history, ax).lines
    assert np.array_equal(trained.get_xydata(), [(1, 5.5), (2, 3.5), (3, 2.25)])
    assert np.array_equal(held_out.get_xydata(), [(1, 4.0), (2, 2.5), (3, 2.75)])
    assert np.array_equal(kept.get_xydata(), [(2, 2.5)])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["training", "held out", "kept"]


def test_without_held_out_rows_there_is_one_curve(ax):
    plots.learning_curves([epoch(1, 5.0), epoch(2, 4.0)], ax)
    assert len(ax.lines) == 1


def test_an_epoch_without_a_number_is_a_gap(ax):
    (line,) = plots.learning_curves([epoch(1, 5.0), epoch(2, np.inf), epoch(3, 4.0)], ax).lines
    assert np.array_equal(line.get_ydata(), [5.0, np.nan, 4.0], equal_nan=True)


def test_one_epoch_is_visible(ax):
    (line,) = plots.learning_curves([epoch(1, 5.0)], ax).lines
    assert line.get_marker() != ""


def test_no_epochs():
    with pytest.raises(InvalidDataError, match="history_"):
        plots.learning_curves([])


# ---- the trade-off ------------------------------------------------------------------------------


def test_a_trade_off_goes_in_the_order_of_the_weights(ax):
    plots.trade_off([3.0, 1.0, 2.0], [0.1, 0.5, 0.2], [0.01, 1.0, 0.1], ax)
    (line,) = ax.lines
    assert np.array_equal(line.get_xydata(), [(3, 0.1), (2, 0.2), (1, 0.5)])
    said = {text.get_text(): text.xy for text in ax.texts}
    assert said == {"λ = 0.01": (3, 0.1), "0.1": (2, 0.2), "1": (1, 0.5)}
    assert ax.get_xscale() == "linear"
    assert not names(ax)
    assert "Ω" in ax.get_xlabel()
    assert "error" in ax.get_ylabel()


def test_trade_offs_side_by_side_differ_without_colour(ax):
    for label in ("encoder", "reconstruction"):
        plots.trade_off([0.01, 1.0], [2.0, 1.0], [1, 0], ax, label=label)
    one, two = ax.lines
    assert one.get_linestyle() != two.get_linestyle()
    assert one.get_marker() != two.get_marker()
    assert names(ax) == ["encoder", "reconstruction"]
    assert ax.get_xscale() == "log"


def test_names_that_the_user_gave_stay(ax):
    ax.set_xlabel("mean ‖∂f/∂x‖²")
    plots.trade_off([1.0, 2.0], [2.0, 1.0], [1, 0], ax)
    assert ax.get_xlabel() == "mean ‖∂f/∂x‖²"


@pytest.mark.parametrize(
    ("penalties", "errors", "weights", "said"),
    [
        ([1.0, 2.0], [1.0], [1.0, 2.0], "penalties and errors.*2 and 1"),
        ([1.0, 2.0], [1.0, 2.0], [1.0], "penalties and weights.*2 and 1"),
        ([1.0, np.nan], [1.0, 2.0], [1.0, 2.0], "Row 1 of penalties"),
        ([[1.0]], [1.0], [1.0], r"penalties.*\(m,\).*\(1, 1\)"),
        ([], [], [], r"penalties.*\(0,\)"),
        (["a"], [1.0], [1.0], "penalties must be numbers"),
    ],
)
def test_a_trade_off_of_wrong_arrays(penalties, errors, weights, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.trade_off(penalties, errors, weights)


# ---- spectra ------------------------------------------------------------------------------------


def test_a_spectrum_is_the_median_in_a_band(ax, rng):
    values = np.sort(rng.random((101, 6)), axis=1)[:, ::-1]
    plots.spectrum(values, ax, label="usual", quantiles=(0.1, 0.9))
    (line,) = ax.lines
    assert np.array_equal(line.get_xdata(), [1, 2, 3, 4, 5, 6])
    assert np.allclose(line.get_ydata(), np.sort(values, axis=0)[50])
    (band,) = ax.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.round(12)}
    low, high = np.sort(values, axis=0)[[10, 90]].round(12)
    assert corners == {*zip(range(1, 7), low, strict=True), *zip(range(1, 7), high, strict=True)}
    assert names(ax) == ["usual"]
    assert "∂f/∂x (code units per data unit)" in ax.get_ylabel()


def test_a_spectrum_that_falls_far_has_powers_of_ten(ax):
    values = np.tile([1.0, 1e-2, 1e-5], (5, 1))
    plots.spectrum(values, ax, of="reconstruction")
    assert ax.get_yscale() == "log"
    assert "∂r/∂x" in ax.get_ylabel()
    # a row with a zero leaves the band finite
    plots.spectrum(np.array([[1.0, 1e-3], [1.0, 1e-3], [1.0, 0.0]]), ax)
    low, _ = ax.get_ylim()
    assert low > 0
    assert saved(ax)


def test_one_row_and_one_value_can_be_drawn(ax):
    plots.spectrum([[2.0]], ax)
    assert np.array_equal(ax.lines[0].get_xydata(), [(1, 2)])
    assert saved(ax)


def test_a_spectrum_of_zeros_can_be_drawn(ax):
    plots.spectrum(np.zeros((3, 2)), ax)
    assert saved(ax)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones(3), r"\(n, k\).*\(3,\)"),
        ([[1.0, -1.0]], "Row 0 .*negative"),
        ([[2.0, 1.0], [1.0, 2.0]], "Row 1 .*order"),
        ([[np.inf, 1.0]], "Row 0 .*not finite"),
    ],
)
def test_what_is_no_spectrum(values, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.spectrum(values)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"quantiles": (0.9, 0.1)}, r"\(0.9, 0.1\)"), ({"of": "decoder"}, "'decoder'")],
)
def test_a_spectrum_of_wrong_options(options, said):
    with pytest.raises(InvalidParameterError, match=said):
        plots.spectrum([[1.0]], **options)


# ---- energies -----------------------------------------------------------------------------------


def test_energy_stands_over_the_way(ax):
    path = [[0, 0], [3, 4], [3, 4], [3, 5]]
    plots.energy_profile([0.0, -1.0, -1.0, 2.0], ax, path=path)
    assert np.array_equal(ax.lines[0].get_xydata(), [(0, 0), (5, -1), (5, -1), (6, 2)])
    assert "data units" in ax.get_xlabel()
    assert "nats" in ax.get_ylabel()


def test_energy_without_a_path_stands_over_its_share(ax):
    plots.energy_profile([0.0, 1.0, 4.0], ax, label="one")
    plots.energy_profile([0.0, 2.0], ax, label="two")
    assert np.array_equal(ax.lines[0].get_xdata(), [0, 0.5, 1])
    assert np.array_equal(ax.lines[1].get_ydata(), [0, 2])
    assert names(ax) == ["one", "two"]


@pytest.mark.parametrize(
    ("energy", "path", "said"),
    [
        ([1.0], None, "two points"),
        ([1.0, np.nan], None, "Row 1 of energy"),
        ([1.0, 2.0], [[0.0, 0.0]], "energy and path.*2 and 1"),
        ([1.0, 2.0], [0.0, 1.0], r"path.*\(m, d\)"),
    ],
)
def test_energy_of_no_path(energy, path, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.energy_profile(energy, path=path)


# ---- label efficiency ---------------------------------------------------------------------------


def test_label_efficiency_goes_through_the_means_in_students_band(ax):
    scores = np.array([[0.9, 0.8, 0.85], [0.5, 0.7, 0.6]])
    plots.label_efficiency([100, 10], scores, ax, label="codes", level=0.9)
    (line,) = ax.lines
    assert line.get_xydata() == pytest.approx(np.array([(10, 0.6), (100, 0.85)]))
    (band,) = ax.collections
    from scipy.stats import t

    half = t.ppf(0.95, 2) * np.array([0.1, 0.05]) / np.sqrt(3)
    corners = {(round(x), round(y, 9)) for x, y in band.get_paths()[0].vertices}
    assert {(10, round(0.6 + half[0], 9)), (100, round(0.85 - half[1], 9))} <= corners
    assert ax.get_xscale() == "log"
    assert names(ax) == ["codes"]


def test_one_seed_has_no_band(ax):
    plots.label_efficiency([10, 100], [[0.5], [0.6]], ax)
    assert len(ax.lines) == 1
    assert not ax.collections


def test_label_efficiency_refuses():
    with pytest.raises(InvalidDataError, match="equal length"):
        plots.label_efficiency([10, 100], [[0.5]])
    with pytest.raises(InvalidDataError, match="1 or more; got 0"):
        plots.label_efficiency([0], [[0.5]])
    with pytest.raises(InvalidParameterError, match=r"level.*got 2"):
        plots.label_efficiency([1], [[0.5]], level=2)
