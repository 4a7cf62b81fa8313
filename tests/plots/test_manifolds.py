"""Tangents and PCA lie where geometry says."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from isthmus import plots
from isthmus._errors import InvalidDataError, InvalidParameterError
from tests.plots.conftest import names, saved


def circle(n):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points, np.stack([-points[:, 1], points[:, 0]], axis=1)[:, None]


# ---- tangents -----------------------------------------------------------------------------------


def test_lines_are_centred_and_of_equal_length(ax):
    points, directions = circle(12)
    plots.tangents(points, directions, ax, size=0.2, data=circle(50)[0])
    segments = np.array(ax.collections[-1].get_segments())
    assert np.allclose(segments.mean(1), points)
    assert np.allclose(segments[:, 1] - segments[:, 0], 0.4 * directions[:, 0])
    assert names(ax) == ["data", "tangents"]
    assert ax.get_aspect() == 1


def test_lines_do_not_touch_their_neighbours(ax):
    points, directions = circle(12)
    segments = plots.tangents(points, directions, ax).collections[-1].get_segments()
    lengths = np.linalg.norm(np.array(segments)[:, 1] - np.array(segments)[:, 0], axis=1)
    assert (lengths < np.linalg.norm(points[1] - points[0])).all()
    assert (lengths > 0.5 * np.linalg.norm(points[1] - points[0])).all()


def test_lengths_follow_the_singular_values(ax):
    space = SimpleNamespace(
        directions=np.tile(np.eye(2), (3, 1, 1)),
        singular_values=np.array([[4.0, 1.0], [2.0, 2.0], [0.0, 0.0]]),
    )
    plots.tangents(np.arange(6.0).reshape(3, 2), space, ax, size=1.0)
    segments = np.array(ax.collections[-1].get_segments())
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).reshape(3, 2)
    assert np.allclose(lengths, [[2, 0.5], [2, 2], [2, 2]])


def test_plates_are_spanned_by_their_directions(cube):
    centres = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    directions = np.array([[[1.0, 0, 0], [0, 1.0, 0]], [[0, 1.0, 0], [0, 0, 1.0]]])
    plots.tangents(centres, directions, cube, size=0.5)
    plates = np.asarray(cube.collections[-1]._faces)
    assert np.allclose(plates.mean(1), centres)
    assert np.allclose(np.ptp(plates, axis=1), [[1, 1, 0], [0, 1, 1]])
    assert names(cube) == ["tangent planes"]
    # planes of different directions differ in brightness
    cube.figure.draw_without_rendering()
    colors = cube.collections[-1].get_facecolor()[:, :3].sum(1)
    assert abs(colors[0] - colors[1]) > 0.2


def test_lines_in_three_dimensions(cube):
    plots.tangents([[0, 0, 0], [1, 1, 1]], np.tile([[[0, 0, 1.0]]], (2, 1, 1)), cube, size=1)
    assert np.allclose(cube.get_zlim3d(), [0, 1], atol=1.2)
    assert [cube.get_xlabel(), cube.get_zlabel()] == ["x₁ (data units)", "x₃ (data units)"]
    assert saved(cube)


def test_one_point_has_a_tangent(ax):
    segments = plots.tangents([[1.0, 1.0]], [[[1.0, 0.0]]], ax).collections[-1].get_segments()
    assert np.ptp(segments[0], axis=0)[0] > 0


@pytest.mark.parametrize(
    ("where", "directions", "options", "said"),
    [
        (np.ones((3, 4)), np.ones((3, 1, 4)), {}, r"\(n, 2\) or \(n, 3\); got \(3, 4\)"),
        (np.ones((3, 2)), np.ones((2, 1, 2)), {}, "3 and 2"),
        (np.ones((3, 2)), np.ones((3, 1, 3)), {}, "3 and 2 coordinates"),
        (np.ones((3, 2)), np.ones((3, 2)), {}, r"\(n, k, d\)"),
        (np.ones((3, 3)), np.ones((3, 3, 3)), {}, "got 3.*k=2"),
        (np.ones((3, 2)), np.ones((3, 1, 2)), {"data": np.ones((3, 3))}, "data"),
        (np.ones((1, 2)), [[[np.nan, 1]]], {}, "Row 0 of directions"),
    ],
)
def test_what_are_no_tangents(where, directions, options, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.tangents(where, directions, **options)


def test_singular_values_of_another_shape():
    space = SimpleNamespace(directions=np.ones((3, 1, 2)), singular_values=np.ones((3, 2)))
    with pytest.raises(InvalidDataError, match=r"\(3, 1\); got \(3, 2\)"):
        plots.tangents(np.ones((3, 2)), space)


@pytest.mark.parametrize("size", [0, -1, np.inf, "long"])
def test_sizes_that_are_none(size):
    with pytest.raises(InvalidParameterError, match="size"):
        plots.tangents([[1.0, 1.0]], [[[1.0, 0.0]]], size=size)


# ---- PCA ----------------------------------------------------------------------------------------


def test_the_line_is_that_of_pca(ax, rng):
    rows = rng.normal(size=(200, 2)) @ [[2.0, 1.0], [0.0, 0.3]] + [5, -1]
    curve = rng.random((7, 2))
    line, drawn = plots.manifold(rows, curve, ax).lines
    pca = PCA(1).fit(rows)
    ends = line.get_xydata()
    assert np.allclose(pca.inverse_transform(pca.transform(ends)), ends)
    assert np.isclose(np.linalg.norm(np.diff(ends, axis=0)), np.ptp(pca.transform(rows)))
    assert np.array_equal(drawn.get_xydata(), curve)
    assert line.get_linestyle() != drawn.get_linestyle()
    assert names(ax) == ["data", "PCA", "autoencoder"]


def test_the_plane_is_that_of_pca_and_covers_the_data(cube, rng):
    rows = rng.normal(size=(200, 3)) * [3, 2, 0.5] + 1
    surface = rng.random((5, 4, 3))
    faces = np.asarray(plots.manifold(rows, surface, cube).collections[-1]._faces)
    pca = PCA(2).fit(rows)
    off = np.linalg.norm(pca.inverse_transform(pca.transform(faces[0])) - faces[0])
    assert off < 1e-9
    plane, curved = faces[:-12].reshape(-1, 3), faces[-12:].reshape(-1, 3)
    assert np.allclose(np.ptp(pca.transform(plane), axis=0), np.ptp(pca.transform(rows), axis=0))
    assert {tuple(point) for point in curved} == {tuple(p) for p in surface.reshape(-1, 3)}
    assert names(cube) == ["data", "PCA", "autoencoder"]


def test_a_fine_surface_is_thinned(cube, rng):
    plots.manifold(rng.random((9, 3)), rng.random((500, 300, 3)), cube)
    assert len(cube.collections[-1]._faces) == 2 * 40**2
    assert cube.collections[-1].get_rasterized()


def test_a_curve_in_three_dimensions(cube, rng):
    curve = rng.random((5, 3))
    line, drawn = plots.manifold(rng.random((20, 3)), curve, cube).lines
    assert np.array_equal(np.array(drawn.get_data_3d()).T, curve)
    assert np.array(line.get_data_3d()).shape == (3, 2)


@pytest.mark.parametrize(
    ("data", "curved", "said"),
    [
        (np.ones((5, 4)), np.ones((5, 4)), r"\(5, 4\)"),
        (np.ones((5, 2)), np.ones((5, 3)), "3 and 2 coordinates"),
        (np.ones((5, 2)), np.ones((5, 5, 2)), "three dimensions"),
        (np.ones((1, 3)), np.ones((5, 5, 3)), "2 components"),
        (np.ones((5, 2)), np.full((5, 2), np.nan), "Row 0 of curved"),
    ],
)
def test_what_is_no_manifold(data, curved, said):
    with pytest.raises(InvalidDataError, match=said):
        plots.manifold(data, curved)
