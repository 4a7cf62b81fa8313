"""Maps show every row where its code is, however many there are."""

import time

import numpy as np
import pytest
from matplotlib.colors import to_rgb, to_rgba

from isthmus import plots
from isthmus._errors import InvalidDataError, InvalidParameterError
from tests.plots.conftest import saved

MANY = 60_000


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
    with pytest.raises(InvalidParameterError, match="auto, legend, centre, none"):
        plots.code_map(np.eye(2), names="left")


# ---- names and markers --------------------------------------------------------------------------


def test_few_dots_have_a_marker_for_each_category(ax, rng):
    codes, labels = rng.normal(size=(50, 2)), rng.integers(0, 3, 50)
    drawn = plots.code_map(codes, labels, ax).collections[0]
    shapes = by_position(drawn.get_offsets(), drawn.get_paths())
    seen = {}
    for code, label in zip(codes, labels, strict=True):
        seen.setdefault(label, set()).add(shapes[tuple(code)].vertices.tobytes())
    assert all(len(each) == 1 for each in seen.values())
    assert len(set.union(*seen.values())) == 3
    markers = [handle.get_marker() for handle in ax.get_legend().legend_handles]
    assert len(set(markers)) == 3
    assert saved(ax)


def test_many_dots_have_their_names_at_the_centres(ax, rng):
    codes, labels = rng.normal(size=(1_001, 2)), np.arange(1_001) % 3
    plots.code_map(codes + 5 * labels[:, None], labels, ax)
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]
    assert ax.get_legend() is None


def test_names_in_one_place_are_moved_apart(ax):
    codes = np.zeros((8, 2))
    codes[-1] = [1, 1]
    plots.code_map(codes, [0, 0, 1, 1, 2, 2, 2, 3], ax, names="centre")
    places = np.array([text.xy for text in ax.texts])
    gaps = np.linalg.norm(places[:, None] - places, axis=2)[np.triu_indices(4, 1)]
    assert gaps.min() > 0.04
    assert np.abs(places[:3]).max() < 0.2


def test_names_lie_on_the_ground_they_have(ax):
    ax.set_facecolor("#102030")
    plots.code_map([[0, 0], [1, 1]], ["a", "b"], ax, names="centre")
    assert to_rgb(ax.texts[0].get_bbox_patch().get_facecolor()) == to_rgb("#102030")


# ---- crowds -------------------------------------------------------------------------------------


def shades(ax):
    """The picture of a crowded map, and the pixel of a point."""
    picture = np.asarray(ax.images[0].get_array())
    left, right, bottom, top = ax.images[0].get_extent()
    height, width = picture.shape[:2]

    def pixel(x, y):
        column = int((x - left) / (right - left) * width)
        line = int((top - y) / (top - bottom) * height)
        return picture[line, column]

    return picture, pixel


def test_a_crowd_is_counted(ax, rng):
    codes = np.concatenate(
        [np.tile([[0.0, 0.0]], (MANY, 1)), [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]
    )
    picture, pixel = shades(plots.code_map(rng.permutation(codes), None, ax))
    assert not ax.collections
    shown = picture[..., 3] > 0
    assert shown.sum() == 4
    assert pixel(0, 0)[3] == 1
    for corner in ((1, 0), (0, 1), (1, 1)):
        assert 0 < pixel(*corner)[3] < 0.5
    assert np.allclose(picture[shown][:, :3], to_rgb(plots.COLORS[0]))


def test_a_pixel_has_the_mean_colour_of_its_rows(ax):
    codes = np.repeat([[0.0, 0.0], [1.0, 1.0]], MANY // 2, axis=0)
    labels = np.repeat(["a", "a", "a", "b"], MANY // 4)
    _, pixel = shades(plots.code_map(codes, labels, ax))
    a, b = (np.array(to_rgb(color)) for color in plots.COLORS[:2])
    assert np.allclose(pixel(0, 0)[:3], a)
    assert np.allclose(pixel(1, 1)[:3], (a + b) / 2)
    assert [text.get_text() for text in ax.texts] == ["a", "b"]


def test_numbers_of_a_crowd_are_a_scale_of_their_means(ax):
    codes = np.repeat([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], MANY // 3, axis=0)
    numbers = np.repeat([0.0, 0.5, np.nan], MANY // 3)
    numbers[0] = 100 * MANY  # a mean of 300, the highest
    _, pixel = shades(plots.code_map(codes, numbers, ax))
    assert len(ax.figure.axes) == 2
    assert pixel(0, 0)[:3].sum() > pixel(1, 0)[:3].sum()
    assert np.allclose(pixel(1, 1)[:3], to_rgb(plots.OTHER))


def test_a_few_rows_far_out_are_named_and_not_shown(ax, rng):
    codes = rng.uniform(size=(MANY, 2))
    codes[:3] = [[1e6, 0], [0, -1e6], [1e6, 1e6]]
    plots.code_map(codes, None, ax)
    assert ax.get_title(loc="right") == "3 of 60,000 lie outside"
    assert ax.get_xlim()[1] < 2
    assert np.count_nonzero(np.asarray(ax.images[0].get_array())[..., 3]) > 10_000


def test_a_crowd_in_one_place(ax):
    plots.code_map(np.ones((MANY, 2)), None, ax)
    assert saved(ax)


def test_a_million_rows_take_seconds_and_a_small_file(rng):
    codes = rng.normal(size=(1_000_000, 2))
    labels = rng.integers(0, 10, len(codes))
    begin = time.process_time()
    for values in (None, labels, codes[:, 0]):
        ax = plots.code_map(codes, values)
        assert len(saved(ax, "svg")) < 400_000
    assert time.process_time() - begin < 20


# ---- thumbnails ---------------------------------------------------------------------------------


def test_each_cell_shows_the_row_nearest_to_its_middle(ax, rng):
    codes = rng.uniform(size=(300, 2))
    rows = np.broadcast_to(np.arange(1.0, 301)[:, None, None], (300, 8, 8))
    picture = plots.image_map(codes, rows, ax, n_across=4, limits=(0, 300)).images[0]
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    edges_x, edges_y = np.linspace(left, right, 5), np.linspace(top, bottom, 5)
    shown = picture.get_array()
    for line in range(4):
        for column in range(4):
            middle = (edges_x[column : column + 2].mean(), edges_y[line : line + 2].mean())
            width, height = edges_x[1] - edges_x[0], edges_y[0] - edges_y[1]
            off = np.abs(codes - middle) / (width, height)
            inside = (off <= 0.5).all(1)
            nearest = np.where(inside, (off**2).sum(1), np.inf).argmin() + 1
            tile = shown[line * 9 : line * 9 + 8, column * 9 : column * 9 + 8]
            assert (tile == nearest).all()


def test_cells_without_rows_are_empty_and_images_are_not_stretched(ax):
    codes = [[0.0, 0.0], [10.0, 1.0]]
    picture = plots.image_map(codes, np.ones((2, 4, 8)), ax, n_across=3).images[0]
    assert np.ma.count(picture.get_array()) == 2 * 4 * 8
    assert saved(ax)
    left, right, bottom, top = picture.get_extent()
    height, width = picture.get_array().shape
    one, two = ax.transData.transform([(left, bottom), (right, top)])
    across, down = (two - one) / (width, height)
    assert across == pytest.approx(down, rel=0.02)


def test_thumbnails_in_colour_and_of_memory_mapped_rows(ax, rng, tmp_path):
    rows = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (50, 6, 6, 3))
    rows[:] = rng.integers(0, 256, rows.shape)
    assert saved(plots.image_map(rng.normal(size=(50, 2)), rows, ax, n_across=5))


@pytest.mark.parametrize(
    ("codes", "rows", "n_across", "said"),
    [
        (np.zeros((3, 2)), np.zeros((2, 4, 4)), 5, "2 rows for 3"),
        (np.zeros((3, 2)), np.zeros((3, 16)), 5, "reshaped"),
        (np.zeros((3, 3)), np.zeros((3, 4, 4)), 5, "n_components=2"),
        (np.zeros((3, 2)), np.zeros((3, 4, 4)), 0, "n_across"),
    ],
)
def test_what_is_no_map_of_images(codes, rows, n_across, said):
    with pytest.raises((InvalidDataError, InvalidParameterError), match=said):
        plots.image_map(codes, rows, n_across=n_across)
