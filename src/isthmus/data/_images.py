"""A folder of images as one array.

The images are taken in the order of their names and must be of one size and one colour mode:
nothing is resized, cropped or converted behind the user's back (a palette is looked up, since its
indices mean nothing). Files without an image's ending, hidden files and sub-folders are not
looked at.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import FileFormatError, InvalidDataError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_images(folder: Path) -> NDArray[np.uint8]:
    """All images of a folder.

    Args:
        folder: An existing folder.

    Returns:
        uint8 array (n, H, W) for greyscale and black-and-white images (0 and 1), (n, H, W, C)
        for colour.

    Raises:
        InvalidDataError: No images; images of different sizes or modes; a mode of more than 8
            bits. The file is named.
        FileFormatError: A file that isn't an image or is cut off.
    """
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGES and not path.name.startswith(".") and path.is_file()
    )
    if not paths:
        raise InvalidDataError(
            f"The folder {folder} holds no images; known endings are {', '.join(IMAGES)}."
        )
    first, first_kind = _read_image(paths[0])
    images = np.empty((len(paths), *first.shape), np.uint8)
    images[0] = first
    for i, path in enumerate(paths[1:], start=1):
        image, kind = _read_image(path)
        if kind != first_kind:
            raise InvalidDataError(
                f"{path} is {kind}, but {paths[0].name} is {first_kind}; bring all images to "
                "one size and mode first."
            )
        images[i] = image
    return images


def _read_image(path: Path) -> tuple[NDArray[Any], str]:
    """Pixels, and width × height and mode in words."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode in ("P", "PA"):
                clear = image.mode == "PA" or "transparency" in image.info
                pixels = np.asarray(image.convert("RGBA" if clear else "RGB"))
            else:
                pixels = np.asarray(image)
            kind = f"{image.width} × {image.height} pixels of mode {image.mode}"
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError) as error:
        raise FileFormatError(
            f"{path} can't be read as an image; it is cut off or damaged ({error})."
        ) from error
    except Image.DecompressionBombError as error:
        raise FileFormatError(f"{path} is too large an image to be one: {error}") from error
    if pixels.dtype not in (np.uint8, np.bool_):
        raise InvalidDataError(
            f"{path} has pixels of type {pixels.dtype} (mode {kind.split()[-1]}); convert it to "
            "8 bits per channel."
        )
    return pixels.astype(np.uint8, copy=False), kind
