"""D4RL's mazes as a background for plots: the walls, where the simulator has them."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sfbc_core.tasks.d4rl.mazes import walls

WALL_COLOR = "0.8"


def draw_walls(axes: Axes, env: Any) -> None:
    """Draw the walls of a maze of D4RL, and let the plot have the maze's shape."""
    boxes = walls(env)
    for left, bottom, width, height in boxes:
        axes.add_patch(Rectangle((left, bottom), width, height, color=WALL_COLOR, lw=0))
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xticks=[], yticks=[])
