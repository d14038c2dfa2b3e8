"""``describe(trajectories)``: what a data set is; its repr is a summary, its plot shows returns and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from sfbc_core.book.style import COLORS
from sfbc_core.experiments.summary import summarize
from sfbc_core.trajectories import Trajectories

PLOT_BINS, CELLS = 30, 50  # bars of the plotted one; cells of the coverage from side to side
COVERAGE_COLORMAP = "cividis"  # reads the same with and without colour vision, and in grey


@dataclass(frozen=True, eq=False)
class Description:
    """What :func:`describe` found; shown as text at the end of a notebook's cell.

    Attributes:
        trajectories: the data set itself.
        lengths: transitions of every episode, shape (E,).
        returns: undiscounted sum of rewards of every episode, shape (E,).
    """

    trajectories: Trajectories
    lengths: Int[np.ndarray, " E"]
    returns: Float[np.ndarray, " E"]

    def __repr__(self) -> str:
        return summarize(self.trajectories)

    def plot(self, dimensions: tuple[int, int] = (0, 1), labels: Sequence[str] | None = None) -> Figure:
        """Histogram of the returns, and how often the data visits the plane of two observation coordinates.

        Args:
            dimensions: the two coordinates; in the mazes (0, 1) is the position.
            labels: their names, for the axes.

        Returns:
            A new matplotlib figure with two axes, in whatever style is set. Cells without visits stay empty, the colour of
            the others counts visits on a logarithmic scale.

        Raises:
            ValueError: a coordinate that the observations do not have, or not two labels.
        """
        from matplotlib import pyplot as plt

        width = self.trajectories.observation_dim
        if len(dimensions) != 2 or not all(0 <= dimension < width for dimension in dimensions):
            raise ValueError(f"dimensions must be two of 0 to {width - 1}, got {dimensions}")
        labels = [f"observation[{dimension}]" for dimension in dimensions] if labels is None else labels
        if len(labels) != 2:
            raise ValueError(f"labels must be two names, got {labels}")
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.5), layout="constrained")
        left.hist(self.returns, bins=PLOT_BINS if np.ptp(self.returns) else 1, color=COLORS["data"])
        left.set(xlabel="return of an episode", ylabel="episodes")
        left.ticklabel_format(axis="x", style="plain", useOffset=False)
        left.yaxis.get_major_locator().set_params(integer=True)
        if not np.ptp(self.returns):  # one value: the edges of its bar mean nothing
            left.set_xticks(self.returns[:1])
        x, y = (self.trajectories.observations[:, dimension].cpu().numpy() for dimension in dimensions)
        cells = right.hexbin(x, y, gridsize=CELLS, bins="log", mincnt=1, cmap=COVERAGE_COLORMAP, linewidths=0.1)
        figure.colorbar(cells, ax=right, label="transitions")
        right.set(xlabel=labels[0], ylabel=labels[1])
        return figure


def describe(trajectories: Trajectories) -> Description:
    """Sizes, ends, lengths, returns and rewards of a data set; print it, or call its ``plot()``."""
    return Description(
        trajectories, trajectories.episode_lengths.cpu().numpy(), trajectories.episode_returns.cpu().numpy()
    )
