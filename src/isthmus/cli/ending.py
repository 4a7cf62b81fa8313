"""How a command ends: its exit code, and at most one line on standard error.

| what happened | code | said |
|---|---|---|
| it worked | 0 | |
| the user's mistake: an option, a missing file, unsuitable data | 2 | one line |
| the machine refuses: disk full, no permission, no memory | 1 | one line |
| Ctrl-C | 130 | one line |
| whoever reads standard output went away | 141 | |

Anything else is an error of this library, and shows its traceback.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

# typer gives the base of its own refusals no public name
Misuse: type[Exception] = typer.BadParameter.__bases__[0]


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command and say how it ended.

    Args:
        app: The verbs.
        arguments: What follows the program's name.

    Returns:
        The exit code.
    """
    try:
        with one_line_warnings():
            code = _invoke(app, arguments)
        sys.stdout.flush()
        return code
    except (Exception, KeyboardInterrupt) as error:
        verdict = judge(error)
        if verdict is None:
            raise
        code, line = verdict
        if isinstance(error, OSError):
            _let_go_of_stdout()
        if line:
            print(f"isthmus: {one_line(line)}", file=sys.stderr)
        return code


def _invoke(app: typer.Typer, arguments: Sequence[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("isthmus", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return int(end.exit_code)
    return 0


def judge(error: BaseException) -> tuple[int, str] | None:
    """Exit code and line for an error, or None if it is a defect of this library."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "stopped by Ctrl-C."
    if isinstance(error, BrokenPipeError):
        return 141, ""
    if isinstance(error, MemoryError):
        return 1, f"there is not enough memory. {error}"
    if isinstance(error, Misuse):
        return 2, _usage_line(error)
    if isinstance(error, OSError):
        code = 2 if isinstance(error, FileNotFoundError | IsADirectoryError) else 1
        if error.strerror is None:
            return code, str(error)
        name = "" if error.filename is None else f"{error.filename}: "
        return code, f"{name}{error.strerror}."
    # imported last because it is slow
    from isthmus._errors import IsthmusError

    return (2, str(error)) if isinstance(error, IsthmusError) else None


def _usage_line(error: Any) -> str:
    """The refusal of an option, and where its help is."""
    text = one_line(error.format_message())
    path = "isthmus" if error.ctx is None else error.ctx.command_path
    return f"{text}{'' if text[-1:] in '.?!)' else '.'} See `{path} --help`."


def one_line(text: object) -> str:
    """The text without line breaks."""
    return " ".join(str(text).split())


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Within this block a warning is a line on standard error, without file and source line."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"isthmus: warning: {one_line(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def about(path: object) -> Iterator[None]:
    """Put the file's name before what is wrong with its data.

    Scikit-learn refuses a wrong width or wrong names with a plain ValueError.
    """
    from isthmus._errors import InvalidDataError, InvalidParameterError

    try:
        yield
    except InvalidParameterError:
        raise
    except ValueError as error:
        raise InvalidDataError(f"{path}: {error}") from error


def _let_go_of_stdout() -> None:
    """Keep Python from trying again, at its end, to write what can't be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
