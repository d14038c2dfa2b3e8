"""Small corrections for a book that works with no network and with a screen reader, and reads our docstrings.

* Jupyter Book always loads sphinx-thebe, which puts a script with a CDN address on every page, twice over; the second
  copy raises a JavaScript error. Those scripts are taken out again.
* The bibliography is a list whose entries have the role "doc-biblioentry", which ARIA has withdrawn: a list without
  items, to a screen reader.
* Docstrings write |x| and μ(a|s), which reStructuredText would take for the names of substitutions.
* jaxtyping is told that documentation is being made, so that signatures show `Float[Tensor, "S M"]` and not the name of
  an internal class.
"""

from __future__ import annotations

import re
import typing
from typing import Any

from sphinx.application import Sphinx


def _is_thebe(script: Any) -> bool:
    filename = str(getattr(script, "filename", "") or "")
    body = str(getattr(script, "attributes", {}).get("body", ""))
    return "thebe" in f"{filename} {body}".lower()


def correct_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: Any) -> None:
    """Change what the page that is about to be written is made of."""
    context["script_files"] = [script for script in context.get("script_files", []) if not _is_thebe(script)]
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def escape_bars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put a backslash before every bar of a docstring, but not within code, where it would be seen."""
    for number, line in enumerate(lines):
        # Every second part is what stands between backticks.
        parts = re.split(r"(`+[^`]*`+)", line)
        parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
        lines[number] = "".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    typing.GENERATING_DOCUMENTATION = "sfbc_core"
    app.connect("autodoc-process-docstring", escape_bars)
    # Late, after the extensions that add scripts to the page.
    app.connect("html-page-context", correct_page, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
