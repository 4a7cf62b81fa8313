"""Drawings inside a page: the same every time, in the page's colours, with names of their own."""

import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from html_reader import Reader, require_self_contained
from matplotlib.figure import Figure

from isthmus import report

NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def picture(title="title"):
    figure = Figure(figsize=(3, 2))
    ax = figure.add_subplot()
    ax.plot([0, 1], [0, 1], color="black")
    ax.scatter([0, 1], [1, 0], color="#3f90da")
    ax.imshow(np.eye(3), extent=(0, 1, 0, 1))
    ax.set_title(title)
    ax.annotate("x", (0, 0), bbox={"fc": "white"})
    return figure


@pytest.fixture(scope="module")
def drawn():
    return report.drawing(picture(), "A <line> & more")


def test_the_same_figure_gives_the_same_bytes(drawn):
    assert report.drawing(picture(), "A <line> & more") == drawn
    assert report.drawing(picture("other"), "A <line> & more") != drawn


def test_a_drawing_is_sound_xml_once_its_names_are_declared(drawn):
    root = ET.fromstring(drawn.replace("<svg", f"<svg {NAMESPACES}", 1))
    assert root.get("viewBox") == "0 0 216 144"
    assert root.get("width") is None


def test_a_drawing_says_what_it_shows(drawn):
    (attributes,) = Reader(drawn).of("svg")
    assert attributes["role"] == "img"
    assert attributes["aria-label"] == "A <line> & more"
    assert "class" not in attributes
    (attributes,) = Reader(report.drawing(picture(), "alt", ink=True)).of("svg")
    assert attributes["class"] == "ink"


def test_black_and_white_are_the_pages(drawn):
    assert "#000000" not in drawn
    assert "#ffffff" not in drawn
    assert "stroke: var(--ink)" in drawn
    assert "fill: var(--paper)" in drawn
    assert "#3f90da" in drawn


def test_a_drawing_has_no_background():
    assert "var(--paper)" not in report.drawing(Figure(), "nothing")


def test_two_drawings_share_no_names(drawn):
    other = report.drawing(picture("other"), "other")
    reader = require_self_contained(report.page("t", report.figure([drawn, other], "", "")))
    assert len(reader.ids) == len(set(reader.ids))
    used = {each[1:] for each in reader.pointers if each.startswith("#")}
    assert used
    assert used <= set(reader.ids)


def test_the_users_settings_neither_show_nor_change(drawn):
    with matplotlib.rc_context({"font.size": 30.0, "axes.facecolor": "red"}):
        before = dict(dict.items(matplotlib.rcParams))
        with report.drawing_style():
            inside = report.drawing(picture(), "A <line> & more")
        assert dict(dict.items(matplotlib.rcParams)) == before
    with report.drawing_style():
        assert inside == report.drawing(picture(), "A <line> & more")
