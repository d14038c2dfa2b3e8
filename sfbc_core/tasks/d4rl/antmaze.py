"""AntMaze: a four-legged robot has to find its way through a maze to a goal.

Within 0.5 of the goal it earns a reward of 1 and the episode ends. The goal is drawn anew for each episode, always in the
same part of the maze. D4RL's time limit is 700 steps (umaze) or 1000. The kind of data (play, diverse) makes no
difference to the environment.
"""

from __future__ import annotations

from sfbc_core.tasks.d4rl.task import d4rl_task
from sfbc_core.tasks.registry import Task


def make_task(name: str) -> Task:
    """The task antmaze-{umaze, umaze-diverse, medium-play, medium-diverse, large-play, large-diverse}-v2.

    Raises:
        ImportError: D4RL is not installed.
    """
    return d4rl_task(name)
