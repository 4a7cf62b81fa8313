"""Bars and images of what each feature does."""

from types import SimpleNamespace

import numpy as np
import pytest

from isthmus import plots
from isthmus._errors import InvalidDataError, InvalidParameterError
from tests.plots.conftest import saved


def test_the_largest_stand_on_top(ax):
    plots.sensitivity([0.5, 2.0, 1.0], ax, names=["a", "b", "c"], most=2)
    assert [bar.get_width() for bar in ax.patches] == [2.0, 1.0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["b", "c"]
    low, high = ax.get_ylim()
    assert low > high
    assert ax.get_ylabel() == "the 2 largest of 3 features"
    assert "code units per data unit" in ax.get_xlabel()


def test_features_without_names_are_counted(ax):
    plots.sensitivity(SimpleNamespace(features=[1.0, 2.0]), ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["x2", "x1"]
    assert ax.get_ylabel() == ""


def test_rows_that_are_images_give_an_image(ax, rng):
    values = rng.random((4, 6))
    plots.sensitivity(values, ax, label="pixels")
    assert np.array_equal(ax.images[0].get_array(), values)
    assert ax.images[0].get_clim() == (0, values.max())
    assert ax.figure.axes[1].get_ylabel() == "pixels"
    assert saved(ax)


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (np.ones((2, 2, 2)), {}, r"\(2, 2, 2\)"),
        ([1.0, -1.0], {}, "-1"),
        ([1.0, np.nan], {}, "Row 1"),
        ([], {}, r"\(0,\)"),
        ([1.0, 2.0], {"names": ["a"]}, "1 names for 2"),
    ],
)
def test_what_is_no_sensitivity(values, options, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.sensitivity(values, **options)


def test_no_bars():
    with pytest.raises(InvalidParameterError, match="most"):
        plots.sensitivity([1.0], most=0)
