"""D4RL's mazes as a background for plots: the walls, where the simulator has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

WALL_NAMES = ("wall_", "block_")  # how D4RL names the boxes of maze2d and of antmaze
WALL_COLOR = "0.8"


def walls(env: Any) -> Float[np.ndarray, "W 4"]:
    """The walls of a maze of D4RL in the coordinates of its observations: for each, left, bottom, width and height.

    Args:
        env: an environment of maze2d or antmaze, as a task makes it.

    Raises:
        ValueError: the environment has no walls.
    """
    maze = env.d4rl_env
    model = maze.sim.model.ptr
    boxes = [i for i in range(model.ngeom) if model.geom(i).name.startswith(WALL_NAMES)]
    if not boxes:
        raise ValueError(f"expected an environment of maze2d or antmaze, got {env.name!r}, which has no walls")
    # The ball's coordinates count from where its model puts it; the ant's are the simulator's.
    bodies = [model.body(i).name for i in range(model.nbody)]
    origin = model.body("particle").pos[:2] if "particle" in bodies else np.zeros(2)
    centres, halves = model.geom_pos[boxes, :2] - origin, model.geom_size[boxes, :2]
    bodies_of = model.geom_bodyid[boxes]
    return np.concatenate([centres + model.body_pos[bodies_of, :2] - halves, 2 * halves], axis=1)


def draw_walls(axes: Axes, env: Any) -> None:
    """Draw the walls of a maze of D4RL, and let the plot have the maze's shape."""
    boxes = walls(env)
    for left, bottom, width, height in boxes:
        axes.add_patch(Rectangle((left, bottom), width, height, color=WALL_COLOR, lw=0))
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xticks=[], yticks=[])
