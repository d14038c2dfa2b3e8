"""What cells print is written for people: no float to its last bit, no zero with a minus, no empty row in a table."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup, Tag
from built_book import HTML, written_pages

pytestmark = pytest.mark.book

CHAPTERS = [page for page in written_pages() if page.startswith("notebooks/")]
SIGNIFICANT_DIGITS = 8
# Digits with a point, or with an exponent; not a part of a version (1.2.3), a date or a name (v2).
NUMBER = re.compile(r"(?<![\w.])(\d+\.\d+|\d+(?=e[-+]?\d))(?:e[-+]?\d+)?(?![\w.]*\.\d)")
MINUS_ZERO = re.compile(r"(?<![\w.)\]])[-−]0(?:\.0*)?(?:e[-+]?0+)?%?(?![\w.]|\s*[-–])")


def too_long(text: str) -> list[str]:
    """Numbers with more digits than anyone reads: what Python writes for a float that was not rounded."""
    found = []
    for match in NUMBER.finditer(text):
        digits = match[1].replace(".", "").lstrip("0")
        if len(digits) > SIGNIFICANT_DIGITS:
            found.append(match[0])
    return found


def minus_zeros(text: str) -> list[str]:
    return [match[0] for match in MINUS_ZERO.finditer(text)]


def empty_rows(table: Tag) -> list[str]:
    """Rows with at least two cells of which at most the heads of the index say something."""
    found = []
    for row in table.find_all("tr"):
        cells = row.find_all(["th", "td"])
        texts = [cell.get_text(strip=True) for cell in cells]
        values = [cell.get_text(strip=True) for cell in row.find_all("td")]
        in_head = row.find_parent("thead") is not None
        if len(cells) > 1 and (not texts[-1] if in_head else values and not any(values)):
            found.append(str(texts))
    return found


def outputs(name: str) -> list[Tag]:
    """What the cells of a chapter wrote: texts and tables, not pictures, folded or not."""
    page = HTML / f"{name}.html"
    assert page.exists(), f"{name} is not in the built book: run 'make book' first"
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "lxml")
    return soup.select(".cell_output .output:is(.stream, .text_plain, .text_html)")


def texts(output: Tag) -> list[str]:
    """The words of an output, cell by cell in a table: two neighbours are two numbers."""
    cells = output.select("td, th")
    for script in output.select("script, style"):
        script.decompose()
    return [cell.get_text() for cell in cells] if cells else [output.get_text()]


@pytest.mark.parametrize("name", CHAPTERS)
def test_numbers_are_rounded(name):
    written = outputs(name)
    assert written, "the chapter shows no output: the tests here would pass for want of anything to read"
    found = [number for output in written for text in texts(output) for number in too_long(text)]
    assert found == [], f"more than {SIGNIFICANT_DIGITS} digits"


@pytest.mark.parametrize("name", CHAPTERS)
def test_zero_has_no_minus(name):
    found = [(zero, text[:80]) for output in outputs(name) for text in texts(output) for zero in minus_zeros(text)]
    assert found == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_tables_have_no_empty_row(name):
    found = [row for output in outputs(name) for table in output.select("table") for row in empty_rows(table)]
    assert found == [], "a row that says nothing, or a head with nothing over the last column"


# ---- the tests themselves: what they find and what they leave alone -------------------------------------------------


@pytest.mark.parametrize("text", ["4.440892098500626e-16", "0.30000000000000004", "loss: 12.3456789", "1.23456789e5"])
def test_a_bare_float_is_found(text):
    assert len(too_long(f"it is {text}, we see")) == 1


@pytest.mark.parametrize(
    "text", ["0.3", "0.00000001234", "1,234,567,890", "2.11.0", "1e-12", "v2.12345678901.1", "2026"]
)
def test_a_rounded_number_is_left_alone(text):
    assert too_long(f"it is {text}, we see") == []


@pytest.mark.parametrize("text", ["-0.000", "-0", "−0.0", "[-0., 1.]", "-0%", "-0.0e+00"])
def test_a_zero_with_a_minus_is_found(text):
    assert len(minus_zeros(f"it is {text}")) == 1


@pytest.mark.parametrize("text", ["-0.05", "2026-01-0", "0.000", "e-01", "-01", "-0.5", "x-0", "10-0"])
def test_other_minuses_are_left_alone(text):
    assert minus_zeros(f"it is {text}") == []


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ("<thead><tr><th></th><th>score</th></tr><tr><th>K</th><th></th></tr></thead>", 1),
        ("<tbody><tr><th>1</th><td></td><td> </td></tr></tbody>", 1),
        ("<thead><tr><th>K</th><th>score</th></tr></thead><tbody><tr><th>1</th><td>2</td><td></td></tr></tbody>", 0),
    ],
)
def test_an_empty_row_is_found(rows, count):
    assert len(empty_rows(BeautifulSoup(f"<table>{rows}</table>", "lxml").table)) == count
