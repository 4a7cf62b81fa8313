"""What is kept of scores while they go by: bounded, however many there are."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.cli.targets import MOST_PRINTED

if TYPE_CHECKING:
    import pyarrow as pa

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MOST_KEPT = 1 << 22


class Scores:
    """Number, mean, range and quantiles of scores, and the first ones of them.

    Quantiles are of all scores up to some four million. Of more, each is kept with the same
    probability, independently of the others: they are then those of two million or more, and off
    by less than a thousandth in rank.

    Attributes:
        few: All blocks in one, or None where there are too many rows to be printed.
    """

    def __init__(self) -> None:
        self._n = self._n_kept = 0
        self._total = 0.0
        self._low, self._high = math.inf, -math.inf
        self._parts: Any = None
        self._kept: list[Any] = []
        self._chance = 1.0
        self._rng = np.random.default_rng(0)
        self.few: Any = None

    def add(self, block: Any) -> tuple[Any, Any]:
        """Take in scores (m,), or (m, 1 + d) with their parts; gives the scores and the parts."""
        scores, parts = block, None
        if block.ndim == 2:
            scores, parts = block[:, 0].copy(), block[:, 1:]  # a view would keep the whole block
        first = self._n == 0
        self._n += len(scores)
        self._total += float(scores.sum(dtype=np.float64))
        self._low = min(self._low, float(scores.min()))
        self._high = max(self._high, float(scores.max()))
        if parts is not None:
            total = parts.sum(0, dtype=np.float64)
            self._parts = total if self._parts is None else self._parts + total
        known = block if first else self.few
        if self._n > MOST_PRINTED:
            self.few = None
        elif known is not None:
            self.few = block if first else np.concatenate([known, block])
        self._keep(scores)
        return scores, parts

    def _keep(self, scores: Any) -> None:
        if self._chance < 1:
            scores = scores[self._rng.random(len(scores)) < self._chance]
        self._kept.append(scores)
        self._n_kept += len(scores)
        while self._n_kept > MOST_KEPT:
            every = np.concatenate(self._kept)
            self._kept = [every[self._rng.random(len(every)) < 0.5]]
            self._n_kept = len(self._kept[0])
            self._chance /= 2

    def features(self, names: list[str]) -> dict[str, float]:
        """The mean part of each feature."""
        return dict(zip(names, self._parts / self._n, strict=True))

    def summary(self, n_features: int) -> dict[str, Any]:
        """Mean, range and quantiles in nats per row; per dimension of −log p."""
        mean = self._total / self._n
        kept = np.concatenate(self._kept).astype(np.float64)
        quantiles = np.quantile(kept, QUANTILES)
        return {
            "rows": self._n,
            "columns": n_features,
            "mean": mean,
            "nats_per_dimension": -mean / n_features,
            "bits_per_dimension": -mean / n_features / math.log(2),
            "minimum": self._low,
            "maximum": self._high,
            "quantiles": {
                f"{level:g}": value for level, value in zip(QUANTILES, quantiles, strict=True)
            },
        }


class Oddest:
    """How many rows were flagged, and the most unusual ones of them.

    Attributes:
        count: How many.
        rows: Their numbers and what was said of them, the lowest score first.
    """

    def __init__(self) -> None:
        self.count = 0
        self.rows: list[dict[str, Any]] = []
        self._seen = 0

    def add(self, judged: "pa.Table") -> None:
        """Take in what was said of the next rows."""
        flagged = np.flatnonzero(judged["flagged"].to_numpy())
        self.count += len(flagged)
        scores = judged["score"].to_numpy()[flagged]
        first = flagged[np.argsort(scores, kind="stable")[:MOST_PRINTED]]
        said = judged.take(first).drop_columns(["flagged"]).to_pylist()
        rows = [{"row": self._seen + int(i), **each} for i, each in zip(first, said, strict=True)]
        self.rows = sorted([*self.rows, *rows], key=lambda row: row["score"])[:MOST_PRINTED]
        self._seen += judged.num_rows
