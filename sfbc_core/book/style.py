"""One look for all figures and tables of the book: the same colour for the same thing, readable without colour vision."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from IPython import get_ipython
from matplotlib_inline.config import InlineBackend
from pandas.io.formats.style import Styler

from sfbc_core.book.tables import styled_table_html, table_html

# Okabe and Ito's colours, which stay apart under all common kinds of colour blindness.
COLORS = {
    "data": "#555555",
    "exact": "#000000",
    "diffusion": "#0072B2",
    "gaussian": "#D55E00",
    "vae": "#009E73",
    "weighted regression": "#CC79A7",
    "value": "#E69F00",
}
# Throttle or any other signed quantity: blue below zero, white at it, red above, as in the explorer.
SIGNED_COLORMAP = "RdBu_r"


def use_book_style() -> None:
    """Set matplotlib's defaults for the book: a white card, which dark mode shows as drawn, and crisp lines.

    In a notebook it also doubles the pixels of figures, at the same size on the page, and shows tables as
    :func:`~sfbc_core.book.tables.table_html` makes them.
    """
    sns.set_theme(context="notebook", style="ticks")
    mpl.rcParams.update(
        {
            "figure.figsize": (7.0, 3.5),
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    )
    shell = get_ipython()
    if shell is not None:
        backend = InlineBackend.instance(parent=shell)
        backend.shell = shell  # or a backend that has not been used yet would forget the format
        backend.figure_formats = {"retina"}
        pages = shell.display_formatter.formatters["text/html"]
        pages.for_type(pd.DataFrame, table_html)
        pages.for_type(Styler, styled_table_html)
