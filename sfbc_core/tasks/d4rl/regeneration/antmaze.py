"""Antmaze with D4RL's recipe: an ant that can walk in a given direction is guided through the maze, from cell to cell.

D4RL's navigation finds the shortest way on the grid and points from the ant to the next cell. The policy sees the robot and
that direction, scaled to a length of 10. Its action gets Gaussian noise of standard deviation 0.2 and is clipped to ±1. An
episode always takes the whole time limit; once at its goal, the ant hovers around it.

Where the ant starts and where it is sent depends on the kind of data:

- umaze: from the task's start to the task's goal;
- play: from any free cell to one of the cells that D4RL marks in its mazes for generating data (in the medium maze, none of
  them is the task's goal);
- diverse, also of umaze: from any free cell to any free cell.

Rewards and terminals are the task's: both are set where the ant is within 0.5 of a goal that is drawn once per episode, as
the environment draws it for evaluation (in umaze, it is the goal that the ant is guided to). As in D4RL's files, each such
row is a terminal and the ant walks on. Unlike in D4RL's files, the flags are in step with the episodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from sfbc_core.tasks.d4rl.environments import D4RLEnv, numpy_randomness
from sfbc_core.tasks.d4rl.regeneration.policies import TanhGaussianPolicy
from sfbc_core.tasks.d4rl.regeneration.recorders import Columns, EpisodeRecorder, stacked

ACTION_NOISE = 0.2  # standard deviation, as in D4RL
DIRECTION_LENGTH = 10.0  # of the direction that the policy sees, as in D4RL
GOAL_RADIUS = 0.5  # as in the environment
TYPES = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "terminals": bool,
    "timeouts": bool,
    "infos/goal": np.float32,  # to which the ant is guided
    "infos/task_goal": np.float32,  # for which it is rewarded
    "infos/qpos": np.float64,
    "infos/qvel": np.float64,
}


class AntMazeRecorder(EpisodeRecorder):
    """Records episodes of the ant in a maze.

    Args:
        task: D4RL's name, such as "antmaze-umaze-v2".
        seed: the same seed makes the same recording, on the same kind of processor.
        steps: total number of rows.
        policy: takes 29 numbers, which are the robot's state without x and y and the direction, and gives 8 actions.
            Actions are sampled, as in D4RL.
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
        """What the policy is shown to make the ant walk in `direction`, a vector of any length."""
        scaled = np.array(direction) * (DIRECTION_LENGTH / np.linalg.norm(direction))
        return np.concatenate([observation[2:], scaled])

    def episode(self, seeds: np.random.SeedSequence, part: int, longest: int) -> Columns:
        """One episode of at most `longest` rows; the recording has only one part."""
        start, navigation, noise = seeds.spawn(3)
        generator = np.random.default_rng(noise)
        for_d4rl = np.random.RandomState(
            np.random.MT19937(navigation)
        )  # D4RL draws waypoints from numpy's global state
        maze, data = self._maze, self._maze.sim.data
        # The environment draws a goal from its map at every reset: this one is for the navigation.
        maze._maze_map = self._goal_map
        observation, _ = self._env.reset(seed=int(start.generate_state(1)[0]))
        goal = task_goal = np.array(maze.target_goal)
        if self._goals_differ:
            maze._maze_map = self._task_map
            with numpy_randomness(for_d4rl):
                task_goal = np.array(maze.goal_sampler(np.random))
        rows: list[dict[str, Any]] = []
        with numpy_randomness(for_d4rl):  # around the loop, because entering and leaving takes as long as half a step
            for step in range(min(longest, self._env.max_episode_steps)):
                action = self._policy.sample(self._navigate(observation), generator)
                action = np.clip(action + ACTION_NOISE * generator.standard_normal(8), -1, 1).astype(np.float32)
                row = {"observations": observation, "actions": action, "infos/goal": goal, "infos/task_goal": task_goal}
                row |= {"infos/qpos": data.qpos.copy(), "infos/qvel": data.qvel.copy()}
                # The recorded action, in double precision, so the environment computes with exactly these numbers. Where it
                # would end the episode, at the goal of the navigation, the recording goes on.
                observation = self._env.step(action.astype(np.float64))[0]
                reached = bool(np.linalg.norm(observation[:2] - task_goal) <= GOAL_RADIUS)
                last = step + 1 == self._env.max_episode_steps
                rows.append(row | {"rewards": reached, "terminals": reached, "timeouts": last and not reached})
        return stacked(rows, TYPES)


def _goal_map(task: str, task_map: list[list[Any]]) -> list[list[Any]]:
    """The task's maze, with marks on the cells from which D4RL draws goals for the navigation; without any, from all."""
    from d4rl.locomotion import maze_env

    if "diverse" in task:
        return [[0 if cell == maze_env.GOAL else cell for cell in row] for row in task_map]
    return {"umaze": maze_env.U_MAZE, "medium": maze_env.BIG_MAZE, "large": maze_env.HARDEST_MAZE}[task.split("-")[1]]
