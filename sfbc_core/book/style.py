"""One look for all figures and tables of the book: the same colour for the same thing, readable without colour vision."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython import get_ipython
from jaxtyping import Float
from matplotlib_inline.config import InlineBackend
from pandas.io.formats.style import Styler
from torch import Tensor

from sfbc_core.book.tables import styled_table_html, table_html
from sfbc_core.evaluation import Agent

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


def state_grid(x_values: Float[np.ndarray, " X"], y_values: Float[np.ndarray, " Y"]) -> Float[Tensor, "S 2"]:
    """All states of a 2-D grid, row by row in y: shape (Y · X, 2), to be reshaped to (Y, X) afterwards."""
    x, y = np.meshgrid(x_values, y_values)
    return torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32))


def action_map(
    agent: Agent, x_values: Float[np.ndarray, " X"], y_values: Float[np.ndarray, " Y"], generator: torch.Generator
) -> Float[np.ndarray, "Y X"]:
    """The first coordinate of the action that an agent takes at every state of a 2-D grid, shape (Y, X)."""
    actions = agent.act(state_grid(x_values, y_values), generator)
    return actions[:, 0].reshape(len(y_values), len(x_values)).cpu().numpy()
