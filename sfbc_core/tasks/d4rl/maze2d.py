"""Maze2d: a ball is pushed through a maze to a fixed goal, and stays there as long as it can.

Each step that ends within 0.5 of the goal earns a reward of 1 (D4RL's sparse kind). An episode starts in any free cell and
only ends at D4RL's time limit: 300 steps in umaze, 600 in medium and 800 in large.
"""

from __future__ import annotations

from sfbc_core.tasks.d4rl.task import d4rl_task
from sfbc_core.tasks.registry import Task


def make_task(name: str) -> Task:
    """The task maze2d-{umaze, medium, large}-v1.

    Raises:
        ImportError: D4RL is not installed.
    """
    return d4rl_task(name)
