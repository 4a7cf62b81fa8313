"""Exit codes and the one line on standard error."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import typer
from cli_cases import NAMES

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.cli.ending import about, judge, run
from isthmus.cli.show import to_json

PROGRAM = [sys.executable, "-c", "from isthmus.cli import main; main()"]


def app_that_raises(error):
    app = typer.Typer()

    @app.command()
    def verb():
        raise error

    @app.command()
    def other():
        pass

    return app


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InvalidParameterError("two\n lines"), 2, "isthmus: two lines\n"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.npy"), 2, "x.npy: No such file"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 1, "x: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "isthmus: No space left on device"),
        (OSError("x can't be written"), 1, "isthmus: x can't be written"),
        (MemoryError("1 TiB"), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "isthmus: stopped by Ctrl-C.\n"),
    ],
)
def test_errors_and_their_codes(capsys, error, code, line):
    assert run(app_that_raises(error), ["verb"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert line in err
    assert err.count("\n") == 1


def test_a_defect_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(app_that_raises(ZeroDivisionError()), ["verb"])
    assert judge(ZeroDivisionError()) is None


def test_what_is_wrong_with_data_names_the_file():
    with pytest.raises(InvalidDataError, match=r"x\.csv: too wide"), about("x.csv"):
        raise ValueError("too wide")
    with pytest.raises(InvalidParameterError, match=r"^rate$"), about("x.csv"):
        raise InvalidParameterError("rate")


def test_json_is_strict():
    values = [
        np.float32(0.1),
        np.inf,
        np.array([0.1, np.nan], np.float32),
        np.int64(3),
        True,
        None,
    ]
    assert to_json(values) == "[0.1, null, [0.1, null], 3, true, null]"
    assert to_json({"names": (NAMES[0],)}) == '{"names": ["a"]}'


def test_a_reader_that_went_away():
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [*PROGRAM, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
def test_a_full_disk_behind_standard_output():
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*PROGRAM, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr == "isthmus: No space left on device.\n"


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_ctrl_c_keeps_the_best_model(files, tmp_path):
    target = tmp_path / "m.safetensors"
    arguments = ["fit", files / "table.npy", "-o", target, "--max-epochs", "1000000"]
    # torch's optimisers import this in their first step, which would delay the first epoch
    program = [sys.executable, "-c", f"import torch._dynamo; {PROGRAM[-1]}"]
    process = subprocess.Popen(
        [*program, *map(str, arguments), "--patience", "1000000", "--hidden", "8"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a process started in the background may have been told to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr.readline().startswith("likelihood: ")
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    said = json.loads(out)
    assert (said["stopped_early"], said["stopped_by"]) == (True, "interrupt")
    assert said["epochs"] > 0
    assert "isthmus: warning: Stopped by the user in epoch" in err
    assert "Traceback" not in err
    assert target.exists()
