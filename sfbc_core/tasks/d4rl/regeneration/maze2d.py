"""Maze2d with D4RL's recipe: its waypoint controller sends the ball from one random cell to the next, in one stream.

A target is drawn near the middle of any free cell. D4RL's controller takes the shortest way there, found by Q-iteration on
the grid. Its action gets Gaussian noise of standard deviation 0.5 and is clipped to ±1. The row in which the ball reaches
its target, or in which the environment's time limit has passed since the last target, is flagged as a timeout, and the
ball goes on from where it is. The controller knows nothing about the task: the rewards are those for the task's fixed
goal.

Two things are as in D4RL, though they could be done better: a reward belongs to the state in its own row, and the flags do
not mark the end of anything (see :mod:`sfbc_core.tasks.d4rl.oddities`). One is not: in the row after a flag, D4RL's
generator writes the state of the row before, although the ball has moved on. Here it is the true state, so each row leads
to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfbc_core.tasks.d4rl.environments import D4RLEnv
from sfbc_core.tasks.d4rl.regeneration.recorders import Columns, stacked
from sfbc_core.tasks.d4rl.waypoints import waypoint_controller_class

ACTION_NOISE = 0.5  # standard deviation, as in D4RL
GOAL_RADIUS = 0.5  # as in the environment
TYPES = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "terminals": bool,
    "timeouts": bool,
    "infos/goal": np.float32,  # the controller's current target, not the task's goal
    "infos/qpos": np.float64,
    "infos/qvel": np.float64,
}


class Maze2dRecorder:
    """A :class:`~sfbc_core.tasks.d4rl.regeneration.recorders.Recorder` for maze2d.

    Args:
        task: D4RL's name, such as "maze2d-umaze-v1".
        seed: the same seed makes the same recording, on the same kind of processor.
        steps: total number of rows.
    """

    def __init__(self, task: str, seed: int, steps: int) -> None:
        env = D4RLEnv(task)
        first, noise = np.random.SeedSequence(seed).spawn(2)
        env.reset(seed=int(first.generate_state(1)[0]))
        self._longest = env.max_episode_steps
        # Without gym's wrappers: their time limit would end what D4RL records as one stream.
        self._maze = env.d4rl_env
        self._goal = np.array(self._maze.get_target(), dtype=np.float64)
        self._noise = np.random.default_rng(noise)
        self._controller = waypoint_controller_class()(self._maze.str_maze_spec, seed)
        self._steps, self._rows = steps, 0
        self._since_target = 0
        self._maze.set_target()

    def record(self, rows: int) -> Columns:
        """The next `rows` rows, or all that are left."""
        recorded = [self._row() for _ in range(min(rows, self._steps - self._rows))]
        return stacked(recorded, TYPES) if recorded else {}

    def _row(self) -> dict[str, Any]:
        maze = self._maze
        positions, velocities = maze.sim.data.qpos.copy(), maze.sim.data.qvel.copy()
        target = np.array(maze.get_target(), dtype=np.float64)
        action, reached = self._controller.get_action(positions, velocities, target)
        action = np.clip(action + ACTION_NOISE * self._noise.standard_normal(2), -1, 1).astype(np.float32)
        observation = np.concatenate([positions, velocities]).astype(np.float32)
        self._since_target += 1
        self._rows += 1
        ends = bool(reached) or self._since_target == self._longest or self._rows == self._steps
        # The recorded action, which was rounded to single precision.
        maze.step(action.astype(np.float64))
        if ends:
            maze.set_target()
            self._since_target = 0
        return {
            "observations": observation,
            "actions": action,
            "rewards": np.linalg.norm(observation[:2] - self._goal) <= GOAL_RADIUS,
            "terminals": False,
            "timeouts": ends,
            "infos/goal": target,
            "infos/qpos": positions,
            "infos/qvel": velocities,
        }

    def state(self) -> dict[str, Any]:
        """The states of the simulation, of the controller and of the random generators."""
        data, controller = self._maze.sim.data, self._controller
        return {
            "rows": self._rows,
            "since_target": self._since_target,
            "noise": self._noise.bit_generator.state,
            "simulation": {
                "time": data.time,
                "qpos": data.qpos.tolist(),
                "qvel": data.qvel.tolist(),
                # The solver's first guess: without it, the last digits of the next step would differ.
                "qacc_warmstart": data.qacc_warmstart.tolist(),
            },
            "target": np.asarray(self._maze.get_target()).tolist(),
            "targets": self._maze.np_random.bit_generator.state,
            "controller": {name: np.asarray(getattr(controller, name)).tolist() for name in _CONTROLLER_STATE},
            "routes": controller.routes,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a result of :meth:`state`."""
        self._rows, self._since_target = state["rows"], state["since_target"]
        self._noise.bit_generator.state = state["noise"]
        simulation, data = state["simulation"], self._maze.sim.data
        self._maze.sim.reset()
        self._maze.set_state(np.array(simulation["qpos"]), np.array(simulation["qvel"]))
        data.ptr.time = simulation["time"]
        data.qacc_warmstart[:] = simulation["qacc_warmstart"]
        self._maze.set_target(np.array(state["target"]))
        self._maze.np_random.bit_generator.state = state["targets"]
        for name in _CONTROLLER_STATE:
            value = state["controller"][name]
            setattr(self._controller, name, value if isinstance(value, int) else np.array(value))
        self._controller.routes = state["routes"]


_CONTROLLER_STATE = ("_target", "_waypoints", "_waypoint_idx", "_waypoint_prev_loc")
