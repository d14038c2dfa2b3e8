"""What the download button of a page gives: the chapter as a notebook that needs nothing beside it but the package.

Sphinx copies the source of a page to `_sources/`, where the button points. For a chapter that is replaced by a notebook in
plain Markdown (see `portable`), with captions below its figures, its references at the end, and a first cell that installs
the package where it is missing.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from portable import Book, cited, plain
from pybtex.database import BibliographyData, Entry, parse_file
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

INSTALL = """\
# Installs what this notebook needs, if it is not there.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("sfbc_core") is None:
    wheels = sorted(str(wheel) for wheel in Path().glob("sfbc_core-*.whl"))
    if not wheels:
        raise SystemExit(
            "sfbc_core is not installed. Put its wheel (`make wheel` in the project makes "
            "it, dist/sfbc_core-*.whl) beside this notebook and run this cell again."
        )
    subprocess.check_call([sys.executable, "-m", "pip", "install", f"{wheels[-1]}[EXTRAS]"])"""


def portable_notebook(notebook: nbformat.NotebookNode, book: Book, works: BibliographyData) -> nbformat.NotebookNode:
    """The notebook without outputs, in plain Markdown, with the cell that installs what is missing.

    Raises:
        ValueError: a cell has something that `portable` does not know; the message names the cell.
    """
    cells, keys = [], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            try:
                text = plain(cell.source, book)
            except ValueError as error:
                raise ValueError(f"cell {cell.id}: {error}") from error
            keys |= dict.fromkeys(cited(cell.source))
            if text.strip():
                cells.append(nbformat.v4.new_markdown_cell(text, id=cell.id))
            continue
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:  # what papermill set when the book was built; the reader sets their own
            continue
        cells.append(nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata={"tags": tags} if tags else {}))
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if "caption" in figure:
            keys |= dict.fromkeys(cited(figure["caption"]))
            number = f"**{book.numbers[figure['name']]}.** " if "name" in figure else ""
            caption = number + plain(figure["caption"], book)
            cells.append(nbformat.v4.new_markdown_cell(caption, id=f"{cell.id}-caption"))
    extras = ",".join(["book", *notebook.metadata.get("sfbc", {}).get("extras", "").split()])
    cells.insert(1, nbformat.v4.new_code_cell(INSTALL.replace("EXTRAS", extras), id="install"))
    if keys:
        lines = sorted(f"- {reference(works.entries[key])}" for key in keys)
        cells.append(nbformat.v4.new_markdown_cell("\n".join(["## References", "", *lines]), id="references"))
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def names(entry: Entry, most: int) -> str:
    """The authors of a work, by family name; more than `most` are the first and the others."""
    people = [" ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]]
    if len(people) > most:
        return f"{people[0]} et al."
    return " and ".join([", ".join(people[:-1]), people[-1]] if len(people) > 1 else people)


def reference(entry: Entry) -> str:
    """A work in one line."""
    fields = {name: text.replace("{", "").replace("}", "") for name, text in entry.fields.items()}
    where = [fields[name] for name in ("journal", "booktitle", "publisher", "note") if name in fields]
    return f"{names(entry, 20)} ({fields['year']}). *{fields['title']}*. {', '.join(where)}".rstrip(". ") + "."


def known_of(env: BuildEnvironment, works: BibliographyData) -> Book:
    """The titles, numbers and works that a built book has."""
    standard = env.domaindata["std"]
    titles = {label: title for label, (_, _, title) in standard["labels"].items()}
    numbers = {}
    places = {
        "figure": ("Fig. ", {label: place for label, place in standard["anonlabels"].items()}),
        "displaymath": (
            "",
            {label: (doc, f"equation-{label}") for label, (doc, _) in env.domaindata["math"]["objects"].items()},
        ),
    }
    for kind, (before, known) in places.items():
        for label, (doc, node) in known.items():
            if number := env.toc_fignumbers.get(doc, {}).get(kind, {}).get(node):
                numbers[label] = before + ".".join(map(str, number))
    authors = {key: (names(entry, 2), entry.fields["year"]) for key, entry in works.entries.items()}
    return Book(titles, numbers, authors)


def replace_sources(app: Sphinx, failure: Exception | None) -> None:
    """Put the portable notebook where the page's download button points."""
    if failure is not None or app.builder.format != "html":
        return
    works = parse_file(str(Path(app.srcdir) / "book" / "references.bib"))
    book = known_of(app.env, works)
    for source in sorted(Path(app.srcdir, "notebooks").glob("*.ipynb")):
        copied = Path(app.outdir, "_sources", "notebooks", source.name)
        if copied.exists():
            notebook = portable_notebook(nbformat.read(source, as_version=4), book, works)
            nbformat.write(notebook, copied)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("build-finished", replace_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
