"""Tables with holes and tables with outliers, beside what people use now.

    ISTHMUS_DATA=folder python benchmarks/tables.py {imputation,anomalies} [--seeds 5]
        [--tables cardio satellite thyroid digits] [--only isthmus PCA …]
    python benchmarks/tables.py mixed [--peers .peers/bin/python] [--seeds 5]

``imputation`` hides 20 % of the cells of Adult (``adult.npz``) at random and prints the RMSE of
the hidden numbers (in column standard deviations), the accuracy of the hidden categories, and how
many hidden numbers lie in the central 90 % of the draws.

``anomalies`` scores the rows of three tables (``anomaly_dev.npz``), and of a network's features of
digits (``deepfeat_resnet18_svhn9.npz``), fitted without labels, and prints ROC-AUC and average
precision for each seed and their means. All detectors run at their defaults, and besides the
default `Autoencoder`, one with ranks, and one with ranks and hidden cells. Run it with PyOD
installed to have its detectors too.

``mixed`` times an epoch on numbers and categories beside PyOD's, in as many rounds as there would
be seeds: see `mixed`.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

import mixed
from isthmus import Autoencoder, Masking, OutlierDetector

HIDDEN = 0.2
DRAWN_ROWS, DRAWS = 6000, 20
PEERS = Path(__file__).parent.parent / ".peers" / "bin" / "python"
TABLES = ("cardio", "satellite", "thyroid")


def adult(seed: int) -> tuple[np.ndarray, np.ndarray, int, list[int]]:
    """The table with its own holes, which cells are hidden, and the columns' kinds."""
    file = np.load(Path(os.environ["ISTHMUS_DATA"]) / "adult.npz", allow_pickle=False)
    categories = np.where(file["cat"] < 0, np.nan, file["cat"].astype(np.float64))
    x = np.concatenate([file["num"].astype(np.float64), categories], axis=1)
    hidden = (np.random.default_rng(seed).random(x.shape) < HIDDEN) & ~np.isnan(x)
    return x, hidden, file["num"].shape[1], np.diff(file["cat_offsets"]).tolist()


def errors(x: np.ndarray, filled: np.ndarray, hidden: np.ndarray, d: int) -> dict[str, float]:
    """RMSE over all hidden numbers, accuracy over all hidden categories."""
    wrong = ((filled - x)[:, :d] / np.nanstd(x[:, :d], axis=0))[hidden[:, :d]]
    right = (filled == x)[:, d:][hidden[:, d:]]
    return {"rmse": float(np.sqrt(np.mean(wrong**2))), "accuracy": float(right.mean())}


def mean_and_mode(holed: np.ndarray, d: int) -> np.ndarray:
    """Each column's mean, or its most frequent level."""
    filled = holed.copy()
    for j in range(holed.shape[1]):
        seen = holed[~np.isnan(holed[:, j]), j]
        constant = seen.mean() if j < d else np.bincount(seen.astype(int)).argmax()
        filled[np.isnan(holed[:, j]), j] = constant
    return filled


def imputation(seed: int) -> None:
    """One seed on Adult."""
    x, hidden, d, levels = adult(seed)
    holed = np.where(hidden, np.nan, x)
    print(
        json.dumps({"seed": seed, "mean and mode": errors(x, mean_and_mode(holed, d), hidden, d)})
    )
    began = time.perf_counter()
    model = Autoencoder(
        64,
        hidden=(512,),
        likelihood=["gaussian"] * d + ["categorical"] * len(levels),
        corruption=Masking(0.25, targets="hidden"),
        max_epochs=15,
        random_state=seed,
    ).fit(holed)
    record = errors(x, model.impute(holed), hidden, d)
    rows = np.random.default_rng(seed).permutation(len(x))[:DRAWN_ROWS]
    draws = np.stack(model.impute(holed[rows], n_draws=DRAWS, random_state=seed))[:, :, :d]
    # p (m + 1) places: of m draws alike the value lies outside of the central part p exactly
    low, high = np.quantile(draws, [0.05, 0.95], axis=0, method="weibull")
    inside = (low <= x[rows, :d]) & (x[rows, :d] <= high)
    record["coverage"] = float(inside[hidden[rows, :d]].mean())
    record["seconds"] = time.perf_counter() - began
    print(json.dumps({"seed": seed, "isthmus": record}), flush=True)


def read_table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows in float64, and which of them are anomalies."""
    folder = Path(os.environ["ISTHMUS_DATA"])
    if name == "digits":
        file = np.load(folder / "deepfeat_resnet18_svhn9.npz", allow_pickle=False)
        return file["X"].astype(np.float64), file["y"]
    file = np.load(folder / "anomaly_dev.npz", allow_pickle=False)
    return file[f"{name}_X"].astype(np.float64), file[f"{name}_y"]


def detectors(seed: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Scores of anomaly for the rows that are fitted, by name; higher is odder."""

    def ours(**how: Any) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: -Autoencoder(random_state=seed, **how).fit(x).score_samples(x)

    found = {
        "OutlierDetector": lambda x: -OutlierDetector(random_state=seed).fit(x).score_samples(x),
        "isthmus": ours(),
        "isthmus, ranked": ours(likelihood="gaussian_ranked"),
        "isthmus, hidden": ours(likelihood="gaussian_ranked", corruption=Masking(0.5)),
    }
    try:
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.ecod import ECOD
        from pyod.models.iforest import IForest
        from pyod.models.pca import PCA
        from pyod.models.vae import VAE
    except ImportError:
        return found
    for kind in (AutoEncoder, VAE, IForest, PCA):
        found[kind.__name__] = lambda x, kind=kind: kind(random_state=seed).fit(x).decision_scores_
    return {**found, "ECOD": lambda x: ECOD().fit(x).decision_scores_}


def anomalies(seed: int, tables: Sequence[str], only: Sequence[str]) -> dict[str, np.ndarray]:
    """One seed: for each detector ROC-AUC and average precision on each table, (tables, 2)."""
    found = {}
    for name, score in detectors(seed).items():
        if only and name not in only:
            continue
        rows = []
        for table in tables:
            x, truth = read_table(table)
            odd = score(x)
            rows.append([roc_auc_score(truth, odd), average_precision_score(truth, odd)])
        found[name] = np.array(rows)
        shown = dict(zip(tables, found[name].round(4).tolist(), strict=True))
        print(json.dumps({"seed": seed, name: shown}), flush=True)
    return found


def print_means(records: list[dict[str, np.ndarray]], tables: Sequence[str]) -> None:
    """Means over seeds, by detector and table, and over all tables; the spread of the last."""
    print(f"{'':18}" + "".join(f"{table:>16}" for table in (*tables, "mean")) + "   ROC-AUC, AP")
    for name in records[0]:
        each = np.stack([record[name] for record in records])
        means = np.concatenate([each.mean(0), each.mean((0, 1))[None]])
        spread = each[:, :, 0].mean(1).std()
        cells = "".join(f"{roc:>10.3f} {ap:.3f}" for roc, ap in means)
        print(f"{name:18}{cells}   ±{spread:.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["imputation", "anomalies", "mixed"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=[*TABLES, "digits"])
    parser.add_argument("--only", nargs="+", default=[], help="names of detectors")
    parser.add_argument("--peers", default=str(PEERS), help="Python with PyOD, for mixed")
    asked = parser.parse_args()
    if asked.what == "mixed":
        mixed.measure(asked.peers, asked.seeds)
    elif asked.what == "imputation":
        for seed in range(asked.seeds):
            imputation(seed)
    else:
        found = [anomalies(seed, asked.tables, asked.only) for seed in range(asked.seeds)]
        print_means(found, asked.tables)
