"""What the documents say is run and compared.

Blocks of a document run in their order, in one folder and one namespace: ``python`` blocks, each
with the ``text`` block that may follow it as its output, and ``console`` blocks, whose lines after
``$`` are commands and whose other lines are their output. Words must be equal; numbers may differ
by 5 %, because trained weights differ between processors.

``ISTHMUS_WRITE_DOCS=1`` writes docs/cli.md anew in place of comparing it.
"""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree
from pathlib import Path

import pytest

import isthmus
from isthmus.cli.app import EXAMPLES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(python|text|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
PAGES = [
    f"docs/{page}.md"
    for page in ("analysis", "report", "scale", "features", "pretraining", "outliers")
] + [
    f"docs/autoencoders/{kind}.md"
    for kind in (
        "usual",
        "variational",
        "denoising",
        "contractive",
        "reconstruction_contractive",
        "hashing",
        "map",
    )
]
VERBS = [verb.__name__ for verb in EXAMPLES]


def same(told: str, came: str) -> bool:
    """Whether two outputs have the same words, and numbers within 5 %."""
    if [NUMBER.sub("#", line).split() for line in told.splitlines()] != [
        NUMBER.sub("#", line).split() for line in came.splitlines()
    ]:
        return False
    pairs = zip(NUMBER.findall(told), NUMBER.findall(came), strict=True)
    return all(float(one) == pytest.approx(float(two), rel=0.05) for one, two in pairs)


def run_python(code: str, namespace: dict[str, object]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "<document>", "exec"), namespace)
    return out.getvalue()


def run_console(block: str, folder: Path) -> str:
    """Run the commands of a console block; gives the block as it came out."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    lines = []
    for line in block.splitlines():
        if line.startswith("$ "):
            ended = subprocess.run(
                line[2:],
                shell=True,
                cwd=folder,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                check=True,
            )
            lines += [line, *ended.stdout.splitlines()]
    return "\n".join(lines)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_blocks_do_what_the_document_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
    # a class of an executed block needs a module of its own to belong to
    namespace: dict[str, object] = {"__name__": "document"}
    monkeypatch.setitem(sys.modules, "document", type(sys)("document"))
    assert blocks
    came = ""
    for kind, text in blocks:
        if kind == "python":
            came = run_python(text, namespace)
        elif kind == "text":
            assert same(text, came), came
        else:
            out = run_console(text, tmp_path)
            assert same(text, out), out


def test_numbers_and_words_are_compared():
    assert same("a 100 b\n-2.0", "a  101 b\n-2.01")
    assert not same("a 100", "a 110")
    assert not same("a 100", "b 100")
    assert not same("a 100", "a 100\nc")


def test_the_command_lines_page_is_its_help():
    pages = []
    for verb in ((), *((name,) for name in VERBS)):
        ended = subprocess.run(
            [Path(sys.executable).parent / "isthmus", *verb, "--help"],
            env={**os.environ, "COLUMNS": "99", "TERMINAL_WIDTH": "99"},
            capture_output=True,
            text=True,
            check=True,
        )
        title = " ".join(("isthmus", *verb))
        pages.append(f"## {title}\n\n```\n{ended.stdout.strip()}\n```\n")
    page = "# The command line\n\n`make docs` writes this page from the program's own help.\n\n"
    page += "\n".join(pages)
    target = ROOT / "docs" / "cli.md"
    if os.environ.get("ISTHMUS_WRITE_DOCS"):
        target.write_text(page, encoding="utf-8")
    assert target.read_text(encoding="utf-8") == page


def test_links_lead_somewhere():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_page_has_a_link_to_it():
    linked = set()
    for document in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        links = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
        linked |= {(document.parent / link).resolve() for link in links if "://" not in link}
    assert {path.resolve() for path in DOCS.rglob("*.md")} <= linked


def test_pictures_are_small_drawn_by_the_script_and_shown(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    place = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)
    files = {path.stem: path for path in (DOCS / "figures").iterdir()}
    shown = set()
    for page in DOCS.rglob("*.md"):
        shown |= set(re.findall(r"figures/(\w+)\.svg", page.read_text(encoding="utf-8")))
    assert set(script.FIGURES) == set(files) == shown
    sizes = {name: path.stat().st_size for name, path in files.items()}
    assert {name: size for name, size in sizes.items() if size > 150_000} == {}
    assert sum(sizes.values()) < 1_500_000


def test_a_picture_carries_its_own_paper_and_ink():
    for path in (DOCS / "figures").iterdir():
        root = xml.etree.ElementTree.parse(path).getroot()
        style, paper = list(root)[:2]
        assert "prefers-color-scheme:dark" in style.text
        assert paper.get("fill") == "var(--paper)"
        text = path.read_text(encoding="utf-8")
        assert "#000000" not in text


def test_versions_are_said_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == isthmus.__version__
    assert project["requires-python"] == ">=3.11"
    assert "Python 3.11 or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for requirement in project["dependencies"]:
        assert re.search(rf"^{re.split('[>=]', requirement)[0]}==", locked, re.MULTILINE | re.I)
