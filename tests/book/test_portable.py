"""The notebook that a page offers for download is plain Markdown, and runs away from the book."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
WORKS = parse_file(str(ROOT / "book" / "references.bib"))
NEED_SIMULATORS = ("11", "12", "13", "14")
DOWNLOADS = ROOT / "_build" / "html" / "_sources" / "notebooks"

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from downloads import INSTALL, names, portable_notebook, reference  # noqa: E402
from portable import Book, cited, plain  # noqa: E402

BOOK = Book(
    titles={"ch-two": "The second chapter"},
    numbers={"fig-one": "Fig. 1.1", "eq-one": "1.2"},
    authors={"ho2020ddpm": ("Ho et al.", "2020"), "chen2023sfbc": ("Chen et al.", "2023")},
)


@pytest.mark.parametrize(
    ("myst", "expected"),
    [
        ("(ch-one)=\n# One\n\nText.", "# One\n\nText."),
        ("See {ref}`ch-two` and {ref}`that one <ch-two>`.", "See *The second chapter* and that one."),
        ("In {numref}`fig-one`, by {eq}`eq-one`.", "In Fig. 1.1, by (1.2)."),
        (
            "{cite:t}`chen2023sfbc` draw {cite:p}`ho2020ddpm, chen2023sfbc`.",
            "Chen et al. (2023) draw (Ho et al., 2020; Chen et al., 2023).",
        ),
        ("$$\na = b\n$$ (eq-one)\n\nand", "$$\na = b \\tag{1.2}\n$$\n\nand"),
        ("$$\na = b\n$$\n\nand", "$$\na = b\n$$\n\nand"),
        ("```{exercise} Why? (easy)\n:label: ex-why\n\nBecause.\n```", "### Exercise: Why? (easy)\n\nBecause."),
        ("```{solution-start} ex-why\n:class: dropdown\n```", "**Solution**"),
        ("```{solution-end}\n```", ""),
        ("```{solution} ex-why\n:class: dropdown\n\nYes.\n```", "**Solution**\n\nYes."),
        ("```{admonition} Note\n:class: tip\n\nOne.\n\nTwo.\n```", "> **Note**\n>\n> One.\n>\n> Two."),
        (
            "```{list-table}\n:header-rows: 1\n\n* - a\n  - b\n* - 1\n  - 2\n    and 3\n```",
            "| a | b |\n| --- | --- |\n| 1 | 2 and 3 |",
        ),
        ("{py:func}`~a.b.run`, {py:class}`a.b.C`, {py:mod}`here <a.b>`", "`run`, `a.b.C`, here"),
        ("[chapter](03_x.ipynb), [site](https://a.org)", "chapter, [site](https://a.org)"),
        ("```python\nx = {'a': 1}\n```", "```python\nx = {'a': 1}\n```"),
        ("The set {a, b} and `a`.", "The set {a, b} and `a`."),
    ],
)
def test_what_the_book_shows_is_said_plainly(myst, expected):
    assert plain(myst, BOOK) == expected


@pytest.mark.parametrize(
    ("myst", "message"),
    [
        ("{ref}`ch-three`", "the label 'ch-three'"),
        ("{eq}`eq-two`", "the label 'eq-two'"),
        ("{cite:t}`nobody1900`", "no 'nobody1900'"),
        ("{doc}`page`", "role 'doc'"),
        ("```{mermaid}\na\n```", "directive 'mermaid'"),
        (":::{note}\nText.\n:::", "not known outside of the book"),
    ],
)
def test_what_is_not_known_is_refused(myst, message):
    with pytest.raises(ValueError, match=message):
        plain(myst, BOOK)


def test_a_cell_that_is_refused_is_named():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("{ref}`no`", id="here")])
    with pytest.raises(ValueError, match="cell here: nothing in the book"):
        portable_notebook(notebook, BOOK, WORKS)


def test_what_papermill_set_for_the_book_is_left_out():
    set_by_papermill = nbformat.v4.new_code_cell('profile = "smoke"', metadata={"tags": ["injected-parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# One"), set_by_papermill])
    assert 'profile = "smoke"' not in [cell.source for cell in portable_notebook(notebook, BOOK, WORKS).cells]


def test_works_in_one_line():
    sfbc = WORKS.entries["chen2023sfbc"]
    assert names(sfbc, 2) == "Chen et al."
    assert names(WORKS.entries["sutton2018"], 2) == "Sutton and Barto"
    line = reference(sfbc)
    assert line.startswith("Chen, ") and "(2023)" in line and "Generative Behavior Modeling" in line and "{" not in line


class AnyLabel(dict):
    """Has every label: which there are is known only when the book is built."""

    def __contains__(self, label):
        return True

    def __missing__(self, label):
        return "there"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_becomes_plain(path):
    notebook = nbformat.read(path, as_version=4)
    authors = {key: (names(entry, 2), entry.fields["year"]) for key, entry in WORKS.entries.items()}
    result = portable_notebook(notebook, Book(AnyLabel(), AnyLabel(), authors), WORKS)
    nbformat.validate(result)
    text = "\n".join(cell.source for cell in result.cells if cell.cell_type == "markdown")
    assert not re.search(r"\{(ref|cite|numref|eq|exercise|solution|admonition)", text)
    install = INSTALL.replace("EXTRAS", "book,d4rl" if path.stem[:2] in NEED_SIMULATORS else "book")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in result.cells if cell.cell_type == "code"] == [install, *code]
    if any(cited(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"):
        assert result.cells[-1].source.startswith("## References")


@pytest.mark.book
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_built_page_offers_it(path):
    page = (DOWNLOADS.parents[1] / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
    assert re.search(rf'href="[^"]*_sources/notebooks/{path.name}"', page)
    offered = nbformat.read(DOWNLOADS / path.name, as_version=4)
    assert offered.cells[1].id == "install"
    assert not any("{ref}" in cell.source for cell in offered.cells)


@pytest.mark.book
def test_a_downloaded_chapter_runs_where_nothing_lies_beside_it(tmp_path):
    done = tmp_path / "done.ipynb"
    papermill.execute_notebook(DOWNLOADS / "16_ablations.ipynb", done, cwd=tmp_path, progress_bar=False)
    assert any(cell.get("outputs") for cell in nbformat.read(done, as_version=4).cells)
