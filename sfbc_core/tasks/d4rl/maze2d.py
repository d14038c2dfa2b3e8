"""Maze2d: a ball is pushed through a maze to a fixed goal, and stays there as long as it can.

Reward 1 for each step that ends within 0.5 of the goal (the sparse kind), 0 otherwise. An episode starts in any free cell
and never ends by itself; D4RL cuts it after 300 (umaze), 600 (medium) or 800 steps (large).
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
