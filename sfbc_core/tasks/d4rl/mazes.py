"""Where the walls of D4RL's mazes stand."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

WALL_NAMES = ("wall_", "block_")  # how D4RL names the boxes of maze2d and of antmaze


def wall_boxes(model: Any) -> list[int]:
    """The indices of a MuJoCo model's geoms that are walls; empty if it is no maze."""
    return [i for i in range(model.ngeom) if model.geom(i).name.startswith(WALL_NAMES)]


def walls(env: Any) -> Float[np.ndarray, "W 4"]:
    """The walls of a maze in the coordinates of its observations: for each, left, bottom, width and height.

    Args:
        env: an environment of maze2d or antmaze, as a task makes it.

    Raises:
        ValueError: the environment has no walls.
    """
    model = env.d4rl_env.sim.model.ptr
    boxes = wall_boxes(model)
    if not boxes:
        raise ValueError(f"expected an environment of maze2d or antmaze, got {env.name!r}, which has no walls")
    # Maze2d observes how far the ball is from where its model puts it; antmaze observes the simulator's coordinates.
    bodies = [model.body(i).name for i in range(model.nbody)]
    origin = model.body("particle").pos[:2] if "particle" in bodies else np.zeros(2)
    body_of_box = model.geom_bodyid[boxes]
    centers = model.body_pos[body_of_box, :2] + model.geom_pos[boxes, :2] - origin
    half_sizes = model.geom_size[boxes, :2]
    return np.concatenate([centers - half_sizes, 2 * half_sizes], axis=1)
