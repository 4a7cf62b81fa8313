"""Pages stand alone and show text as it is."""

import pytest
from html_reader import Reader, require_self_contained

from isthmus import report

HOSTILE = """<script src="http://x.y">alert('1')</script> </p></td> & &lt; " ' <img onerror=1>"""


@pytest.mark.parametrize(
    ("make", "tag"),
    [
        (lambda text: report.page(text), "title"),
        (lambda text: report.page("t", foot=text), "footer"),
        (lambda text: report.page("t", report.header(text)), "h1"),
        (lambda text: report.page("t", report.section(text)), "h2"),
        (lambda text: report.page("t", report.paragraph(text)), "p"),
        (lambda text: report.page("t", report.aside(text)), "p"),
        (lambda text: report.page("t", report.formula(text)), "span"),
        (lambda text: report.page("t", report.code(text)), "code"),
        (lambda text: report.page("t", report.table([text], [["a"]])), "thead"),
        (lambda text: report.page("t", report.table(["a"], [[text]])), "tbody"),
        (lambda text: report.page("t", report.figure([], "", text)), "figcaption"),
        (lambda text: report.page("t", report.figure([], text, "")), "b"),
    ],
)
def test_text_stays_text(make, tag):
    reader = Reader(make(HOSTILE))
    assert HOSTILE in reader.text(tag)
    assert not {"script", "img"} & set(reader.tags)


def test_the_name_of_a_column_is_escaped_in_every_cell():
    reader = Reader(report.page("t", report.table(["a", HOSTILE], [["b", "c"]])))
    assert [each["data-name"] for each in reader.of("td")] == [HOSTILE]


def test_backticks_are_code_after_escaping():
    assert report.words("a `<b>` c") == "a <code>&lt;b&gt;</code> c"
    assert report.words("one ` alone") == "one ` alone"


def test_a_whole_page():
    text = report.page(
        "Title",
        report.header("Head", report.paragraph("p"), report.formula("a = b", "c")),
        report.section("One", report.columns(report.aside("x"), report.code("1 < 2"))),
        foot="end",
    )
    reader = require_self_contained(text)
    assert text.startswith("<!DOCTYPE html>")
    assert reader.of("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in reader.of("meta")
    assert any(each.get("name") == "viewport" for each in reader.of("meta"))
    assert "prefers-color-scheme: dark" in reader.text("style")
    assert "@media print" in reader.text("style")
    assert reader.text("pre") == "1 < 2"


def test_a_table_keeps_its_cells_in_groups():
    names, groups = ["", "x", "y"], ([["a", "1", "2"], ["b", "3", ""]], [["c", "4", "5"]])
    reader = Reader(report.table(names, *groups, left=(1,)))
    assert reader.tags.count("tbody") == 2
    assert reader.tags.count("tr") == 4
    assert [each["data-name"] for each in reader.of("td")] == ["x", "y"] * 3
    assert [each.get("class") for each in reader.of("td")] == ["left", None] * 3
    assert reader.text("td") == "12345"
    assert [each["scope"] for each in reader.of("th")] == ["col"] * 3 + ["row"] * 3
