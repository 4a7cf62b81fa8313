"""Pictures leave matplotlib as it was, and use the axes and the settings that the user gave."""

import json
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib import style
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from isthmus import plots
from isthmus._errors import InvalidParameterError, UnsupportedTypeError
from tests.plots.conftest import epoch, saved

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
plots.image_map(np.eye(2), np.ones((2, 4, 4)))
plots.manifold(np.eye(3), np.eye(3))
plots.spectrum([[2, 1]])
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


FIELD = SimpleNamespace(points=np.eye(2), arrows=np.ones((2, 2)))
FLAT = {
    "learning_curves": lambda ax: plots.learning_curves([epoch(1, 2.0)], ax),
    "code_map": lambda ax: plots.code_map(np.eye(2), None, ax),
    "image_map": lambda ax: plots.image_map(np.eye(2), np.ones((2, 4, 4)), ax),
    "images": lambda ax: plots.images(np.eye(3)[None], ax),
    "denoising_field": lambda ax: plots.denoising_field(FIELD, ax),
    "tangents": lambda ax: plots.tangents(np.eye(2), np.ones((2, 1, 2)), ax),
    "manifold": lambda ax: plots.manifold(np.eye(2), np.eye(2), ax),
    "trade_off": lambda ax: plots.trade_off([1, 2], [2, 1], [1, 0], ax),
    "spectrum": lambda ax: plots.spectrum([[2, 1]], ax),
    "label_efficiency": lambda ax: plots.label_efficiency([10, 20], [[0.5, 0.6], [0.7, 0.8]], ax),
    "energy_profile": lambda ax: plots.energy_profile([0, 1], ax),
    "sensitivity": lambda ax: plots.sensitivity([1, 2], ax),
}
SOLID = {
    "tangents": lambda ax: plots.tangents(np.eye(3), np.ones((3, 2, 3)), ax),
    "manifold": lambda ax: plots.manifold(np.eye(3), np.ones((2, 2, 3)), ax),
}


def test_every_picture_is_tried_here():
    functions = {name for name in plots.__all__ if callable(getattr(plots, name))}
    assert functions == set(FLAT)


@pytest.mark.parametrize("name", FLAT)
def test_axes_are_returned(name, ax):
    draw = FLAT[name]
    assert draw(ax) is ax
    new = draw(None)
    assert new is not ax
    assert saved(new).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", SOLID)
def test_axes_of_three_dimensions_are_returned(name, cube):
    draw = SOLID[name]
    assert draw(cube) is cube
    new = draw(None)
    assert new.name == "3d"
    assert saved(new).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", FLAT)
def test_axes_of_other_dimensions_are_refused(name, cube):
    with pytest.raises(InvalidParameterError, match="two dimensions"):
        FLAT[name](cube)


@pytest.mark.parametrize("name", SOLID)
def test_flat_axes_are_refused_for_three_dimensions(name, ax):
    with pytest.raises(InvalidParameterError, match="projection='3d'"):
        SOLID[name](ax)


@pytest.mark.parametrize("name", sorted(set(FLAT) - {"images"}))
def test_both_axes_say_what_they_are(name):
    ax = FLAT[name](None)
    assert ax.get_xlabel()
    # names of bars stand where a label would
    assert ax.get_ylabel() or name == "sensitivity"


@pytest.mark.parametrize("name", FLAT)
def test_nothing_is_black_on_a_dark_ground(name):
    with style.context(["default", "dark_background"]):
        ax = FLAT[name](Figure().add_subplot())
        colors = [line.get_color() for line in ax.lines if len(line.get_xdata())]
        colors += [color for each in ax.collections for color in each.get_facecolor()]
        colors += [text.get_color() for text in ax.texts]
    assert all(sum(to_rgb(color)) > 0.5 for color in colors)


def test_words_of_a_picture_have_the_ink_of_its_axes(ax):
    ax.xaxis.label.set_color("#123456")
    plots.denoising_field(FIELD, ax)
    assert np.allclose(ax.collections[-1].get_facecolor()[0, :3], to_rgb("#123456"))


def test_what_is_no_axes_is_refused_by_name():
    with pytest.raises(UnsupportedTypeError, match=r"ax must be matplotlib axes.*ndarray"):
        plots.code_map(np.zeros((3, 2)), None, np.zeros((3, 2)))
