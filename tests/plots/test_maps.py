"""Pictures show the data they were given, and leave matplotlib as it was."""

import io
import json
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from isthmus import plots
from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.training import Epoch


@pytest.fixture
def ax():
    return Figure().add_subplot()


def epoch(number, nll, held_out=None, best=True, kl=0.0):
    return Epoch(number, nll, kl, {}, held_out, 1.0, 1.0, 1e-3, 0, best)


def saved(ax, kind):
    stream = io.BytesIO()
    ax.figure.savefig(stream, format=kind)
    return stream.getvalue()


# ---- matplotlib's state -------------------------------------------------------------------------

STATE = """
import json, sys
import matplotlib
def state():
    # dict's own items: RcParams would choose a backend when asked for it
    return {name: repr(value) for name, value in dict.items(matplotlib.rcParams)}
before = state()
import numpy as np
from isthmus import plots
from isthmus.training import Epoch
plots.code_map(np.eye(2), [0, 1]).figure.savefig(sys.argv[1])
plots.code_map(np.eye(2), [0.5, 1])
plots.images(np.eye(4)[None])
plots.learning_curves([Epoch(1, 1.0, 0.0, {}, 1.0, 1.0, 1.0, 1.0, 0, True)])
print(json.dumps([before == state(), "matplotlib.pyplot" in sys.modules]))
"""


def test_matplotlib_is_left_as_it_was(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", STATE, str(tmp_path / "map.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout) == [True, False]
    assert (tmp_path / "map.png").stat().st_size > 0


def test_importing_needs_no_torch():
    code = "import sys; import isthmus.plots; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout == "False\n"


def test_settings_of_the_user_hold():
    with matplotlib.rc_context({"font.size": 23.0, "axes.labelsize": "medium"}):
        assert plots.code_map(np.eye(2)).xaxis.label.get_size() == 23.0


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plots.learning_curves([epoch(1, 2.0)], ax),
        lambda ax: plots.code_map(np.eye(2), None, ax),
        lambda ax: plots.images(np.eye(3)[None], ax),
    ],
)
def test_axes_are_returned(draw, ax):
    assert draw(ax) is ax
    new = draw(None)
    assert new is not ax
    assert saved(new, "png").startswith(b"\x89PNG")


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


# ---- maps ---------------------------------------------------------------------------------------


def dots(ax):
    """Positions and colours of all dots of the first collection."""
    drawn = ax.collections[0]
    ax.figure.draw_without_rendering()
    return drawn.get_offsets(), drawn.get_facecolor()


def by_position(points, values):
    return {tuple(point): value for point, value in zip(points, values, strict=True)}


@pytest.mark.parametrize(
    ("convert", "names"),
    [
        (lambda labels: labels, ["0", "1", "2", "3", "4"]),
        (lambda labels: labels.astype(float), ["0", "1", "2", "3", "4"]),
        (lambda labels: labels > 1, ["False", "True"]),
        (lambda labels: np.array(list("abcde"))[labels], ["a", "b", "c", "d", "e"]),
        (lambda labels: np.array(list("abcde"), object)[labels], ["a", "b", "c", "d", "e"]),
    ],
)
def test_every_dot_has_the_colour_of_its_label(ax, rng, convert, names):
    codes, labels = rng.normal(size=(60, 2)), convert(rng.integers(0, 5, 60))
    points, colors = dots(plots.code_map(codes, labels, ax))
    shown = by_position(points, colors[:, :3])
    assert set(shown) == {tuple(code) for code in codes}
    numbers = np.unique(labels, return_inverse=True)[1]
    for code, number in zip(codes, numbers, strict=True):
        assert np.allclose(shown[tuple(code)], to_rgba(plots.COLORS[number])[:3])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == names


def test_beyond_ten_categories_the_rarest_are_grey(ax, rng):
    labels = np.repeat(np.arange(12), [9, 8, 1, 7, 6, 5, 4, 3, 1, 4, 5, 6])
    codes = rng.normal(size=(len(labels), 2))
    points, colors = dots(plots.code_map(codes, labels, ax))
    shown = by_position(points, colors[:, :3])
    grey = [i for i, code in enumerate(codes) if np.allclose(shown[tuple(code)], 0xB0 / 255)]
    assert set(labels[grey]) == {2, 8}
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["0", "1", "3", "4", "5", "6", "7", "9", "10", "11", "other"]


@pytest.mark.parametrize("labels", [np.linspace(0, 1, 50), np.arange(50)])
def test_numbers_are_a_scale(ax, rng, labels):
    codes = rng.normal(size=(50, 2))
    drawn = plots.code_map(codes, labels, ax).collections[0]
    shown = by_position(drawn.get_offsets(), drawn.get_array())
    for code, label in zip(codes, labels, strict=True):
        assert shown[tuple(code)] == label
    assert len(ax.figure.axes) == 2
    assert ax.get_legend() is None


def test_a_number_that_is_missing_is_grey(ax):
    plots.code_map([[0, 0], [1, 1], [2, 2]], [0.5, np.nan, 0.75], ax)
    known, missing = ax.collections
    assert sorted(known.get_array()) == [0.5, 0.75]
    assert np.array_equal(missing.get_offsets(), [[1, 1]])
    assert np.allclose(missing.get_facecolor()[0, :3], to_rgba(plots.OTHER)[:3])


def test_names_at_the_centres(ax):
    codes = [[0, 0], [2, 0], [1, 9], [5, 5]]
    plots.code_map(codes, ["a", "a", "a", "b"], ax, names="centre")
    assert {text.get_text(): text.xy for text in ax.texts} == {"a": (1, 0), "b": (5, 5)}
    assert ax.get_legend() is None
    other = plots.code_map(codes, ["a", "a", "a", "b"], names="none")
    assert not other.texts
    assert other.get_legend() is None


def test_many_dots_are_pixels_and_small(rng):
    few, many = (plots.code_map(rng.normal(size=(n, 2))) for n in (100, 20_000))
    assert not few.collections[0].get_rasterized()
    assert many.collections[0].get_rasterized()
    assert many.collections[0].get_sizes()[0] < few.collections[0].get_sizes()[0]
    assert many.collections[0].get_alpha() < few.collections[0].get_alpha()
    assert len(saved(many, "svg")) < 500_000


def test_no_label_hides_the_others(ax):
    labels = np.repeat([0, 1], 500)
    drawn = plots.code_map(np.zeros((1000, 2)), labels, ax).collections[0].get_array()
    # of a fair order about half of the upper half is of each label
    assert abs(drawn[500:].mean() - 0.5) < 5 * 0.5 / np.sqrt(500)


@pytest.mark.parametrize(
    ("codes", "labels", "said"),
    [
        (np.zeros((3, 3)), None, r"\(3, 3\).*n_components=2"),
        (np.zeros((0, 2)), None, r"\(0, 2\)"),
        ([[0, 0], [0, np.nan]], None, "row 1"),
        (np.zeros((3, 2)), [1, 2], r"\(3,\).*\(2,\)"),
    ],
)
def test_codes_that_are_no_map(codes, labels, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.code_map(codes, labels)


def test_an_unknown_place_for_names():
    with pytest.raises(InvalidParameterError, match="legend, centre, none"):
        plots.code_map(np.eye(2), names="left")


# ---- images -------------------------------------------------------------------------------------


def tile(picture, i, shape, n_columns):
    """Image i, cut out of the picture by the rule that the docstring gives."""
    (height, width), gap = shape, max(1, shape[0] // 8)
    top, left = (i // n_columns) * (height + gap), (i % n_columns) * (width + gap)
    return picture[top : top + height, left : left + width]


@pytest.mark.parametrize("shape", [(8, 8), (5, 3), (28, 20)])
def test_images_are_what_they_were(ax, rng, shape):
    rows = rng.random((7, *shape))
    picture = plots.images(rows, ax, n_columns=3).images[0].get_array()
    for i, row in enumerate(rows):
        assert np.array_equal(tile(picture, i, shape, 3), row)
    assert np.ma.count(picture) == rows.size
    assert ax.images[0].get_clim() == (rows.min(), rows.max())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_several_channels(ax, rng, channels):
    rows = rng.integers(0, 256, (4, 6, 5, channels), dtype=np.uint8)
    picture = plots.images(rows, ax, n_columns=2).images[0].get_array()
    for i, row in enumerate(rows):
        shown = tile(picture, i, (6, 5), 2)
        if channels == 1:
            assert np.array_equal(shown, row[..., 0])
        else:
            assert np.allclose(shown[..., :channels], row / 255)
    if channels == 3:
        assert np.array_equal(np.unique(picture[..., 3]), [0, 1])


def test_values_outside_the_limits_are_shown_as_the_limits(ax):
    picture = plots.images([[[-5.0, 3.0], [20.0, 16.0]]], ax, limits=(0, 16)).images[0]
    assert np.array_equal(picture.get_array(), [[0, 3], [16, 16]])
    assert picture.get_clim() == (0, 16)


def test_names_of_lines(ax):
    plots.images(np.zeros((4, 8, 8)), ax, n_columns=2, row_names=["first", "second"])
    names = {
        text.get_text(): y for text, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
    }
    assert names == {"first": 3.5, "second": 12.5}


def test_a_constant_image_can_be_drawn(ax):
    assert saved(plots.images(np.full((1, 4, 4), 7.0), ax), "png")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((3, 64)), r"\(3, 64\).*reshaped"),
        (np.zeros((3, 8, 8, 2)), r"\(3, 8, 8, 2\)"),
        (np.zeros((0, 8, 8)), r"\(0, 8, 8\)"),
        (np.stack([np.zeros((2, 2)), np.full((2, 2), np.nan)]), "Image 1"),
    ],
)
def test_rows_that_are_no_images(rows, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.images(rows)


def test_wrong_numbers_of_columns_and_names():
    with pytest.raises(InvalidParameterError, match="n_columns"):
        plots.images(np.zeros((3, 2, 2)), n_columns=0)
    with pytest.raises(InvalidParameterError, match="3 names for 2 lines"):
        plots.images(np.zeros((4, 2, 2)), n_columns=2, row_names=["a", "b", "c"])
