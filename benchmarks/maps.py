"""Two-dimensional maps of images, beside those of PCA, t-SNE, UMAP and PaCMAP.

    ISTHMUS_DATA=folder python benchmarks/maps.py draw isthmus patterns usual pca --codes FOLDER
    ISTHMUS_DATA=folder python-with-peers benchmarks/maps.py draw umap pacmap tsne --codes FOLDER
    ISTHMUS_DATA=folder python benchmarks/maps.py measure --data mnist --codes FOLDER

``draw`` fits each method on the first ``--rows`` training images, puts the last 10,000 training
images (for choosing) and the 10,000 test images on its map, and saves all places in the folder.
The peers need not be where Isthmus is. t-SNE has no place for new images; it is fitted on those of
the test alone, and so its figures are not out of sample.

``measure`` prints for each method in the folder: 10-nearest-neighbour accuracy of new images among
the training images, and of the test images among each other; trustworthiness, continuity and kept
neighbours on a sample of 5,000 test images. Labels only measure.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HELD_OUT = 10_000
Maps = Callable[[np.ndarray, list[np.ndarray]], list[np.ndarray]]


def read(name: str) -> dict[str, np.ndarray]:
    path = Path(os.environ.get("ISTHMUS_DATA", ".")) / f"{name}.npz"
    return dict(np.load(path, allow_pickle=False))


def deep(epochs: int, *, mapped: bool) -> Any:
    """A deep autoencoder of two units, with `Neighbours` or without."""
    from isthmus import Autoencoder, Neighbours

    return Autoencoder(
        2,
        hidden=(1024, 512, 256),
        likelihood="gaussian_shared",
        penalty=Neighbours(1000) if mapped else None,
        batch_size=512,
        learning_rate=2e-3,
        max_epochs=epochs,
        validation_fraction=0,
        random_state=0,
    )


def autoencoder(epochs: int, *, mapped: bool) -> Maps:
    """The map of images by their pixels, and how much of these comes back."""

    def draw(train: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
        model = deep(epochs, mapped=mapped).fit(train)
        left = ((model.reconstruct(others[0]) - others[0] / 255) ** 2).sum()
        all_ = ((train.mean(0) / 255 - others[0] / 255) ** 2).sum()
        print(json.dumps({"reconstruction R2": round(1 - float(left / all_), 3)}))
        return [model.transform(x) for x in (train, *others)]

    return draw


def patterns(epochs: int) -> Maps:
    """The map of images by their patterns."""
    from sklearn.pipeline import make_pipeline

    from isthmus import PatchFeatures

    def draw(train: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
        model = make_pipeline(PatchFeatures(random_state=0), deep(epochs, mapped=True))
        return [model.fit_transform(train), *(model.transform(x) for x in others)]

    return draw


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float32) / 255


def peer(make: Callable[[], object]) -> Maps:
    """The map of an estimator with `fit_transform` and `transform`."""

    def draw(train: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
        model = make()
        return [model.fit_transform(flat(train)), *(model.transform(flat(x)) for x in others)]

    return draw


def pca() -> Maps:
    from sklearn.decomposition import PCA

    return peer(lambda: PCA(2, random_state=0))


def umap() -> Maps:
    from umap import UMAP

    return peer(lambda: UMAP(random_state=0))


def pacmap() -> Maps:
    from pacmap import PaCMAP

    def draw(train: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
        model, basis = PaCMAP(random_state=0), flat(train)
        first = model.fit_transform(basis)
        return [first, *(model.transform(flat(x), basis=basis) for x in others)]

    return draw


def tsne() -> Maps:
    from sklearn.manifold import TSNE

    def draw(train: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
        return [np.full((len(x), 2), np.nan) for x in (train, *others[:-1])] + [
            TSNE(random_state=0).fit_transform(flat(others[-1]))
        ]

    return draw


def method(name: str, epochs: int) -> Maps:
    if name in ("isthmus", "usual"):
        return autoencoder(epochs, mapped=name == "isthmus")
    if name == "patterns":
        return patterns(epochs)
    return {"pca": pca, "umap": umap, "pacmap": pacmap, "tsne": tsne}[name]()


def draw(given: argparse.Namespace) -> None:
    data = read(given.data)
    x, n = data["x_train"], given.rows
    others = [x[-HELD_OUT:], data["x_test"]]
    for name in given.methods:
        began = time.process_time()
        train, choice, test = method(name, given.epochs)(x[:n], others)
        seconds = time.process_time() - began
        given.codes.mkdir(parents=True, exist_ok=True)
        path = given.codes / f"{given.data}_{name}.npz"
        np.savez(path, train=train, choice=choice, test=test, seconds=seconds)
        print(json.dumps({"data": given.data, "method": name, "processor seconds": seconds}))


def measure(given: argparse.Namespace) -> None:
    from isthmus import analysis

    data = read(given.data)
    y, test_y = data["y_train"], data["y_test"]
    for path in sorted(given.codes.glob(f"{given.data}_*.npz")):
        codes = dict(np.load(path, allow_pickle=False))
        train, test = codes["train"], codes["test"]
        record = {"method": path.stem.removeprefix(f"{given.data}_"), "rows": len(train)}
        if not np.isnan(train).any():
            for name, new, truth in (
                ("choice", codes["choice"], y[-HELD_OUT:]),
                ("test", test, test_y),
            ):
                record[f"10-NN {name}"] = analysis.neighbour_accuracy(
                    train, y[: len(train)], new, truth
                )
        record["10-NN among test"] = analysis.neighbour_accuracy(test, test_y)
        quality = analysis.neighbourhoods(data["x_test"], test)
        record |= {
            "trustworthiness": quality.trustworthiness,
            "continuity": quality.continuity,
            "kept": quality.kept,
            "processor seconds": float(codes["seconds"]),
        }
        print(
            json.dumps(
                {
                    k: round(v, 4) if v == v and not isinstance(v, str) else v
                    for k, v in record.items()
                }
            ),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("draw", "measure"))
    parser.add_argument("methods", nargs="*", default=["isthmus"])
    parser.add_argument("--data", default="mnist", choices=("mnist", "fashion_mnist"))
    parser.add_argument("--codes", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=25)
    given = parser.parse_args()
    (draw if given.what == "draw" else measure)(given)


if __name__ == "__main__":
    main()
