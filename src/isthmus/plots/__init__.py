"""Pictures of training, codes, rows and what was learned, drawn on matplotlib's axes.

Every function takes arrays or records and an `Axes`, draws on it and returns it. Without one it
makes a figure of its own, which is then ``ax.figure``:

    plots.code_map(codes, labels).figure.savefig("map.png")

Nothing goes through pyplot: no window opens, no backend is chosen, and no figure stays in memory
after its last reference. The user's own matplotlib settings hold, a dark ground too; and nothing
is told apart by colour alone.

| function | shows |
|---|---|
| `learning_curves` | nll by epoch, of the training and of the held-out rows |
| `code_map` | codes of two units, coloured by label |
| `image_map` | codes of two units, with images in their places |
| `images` | rows that are images, side by side |
| `denoising_field` | the arrows g(f(x)) − x in the plane, among the data |
| `tangents` | tangent lines or planes, at points in two or three dimensions |
| `manifold` | reconstructions as a curve or a surface, beside PCA's line or plane |
| `trade_off` | reconstruction error against penalty, as λ moves |
| `spectrum` | singular values of a Jacobian, with their spread over rows |
| `label_efficiency` | accuracy against the number of labels |
| `energy_profile` | −log p along a path |
| `sensitivity` | how much each feature moves the code |

Curves (`trade_off`, `spectrum`, `label_efficiency`, `energy_profile`) are added to the axes by
each call.
"""

from isthmus.plots._labels import MOST_CATEGORIES
from isthmus.plots._styles import COLORS, MOST_VECTOR_POINTS, OTHER
from isthmus.plots.curves import (
    energy_profile,
    label_efficiency,
    learning_curves,
    spectrum,
    trade_off,
)
from isthmus.plots.features import sensitivity
from isthmus.plots.fields import denoising_field
from isthmus.plots.images import images
from isthmus.plots.manifolds import manifold, tangents
from isthmus.plots.maps import NAMES, code_map, image_map

__all__ = [
    "COLORS",
    "MOST_CATEGORIES",
    "MOST_VECTOR_POINTS",
    "NAMES",
    "OTHER",
    "code_map",
    "denoising_field",
    "energy_profile",
    "image_map",
    "images",
    "label_efficiency",
    "learning_curves",
    "manifold",
    "sensitivity",
    "spectrum",
    "tangents",
    "trade_off",
]
