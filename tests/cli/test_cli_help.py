"""The help: quick, complete, with examples that parse."""

import inspect
import shlex
import subprocess
import sys

import pytest
import typer

from isthmus.cli.app import app

COMMAND = typer.main.get_command(app)
VERBS = [
    "fit",
    "transform",
    "inverse",
    "score",
    "impute",
    "sample",
    "index",
    "search",
    "dedupe",
    "report",
    "info",
    "demo",
]


def examples(epilog):
    return [line.strip() for line in epilog.splitlines() if line.startswith("  isthmus ")]


def parse(line):
    program, *arguments = shlex.split(line)
    assert program == "isthmus"
    with COMMAND.make_context("isthmus", list(arguments)) as context:
        name, verb, rest = COMMAND.resolve_command(context, arguments)
        return verb.make_context(name, rest).params


def test_the_verbs():
    assert list(COMMAND.commands) == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_an_example_of_each_verb_parses(verb):
    found = examples(COMMAND.commands[verb].epilog)
    assert found
    for line in found:
        assert line.startswith(f"isthmus {verb} ")
        assert parse(line)


def test_the_examples_of_the_program_parse():
    assert len([parse(line) for line in examples(COMMAND.epilog)]) == 3


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_the_example_whole_and_every_option(run, verb):
    ended = run(verb, "--help")
    assert (ended.code, ended.err) == (0, "")
    command = COMMAND.commands[verb]
    assert all(line in ended.out for line in examples(command.epilog))
    for parameter in command.params:
        assert parameter.help, parameter.name
        for flag in parameter.opts:
            assert flag in ended.out or parameter.param_type_name == "argument"


def test_defaults_are_those_of_the_estimator():
    from isthmus import Autoencoder

    given = parse("isthmus fit x.npy -o m.safetensors")
    params = Autoencoder().get_params()
    others = {"data", "output", "drop", "key", "quiet", "column", "outliers", "patches"}
    assert given.keys() - others == params.keys() - {"verbose"}
    for name in params.keys() - {"verbose", "hidden"}:
        assert (given[name] or None) == (params[name] or None), name
    assert given["hidden"] == ",".join(map(str, params["hidden"]))


def test_options_have_the_names_of_the_methods_parameters():
    from isthmus import Autoencoder

    sample = {"n_samples", "mean", "random_state"}
    assert sample <= parse("isthmus sample m.safetensors").keys()
    signature = inspect.signature(Autoencoder.sample)
    assert sample == signature.parameters.keys() - {"self"}
    assert signature.parameters["n_samples"].default == parse("isthmus sample m")["n_samples"]


def test_help_says_the_defaults(run):
    text = " ".join(run("fit", "--help").out.split())
    for default in ("32", "256", "silu", "adamw", "0.001", "100", "0.1", "10", "auto"):
        assert f"[default: {default}]" in text


def test_without_a_verb_the_help_is_shown(run):
    ended = run()
    assert ended.code == 0
    assert ended.out == run("--help").out
    assert all(f"  {verb} " in ended.out for verb in VERBS)


def test_version(run):
    import isthmus

    assert run("--version").out == f"isthmus {isthmus.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bogus"], "No such option: --bogus"),
        (["scor"], "Did you mean 'score'"),
        (["fit"], "Missing"),
        (["fit", "x.npy"], "--output"),
        (["fit", "x.npy", "-o", "m.safetensors", "--max-ep", "3"], "--max-epochs"),
        (["fit", "x.npy", "-o", "m.safetensors", "--max-epochs", "many"], "'--max-epochs': "),
        (["transform", "m.safetensors", "x.npy", "y.npy"], "y.npy"),
    ],
)
def test_misuse_ends_with_one_line_that_points_to_the_help(run, arguments, words):
    ended = run(*arguments)
    assert ended.code == 2
    assert words in ended.line
    assert "--help`." in ended.line


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from isthmus.cli import main\n"
        "for arguments in (['--help'], ['fit', '--help'], ['--version'], ['fit', '--bogus']):\n"
        "    try: main(arguments)\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pyarrow', 'rich', 'matplotlib'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "heavy: []"
