"""Arrows begin at their points and end where they lead."""

from types import SimpleNamespace

import numpy as np
import pytest

from isthmus import plots
from isthmus._errors import InvalidDataError, InvalidParameterError
from tests.plots.conftest import names, saved


def field(points, arrows):
    return SimpleNamespace(points=np.asarray(points), arrows=np.asarray(arrows))


def grid(n=10):
    side = np.linspace(0, 1, n)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def test_short_arrows_have_their_own_length(ax, rng):
    points, arrows = grid(), 0.05 * rng.normal(size=(100, 2))
    plots.denoising_field(field(points, arrows), ax)
    drawn = ax.collections[-1]
    assert np.array_equal(drawn.get_offsets(), points)
    assert np.allclose(np.stack([drawn.U, drawn.V], axis=1), arrows)
    assert (drawn.angles, drawn.scale_units, drawn.scale) == ("xy", "xy", 1)
    assert names(ax) == ["g(f(x)) − x"]
    assert ax.get_aspect() == 1


def test_long_arrows_are_shortened_by_one_factor_that_is_said(ax, rng):
    points, arrows = grid(), 3 * rng.normal(size=(100, 2))
    plots.denoising_field(field(points, arrows), ax)
    drawn = ax.collections[-1]
    factors = np.stack([drawn.U, drawn.V], axis=1) / arrows
    assert np.ptp(factors) < 1e-12
    assert factors[0, 0] < 0.2
    assert names(ax) == [f"g(f(x)) − x, × {factors[0, 0]:.2g}"]


def test_a_scale_is_kept(ax):
    plots.denoising_field(field(grid(), np.ones((100, 2))), ax, scale=2.0)
    assert (ax.collections[-1].U == 2).all()
    assert names(ax) == ["g(f(x)) − x, × 2"]


def test_no_arrows_at_all(ax):
    plots.denoising_field(field(grid(), np.zeros((100, 2))), ax)
    assert saved(ax)
    assert saved(plots.denoising_field(field([[0, 0]], [[1, 1]])))


def test_what_lies_among_the_arrows(ax, rng):
    training, curve = rng.random((20, 2)), grid(3)
    corrupted = training + 0.1
    plots.denoising_field(
        field(grid(), np.zeros((100, 2))),
        ax,
        training=training,
        corrupted=corrupted,
        manifold=curve,
    )
    dots, crosses, _ = ax.collections
    assert np.array_equal(dots.get_offsets(), training)
    assert np.array_equal(crosses.get_offsets(), corrupted)
    line, pairs, _ = ax.lines
    assert np.array_equal(line.get_xydata(), curve)
    assert np.array_equal(pairs.get_xydata()[3:5], [training[1], corrupted[1]])
    assert names(ax) == ["manifold", "training", "corrupted", "g(f(x)) − x"]


def test_corrupted_rows_of_another_number_are_not_joined(ax, rng):
    plots.denoising_field(
        field(grid(), np.zeros((100, 2))), ax, training=grid(3), corrupted=grid(2)
    )
    assert len(ax.lines) == 1


@pytest.mark.parametrize(
    ("points", "arrows", "options", "said"),
    [
        (np.ones((3, 3)), np.ones((3, 3)), {}, r"field.points.*\(n, 2\).*\(3, 3\)"),
        (np.ones((3, 2)), np.ones((4, 2)), {}, "3 and 4"),
        (np.ones((2, 2)), [[1, 1], [np.nan, 1]], {}, "Row 1 of field.arrows"),
        (np.zeros((0, 2)), np.zeros((0, 2)), {}, r"\(0, 2\)"),
        (np.eye(2), np.eye(2), {"training": np.eye(3)}, "training"),
        (np.eye(2), np.eye(2), {"manifold": [[0, np.inf]]}, "Row 0 of manifold"),
    ],
)
def test_what_is_no_field(points, arrows, options, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.denoising_field(field(points, arrows), **options)


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, "long"])
def test_scales_that_are_none(scale):
    with pytest.raises(InvalidParameterError, match="scale"):
        plots.denoising_field(field(np.eye(2), np.eye(2)), scale=scale)
