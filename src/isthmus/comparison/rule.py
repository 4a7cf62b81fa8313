"""The rule by which numbers become a sentence.

For each representation the judge is chosen that did best on validation rows, and with it the
representation is held against raw features, with the judge that did best on those, on the same
test rows. All differences Δ get simultaneous 95 % intervals (`isthmus.analysis.paired`), so that
trying many representations finds nothing by chance.

1. **Better**: an interval lies above 0. The one of them that did best on validation rows wins.
2. **As good and cheaper**: else, an interval lies above −margin, and its features need at most
   half the bytes of the raw ones, or its predictions (encoding included) at most half the time.
   The one with the fewest bytes wins, the faster one of two.
3. **Raw**: else. Nothing that was tried is worth another step.

Whoever is bound to one judge may ask again: `with_one_judge` names the code that is better with
it, if one is, by intervals that hold for all judges and codes together.

Bytes of raw features are those in which the user keeps the data, or those of the matrix that a
classifier reads, whichever are fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CHEAPER = 0.5
BETTER, CHEAPER_WINS, RAW = "better", "as good and cheaper", "raw"


@dataclass(frozen=True)
class Candidate:
    """A representation with its best judge.

    Attributes:
        name: Of the representation.
        validation: What chose, higher is better.
        score: Accuracy or R² on test rows.
        difference: Δ from raw features.
        low: Where its interval begins.
        high: Where it ends.
        n_bytes: Of the features of one row.
        seconds: To encode and predict one row.
    """

    name: str
    validation: float
    score: float
    difference: float
    low: float
    high: float
    n_bytes: float
    seconds: float

    def cheaper_than(self, raw: "Candidate") -> bool:
        """Whether it needs half the bytes, or half the time."""
        return self.smaller_than(raw) or self.faster_than(raw)

    def smaller_than(self, raw: "Candidate") -> bool:
        """Whether it needs half the bytes."""
        return self.n_bytes <= CHEAPER * raw.n_bytes

    def faster_than(self, raw: "Candidate") -> bool:
        """Whether it needs half the time."""
        return self.seconds <= CHEAPER * raw.seconds


@dataclass(frozen=True)
class Verdict:
    """What to use.

    Attributes:
        use: The name of a representation, ``"raw"`` for none.
        why: ``"better"``, ``"as good and cheaper"`` or ``"raw"``.
        sentence: The same for people.
    """

    use: str
    why: str
    sentence: str


def decide(
    raw: Candidate, others: Sequence[Candidate], margin: float, *, numeric: bool
) -> Verdict:
    """The verdict of the rule.

    Args:
        raw: Raw features, Δ = 0.
        others: What was tried against them.
        margin: How much less counts as equal, in accuracy or R².
        numeric: Whether the scores are R².
    """
    better = [each for each in others if each.low > 0]
    if better:
        best = max(better, key=lambda each: each.validation)
        return Verdict(best.name, BETTER, _better(raw, best, numeric))
    equal = [each for each in others if each.low > -margin and each.cheaper_than(raw)]
    if equal:
        best = min(equal, key=lambda each: (each.n_bytes, each.seconds))
        return Verdict(best.name, CHEAPER_WINS, _cheaper(raw, best, margin, numeric))
    return Verdict("raw", RAW, _raw(raw, others, margin, numeric))


def with_one_judge(
    judge: str, raw_score: float, others: Sequence[Candidate], *, numeric: bool
) -> str | None:
    """What to use if this judge is the only one, where a code is shown to be better with it.

    Args:
        judge: What it is called.
        raw_score: Of raw features with it.
        others: The other representations with it.
        numeric: Whether the scores are R².

    Returns:
        A sentence about the one that did best on validation rows; None where there is none.
    """
    better = [each for each in others if each.low > 0]
    if not better:
        return None
    best = max(better, key=lambda each: each.validation)
    return (
        f"With {judge} alone, {_article(best.name)} is better than raw features: "
        f"{_score(best.score, numeric)} against {_score(raw_score, numeric)}, "
        f"{_difference(best, numeric)}."
    )


def _better(raw: Candidate, best: Candidate, numeric: bool) -> str:
    return (
        f"Use {_article(best.name)}: on rows that were held out {_measure(numeric)} is "
        f"{_score(best.score, numeric)} with it and {_score(raw.score, numeric)} with raw "
        f"features, {_difference(best, numeric)}."
    )


def _cheaper(raw: Candidate, best: Candidate, margin: float, numeric: bool) -> str:
    gains = []
    if best.smaller_than(raw):
        gains.append(f"its features are {raw.n_bytes / best.n_bytes:.1f} times smaller")
    if best.faster_than(raw):
        gains.append(f"its predictions are {raw.seconds / best.seconds:.1f} times faster")
    what = "size" if best.smaller_than(raw) else "speed"
    return (
        f"Use {_article(best.name)} for its {what}: {' and '.join(gains)}. {_measure(numeric)} is "
        f"{_score(best.score, numeric)} against {_score(raw.score, numeric)} with raw features, "
        f"{_difference(best, numeric)}: not more than {_size(margin, numeric)} worse."
    ).replace(". accuracy", ". Accuracy")


def _raw(raw: Candidate, others: Sequence[Candidate], margin: float, numeric: bool) -> str:
    nearest = max(others, key=lambda each: each.low)
    told = f"{_score(nearest.score, numeric)}, {_difference(nearest, numeric)}"
    begin = (
        "Use the raw features: nothing that was tried is shown to be better than their "
        f"{_measure(numeric)} of {_score(raw.score, numeric)}."
    )
    if all(each.high < 0 for each in others):
        return f"{begin} All are worse; the nearest, {_article(nearest.name)}, has {told}."
    if nearest.low <= -margin:
        return (
            f"{begin} The nearest, {_article(nearest.name)}, has {told}: these test rows leave "
            f"open whether it is more than {_size(margin, numeric)} worse."
        )
    return (
        f"{begin} {_capital(_article(nearest.name))} is not more than {_size(margin, numeric)} "
        f"worse ({told}), but neither half as large nor twice as fast."
    )


def _article(name: str) -> str:
    """A representation in a sentence."""
    if name == "PCA":
        return "PCA"
    if name == "random projection":
        return "a random projection"
    if name == "fine-tuned":
        return "the code that was fine-tuned for the label"
    if name == "patches":
        return "the code of patches"
    return f"the {name} autoencoder's code"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _measure(numeric: bool) -> str:
    return "R²" if numeric else "accuracy"


def _score(value: float, numeric: bool) -> str:
    return f"{value:.3f}" if numeric else f"{value:.1%}"


def _size(value: float, numeric: bool) -> str:
    return f"{value:.3f}" if numeric else f"{100 * value:g} points"


def _difference(each: Candidate, numeric: bool) -> str:
    """A difference with its interval."""
    return f"a difference of {span(each.difference, each.low, each.high, numeric)}"


def span(difference: float, low: float, high: float, numeric: bool) -> str:
    """A difference and its interval in words.

    Args:
        difference: Of accuracy or R².
        low: Where the interval begins.
        high: Where it ends.
        numeric: Whether the measure is R²; accuracy is told in points.
    """
    if numeric:
        parts = [f"{value:+.3f}" for value in (difference, low, high)]
    else:
        parts = [f"{100 * value:+.1f}" for value in (difference, low, high)]
    first, begin, end = (part.replace("-", "−") for part in parts)
    return f"{first}{'' if numeric else ' points'} ({begin} to {end})"
