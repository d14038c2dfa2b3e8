"""Maze2d: a ball is pushed through a maze to a fixed goal, and stays there as long as it can.

Each step that ends within 0.5 of the goal earns a reward of 1 (D4RL's sparse kind). An episode starts in any free cell and
only ends at D4RL's time limit: 300 steps in umaze, 600 in medium and 800 in large.
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
        # The paper gives no K for these tasks. These are its values for the ant in mazes of the same size, where the data
        # is just as aimless and the way to the goal has to be pieced together, too.
        planning_iterations=4 if "umaze" in name else 5,
        evaluation_episodes=20,  # Appendix B.1: "other tasks"
        trials=3,  # Appendix B.1: "other experiments"
        discount=0.99,  # not given in the paper
        actions_averaged=1,  # Appendix B.1: only locomotion averages more than one
        critic_hidden=(256, 256),  # Appendix B.1
    )
    return d4rl_task(name, config)
