"""AntMaze: a four-legged robot has to find its way through a maze to a goal.

Reward 1 and the end within 0.5 of the goal, which is drawn anew around one place of the maze for each episode; D4RL cuts an
episode after 700 (umaze) or 1000 steps. The kind of data (play, diverse) makes no difference to the environment.
"""

from __future__ import annotations

from sfbc_core.tasks.d4rl.task import d4rl_task
from sfbc_core.tasks.registry import Task, TaskConfig


def make_task(name: str) -> Task:
    """The task antmaze-{umaze, umaze-diverse, medium-play, medium-diverse, large-play, large-diverse}-v2.

    Raises:
        ImportError: D4RL is not installed.
    """
    config = TaskConfig(
        planning_iterations=4 if "umaze" in name else 5,  # K of Appendix B.1
        evaluation_episodes=100,  # Appendix B.1
        trials=4,  # Appendix B.1
        discount=0.99,  # the paper does not say
        actions_averaged=1,  # Appendix B.1: more than one in locomotion only
        # Appendix B.1: large mazes get an extra layer of 512. It does not say where; here it is the first.
        critic_hidden=(512, 256, 256) if "large" in name else (256, 256),
    )
    return d4rl_task(name, config)
