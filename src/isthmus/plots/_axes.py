"""The ground that pictures are drawn on: axes of their own or the user's, quiet, light or dark."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from isthmus._errors import InvalidParameterError, UnsupportedTypeError

GREY = "#808080"
LOWERED = str.maketrans("123", "₁₂₃")


def axes(ax: Axes | None) -> Axes:
    """The user's axes, or new ones in a figure of their own."""
    _require_axes(ax)
    if ax is not None and ax.name == "3d":
        raise InvalidParameterError(
            "This picture has two dimensions, but the axes given are 3-D; give plain axes or None."
        )
    return Figure(layout="constrained").add_subplot() if ax is None else ax


def axes_3d(ax: Axes | None) -> Any:
    """The user's axes of three dimensions, or new ones."""
    _require_axes(ax)
    if ax is None:
        # a constrained layout leaves a wide margin around a cube
        figure = Figure()
        return figure.add_axes((0.0, 0.02, 0.96, 0.96), projection="3d")
    if ax.name != "3d":
        raise InvalidParameterError(
            "Points in three dimensions need axes made with projection='3d'; give such, or None."
        )
    return ax


def _require_axes(ax: object) -> None:
    if not (ax is None or isinstance(ax, Axes)):
        raise UnsupportedTypeError(
            f"ax must be matplotlib axes or None; got {type(ax).__name__}. Data beside the first "
            "argument have names, such as training=rows."
        )


def ink(ax: Any) -> Any:
    """The colour of the axes' words: dark on a light ground, light on a dark one."""
    return ax.xaxis.label.get_color()


def paper(ax: Axes) -> Any:
    """The colour of the ground."""
    ground = ax.get_facecolor()
    if to_rgba(ground)[3] > 0:
        return ground
    return ax.figure.get_facecolor() if isinstance(ax.figure, Figure) else ground


def quieten(ax: Axes) -> None:
    """The data should be what is seen first."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(color=GREY)


def quieten_3d(ax: Any) -> None:
    """The same for a box: no panes, a thin grid, one unit of length on all its sides."""
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.pane.set_visible(False)
        axis.line.set_color(GREY)
        axis.set_tick_params(color=GREY)
        axis.set_major_locator(MaxNLocator(4))
        axis._axinfo["grid"].update({"linewidth": 0.4, "color": (0.5, 0.5, 0.5, 0.35)})
    sides = [np.ptp(limits) for limits in (ax.get_xlim(), ax.get_ylim(), ax.get_zlim())]
    # smaller than by default, which cuts the names of the axes off
    ax.set_box_aspect(sides, zoom=0.85)


def label_data_axes(ax: Any) -> None:
    """Names of coordinates in the user's units, where the user hasn't named them."""
    for number, name in enumerate(ax._axis_names, 1):
        axis = getattr(ax, f"{name}axis")
        if not axis.label.get_text():
            axis.set_label_text(f"x{number:d} (data units)".translate(LOWERED))


def legend_above(ax: Axes) -> None:
    """The names over the picture, where they hide nothing of it."""
    handles, names = ax.get_legend_handles_labels()
    if names:
        ax.legend(
            handles,
            names,
            frameon=False,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            ncols=min(len(names), 4),
            columnspacing=1.4,
            handletextpad=0.5,
        )


def name_series(ax: Axes, label: str | None) -> None:
    """A legend, if any of the curves has a name."""
    if label is not None:
        ax.legend(frameon=False)


def label_code_axes(ax: Axes) -> None:
    """The two units of a code, where the user hasn't named them: they have no other unit."""
    ax.set_xlabel(ax.get_xlabel() or "unit 1")
    ax.set_ylabel(ax.get_ylabel() or "unit 2")
