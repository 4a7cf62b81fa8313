"""From data to a record, a sentence and a page."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from narwhals.dependencies import is_into_dataframe
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError, IsthmusWarning
from isthmus._files import require_place, write_json, write_text
from isthmus._progress import steps
from isthmus._registry import is_real, is_whole
from isthmus.analysis.labels import take
from isthmus.comparison.features import Raw, learn_features
from isthmus.comparison.judges import JUDGES, Task, part_of_features
from isthmus.comparison.labels import Labels, rare_classes, read_labels
from isthmus.comparison.leaks import leaks, nearly_tell
from isthmus.comparison.maps import draw_maps
from isthmus.comparison.measure import Bench, Tried, by_judge, choose, figures, reconstruction
from isthmus.comparison.pages import Shown, compose
from isthmus.comparison.representations import (
    KINDS,
    Representation,
    are_images,
    autoencoder,
    code_of_patches,
    fine_tuned,
    linear_codes,
    raw_features,
)
from isthmus.comparison.rows import Drawn, divide, draw_rows
from isthmus.comparison.rule import Candidate
from isthmus.data.columns import column_of

Array = NDArray[Any]
Begin = Callable[[str], None]
MOST_UNITS, UNITS_PART, MOST_NAMED = 64, 4, 5
SINGLE = 4


@dataclass(frozen=True)
class Settings:
    """How a comparison is made.

    Attributes:
        n_components: k, of all codes; None for a quarter of the raw features, at most 64.
        task: ``"classification"``, ``"regression"``, or ``"auto"``, which reads the labels.
        max_rows: Rows that are drawn from larger data.
        max_epochs: Of each autoencoder, at most.
        margin: How much less accuracy, or R², counts as equal.
        random_state: Seed of everything.
    """

    n_components: int | None = None
    task: str = "auto"
    max_rows: int = 10_000
    max_epochs: int = 60
    margin: float = 0.02
    random_state: int = 0

    def __post_init__(self) -> None:
        for name, least in (("max_rows", 10), ("max_epochs", 1), ("random_state", 0)):
            self._require_whole(name, getattr(self, name), least)
        if self.n_components is not None:
            self._require_whole("n_components", self.n_components, 1)
        if not (is_real(self.margin) and 0 <= self.margin < 1):
            raise InvalidParameterError(f"margin must be in [0, 1); got {self.margin!r}.")

    @staticmethod
    def _require_whole(name: str, value: Any, least: int) -> None:
        if not (is_whole(value) and value >= least):
            raise InvalidParameterError(
                f"{name} must be a whole number, {least} or more; got {value!r}."
            )


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        record: Every figure, as plain JSON data.
        html: The report, one file that needs nothing else.
    """

    record: dict[str, Any]
    html: str

    @property
    def sentence(self) -> str:
        """What to use."""
        return str(self.record["sentence"])

    def write(self, path: str | Path) -> Path:
        """Write the report, and its figures in a JSON file beside it.

        Args:
            path: An .html file; its folder must exist.

        Returns:
            The path of the JSON file.

        Raises:
            InvalidParameterError: Another ending, or a missing folder.
            OSError: The disk refuses.
        """
        target = require_report(path)
        write_text(target, self.html)
        beside = target.with_suffix(".json")
        write_json(beside, self.record)
        return beside


def require_report(path: str | Path) -> Path:
    """Refuse a name under which no report could be written later.

    Raises:
        InvalidParameterError: Another ending than .html, or a missing folder.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InvalidParameterError(f"{path} is no name for a report; it must end in .html.")
    require_place(target)
    return target


def compare(
    X: Any,
    y: Any = None,
    settings: Settings | None = None,
    *,
    name: str = "data",
    drop: Sequence[str] = (),
    verbose: int = 0,
) -> Comparison:
    """Try raw features, linear codes and autoencoders' codes on the same rows.

    Args:
        X: Rows: an array (n, d), images (n, H, W) or (n, H, W, C), a sparse matrix, a frame, or
            data that are read in pieces, as `Autoencoder.fit` takes them.
        y: The name of X's column that is the label (its position in an array), or labels (n,);
            None for the half of the report that needs none.
        settings: How; the defaults of `Settings` if None.
        name: What the report calls the data.
        drop: Columns that are left out, such as identifiers.
        verbose: 1 shows on a terminal what is being done.

    Returns:
        The figures and the page.

    Raises:
        InvalidDataError: Fewer than 10 rows or labels, one class only, a label of another length,
            and what `Autoencoder.fit` refuses.
        InvalidParameterError: A column that isn't there, or an unsuitable setting.

    Warns:
        IsthmusWarning: A column from which the label follows exactly, or nearly.
    """
    chosen = settings or Settings()
    began = time.perf_counter()
    notes: list[str] = []
    drawn = draw_rows(X, chosen.max_rows, chosen.random_state, drop)
    labels, rows = _labels(drawn, y, chosen.task)
    n_codes = len(KINDS) + are_images(rows)
    n_steps = 3 + n_codes + ((4 + n_codes) * len(JUDGES) + 1) * (labels is not None)
    with steps(bool(verbose), n_steps) as begin:
        begin("reading")
        bench, representations = _prepare(rows, labels, chosen, notes, begin)
        tried = [bench.try_out(each, _bytes(each, bench), begin) for each in representations]
        begin("maps and pictures")
        maps = draw_maps(bench, (chosen.max_epochs, chosen.random_state), notes.append)
        record = _record(bench, tried, chosen, drawn.n_given, name)
        record |= {"notes": notes, "maps": [each.figures for each in maps]}
        record["seconds"] = round(time.perf_counter() - began, 1)
        return Comparison(record, compose(Shown(bench, tried, maps, record)))


def _labels(drawn: Drawn, y: Any, task: str) -> tuple[Labels | None, Any]:
    """The labels of the drawn rows, and the rows without them."""
    if y is None:
        return None, drawn.rows
    if isinstance(y, str | int):
        values, rest = column_of(drawn.rows, y)
        return read_labels(values, str(y), task), rest
    given = np.asarray(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    given = given.ravel() if given.ndim == 2 and given.shape[1] == 1 else given
    if given.shape != (drawn.n_given,):
        raise InvalidDataError(
            f"y has the shape {given.shape}, where one label for each of the {drawn.n_given} rows "
            f"is expected: ({drawn.n_given},)."
        )
    label = str(getattr(y, "name", None) or "the label")
    return read_labels(given[drawn.index].tolist(), label, task), drawn.rows


def _prepare(
    rows: Any, labels: Labels | None, chosen: Settings, notes: list[str], begin: Begin
) -> tuple[Bench, list[Representation]]:
    n, seed = int(rows.shape[0]), chosen.random_state
    known = np.zeros(n, bool) if labels is None else labels.known
    parts = divide(n, None if labels is None else labels.kinds, known, seed)
    learn = take(rows, parts.learn)
    began = time.perf_counter()
    raw = learn_features(learn)
    seconds = time.perf_counter() - began
    task = None
    if labels is not None:
        _look_for_trouble(raw, rows, labels, seed, notes)
        n_classes = len(labels.classes)
        task = Task.of(labels.numeric, n_classes, len(parts.train), raw.width, seed)
    wanted = chosen.n_components or min(MOST_UNITS, max(2, raw.width // UNITS_PART))
    k = min(wanted, raw.width, len(parts.learn))
    representations = [raw_features(raw, seconds), *linear_codes(raw, learn, k, seed)]
    plan = (chosen.max_epochs, seed)
    for kind in KINDS:
        begin(f"training the {kind} autoencoder")
        representations.append(autoencoder(kind, raw, learn, k, plan, notes.append))
    if are_images(rows):
        begin("training an autoencoder on patches")
        representations.append(code_of_patches(learn, k, plan, notes.append))
    if labels is not None:
        begin("fine-tuning the usual autoencoder")
        usual = next(each for each in representations if each.name == "usual")
        train = take(rows, parts.train), labels.values[parts.train]
        representations.append(fine_tuned(usual, *train, plan, notes.append))
    return Bench(raw, rows, labels, parts, task), representations


def _look_for_trouble(raw: Raw, rows: Any, labels: Labels, seed: int, notes: list[str]) -> None:
    """Leaks, which are also warned of, and classes of few rows."""
    known = np.flatnonzero(labels.known)
    columns, values = raw.columns(take(rows, known)), labels.values[known]
    exact = leaks(columns, values, labels.numeric)
    nearly = nearly_tell(columns, values, labels.numeric, seed)
    for text in (_follows(raw, labels, exact), _nearly_follows(raw, labels, exact, nearly)):
        if text:
            notes.append(text)
            warnings.warn(text, IsthmusWarning, stacklevel=4)
    rare = rare_classes(labels)
    if rare:
        told = ", ".join(f"{name} ({count})" for name, count in list(rare.items())[:5])
        notes.append(f"Little can be said of classes with fewer than 10 rows: {told}.")
    if labels.classes[:1] == ("-1",) and len(labels.classes) > 2:
        notes.append("−1 is taken for a class; leave a label empty where it is unknown.")
    holes = int((~labels.known).sum())
    if holes:
        notes.append(f"{holes} rows have no label; codes are learned from them too.")


def _follows(raw: Raw, labels: Labels, found: Sequence[int]) -> str:
    if not found:
        return ""
    names = _and_more([f"`{raw.names[j]}`" for j in found])
    return (
        f"The label `{labels.name}` follows exactly from {names}. If what this column says is not "
        "known before the label is, leave it out: every figure here is too good."
    )


def _nearly_follows(
    raw: Raw, labels: Labels, exact: Sequence[int], found: Mapping[int, float]
) -> str:
    others = {j: told for j, told in found.items() if j not in exact}
    if not others:
        return ""
    unit = "{:.3f} of its ranks' variance" if labels.numeric else "{:.1%} of the rows"
    best = sorted(others, key=lambda j: -others[j])
    names = _and_more([f"`{raw.names[j]}` ({unit.format(others[j])})" for j in best])
    return (
        f"The label `{labels.name}` can nearly be told from one column alone: {names}. If what "
        "this column says is not known before the label is, leave it out: every figure here may "
        "be too good."
    )


def _and_more(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _bytes(each: Representation, bench: Bench) -> float:
    """Of the features of one row; of raw ones in the smallest of the usual ways to keep them."""
    if each.name != "raw":
        return SINGLE * each.width
    rows, raw = bench.rows, bench.raw
    dense = float(SINGLE * raw.width)
    if is_into_dataframe(rows):
        assert raw.schema is not None
        columns = (
            (1 if column.n_levels <= 256 else 2 if column.n_levels <= 65536 else SINGLE)
            if column.coded
            else SINGLE
            for column in raw.schema
        )
        return min(dense, float(sum(columns)))
    if hasattr(rows, "nnz"):
        kept = float(rows.data.nbytes + rows.indices.nbytes)
        return min(dense, kept / int(rows.shape[0]))
    kept = float(rows.nbytes)
    return min(dense, kept / len(rows))


def _record(
    bench: Bench, tried: Sequence[Tried], chosen: Settings, n_given: int, name: str
) -> dict[str, Any]:
    parts, labels = bench.parts, bench.labels
    record: dict[str, Any] = {
        "data": {
            "name": name,
            "rows": n_given,
            "rows_used": int(bench.rows.shape[0]),
            "row_shape": [int(size) for size in bench.rows.shape[1:]],
            "raw_features": bench.raw.width,
            "learn": len(parts.learn),
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
        },
        "label": None,
        "settings": asdict(chosen),
    }
    candidates: list[Candidate] = []
    if labels is None:
        record |= {"use": None, "why": None}
    else:
        assert bench.task is not None
        verdict, candidates = choose(bench, tried, chosen.margin)
        record["label"] = {
            "name": labels.name,
            "measure": "R²" if labels.numeric else "accuracy",
            "classes": list(labels.classes),
            "constant_score": _constant(bench),
            "boosting_rounds": bench.task.rounds,
            "boosting_features": part_of_features(bench.raw.width),
        }
        record |= {"use": verdict.use, "why": verdict.why, "sentence": verdict.sentence}
    record["representations"] = figures(bench, tried, candidates)
    if labels is not None:
        record["by_judge"] = by_judge(record["representations"], numeric=labels.numeric)
    record["reconstruction"] = reconstruction(bench, tried)
    if labels is None:
        record["sentence"] = _without_labels(record["reconstruction"])
    return record


def _constant(bench: Bench) -> float:
    """What the best constant of the training rows scores on the test rows."""
    assert bench.labels is not None
    values = bench.labels.values[bench.parts.train]
    constant = values.mean() if bench.labels.numeric else np.bincount(values).argmax()
    return bench.score(np.full(len(bench.parts.test), constant))


def _without_labels(found: dict[str, Any]) -> str:
    """What can be said of codes alone."""
    width = found["usual"]["units"]["count"]
    whole = {name: each["kept"] for name, each in found.items() if np.isfinite(each["kept"])}
    begin = f"Without a label nothing says which code is of use. Through {width} numbers"
    if not whole:
        return f"{begin} nothing can be told to come back: no column varies."
    best = max(whole, key=lambda name: whole[name])
    who = "PCA" if best == "PCA" else f"the {best} autoencoder"
    return f"{begin} {who} brings most back: {whole[best]:.1%}, {_and_pca(best, whole)}."


def _and_pca(best: str, whole: dict[str, float]) -> str:
    if best != "PCA":
        return f"and PCA {whole['PCA']:.1%}" if "PCA" in whole else "and PCA nothing"
    others = {name: value for name, value in whole.items() if name != "PCA"}
    if not others:
        return "and the autoencoders nothing"
    second = max(others, key=lambda name: others[name])
    return f"and the best autoencoder, the {second} one, {others[second]:.1%}"
