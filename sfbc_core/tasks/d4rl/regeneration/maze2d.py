"""Maze2d by D4RL's recipe: its waypoint controller sends the ball from one random cell to the next, in one stream.

A target is drawn near the middle of any free cell. D4RL's controller follows the shortest way there (found by Q-iteration on
the grid) and its action gets Gaussian noise of deviation 0.5, clipped to ±1. The row in which the target is reached, or the
environment's time limit since the last one, is flagged as a timeout; the ball goes on from where it is. The controller knows
nothing of the task: rewards are those of the task's fixed goal.

Two things are D4RL's, though one might do otherwise: a reward belongs to the state of its own row, and the flags end
nothing (see :mod:`sfbc_core.tasks.d4rl.oddities`). One is not: D4RL's generator writes the row after a flag with the state
of the row before, while the ball has moved on; here it is the state the ball is in, so that each row leads to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfbc_core.tasks.d4rl.environments import D4RLEnv
from sfbc_core.tasks.d4rl.regeneration.recorders import Columns, stacked
from sfbc_core.tasks.d4rl.waypoints import waypoint_controller_class

ACTION_NOISE = 0.5  # deviation; D4RL's
GOAL_RADIUS = 0.5  # the environment's
TYPES = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "terminals": bool,
    "timeouts": bool,
    "infos/goal": np.float32,  # the controller's target of the moment, not the task's goal
    "infos/qpos": np.float64,
    "infos/qvel": np.float64,
}


class Maze2dRecorder:
    """A :class:`~sfbc_core.tasks.d4rl.regeneration.recorders.Recorder` of maze2d.

    Args:
        task: D4RL's name, such as "maze2d-umaze-v1".
        seed: of the recording.
        steps: rows in all.
    """

    def __init__(self, task: str, seed: int, steps: int) -> None:
        env = D4RLEnv(task)
        first, noise = np.random.SeedSequence(seed).spawn(2)
        env.reset(seed=int(first.generate_state(1)[0]))
        self._longest = env.max_episode_steps
        # Below gym's wrappers, whose time limit would end what D4RL records as one stream.
        self._maze = env.d4rl_env
        self._goal = np.array(self._maze.get_target(), dtype=np.float64)
        self._noise = np.random.default_rng(noise)
        self._controller = waypoint_controller_class()(self._maze.str_maze_spec, seed)
        self._steps, self._rows = steps, 0
        self._since_target = 0
        self._maze.set_target()

    def record(self, rows: int) -> Columns:
        """`rows` further rows, or all that are left."""
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
        # Single precision on the way in: what is recorded is what was done.
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
        """The simulation's, the controller's and the random generators' states."""
        data, controller = self._maze.sim.data, self._controller
        return {
            "rows": self._rows,
            "since_target": self._since_target,
            "noise": self._noise.bit_generator.state,
            "simulation": {
                "time": data.time,
                "qpos": data.qpos.tolist(),
                "qvel": data.qvel.tolist(),
                # The solver begins with it: without it the next step differs in its last digits.
                "qacc_warmstart": data.qacc_warmstart.tolist(),
            },
            "target": np.asarray(self._maze.get_target()).tolist(),
            "targets": self._maze.np_random.bit_generator.state,
            "controller": {name: np.asarray(getattr(controller, name)).tolist() for name in _CONTROLLER_STATE},
            "routes": controller.routes,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where :meth:`state` was."""
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
