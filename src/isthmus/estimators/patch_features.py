"""`PatchFeatures`: images and signals as patterns and where they are (`isthmus.patches`)."""

import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor

from isthmus._errors import InvalidDataError, InvalidParameterError, NotFittedError
from isthmus._random import RandomState, draw_seed
from isthmus.data import Data, Matrix, as_data, as_matrix, check_finite
from isthmus.estimators.apply import check_columns, joined, remember_columns, require_in_memory
from isthmus.estimators.resolve import fraction, whole
from isthmus.patches import Dictionary, cells, describe, learn, sample
from isthmus.training import ahead, find_device

SAMPLE_CELLS = 1 << 26
BLOCK_CELLS = 1 << 22
FARTHEST = 1e17  # of a whitened number: its square is still a float32


class PatchFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Which small patterns an image or a signal has, and roughly where.

    Pixels are a poor space for an autoencoder: one that shifts by a pixel is another vector. Put
    this before it, and the code is about shapes (Coates, Ng and Lee, 2011):

        x = √ mean over a cell of max(0, cos(d_k, u) − τ) ,    u = W (p − p̄) for each patch p

    with whitened patches u and a dictionary of patterns d_k, which is learned from patches
    without labels. See `isthmus.patches` for the equations and sources.

    Args:
        n_atoms: K, patterns in the dictionary; of fewer patches there are so many.
        patch_size: Pixels along each side of a patch, which is no larger than the image.
        grid: Cells along each side of the image, no more than a patch has places.
        threshold: τ, the cosine below which a patch is nothing like a pattern.
        image_shape: ``(height, width)`` or ``(height, width, channels)`` of rows that are laid
            flat. Flat rows without it are signals: their patches are windows.
        n_patches: To learn from, drawn at random.
        device: ``"auto"``, or a torch device.
        random_state: Seed; None is a new one each time.

    Attributes:
        dictionary_: What was learned of patches, an `isthmus.patches.Dictionary`.
        n_features_in_: d, numbers of an image.
        feature_names_in_: The columns' names, where the data had any.
        row_shape_: The shape of one row as it was given.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.pipeline import make_pipeline
        >>> from isthmus import Autoencoder
        >>> features = PatchFeatures(64, patch_size=4, random_state=0)
        >>> model = make_pipeline(features, Autoencoder(16, max_epochs=2, random_state=0))
        >>> images = load_digits().images
        >>> model.fit(images).transform(images).shape
        (1797, 16)
    """

    def __init__(  # a scikit-learn estimator lists its parameters here
        self,
        n_atoms: int = 128,
        *,
        patch_size: int = 6,
        grid: int = 3,
        threshold: float = 0.1,
        image_shape: tuple[int, ...] | None = None,
        n_patches: int = 100_000,
        device: str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.patch_size = patch_size
        self.grid = grid
        self.threshold = threshold
        self.image_shape = image_shape
        self.n_patches = n_patches
        self.device = device
        self.random_state = random_state

    dictionary_: Dictionary

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the dictionary from a sample of patches.

        Args:
            X: Images (n, H, W) or (n, H, W, C), flat ones with ``image_shape``, or signals (n, d):
                an array, a torch tensor or a frame of numbers.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            InvalidDataError: Missing or infinite values, a sparse matrix, or rows that are not of
                ``image_shape``.
            InvalidParameterError: A parameter outside its range.
        """
        n_atoms = whole("n_atoms", self.n_atoms, 1)
        n_patches = whole("n_patches", self.n_patches, 1)
        self._read()
        require_in_memory(X, "give an array of as many images as fit in memory")
        matrix = as_matrix(X)
        _require_clean(matrix)
        remember_columns(self, X, matrix, None)
        self.row_shape_ = matrix.row_shape
        shape = self._image_shape()
        seed = draw_seed(self.random_state)
        chosen = np.random.default_rng(seed).permutation(len(matrix))
        rows = matrix.take(np.sort(chosen[: max(1, SAMPLE_CELLS // matrix.n_features)]))
        patches = sample(_channels_first(rows, shape), self._sides(), n_patches, seed)
        self._take(learn(patches, n_atoms, seed))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """The features of each image, row by row.

        Args:
            X: As in `fit`, or what is read in passes.

        Returns:
            float32 (n, K · cells), all cells of the first pattern first.

        Raises:
            InvalidDataError: Rows of another shape, missing or infinite values, or a row so far
                out that its squares are no numbers.
        """
        data = self._known(X)
        return joined(self._in_blocks(data), data)

    def feature_blocks(self, X: Any) -> Iterator[NDArray[np.float32]]:
        """The same block by block, in the order of the rows.

        Args:
            X: As in `transform`.

        Raises:
            InvalidDataError: As in `transform`.
        """
        for _, block in self._in_blocks(self._known(X)):
            yield block

    def _known(self, X: Any) -> Data:
        if not hasattr(self, "dictionary_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet; call fit first."
            )
        data = as_data(X)
        check_columns(self, X, data, reset=False)
        return data

    def _in_blocks(self, data: Data) -> Iterator[tuple[int, NDArray[np.float32]]]:
        grid, threshold = self._read()
        shape, sides = self._image_shape(), self._sides()
        device = find_device(self.device)
        dictionary = self.dictionary_.to(device)
        steepest = float(dictionary.kernel.abs().sum(1).max())
        farthest = FARTHEST / max(steepest, 1e-30)
        size = max(1, BLOCK_CELLS // data.n_features)
        for matrix in [data] if isinstance(data, Matrix) else ahead(data.matrices):
            _require_clean(matrix)
            for start, block in matrix.blocks(size=size):
                first = (matrix.first_row or 0) + start
                _require_near(block, farthest, first)
                x = _channels_first(block, shape).to(device)
                part = describe(x, dictionary, sides, grid, threshold)
                yield first, part.cpu().numpy()

    @property
    def n_patch_numbers(self) -> int:
        """m, how many numbers a patch has."""
        return math.prod(self._sides()) * math.prod(self._image_shape()[2:])

    def _take(self, dictionary: Dictionary) -> None:
        grid, _ = self._read()
        self.dictionary_ = dictionary
        into = cells(self._image_shape()[:2], self._sides(), grid)
        self._n_features_out = len(dictionary.atoms) * math.prod(into)

    def _read(self) -> tuple[int, float]:
        whole("patch_size", self.patch_size, 2)
        grid = whole("grid", self.grid, 1)
        return grid, fraction("threshold", self.threshold)

    def _image_shape(self) -> tuple[int, ...]:
        """(width,) of signals, else (height, width, channels)."""
        shape = self.row_shape_
        if self.image_shape is not None:
            given = self.image_shape
            if not isinstance(given, tuple | list) or len(given) not in (2, 3):
                raise InvalidParameterError(
                    "image_shape must be (height, width) or (height, width, channels); got "
                    f"{given!r}."
                )
            shape = tuple(whole("image_shape", side, 1) for side in given)
            if math.prod(shape) != math.prod(self.row_shape_):
                raise InvalidDataError(
                    f"Rows of shape {self.row_shape_} are no images of shape {shape}; give their "
                    "height, width and channels as image_shape."
                )
        return shape if len(shape) != 2 else (*shape, 1)

    def _sides(self) -> tuple[int, ...]:
        return tuple(min(self.patch_size, side) for side in self._image_shape()[:2])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _require_clean(matrix: Matrix) -> None:
    if matrix.is_sparse:
        raise InvalidDataError(
            "X is a sparse matrix, which has no neighbouring pixels to look at; give an array "
            "(X.toarray())."
        )
    check_finite(matrix)


def _require_near(block: NDArray[Any], farthest: float, first_row: int) -> None:
    sizes = np.abs(block).max(axis=1)
    if sizes.max() > farthest:
        row = int(sizes.argmax())
        raise InvalidDataError(
            f"Row {first_row + row} has a number of size {sizes[row]:g}, too far from what fit "
            "saw; look at what made it."
        )


def _channels_first(rows: NDArray[Any], shape: tuple[int, ...]) -> Tensor:
    """(n, 1, width), or (n, channels, height, width)."""
    x = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
    if len(shape) == 1:
        return x[:, None]
    return x.view(-1, *shape).permute(0, 3, 1, 2).contiguous()
