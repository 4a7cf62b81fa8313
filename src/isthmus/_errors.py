"""Everything that can go wrong, by name.

Each error says what happened (with the value, the column or the row), what was expected and what
to do about it. All of them inherit `IsthmusError` and the builtin that fits, so that both
``except IsthmusError`` and ``except ValueError`` do what a reader expects.
"""

from sklearn.exceptions import NotFittedError as _SklearnNotFittedError


class IsthmusError(Exception):
    """Any error that this library raises on purpose."""


class InvalidParameterError(IsthmusError, ValueError):
    """An argument has a value outside its range, or a name that no registry knows."""


class InvalidDataError(IsthmusError, ValueError):
    """The data have a shape, a type or a value that can't be used."""


class UnsupportedTypeError(IsthmusError, TypeError):
    """An object of a kind that can't be used here."""


class SupportError(InvalidDataError):
    """A value lies outside the support of the likelihood."""


class NotFittedError(IsthmusError, _SklearnNotFittedError):  # type: ignore[misc]  # scikit-learn has no types
    """A method that needs a fitted model was called before `fit`."""


class TrainingError(IsthmusError, ArithmeticError):
    """Training can't go on; the last good model was kept."""


class FileFormatError(IsthmusError, ValueError):
    """A file is not what it should be: cut off, edited, or of another format."""


class UnreachableError(IsthmusError, ConnectionError):
    """A server doesn't answer, or went away in the middle."""


class MissingPackageError(IsthmusError, ImportError):
    """What was asked for needs a package that isn't installed."""


class IsthmusWarning(UserWarning):
    """Something worth knowing that does not stop the work."""
