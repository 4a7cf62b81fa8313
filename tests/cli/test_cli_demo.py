"""`isthmus demo` hands its options on and prints what it is given."""

import functools
import json
import sys
from types import SimpleNamespace

import isthmus
from isthmus import demo


def test_demo(run, tmp_path, monkeypatch):
    calls = []

    def fake(output, verbose):
        calls.append((output, verbose))
        return {"model": output / "model.safetensors", "score": float("nan")}

    fake_room = SimpleNamespace(run=fake)
    monkeypatch.setitem(sys.modules, "isthmus.demo", fake_room)
    monkeypatch.setattr(isthmus, "demo", fake_room, raising=False)
    ended = run("demo", "-o", tmp_path / "new", "--quiet")
    assert ended.json == {"model": str(tmp_path / "new" / "model.safetensors"), "score": None}
    assert calls == [(tmp_path / "new", False)]


def test_what_is_printed_is_the_report_in_json(run, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "run", functools.partial(demo.run, max_epochs=1))
    ended = run("demo", "-o", tmp_path / "new")
    assert ended.code == 0
    assert ended.json == json.loads((tmp_path / "new" / "report.json").read_text("utf-8"))
    assert ended.err.splitlines()[-1].endswith(str(tmp_path / "new" / "report.html"))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "report.html",
        "report.json",
        "held-out.npy",
        "usual.safetensors",
        "variational.safetensors",
        "denoising.safetensors",
        "contractive.safetensors",
    }


def test_a_missing_folder(run, tmp_path):
    ended = run("demo", "-o", tmp_path / "none" / "new")
    assert ended.code == 2
    assert "no folder" in ended.line


def test_a_file_in_its_place(run, tmp_path):
    (tmp_path / "taken").write_text("mine")
    ended = run("demo", "-o", tmp_path / "taken")
    assert ended.code == 2
    assert "is a file" in ended.line
