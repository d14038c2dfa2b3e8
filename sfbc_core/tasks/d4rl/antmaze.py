"""AntMaze: a four-legged robot has to find its way through a maze to a goal.

Reward 1 and the end within 0.5 of the goal, which is drawn anew around one place of the maze for each episode; D4RL cuts an
episode after 700 (umaze) or 1000 steps. The kind of data (play, diverse) makes no difference to the environment.
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
