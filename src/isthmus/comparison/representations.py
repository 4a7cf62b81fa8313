"""What is compared: raw features, linear codes, and the codes of four autoencoders.

| name | what it is |
|---|---|
| raw | all columns, as `isthmus.comparison.features` makes them numbers |
| PCA | their first k principal components |
| random projection | k random directions of them: what a code is worth that learned nothing |
| usual, variational, denoising, contractive | the code of an `Autoencoder` of k units |
| patches | of images: the code of a denoising one over `PatchFeatures` |
| fine-tuned | the usual code, trained on for the training rows' labels |

The four autoencoders have the same network and the same likelihood, which is read from the data,
and each differs from the usual one in one part. Nothing is tuned: the report shows what a first
try gives.
"""

import pickle
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection

from isthmus._errors import IsthmusWarning
from isthmus.comparison.features import Raw, columns_of
from isthmus.corruptions import Corruption, Masking, Swap
from isthmus.estimators import (
    Autoencoder,
    PatchFeatures,
    PretrainedClassifier,
    PretrainedRegressor,
)
from isthmus.estimators.tables import is_frame
from isthmus.penalties import Contractive, Neighbours

Array = NDArray[Any]
Note = Callable[[str], None]

KINDS = ("usual", "variational", "denoising", "contractive")
HIDDEN, BATCH = (256,), 128
MASKED, SWAPPED, CONTRACTION = 0.25, 0.15, 0.1
SINGLE = np.dtype(np.float32).itemsize


@dataclass(frozen=True, eq=False)
class Representation:
    """A way from rows to features that has learned what it needs.

    Attributes:
        name: In the module's table.
        width: k, or the number of raw features.
        encode: From rows to features (n, k).
        restore: From rows to the columns (n, d) that come back from the code; None if none do.
        seconds: What learning took.
        n_bytes: Of what must be kept to encode.
        told: How it was made, in words.
        model: The autoencoder, if it is one.
    """

    name: str
    width: int
    encode: Callable[[Any], Array]
    restore: Callable[[Any], Array] | None
    seconds: float
    n_bytes: int
    told: str
    model: Autoencoder | None = None


def raw_features(raw: Raw, seconds: float) -> Representation:
    """Raw features as a representation, against which the others are held."""
    n_bytes = len(pickle.dumps(raw))
    scaled = "one scale for all columns" if raw.common else "scaled columns, one-hot categories"
    return Representation("raw", raw.width, raw.features, None, seconds, n_bytes, scaled)


def linear_codes(raw: Raw, rows: Any, k: int, seed: int) -> list[Representation]:
    """PCA and a random projection.

    Args:
        raw: What makes features of rows.
        rows: To learn from.
        k: Numbers of the code, at most.
        seed: Of the projection, and of PCA's solver.
    """
    features = raw.features(rows)
    began = time.perf_counter()
    pca = PCA(min(k, *features.shape), random_state=seed).fit(features)
    middle = time.perf_counter()
    project = GaussianRandomProjection(k, random_state=seed).fit(features)
    end = time.perf_counter()

    def back(rows: Any) -> Array:
        return raw.restored(pca.inverse_transform(pca.transform(raw.features(rows))))

    def by_pca(rows: Any) -> Array:
        return np.asarray(pca.transform(raw.features(rows)))

    def by_chance(rows: Any) -> Array:
        return np.asarray(project.transform(raw.features(rows)), np.float32)

    size = SINGLE * features.shape[1]
    return [
        Representation(
            "PCA",
            pca.n_components_,
            by_pca,
            back,
            middle - began,
            size * (pca.n_components_ + 1),
            f"PCA({pca.n_components_})",
        ),
        Representation(
            "random projection",
            k,
            by_chance,
            None,
            end - middle,
            size * k,
            f"GaussianRandomProjection({k})",
        ),
    ]


def parts_of(kind: str, raw: Raw) -> dict[str, Any]:
    """The parts in which a kind differs from the usual autoencoder.

    A frame is corrupted by values of other rows, which suits numbers and categories alike. The
    weight of the contraction is in the units of the data, where these have one unit; that of the
    map is in the order of −log p, a sum over features, and a map holds out no rows because early
    stopping would look at −log p alone.
    """
    corruption: Corruption = Masking(MASKED) if raw.schema is None else Swap(SWAPPED)
    unit = raw.blocks[0].scale if raw.common else 1.0
    parts: dict[str, dict[str, Any]] = {
        "usual": {},
        "variational": {"encoder": "gaussian"},
        "denoising": {"corruption": corruption},
        "contractive": {"penalty": Contractive(CONTRACTION * unit**2)},
        "map": {"penalty": Neighbours(float(raw.width)), "validation_fraction": 0},
    }
    return parts[kind]


def autoencoder(
    kind: str, raw: Raw, rows: Any, k: int, plan: tuple[int, int], note: Note
) -> Representation:
    """One autoencoder, trained.

    Args:
        kind: In `KINDS`, or ``"map"``.
        raw: What makes columns of rows.
        rows: To learn from.
        k: Units.
        plan: Epochs at most, and the seed.
        note: Is told what the training warns of.

    Raises:
        KeyboardInterrupt: Ctrl-C, which ends the whole comparison.
    """
    parts = parts_of(kind, raw)
    model = _planned(rows, k, plan, **parts)
    began = time.perf_counter()
    quietly(lambda: model.fit(rows), lambda text: note(f"{kind}: {text}"))
    seconds = time.perf_counter() - began

    def encode(rows: Any) -> Array:
        return np.asarray(quietly(lambda: model.transform(rows)), np.float32)

    def back(rows: Any) -> Array:
        returned = quietly(lambda: model.reconstruct(rows))
        if is_frame(returned):
            return columns_of(returned, raw.schema)
        return np.asarray(returned, np.float64).reshape(len(returned), -1)

    told = ", ".join(
        [f"Autoencoder({k}", f"hidden={HIDDEN}"]
        + [
            f'{name}="{part}"' if isinstance(part, str) else f"{name}={part}"
            for name, part in parts.items()
        ]
    )
    return Representation(kind, k, encode, back, seconds, _bytes(model), told + ")", model)


def _planned(rows: Any, k: int, plan: tuple[int, int], **parts: Any) -> Autoencoder:
    max_epochs, seed = plan
    batch = max(8, min(BATCH, int(rows.shape[0]) // 8))
    return Autoencoder(
        k, hidden=HIDDEN, batch_size=batch, max_epochs=max_epochs, random_state=seed, **parts
    )


def _bytes(model: Autoencoder) -> int:
    return sum(weight.numel() * weight.element_size() for weight in model.model_.parameters())


def are_images(rows: Any) -> bool:
    """Whether pixels have neighbours here, which `code_of_patches` can look at: none missing."""
    return isinstance(rows, np.ndarray) and rows.ndim > 2 and not np.isnan(rows).any()


def code_of_patches(images: Array, k: int, plan: tuple[int, int], note: Note) -> Representation:
    """A denoising autoencoder's code of the patterns in images. No image comes back from it.

    Args:
        images: To learn from, (n, H, W) or (n, H, W, C).
        k: Units.
        plan: Epochs at most, and the seed.
        note: Is told what the training warns of.
    """
    patterns = PatchFeatures(random_state=plan[1])
    model = _planned(images, k, plan, corruption=Masking(MASKED), likelihood="gaussian_shared")
    began = time.perf_counter()
    chain = make_pipeline(patterns, model)
    quietly(lambda: chain.fit(images), lambda text: note(f"patches: {text}"))
    seconds = time.perf_counter() - began

    def encode(images: Array) -> Array:
        return np.asarray(quietly(lambda: chain.transform(images)), np.float32)

    n_bytes = _bytes(model) + SINGLE * patterns.dictionary_.kernel.numel()
    told = (
        f"PatchFeatures(), then Autoencoder({k}, hidden={HIDDEN}, corruption=Masking({MASKED}), "
        'likelihood="gaussian_shared")'
    )
    return Representation("patches", k, encode, None, seconds, n_bytes, told)


def fine_tuned(
    usual: Representation, rows: Any, labels: Array, plan: tuple[int, int], note: Note
) -> Representation:
    """The usual code, trained on for the label: the one representation that reads it.

    Args:
        usual: What is begun from; it stays as it is.
        rows: The labelled rows to learn from.
        labels: Their classes by number, or their numbers, (n,).
        plan: Epochs at most, and the seed.
        note: Is told what the training warns of.
    """
    max_epochs, seed = plan
    numeric = labels.dtype.kind == "f"
    kind = PretrainedRegressor if numeric else PretrainedClassifier
    model = kind(usual.model, max_epochs=max_epochs, random_state=seed)
    began = time.perf_counter()
    quietly(lambda: model.fit(rows, labels), lambda text: note(f"fine-tuned: {text}"))
    seconds = usual.seconds + time.perf_counter() - began

    def encode(rows: Any) -> Array:
        return np.asarray(quietly(lambda: model.autoencoder_.transform(rows)), np.float32)

    told = f"{kind.__name__}(usual, max_epochs={max_epochs}).autoencoder_"
    return Representation("fine-tuned", usual.width, encode, None, seconds, usual.n_bytes, told)


def quietly(call: Callable[[], Any], note: Note = lambda text: None) -> Any:
    """What a call gives; the library's warnings become notes, and Ctrl-C ends the comparison."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", IsthmusWarning)
        # the estimator takes Ctrl-C for the end of one training, here it is the end of all
        warnings.filterwarnings("error", "Stopped by the user", IsthmusWarning)
        try:
            result = call()
        except IsthmusWarning as stop:
            raise KeyboardInterrupt from stop
    for each in heard:
        if issubclass(each.category, IsthmusWarning):
            note(str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return result
