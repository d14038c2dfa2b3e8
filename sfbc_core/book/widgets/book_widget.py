"""A widget with two hosts: live in a kernel, and as a piece of HTML in a static page."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
from pathlib import Path
from typing import Any

import anywidget
import traitlets

FOLDER = Path(__file__).parent
_fragment_numbers = itertools.count(1)


def load_module(*names: str) -> str:
    """The JavaScript of a widget: ``page.js``, which the widgets share, and the widget's own files, as one module."""
    return "".join((FOLDER / file).read_text(encoding="utf-8") for file in ("page.js", *names))


class BookWidget(anywidget.AnyWidget):
    """Base of the book's widgets.

    A subclass sets ``_esm = load_module("….js")``, names in ``STATE`` the traits that the reader changes, and draws a still
    picture. Everything else that the page needs is in ``data``.

    In a live kernel it is an ``anywidget``, whose traits follow the sliders and can be set from Python. In a static page
    the same module, the data and the still picture, for readers without JavaScript, are inlined as ``text/html``.
    """

    STATE: tuple[str, ...] = ()

    data = traitlets.Dict(help="The packed arrays and labels; fixed once made.").tag(sync=True)

    def preview_png(self) -> bytes:
        """A still picture of the current state, for readers without JavaScript and for the PDF."""
        raise NotImplementedError

    def preview_description(self) -> str:
        """Alternative text of the still picture: what is drawn, and the numbers that stand under the live figure."""
        raise NotImplementedError

    def to_html(self) -> str:
        """A self-contained HTML fragment: picture, data and module inline; no kernel and no network.

        Every call gives the fragment its own element id, so that a page may hold several.
        """
        return self._html_with(self.preview_png())

    def _html_with(self, preview_png: bytes) -> str:
        state = {name: getattr(self, name) for name in self.STATE}
        # In a script element only "</script" and "<!--" are special; without "<" neither can occur.
        payload = json.dumps({"data": self.data, "state": state}).replace("<", "\\u003c")
        fragment_id = f"sfbc-{hashlib.sha1(payload.encode()).hexdigest()[:10]}-{next(_fragment_numbers)}"
        picture = base64.b64encode(preview_png).decode()
        alt = html.escape(self.preview_description())
        return (
            f'<div id="{fragment_id}" class="sfbc-static-widget">'
            f'<img alt="{alt}" src="data:image/png;base64,{picture}"></div>\n'
            f'<script type="application/json" id="{fragment_id}-data">{payload}</script>\n'
            f'<script type="module">\n{self._esm}\n'
            f'mountStatic("{fragment_id}");\n</script>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The live widget for Jupyter, the same figure as HTML for the book, and a picture for the PDF."""
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        preview_png = self.preview_png()
        bundle["text/html"] = self._html_with(preview_png)
        bundle["image/png"] = base64.b64encode(preview_png).decode()
        return bundle, metadata
