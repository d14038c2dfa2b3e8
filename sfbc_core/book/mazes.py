"""D4RL's mazes in pages: the walls as a background for plots, and how far it is from place to place around them."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from sfbc_core.tasks.d4rl.mazes import walls

WALL_COLOR = "0.8"


def draw_walls(axes: Axes, env: Any) -> None:
    """Draw the walls of a maze of D4RL, and let the plot have the maze's shape."""
    boxes = walls(env)
    for left, bottom, width, height in boxes:
        axes.add_patch(Rectangle((left, bottom), width, height, color=WALL_COLOR, lw=0))
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xticks=[], yticks=[])


def distances_through_maze(
    env: Any, positions: Float[np.ndarray, "S 2"], goal: Float[np.ndarray, "2"], step: float
) -> Float[np.ndarray, " S"]:
    """The length of the way from each position to the goal around the walls of a maze of D4RL, for a point.

    Dijkstra's algorithm on a grid of points that are `step` apart and outside of all walls, each joined to its eight
    neighbours: a way that is neither straight nor diagonal comes out up to 8 % too long. Positions and goal move to
    the next point of the grid. Infinite where there is no way.
    """
    boxes = walls(env)
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    x, y = (np.arange(start + step / 2, end, step) for start, end in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    inside = ((points[:, None] >= boxes[:, :2]) & (points[:, None] <= boxes[:, :2] + boxes[:, 2:])).all(-1)
    free = points[~inside.any(1)]
    tree = cKDTree(free)
    pairs = tree.query_pairs(1.5 * step, output_type="ndarray")
    lengths = np.linalg.norm(free[pairs[:, 0]] - free[pairs[:, 1]], axis=1)
    graph = coo_array((lengths, pairs.T), shape=(len(free), len(free))).tocsr()
    from_goal = dijkstra(graph, directed=False, indices=tree.query(goal)[1])
    return from_goal[tree.query(positions)[1]]
