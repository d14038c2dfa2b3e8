"""One look for all figures of the book: the same colour for the same thing, readable without colour vision."""

from __future__ import annotations

import matplotlib as mpl
import seaborn as sns

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
# Throttle or any other signed quantity; dark at both ends, white in the middle.
SIGNED_COLORMAP = "RdBu"


def use_book_style() -> None:
    """Set matplotlib's defaults for the book: a white card, which dark mode shows as drawn, and crisp lines."""
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
