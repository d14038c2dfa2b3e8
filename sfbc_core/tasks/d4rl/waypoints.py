"""D4RL's waypoint controller for maze2d: a score of 100 is what it earns, and it is what acts in the data."""

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
    """What D4RL's controller does in each state, if it plans its way to the task's goal from there.

    This is without the noise that D4RL's recipe adds to the actions, but with that of the waypoints, each of which D4RL
    moves by up to 0.2.

    Args:
        task: D4RL's name, such as "maze2d-umaze-v1".
        observations: position and velocity, shape (S, 4); every position must be in a free cell of the maze.

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
    """The class of D4RL's waypoint controller, made fast and with its own random numbers.

    It is made in a function because its base class is D4RL's, which is imported only when it is needed.
    """
    import_d4rl()
    from d4rl.pointmaze import waypoint_controller

    solve = waypoint_controller.q_iteration.q_iteration

    class Controller(waypoint_controller.WaypointController):
        """Finds the way like D4RL's, but runs Q-iteration once per goal cell and not once per target, at 50 ms each."""

        def __init__(self, maze: str, seed: int) -> None:
            super().__init__(maze)
            self.routes = 0  # planned so far
            self._seed = seed
            self._solved: dict[bytes, np.ndarray] = {}

        def forget(self) -> None:
            """Forget the way, so that the next action plans it again."""
            self._target = np.full(2, np.inf)

        def _new_target(self, start: np.ndarray, target: np.ndarray) -> None:
            # A generator per route: to continue a recording, it is enough to know how many routes there were.
            generator = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([self._seed, self.routes])))
            self.routes += 1
            with numpy_randomness(generator), _q_iteration_by(waypoint_controller, self._q_values):
                super()._new_target(start, target)

        def _q_values(self, env: Any, **options: Any) -> np.ndarray:
            cells = env.gs.spec.tobytes()  # the maze, with the goal cell marked
            if cells not in self._solved:
                self._solved[cells] = solve(env=env, **options)
            return self._solved[cells]

    return Controller


@contextmanager
def _q_iteration_by(module: ModuleType, solve: Any) -> Iterator[None]:
    """Inside, D4RL's controller uses `solve` as its Q-iteration."""
    shipped = module.q_iteration
    module.q_iteration = SimpleNamespace(q_iteration=solve)
    try:
        yield
    finally:
        module.q_iteration = shipped
