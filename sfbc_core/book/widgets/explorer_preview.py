"""The still picture of the action explorer, for readers without JavaScript and for the PDF."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from sfbc_core.book.widgets.numerics import map_values
from sfbc_core.book.widgets.redraws import mode_weights

if TYPE_CHECKING:
    from sfbc_core.book.widgets.explorer import ActionExplorer

_BLUE = "#0b62b8"


def preview_png(explorer: ActionExplorer) -> bytes:
    """The current state of an explorer as a picture."""
    import matplotlib  # only needed here, and slow to import
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"text.parse_math": False}):  # the page shows labels as they are: "$" is a dollar
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        if explorer.data["layout"] == "map":
            _draw_map(left, explorer)
            _draw_probabilities(right, explorer)
        else:
            _draw_probabilities(left, explorer)
            _draw_law(right, explorer)
        title = f"{explorer.data['title']}  (α = {explorer.alpha:.3g}, M = {explorer.num_candidates})"
        figure.suptitle(title, fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def _draw_probabilities(axes: Any, explorer: ActionExplorer) -> None:
    """A stem for every candidate of the chosen state."""
    actions, q = explorer._chosen_candidates()
    axes.vlines(actions, 0, mode_weights(q, explorer.alpha, explorer.selection), color=_BLUE)
    axes.set(
        xlabel=explorer.data["action_label"], ylabel="selection probability", xlim=explorer._limits, ylim=(0, None)
    )


def _draw_law(axes: Any, explorer: ActionExplorer) -> None:
    """The density of the selected action, as a histogram."""
    law, (low, high) = explorer.law(), explorer._limits
    axes.stairs(law / ((high - low) / len(law)), np.linspace(low, high, len(law) + 1), fill=True, color=_BLUE)
    axes.set(xlabel=explorer.data["action_label"], ylabel="density, selected")  # longer than that leaves the picture


def _draw_map(axes: Any, explorer: ActionExplorer) -> None:
    """The map in the current mode, with the chosen state marked."""
    used = np.s_[..., : explorer.num_candidates]
    shown = map_values(explorer._actions[used], explorer._q[used], explorer.alpha, explorer.map_mode)
    x, y = explorer._x_values, explorer._y_values
    low, high = explorer._limits
    cells = axes.pcolormesh(x, y, shown, shading="nearest", cmap="RdBu_r", vmin=low, vmax=high)
    axes.plot(x[explorer.x_index], y[explorer.y_index], "s", mfc="none", mec="black", ms=7)
    axes.set(xlabel=explorer.data["x_label"], ylabel=explorer.data["y_label"])
    axes.figure.colorbar(cells, ax=axes, label=explorer.data["action_label"])
