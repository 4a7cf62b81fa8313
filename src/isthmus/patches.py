"""Features of images and signals from a dictionary of their patches.

Pixels say little one by one, and the same edge one pixel further on is another vector. So an image
is described by which small patterns it has, and roughly where (Coates, Ng and Lee, 2011):

    u = W (p − p̄)                           each patch p, centred and whitened
    a_k = max(0, d_kᵀu / √(‖u‖² + ε) − τ)    how much it looks like pattern k
    x_kc = √ mean of a_k over the patches in cell c of a grid

W = (C + λI)^(−½), with C the covariance of centred patches and λ a small part of its mean
eigenvalue. The patterns d_k are the unit vectors of a k-means on the unit sphere (Coates and Ng,
2012): an autoencoder of patches whose code has one unit on. A patch is compared by its cosine, so
brightness and contrast don't matter, but for ε, which keeps the noise of flat patches quiet. The
root makes counts of rare and of frequent patterns comparable (Perronnin et al., 2010).

Centring and whitening are linear, so all of it is one convolution, whose first channels are u and
whose others are d_kᵀu; what follows is done for a few images at a time, while they are in the
cache. Where the code departs from the papers: they threshold the distance to a pattern, or the
product with it, of patches of normalised contrast; the cosine needs no further constant.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._random import make_generator

WHITENING, FLATNESS = 0.02, 0.01  # λ and ε, of the mean eigenvalue and of the mean of ‖u‖²
ROUNDING = 1e-13  # of a patch's energy: what single precision makes of no contrast
SMALLEST = 1e-70
BATCH, PASSES = 4096, 20
CACHE, MOST_AT_ONCE = 700_000, 16  # numbers that stay in a processor's cache; images


@dataclass(frozen=True, eq=False)
class Dictionary:
    """What is known of patches.

    Attributes:
        whitening: W of centred patches, (m, m) for patches of m numbers.
        atoms: d_k, (K, m), of unit length.
        floor: ε.
    """

    whitening: Tensor
    atoms: Tensor
    floor: float

    @property
    def kernel(self) -> Tensor:
        """From a patch to u and to all d_kᵀu, (m + K, m)."""
        return torch.cat([self.whitening, self.atoms @ self.whitening])

    def to(self, device: torch.device) -> "Dictionary":
        """The same on a device."""
        return replace(self, whitening=self.whitening.to(device), atoms=self.atoms.to(device))


def sample(x: Tensor, sides: tuple[int, ...], n_patches: int, seed: int) -> Tensor:
    """Patches at random places of random images.

    Args:
        x: (n, channels, width) or (n, channels, height, width).
        sides: Of a patch, one for each of the last dimensions.
        n_patches: How many.
        seed: Of the choice.

    Returns:
        (n_patches, m), m = channels · Π sides.
    """
    for dimension, side in enumerate(sides, start=2):
        x = x.unfold(dimension, side, 1)
    generator = make_generator(seed)
    image, *places = (
        torch.randint(size, (n_patches,), generator=generator)
        for size in (len(x), *x.shape[2 : 2 + len(sides)])
    )
    index: Any = (image, slice(None), *places)
    return x[index].flatten(1)


def learn(patches: Tensor, n_atoms: int, seed: int) -> Dictionary:
    """The dictionary of a sample of patches.

    Args:
        patches: (n, m), float32.
        n_atoms: K; of fewer patches there are so many atoms.
        seed: Of the k-means.
    """
    # importing it draws from Python's own randomness
    from sklearn.cluster import MiniBatchKMeans

    p = patches.double()
    whitening = _whitening(p)
    u = p @ whitening.T
    floor = FLATNESS * float(u.square().sum(1).mean()) or 1.0
    u /= (u.square().sum(1, keepdim=True) + floor).sqrt()
    means = MiniBatchKMeans(
        min(n_atoms, len(u)),
        batch_size=BATCH,
        max_iter=PASSES,
        n_init=1,
        random_state=seed % 2**32,
    ).fit(u.float().numpy())
    atoms = torch.from_numpy(means.cluster_centers_).double()
    atoms = atoms / atoms.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return Dictionary(whitening.float(), atoms.float(), floor)


def _whitening(p: Tensor) -> Tensor:
    """W times what takes a patch's mean from it, (m, m); zeros where no patch has contrast.

    Contrast below 1e-35 counts as none: its inverse would be no number in single precision.
    """
    m = p.shape[1]
    centre = torch.eye(m, dtype=p.dtype) - 1 / m
    centred = p @ centre
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(p))
    variances = variances.clamp_min(0)
    unit = float(variances.mean())
    if unit <= max(ROUNDING * float(p.square().mean()), SMALLEST):
        return torch.zeros_like(centre)
    lengths = (variances + WHITENING * unit).rsqrt()
    shrunk: Tensor = (axes * lengths) @ axes.T @ centre
    return shrunk


def cells(shape: tuple[int, ...], sides: tuple[int, ...], grid: int) -> tuple[int, ...]:
    """How many cells each dimension has: ``grid``, or as many as a patch has places."""
    return tuple(min(grid, size - side + 1) for size, side in zip(shape, sides, strict=True))


@torch.no_grad()
def describe(
    x: Tensor, dictionary: Dictionary, sides: tuple[int, ...], grid: int, threshold: float
) -> Tensor:
    """x_kc of each image, (n, K·cells), the cells of a pattern one after the other.

    Args:
        x: As in `sample`, float32.
        dictionary: Of patches with these sides.
        sides: Of a patch.
        grid: Cells along each side of the image.
        threshold: τ.
    """
    convolve: Any = (F.conv1d, F.conv2d)[len(sides) - 1]
    pool: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d)[len(sides) - 1]
    kernel = dictionary.kernel.view(-1, x.shape[1], *sides)
    m = dictionary.whitening.shape[0]
    into = cells(tuple(x.shape[2:]), sides, grid)
    step = len(x) if x.device.type != "cpu" else _at_once(tuple(x.shape[2:]), sides, len(kernel))
    found = []
    for part in x.split(step):
        # a convolution of fewer images may sum in another order
        z = convolve(F.pad(part, (0, 0) * (x.ndim - 1) + (0, step - len(part))), kernel)
        inverse = (z[:, :m].square().sum(1, keepdim=True) + dictionary.floor).rsqrt_()
        active = (z[:, m:] * inverse).sub_(threshold).relu_()
        found.append(pool(active, into).flatten(1).sqrt_()[: len(part)])
    return torch.cat(found)


def _at_once(shape: tuple[int, ...], sides: tuple[int, ...], width: int) -> int:
    places = math.prod(size - side + 1 for size, side in zip(shape, sides, strict=True))
    return max(1, min(MOST_AT_ONCE, CACHE // (places * width)))
