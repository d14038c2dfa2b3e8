"""Tables as a page shows them: one row of headings, and no zero with a minus."""

from __future__ import annotations

import re
from html import escape

import pandas as pd
from pandas.io.formats.style import Styler


def table_html(frame: pd.DataFrame) -> str:
    """A table of pandas in HTML, with two of its habits changed.

    pandas gives the names of the index a row of their own, which is empty otherwise; here they head their columns. A name of
    the columns stands above these. And a small negative number that was rounded is 0, not -0.
    """
    shown = frame.copy()
    for position, kind in enumerate(frame.dtypes):
        if pd.api.types.is_float_dtype(kind):
            shown.isetitem(position, frame.iloc[:, position] + 0.0)  # -0.0 + 0.0 is 0.0
    html = shown._repr_html_()
    if html is None:  # a reader who turned HTML off
        return f"<pre>{escape(repr(shown))}</pre>"
    if frame.columns.nlevels > 1 or all(name is None for name in frame.index.names):
        return html
    return re.sub(r"<thead>.*?</thead>", lambda head: _one_row(head.group(), frame), html, count=1, flags=re.DOTALL)


def styled_table_html(table: Styler) -> str:
    """The same for a table with formats of its own, `frame.style.format(...)`; it looks like the others."""
    html = table._repr_html_().replace("<table ", '<table class="dataframe" ', 1)
    html = re.sub(r">-(0(?:\.0*)?)</td>", r">\1</td>", html)
    frame = table.data
    if frame.columns.nlevels > 1 or all(name is None for name in frame.index.names):
        return html
    return re.sub(r"<thead>.*?</thead>", lambda head: _one_row(head.group(), frame), html, count=1, flags=re.DOTALL)


def _one_row(head: str, frame: pd.DataFrame) -> str:
    """The heading of a table whose index has names."""
    levels = frame.index.nlevels
    first, last = (
        re.findall(r"<th[^>]*>(.*?)</th>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", head, re.DOTALL)
    )
    labels = [f"<th>{label}</th>" for label in last[:levels] + first[levels:]]
    above = ""
    if frame.columns.name is not None:
        title = escape(str(frame.columns.name))
        blank = "<td></td>" * levels  # a heading without words would be read out as one
        above = f'<tr>{blank}<th colspan="{len(first) - levels}" style="text-align: center;">{title}</th></tr>'
    return f'<thead>{above}<tr style="text-align: right;">{"".join(labels)}</tr></thead>'
