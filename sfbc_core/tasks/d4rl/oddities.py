"""What D4RL's recordings say that must not be taken at its word, and how it is read instead: one function for each.

A flag is either a terminal (the task is over, nothing can be earned afterwards) or a timeout (the recording was cut). Only
the second lets planning expect something beyond, so the difference is worth as much as the rewards.

Left as recorded, since published results have it so:

- maze2d's rewards, which belong to the state of their own row and not to the next one (D4RL issue 194);
- the kitchen's terminals, which stand at the end of every demonstration, and its rewards, the number of subtasks that are
  complete in a state (generate_kitchen_datasets.py);
- antmaze's rows after the goal is reached, each a terminal and so an episode of one transition, worth its reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

# A recorded next state is the state of the next row up to this, relative to 1 + its size: float32 was once float64.
SAME_STATE = 1e-3


@dataclass(frozen=True)
class Rules:
    """Which oddities the files of a task have; the default takes the recorded flags and rewards as they are."""

    terminates: bool = True  # whether anything ends the task; if not, recorded terminals are no terminals
    longest_step: float | None = None  # ends are where the position jumps by more than this, not where flags are
    time_limit: int | None = None  # transitions an episode has at most; used where nothing recorded tells of cuts
    goal_beyond: float | None = None  # a reward is wrong unless both coordinates of the position are beyond this


def rules_for(name: str) -> Rules:
    """The rules of a D4RL task, by its name."""
    if name.startswith("maze2d-"):
        # At most 5 units a second in each coordinate, 100 steps a second, never more than two steps from row to row: 0.14.
        return Rules(terminates=False, longest_step=0.5)
    if name.startswith("antmaze-"):
        # An ant moves up to 0.39 units a step, measured over 16,000 steps on D4RL's model; a cell is 4 units wide.
        return Rules(longest_step=1.0, goal_beyond=19.0 if name == "antmaze-medium-play-v2" else None)
    if name.startswith(("halfcheetah-", "hopper-", "walker2d-", "ant-")):
        return Rules(time_limit=1000)
    return Rules()


def no_terminals(terminals: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """maze2d: nothing ends the task, so no transition is a terminal.

    The environment's `done` is always False, and the published files have no terminals. Files that D4RL's generator makes
    have one wherever the controller reached its goal of the moment (generate_maze2d_datasets.py), which ends nothing.
    """
    return np.zeros_like(terminals)


def jumps(positions: Float[np.ndarray, "N 2"], longest_step: float) -> Bool[np.ndarray, " N"]:
    """maze2d and antmaze: the recording was cut where the next position is out of reach, and after the last row.

    - maze2d is one continuous stream. Its `timeouts` mark where the controller got a new goal (D4RL issue 85) and went on
      from there; the row after such a flag repeats the state once, by a slip of the generator. The task's reward knows
      nothing of the controller's goals, so a cut there would only hide from planning (Eq. 12) what followed. The flags are
      dropped: the file is one episode, unless the position jumps, and a timeout cuts it after the last row.
    - antmaze's flags are out of step with its trajectories (D4RL issue 77): the ant jumps across the maze where no flag is.
      Recorded timeouts are dropped and new ones put where the position jumps. A reset that moves the ant by less than one
      step's reach stays unseen; the next trajectory then begins where the last one ended, and returns are hardly wrong.

    Args:
        positions: x and y of every row, shape (N, 2), in the maze's units.
        longest_step: how far one step can lead, in the same units.
    """
    ends = np.ones(len(positions), dtype=bool)
    ends[:-1] = np.linalg.norm(np.diff(positions, axis=0), axis=1) > longest_step
    return ends


def no_rewards_away_from_goal(
    rewards: Float[np.ndarray, " N"],
    terminals: Bool[np.ndarray, " N"],
    positions: Float[np.ndarray, "N 2"],
    goal_beyond: float,
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """antmaze-medium-play-v2: rewards and terminals where the goal cannot be are none.

    The task's goal is drawn from 20 to 21.5 in both coordinates and is reached within 0.5, so a reward belongs to a position
    beyond 19.5 in both; 19 leaves half a unit to spare. The file holds others too: D4RL's generator records in a maze with
    goals in three other cells (BIG_MAZE in d4rl.locomotion.maze_env); the task's (BIG_MAZE_TEST) has this one.

    Returns:
        The rewards with zeros, and the terminals without flags, at all other positions, each of shape (N,).
    """
    near = (positions > goal_beyond).all(axis=1)
    return np.where(near, rewards, np.zeros_like(rewards)), terminals & near


def does_not_continue(
    next_observations: Float[np.ndarray, "N obs"], following: Float[np.ndarray, "N obs"]
) -> Bool[np.ndarray, " N"]:
    """Locomotion files with `next_observations`: the recording was cut where that is not the state of the next row.

    It finds the ends of files without `timeouts`, and the ends that -medium-replay files leave unmarked (D4RL issue 162).

    Args:
        next_observations: what the environment showed after each of N rows, shape (N, obs).
        following: the state of the row after each of them, shape (N, obs).
    """
    return (np.abs(next_observations - following) > SAME_STATE * (1 + np.abs(following))).any(axis=1)


def time_limits(terminals: Bool[np.ndarray, " N"], time_limit: int) -> Bool[np.ndarray, " N"]:
    """Locomotion files with neither `timeouts` nor `next_observations`: counting tells where gym's limit cut an episode.

    Returns:
        A timeout at every `time_limit`-th transition since the last end, shape (N,).
    """
    timeouts = np.zeros_like(terminals)
    start = 0
    for stop in [*(np.flatnonzero(terminals) + 1), len(terminals)]:
        timeouts[start + time_limit - 1 : stop : time_limit] = True
        start = stop
    return timeouts


def timeouts_only(timeouts: Bool[np.ndarray, " N"], terminals: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Both flags on one transition: the task ended with the last step that the limit allowed, and that is a terminal."""
    return timeouts & ~terminals
