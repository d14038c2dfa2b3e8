"""Antmaze by D4RL's recipe: an ant that can follow a direction is guided through the maze, from waypoint to waypoint.

D4RL's navigation finds the shortest way on the grid and points from the ant to the next cell; the policy sees the robot
and that direction, scaled to a length of 10, and its action gets Gaussian noise of deviation 0.2, clipped to ±1. An episode
lasts for the whole time limit: the ant stays about its goal once it is there.

Where the ant starts and where it is sent depends on the kind of data:

- umaze: from the task's start to the task's goal;
- play: from any free cell to one of the cells that D4RL marks in its mazes for generation (of the medium maze, none of them
  is the task's goal);
- diverse (umaze as well): from any free cell to any free cell.

Reward and terminal are the task's: 1 where the ant comes within 0.5 of a goal that is drawn for each episode as the
environment draws it for evaluation (for umaze the one it is guided to). As in D4RL's files each such row is a terminal, and
the ant walks on. Not as in D4RL's files, the flags are in step with the episodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from sfbc_core.tasks.d4rl.environments import D4RLEnv, numpy_randomness
from sfbc_core.tasks.d4rl.regeneration.policies import TanhGaussianPolicy
from sfbc_core.tasks.d4rl.regeneration.recorders import Columns, EpisodeRecorder, stacked

ACTION_NOISE = 0.2  # deviation; D4RL's
DIRECTION_LENGTH = 10.0  # of the direction that the policy sees; D4RL's
GOAL_RADIUS = 0.5  # the environment's
TYPES = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "terminals": bool,
    "timeouts": bool,
    "infos/goal": np.float32,  # of navigation
    "infos/task_goal": np.float32,  # of the reward
    "infos/qpos": np.float64,
    "infos/qvel": np.float64,
}


class AntMazeRecorder(EpisodeRecorder):
    """Episodes of the ant in a maze.

    Args:
        task: D4RL's name, such as "antmaze-umaze-v2".
        seed: of the recording.
        steps: rows in all.
        policy: (29 numbers: the robot without its place, and the direction) -> 8 actions; it is sampled, as D4RL does.
    """

    def __init__(self, task: str, seed: int, steps: int, policy: TanhGaussianPolicy) -> None:
        super().__init__(seed, (steps,))
        self._env, self._policy = D4RLEnv(task), policy
        self._maze = self._env.d4rl_env
        self._task_map = self._maze._maze_map
        self._goals_differ = task != "antmaze-umaze-v2"
        self._goal_map = _goal_map(task, self._task_map)
        self._maze._non_zero_reset = self._goals_differ  # D4RL's switch for starts in any free cell
        self._navigate = self._maze.create_navigation_policy(self._policy_input)

    def _policy_input(
        self, observation: Float[np.ndarray, "29"], direction: tuple[float, float]
    ) -> Float[np.ndarray, "29"]:
        """What the policy sees of an observation, if the ant is to go in a direction, of any length."""
        scaled = np.array(direction) * (DIRECTION_LENGTH / np.linalg.norm(direction))
        return np.concatenate([observation[2:], scaled])

    def episode(self, seeds: np.random.SeedSequence, part: int, longest: int) -> Columns:
        """One episode of at most `longest` rows; there is one part only."""
        start, draws, noise = seeds.spawn(3)
        generator = np.random.default_rng(noise)
        drawn = np.random.RandomState(np.random.MT19937(draws))  # D4RL's waypoints are drawn from numpy's global one
        maze, data = self._maze, self._maze.sim.data
        # The environment draws a goal from its map at every reset: here the goal of navigation.
        maze._maze_map = self._goal_map
        observation, _ = self._env.reset(seed=int(start.generate_state(1)[0]))
        goal = task_goal = np.array(maze.target_goal)
        if self._goals_differ:
            maze._maze_map = self._task_map
            with numpy_randomness(drawn):
                task_goal = np.array(maze.goal_sampler(np.random))
        rows: list[dict[str, Any]] = []
        with numpy_randomness(drawn):  # around the whole, for to go in and out takes as long as half a step
            for step in range(min(longest, self._env.max_episode_steps)):
                action = self._policy.sample(self._navigate(observation), generator)
                action = np.clip(action + ACTION_NOISE * generator.standard_normal(8), -1, 1).astype(np.float32)
                row = {"observations": observation, "actions": action, "infos/goal": goal, "infos/task_goal": task_goal}
                row |= {"infos/qpos": data.qpos.copy(), "infos/qvel": data.qvel.copy()}
                # In double precision the environment computes with exactly what is recorded. Its own end, at the goal of
                # navigation, is none here.
                observation = self._env.step(action.astype(np.float64))[0]
                reached = bool(np.linalg.norm(observation[:2] - task_goal) <= GOAL_RADIUS)
                last = step + 1 == self._env.max_episode_steps
                rows.append(row | {"rewards": reached, "terminals": reached, "timeouts": last and not reached})
        return stacked(rows, TYPES)


def _goal_map(task: str, task_map: list[list[Any]]) -> list[list[Any]]:
    """The task's maze, in which the cells are marked from which goals of navigation are drawn; all if none is."""
    from d4rl.locomotion import maze_env

    if "diverse" in task:
        return [[0 if cell == maze_env.GOAL else cell for cell in row] for row in task_map]
    return {"umaze": maze_env.U_MAZE, "medium": maze_env.BIG_MAZE, "large": maze_env.HARDEST_MAZE}[task.split("-")[1]]
