"""D4RL's waypoint controller of maze2d: the reference of its scores, and who acts in its data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Float

from sfbc_core.tasks.d4rl.environments import D4RLEnv, numpy_randomness
from sfbc_core.tasks.d4rl.installation import import_d4rl


def controller_actions(task: str, observations: Float[np.ndarray, "S 4"]) -> Float[np.ndarray, "S 2"]:
    """What D4RL's controller does in each state on the way to the task's goal, planned anew from there.

    The noise that D4RL's recipe adds to actions is not in it; that of its waypoints, each moved by up to 0.2, is.

    Args:
        task: D4RL's name, such as "maze2d-umaze-v1".
        observations: position and velocity, shape (S, 4); each position in a free cell of the maze.

    Returns:
        Actions in [-1, 1], shape (S, 2).

    Raises:
        ImportError: D4RL is not installed.
    """
    env = D4RLEnv(task)
    maze = env.d4rl_env
    controller = waypoint_controller_class()(maze.str_maze_spec, 0)
    actions = []
    for state in np.asarray(observations, dtype=np.float64):
        controller.forget()
        actions.append(controller.get_action(state[:2], state[2:], np.array(maze._target, dtype=np.float64))[0])
    env.close()
    return np.array(actions)


@cache
def waypoint_controller_class() -> type:
    """D4RL's waypoint controller, fast and with randomness of its own; a function, for D4RL is imported when it is used."""
    import_d4rl()
    from d4rl.pointmaze import waypoint_controller

    solve = waypoint_controller.q_iteration.q_iteration

    class Controller(waypoint_controller.WaypointController):
        """Finds the way as D4RL's does, but runs Q-iteration once a goal cell (as shipped, once a target: 50 ms each)."""

        def __init__(self, maze: str, seed: int) -> None:
            super().__init__(maze)
            self.routes = 0  # how many have been planned
            self._seed = seed
            self._solved: dict[bytes, np.ndarray] = {}

        def forget(self) -> None:
            """Plan the way anew at the next action."""
            self._target = np.full(2, np.inf)

        def _new_target(self, start: np.ndarray, target: np.ndarray) -> None:
            # A generator for each route, so that the number of routes is all there is to remember of the randomness.
            own = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([self._seed, self.routes])))
            self.routes += 1
            with numpy_randomness(own), _q_iteration_by(waypoint_controller, self._q_values):
                super()._new_target(start, target)

        def _q_values(self, env: Any, **options: Any) -> np.ndarray:
            cells = env.gs.spec.tobytes()  # the goal cell is marked in it
            if cells not in self._solved:
                self._solved[cells] = solve(env=env, **options)
            return self._solved[cells]

    return Controller


@contextmanager
def _q_iteration_by(module: ModuleType, solve: Any) -> Iterator[None]:
    """Let D4RL's module of the controller find `solve` where it looks for Q-iteration."""
    shipped = module.q_iteration
    module.q_iteration = SimpleNamespace(q_iteration=solve)
    try:
        yield
    finally:
        module.q_iteration = shipped
