"""Maze2d: a ball is pushed through a maze to a fixed goal, and stays there as long as it can.

Reward 1 for each step that ends within 0.5 of the goal (the sparse kind), 0 otherwise. An episode starts in any free cell
and never ends by itself; D4RL cuts it after 300 (umaze), 600 (medium) or 800 steps (large).
"""

from __future__ import annotations

from sfbc_core.tasks.d4rl.task import d4rl_task
from sfbc_core.tasks.registry import Task, TaskConfig


def make_task(name: str) -> Task:
    """The task maze2d-{umaze, medium, large}-v1.

    Raises:
        ImportError: D4RL is not installed.
    """
    config = TaskConfig(
        # The paper gives no K for these tasks. As for the ant in mazes of the same size: the data is as undirected, and the
        # way to the goal has to be pieced together.
        planning_iterations=4 if "umaze" in name else 5,
        evaluation_episodes=20,  # Appendix B.1: "other tasks"
        trials=3,  # Appendix B.1: "other experiments"
        discount=0.99,  # the paper does not say
        actions_averaged=1,  # Appendix B.1: more than one in locomotion only
        critic_hidden=(256, 256),  # Appendix B.1
    )
    return d4rl_task(name, config)
