"""Rows that are images are drawn as they are."""

import numpy as np
import pytest

from isthmus import plots
from isthmus._errors import InvalidDataError, InvalidParameterError
from tests.plots.conftest import saved


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
