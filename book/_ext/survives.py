"""The directive `recorded-faults`: what the record of the nightly set of faults holds, as a table of the page.

It reads the record when the page is built, and a record that was edited, or whose counts do not add up, ends the build.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from sfbc_core.book.faults import read_faults

HEADS = {"what was done": 44, "tried": 8, "what came of it": 48}  # and the widths of the columns


def outcomes_of(line: dict[str, Any]) -> list[str]:
    """What came of a fault, each with how often, failures first."""
    failures = [f"{count} × failed: {words}" for words, count in sorted(line["failures"].items())]
    return failures + [f"{count} × {words}" for words, count in sorted(line["outcomes"].items())]


def table(rows: Iterable[tuple[str, str, Sequence[str]]]) -> nodes.table:
    """A table of two texts and a list of texts in each row."""
    group = nodes.tgroup(cols=len(HEADS))
    group += [nodes.colspec(colwidth=width) for width in HEADS.values()]
    head, body = nodes.thead(), nodes.tbody()
    head += row([[name] for name in HEADS])
    body += [row([[first], [second], third]) for first, second, third in rows]
    group += [head, body]
    whole = nodes.table(classes=["colwidths-given"])
    whole += group
    return whole


def row(cells: Iterable[Sequence[str]]) -> nodes.row:
    """A row; a cell has a paragraph for each of its texts."""
    whole = nodes.row()
    for texts in cells:
        entry = nodes.entry()
        entry += [nodes.paragraph("", text) for text in texts]
        whole += entry
    return whole


def origin(lines: Sequence[dict[str, Any]]) -> nodes.bullet_list:
    """When, on what and of which commit the record was made."""
    minutes = sum(line["seconds"] for line in lines) / 60
    dates = sorted(line["date"] for line in lines)
    facts = {
        "tried": f"{sum(line['tried'] for line in lines)} times in {len(lines)} kinds of faults",
        "dates": " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        "minutes of all tests, one after the other": f"{minutes:.0f}",
        **{name: "; ".join(dict.fromkeys(line[name] for line in lines)) for name in ("commit", "versions", "machine")},
    }
    whole = nodes.bullet_list()
    for name, value in facts.items():
        item = nodes.list_item()
        item += nodes.paragraph("", f"{name}: {value}")
        whole += item
    return whole


class RecordedFaults(SphinxDirective):
    """`{recorded-faults} path`, the record's path from the page's folder."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table, and below it where the record comes from."""
        path = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        self.env.note_dependency(str(path))
        try:
            lines = read_faults(path)
        except (OSError, ValueError) as error:
            raise self.error(str(error)) from error
        rows = [(f"{line['id']}: {line['done']}", str(line["tried"]), outcomes_of(line)) for line in lines]
        return [table(rows), origin(lines)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.add_directive("recorded-faults", RecordedFaults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
