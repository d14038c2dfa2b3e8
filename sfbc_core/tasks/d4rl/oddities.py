"""What is recorded in D4RL's files but must not be taken literally, and how it is read instead: one function for each case.

An episode ends with a terminal (the task is over and nothing can be earned afterwards) or with a timeout (the recording was
cut off). Only after a timeout may planning expect further rewards, so the difference matters as much as the rewards do.

The following is left as it was recorded, because it is so in all published results:

- maze2d's rewards, which belong to the state of their own row and not to the next one (D4RL issue 194);
- the kitchen's terminals, one at the end of every demonstration, and its rewards, which are the number of subtasks that are
  complete in a state (generate_kitchen_datasets.py);
- antmaze's rows after the goal is reached: each of them is a terminal, and so an episode of one transition with a reward.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from sfbc_core.configuration import config_dataclass

# Two states x and y are the same if they differ by less than this times 1 + |y|: some were rounded from float64 to float32.
SAME_STATE = 1e-3


@config_dataclass
class Rules:
    """Which oddities the files of a task have; by default none, and flags and rewards are taken as they were recorded."""

    terminates: bool = True  # whether the task can end; if not, recorded terminals are ignored
    longest_step: float | None = None  # if given, episodes end where the position jumps by more, and flags are ignored
    time_limit: int | None = None  # most transitions of an episode, for files that do not record where it was cut off
    goal_beyond: float | None = None  # if given, a reward counts only where both coordinates are greater


def rules_for(name: str) -> Rules:
    """The rules for the D4RL task `name`."""
    if name.startswith("maze2d-"):
        # At most 5 units a second in each coordinate, 100 steps a second, and at most two steps between rows: that is 0.14.
        return Rules(terminates=False, longest_step=0.5)
    if name.startswith("antmaze-"):
        # In 16,000 steps of D4RL's model, the ant never moved more than 0.39 units in one; a cell is 4 units wide.
        return Rules(longest_step=1.0, goal_beyond=19.0 if name == "antmaze-medium-play-v2" else None)
    if name.startswith(("halfcheetah-", "hopper-", "walker2d-", "ant-")):
        return Rules(time_limit=1000)
    return Rules()


def no_terminals(terminals: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """maze2d: the task never ends, so no transition is a terminal.

    The environment's `done` is always False, and the published files have no terminals. Files from D4RL's generator have
    one wherever the controller reached its current target (generate_maze2d_datasets.py), which is not the end of
    anything.
    """
    return np.zeros_like(terminals)


def jumps(positions: Float[np.ndarray, "N 2"], longest_step: float) -> Bool[np.ndarray, " N"]:
    """maze2d and antmaze: an episode ends where the next position is farther away than a step can lead, and at the last row.

    - maze2d is one continuous stream. Its `timeouts` mark where the controller got a new target (D4RL issue 85) and went on
      from where it was; by a mistake in the generator, the row after such a flag repeats the state. The task's reward does
      not depend on the controller's targets, so an end there would only keep planning (Eq. 12) from what follows. These
      flags are dropped: the file is one episode that is cut off after the last row, unless the position jumps somewhere.
    - antmaze's flags are out of step with its trajectories (D4RL issue 77): the ant jumps across the maze without a flag.
      Recorded timeouts are dropped, and there is a new one at each jump. If a reset happens to move the ant by less than
      `longest_step`, it is overlooked; the next trajectory then begins where the last one ended, and returns are hardly
      wrong.

    Args:
        positions: x and y of every row, shape (N, 2), in the maze's units.
        longest_step: how far a step can lead, in the same units.
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
    """antmaze-medium-play-v2: drop rewards and terminals at positions where the goal cannot be.

    The task's goal is drawn between 20 and 21.5 in both coordinates and counts as reached within 0.5, so a true reward
    has a position above 19.5 in both; 19 leaves half a unit to spare. The file has other rewards, too: D4RL's generator
    records in a maze with goals in three other cells (BIG_MAZE in d4rl.locomotion.maze_env, where the task's is
    BIG_MAZE_TEST).

    Returns:
        The rewards and the terminals, each of shape (N,), with 0 and False at all other positions.
    """
    possible = (positions > goal_beyond).all(axis=1)
    kept = possible | ~np.isfinite(rewards)  # NaN stays, or a damaged file would pass as one without rewards
    return np.where(kept, rewards, np.zeros_like(rewards)), terminals & possible


def does_not_continue(
    next_observations: Float[np.ndarray, "N obs"], following: Float[np.ndarray, "N obs"]
) -> Bool[np.ndarray, " N"]:
    """Locomotion files with `next_observations`: an episode ends where that is not the state in the next row.

    This finds the ends in files without `timeouts`, and those that -medium-replay files do not mark (D4RL issue 162).

    Args:
        next_observations: the state after the action of each of N rows, shape (N, obs).
        following: the state in the row after each of them, shape (N, obs).
    """
    return (np.abs(next_observations - following) > SAME_STATE * (1 + np.abs(following))).any(axis=1)


def time_limits(terminals: Bool[np.ndarray, " N"], time_limit: int) -> Bool[np.ndarray, " N"]:
    """Locomotion files with neither `timeouts` nor `next_observations`: count steps to find where gym's limit struck.

    Returns:
        The timeouts, shape (N,): one whenever `time_limit` transitions have passed since the last end.
    """
    timeouts = np.zeros_like(terminals)
    start = 0
    for stop in [*(np.flatnonzero(terminals) + 1), len(terminals)]:
        timeouts[start + time_limit - 1 : stop : time_limit] = True
        start = stop
    return timeouts


def timeouts_only(timeouts: Bool[np.ndarray, " N"], terminals: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """The timeouts without those that are terminals as well, where the task ended in the last step of the time limit."""
    return timeouts & ~terminals
