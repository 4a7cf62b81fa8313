"""Images that are seen from a slightly different place."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real, is_whole
from isthmus.corruptions._corruption import Cells, Corruption


@dataclass(frozen=True)
class Warp(Corruption):
    """Each image is shifted, turned and stretched a little, with zeros where nothing was.

    A random affine map about the middle of the image, by bilinear interpolation: shifts, angle and
    the logarithms of two stretches are uniform between −1 and 1 times their largest values (Simard
    et al., 2003, of handwritten digits). It acts on what the encoder sees, so of data that are
    centred on the centred image. It is for images: of other columns it would make nonsense.

    Args:
        height: Of an image in pixels.
        width: Of an image in pixels; as high as it is wide if None.
        shift: The farthest, in pixels.
        angle: The largest, in degrees.
        stretch: The largest, as a fraction: 0.1 makes an image up to 10 % larger or smaller.
    """

    height: int = 28
    width: int | None = None
    shift: float = 2.0
    angle: float = 10.0
    stretch: float = 0.1

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width or self.height)):
            if not (is_whole(value) and value >= 1):
                raise InvalidParameterError(
                    f"Warp's {name} must be a whole number of pixels; got {value!r}."
                )
        for name in ("shift", "angle", "stretch"):
            value = getattr(self, name)
            if not (is_real(value) and 0 <= value < math.inf):
                raise InvalidParameterError(
                    f"Warp's {name} must be a finite number, 0 or more; got {value!r}."
                )

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """x seen through a map of its own for each row."""
        shape = (self.height, self.width or self.height)
        n, (depth, rest) = len(x), divmod(x.shape[1], math.prod(shape))
        if rest or width != 1:
            raise InvalidParameterError(
                f"Warp({self.height}, {self.width}) is for images of {shape[0]} by {shape[1]} "
                f"pixels, but the encoder sees rows of {x.shape[1]} columns; give their height "
                "and width."
            )
        draws = 2 * torch.rand((n, 5), generator=generator, device=x.device, dtype=x.dtype) - 1
        grid = _old_places(self._maps(draws, shape), shape)
        image = x.view(n, *shape, depth).permute(0, 3, 1, 2)
        seen = F.grid_sample(image, grid, padding_mode="zeros", align_corners=False)
        return seen.permute(0, 2, 3, 1).reshape(x.shape)

    def _maps(self, draws: Tensor, shape: tuple[int, int]) -> Tensor:
        """From the new image's places to the old one's, from −1 to 1 on each side, (n, 2, 3)."""
        angle = math.radians(self.angle) * draws[:, 0]
        across, down = (math.log1p(self.stretch) * draws[:, 1:3]).exp().unbind(1)
        ratio = shape[0] / shape[1]
        cosine, sine = angle.cos(), angle.sin()
        shifts = [2 * self.shift * draws[:, 3 + i] / size for i, size in enumerate(shape[::-1])]
        top = torch.stack([across * cosine, -across * sine * ratio, shifts[0]], 1)
        bottom = torch.stack([down * sine / ratio, down * cosine, shifts[1]], 1)
        return torch.stack([top, bottom], 1)

    def of_cells(self, cells: Cells, generator: torch.Generator) -> Tensor:
        """Always raises: a table is no image."""
        raise InvalidParameterError(
            "Warp is for images, and these data are a table with a likelihood for each column."
        )

    def in_units(self, unit: float) -> Corruption:
        """The same."""
        return self


def _old_places(maps: Tensor, shape: tuple[int, int]) -> Tensor:
    """Where each pixel of a new image lies in the old one, (n, height, width, 2).

    As `torch.nn.functional.affine_grid`, which multiplies thin matrices image by image; here all
    maps meet all pixels in one product, a sixteenth of the time.
    """
    across, down = (_middles(size, maps) for size in shape[::-1])
    pixels = torch.ones((3, *shape), dtype=maps.dtype, device=maps.device)
    pixels[0], pixels[1] = across, down[:, None]
    places = maps.reshape(-1, 3) @ pixels.flatten(1)
    return places.view(len(maps), 2, *shape).permute(0, 2, 3, 1)


def _middles(size: int, like: Tensor) -> Tensor:
    """The middles of so many pixels between −1 and 1."""
    return (2 * torch.arange(size, dtype=like.dtype, device=like.device) + 1) / size - 1
