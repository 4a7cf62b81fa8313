"""What tests of pictures share."""

import io

import pytest
from matplotlib.figure import Figure

from isthmus.training import Epoch


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture
def cube():
    return Figure().add_subplot(projection="3d")


def epoch(number, nll, held_out=None, best=True, kl=0.0):
    return Epoch(number, nll, kl, {}, held_out, 1.0, 1.0, 1e-3, 0, best)


def saved(ax, kind="png"):
    """A figure as a file's bytes; drawing it must work and warn of nothing."""
    stream = io.BytesIO()
    ax.figure.savefig(stream, format=kind)
    return stream.getvalue()


def names(ax):
    """What the legend says."""
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]
