"""The rules of the house that no other tool checks: imports, names, docstrings, sizes, words."""

import ast
import doctest
import importlib
import inspect
import json
import os
import pkgutil
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import isthmus

ROOT = Path(isthmus.__file__).parents[2]
PACKAGE = ROOT / "src" / "isthmus"
SOURCES = sorted(PACKAGE.rglob("*.py"))

PUBLIC = {
    "estimators": {
        "Autoencoder",
        "OutlierDetector",
        "PatchFeatures",
        "PretrainedClassifier",
        "PretrainedRegressor",
        "SemanticHasher",
        "StackedAutoencoder",
        "load",
        "save",
    },
    "likelihoods": {
        "Bernoulli",
        "Categorical",
        "Columns",
        "ContinuousBernoulli",
        "Gaussian",
        "Laplace",
        "Multinomial",
        "NegativeBinomial",
        "Poisson",
        "StudentT",
        "ZeroInflatedNegativeBinomial",
    },
    "encoders": {"BernoulliCode", "Deterministic", "GaussianCode", "NoisySigmoid"},
    "corruptions": {
        "GaussianNoise",
        "Masking",
        "NeighbourWalk",
        "SaltAndPepper",
        "Swap",
        "Walkback",
        "Warp",
    },
    "penalties": {"Balance", "Contractive", "Curvature", "KLSparsity", "L1", "Neighbours"},
    "hashing": {"CodeStore"},
    "rooms": {"analysis", "plots"},
    "errors": {
        "FileFormatError",
        "InvalidDataError",
        "InvalidParameterError",
        "IsthmusError",
        "IsthmusWarning",
        "MissingPackageError",
        "NotFittedError",
        "SupportError",
        "TrainingError",
        "UnreachableError",
        "UnsupportedTypeError",
    },
}
NAMES = sorted(set().union(*PUBLIC.values()))


def in_a_new_process(code):
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return ended.stdout


# ---- importing ------------------------------------------------------------------------------


def test_import_takes_less_than_three_tenths_of_a_second():
    code = "import time; t = time.perf_counter(); import isthmus; print(time.perf_counter() - t)"
    assert statistics.median(float(in_a_new_process(code)) for _ in range(5)) < 0.3


def test_import_loads_nothing_else():
    code = (
        "import sys; before = set(sys.modules); import isthmus; print(*set(sys.modules) - before)"
    )
    loaded = {name.split(".")[0] for name in in_a_new_process(code).split()}
    assert loaded - set(sys.stdlib_module_names) == {"isthmus"}


STATE = """
import json, logging, random, sys, warnings
import matplotlib, numpy, torch, sklearn

def state():
    kind, keys, place, _, _ = numpy.random.get_state()
    return {
        "numpy": [kind, keys.tolist(), place],
        "numpy errors": numpy.geterr(),
        "torch": torch.get_rng_state().tolist(),
        "python": repr(random.getstate()),
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "grad": torch.is_grad_enabled(),
        "dtype": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "filters": [str(each) for each in warnings.filters],
        "handlers": [str(each) for each in logging.getLogger().handlers],
        "sklearn": sklearn.get_config(),
        "hook": str(sys.excepthook),
        "matplotlib": {name: str(value) for name, value in matplotlib.rcParams.items()},
        "pyplot": "matplotlib.pyplot" in sys.modules,
    }

before = state()
"""


def test_import_changes_no_global_state():
    use = "import isthmus; [getattr(isthmus, name) for name in isthmus.__all__]"
    report = "print(json.dumps([before, state()]))"
    before, after = json.loads(in_a_new_process(f"{STATE}\n{use}\n{report}"))
    assert before == after


def test_fitting_changes_no_global_state():
    use = """
from isthmus import Autoencoder
X = numpy.random.default_rng(0).normal(size=(30, 4))
for seed in (0, None):
    model = Autoencoder(2, encoder="gaussian", corruption="swap", max_epochs=2, random_state=seed)
    model.fit(X).partial_fit(X)
    model.transform(X), model.sample(5), model.log_likelihood(X), model.inverse_transform(X[:, :2])
"""
    report = "print(json.dumps([before, state()]))"
    before, after = json.loads(in_a_new_process(f"{STATE}\n{use}\n{report}"))
    assert before == after


# ---- names and docstrings -------------------------------------------------------------------


def test_public_names_are_the_written_ones():
    assert sorted(isthmus.__all__) == NAMES
    assert set(NAMES) <= set(dir(isthmus))
    with pytest.raises(AttributeError, match="no attribute 'Autoencodr'"):
        isthmus.Autoencodr  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name):
    public = getattr(isthmus, name)
    assert inspect.getdoc(public)
    if inspect.isclass(public):
        for member, value in vars(public).items():
            if not member.startswith("_") and (inspect.isfunction(value) or is_property(value)):
                assert inspect.getdoc(value), member


def is_property(value):
    return isinstance(value, property)


def documented(text, section):
    """The names that a section of a Google docstring describes."""
    found = re.search(rf"^{section}:\n((?:[ ]+.*\n?|\n)+)", inspect.cleandoc(text), re.M)
    return re.findall(r"^    (\w+)(?: \(.*\))?:", found[1], re.M) if found else []


def arguments_of(function):
    return [name for name in inspect.signature(function).parameters if name not in ("self", "y")]


@pytest.mark.parametrize(
    "name",
    sorted(
        PUBLIC["likelihoods"]
        | PUBLIC["encoders"]
        | PUBLIC["corruptions"]
        | PUBLIC["penalties"]
        | PUBLIC["hashing"]
        | {"Autoencoder", "PretrainedClassifier", "PretrainedRegressor", "StackedAutoencoder"}
    ),
)
def test_every_parameter_is_documented(name):
    public = getattr(isthmus, name)
    assert documented(public.__doc__, "Args") == arguments_of(public)


@pytest.mark.parametrize("name", ["save", "load"])
def test_every_argument_is_documented(name):
    function = getattr(isthmus, name)
    assert documented(function.__doc__, "Args") == arguments_of(function)


def estimator_methods():
    methods = vars(isthmus.Autoencoder).items()
    return [name for name, value in methods if inspect.isfunction(value) and name[0] != "_"]


@pytest.mark.parametrize("name", estimator_methods())
def test_every_argument_of_a_method_is_documented(name):
    method = getattr(isthmus.Autoencoder, name)
    said = [each for each in documented(method.__doc__, "Args") if each != "y"]
    assert said == arguments_of(method)
    assert "Returns:" in method.__doc__


def test_every_fitted_attribute_is_documented():
    model = isthmus.Autoencoder(1, max_epochs=1, random_state=0).fit([[0.5, 1.5], [2.5, 0.0]])
    own = {name for name in vars(model) if name.endswith("_") and name[0] != "_"} | {"n_iter_"}
    assert own <= set(documented(isthmus.Autoencoder.__doc__, "Attributes"))


def modules_with_examples():
    named = (
        str(path.relative_to(PACKAGE.parent).with_suffix(""))
        for path in SOURCES
        if ">>>" in path.read_text()
    )
    return [name.replace("/", ".").removesuffix(".__init__") for name in named]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_say(name):
    module = importlib.import_module(name)
    names = {each: getattr(isthmus, each) for each in NAMES}
    failed, tried = doctest.testmod(module, extraglobs=names)
    assert tried > 0
    assert failed == 0


# ---- errors ---------------------------------------------------------------------------------


def own_exceptions():
    found = set()
    for module in pkgutil.walk_packages(isthmus.__path__, "isthmus."):
        if module.name.split(".")[-1] == "__main__":
            continue
        for value in vars(importlib.import_module(module.name)).values():
            exception = inspect.isclass(value) and issubclass(value, BaseException)
            if exception and value.__module__.startswith("isthmus"):
                found.add(value)
    return found


def test_all_exceptions_inherit_the_librarys_and_a_builtin():
    found = own_exceptions()
    assert {error.__name__ for error in found} == PUBLIC["errors"]
    for error in found - {isthmus.IsthmusError, isthmus.IsthmusWarning}:
        assert issubclass(error, isthmus.IsthmusError)
        builtins = [base for base in error.__mro__ if base.__module__ == "builtins"]
        assert set(builtins) - {Exception, BaseException, object}, error
    assert issubclass(isthmus.IsthmusWarning, UserWarning)


# ---- sizes ----------------------------------------------------------------------------------

ESTIMATORS = {
    "Autoencoder",
    "PretrainedClassifier",
    "PretrainedRegressor",
    "SemanticHasher",
    "StackedAutoencoder",
}
LONG_LISTS = {
    f"{name}.__init__" for name in ESTIMATORS
}  # a scikit-learn estimator lists its parameters
VERBS = "cli/"  # a command's options are its parameters


def functions():
    """Every function of the package: its place, its lines and its number of parameters."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        owners = {
            child: node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for child in node.body
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{owners[node]}.{node.name}" if node in owners else node.name
                given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                count = sum(each.arg not in ("self", "cls") for each in given)
                yield str(path.relative_to(PACKAGE)), name, code_lines(node), count


def code_lines(node):
    """Lines of a function, without its docstring."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


def test_modules_are_short():
    sizes = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in SOURCES
    }
    assert {name: size for name, size in sizes.items() if size >= 400} == {}


def test_functions_are_short():
    sizes = {f"{path}:{name}": lines for path, name, lines, _ in functions()}
    assert {name: lines for name, lines in sizes.items() if lines > 75} == {}
    assert statistics.quantiles(sizes.values(), n=20)[-1] <= 35


def test_parameters_are_few():
    wide = {
        f"{path}:{name}": count
        for path, name, _, count in functions()
        if count > 8 and name not in LONG_LISTS and not path.startswith(VERBS)
    }
    assert wide == {}


def test_the_measures_see_the_package():
    found = list(functions())
    assert len(found) > 300
    assert max(lines for *_, lines, _ in found) > 30
    assert ("estimators/autoencoder.py", "Autoencoder.__init__") in [each[:2] for each in found]


# ---- words ----------------------------------------------------------------------------------

# written so that this file doesn't hold what it forbids
FORBIDDEN = re.compile(r"/wor[k]/|/tm[p]/|/roo[t]/|/hom[e]/|pyp[i]\.org|pythonhoste[d]", re.I)
TEXTS = {".py", ".md", ".toml", ".cfg", ".txt", ".yml", ".yaml", ".sh", ".lock", ""}
MADE = {"demo", "build", "dist"}


def texts():
    """The files of the repository that hold words; not what was installed or made here."""
    for place, folders, files in os.walk(ROOT):
        inside = Path(place).relative_to(ROOT).parts
        folders[:] = [
            name
            for name in folders
            if (name[0] != "." or name == ".ci")
            and not name.endswith((".egg-info", "__pycache__"))
            and not (not inside and name in MADE)
        ]
        yield from (Path(place, name) for name in sorted(files) if Path(name).suffix in TEXTS)


def test_no_forbidden_words():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


def test_the_words_are_looked_for():
    assert FORBIDDEN.search("see /" + "work/shared")
    assert FORBIDDEN.search("https://" + "pypi" + ".org/simple")
    assert len(list(texts())) > len(SOURCES)
