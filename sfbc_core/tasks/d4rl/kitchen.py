"""FrankaKitchen: a robot arm has to complete four subtasks in a kitchen, such as opening the microwave.

The step that completes a subtask earns a reward of 1, so the return is the number of completed subtasks, 0 to 4. The
episode ends when all four are done, or at D4RL's time limit of 280 steps. `complete` and `partial` share an environment;
`mixed` has other subtasks.
"""

from __future__ import annotations

from sfbc_core.tasks.d4rl.task import d4rl_task
from sfbc_core.tasks.registry import Task, TaskConfig

CONFIG = TaskConfig(
    # The paper gives no K for these tasks. 2 is its value for the other robots without a maze.
    planning_iterations=2,
    evaluation_episodes=20,  # Appendix B.1: "other tasks"
    trials=3,  # Appendix B.1: "other experiments"
    discount=0.99,  # not given in the paper
    actions_averaged=1,  # Appendix B.1: only locomotion averages more than one
    critic_hidden=(256, 256),  # Appendix B.1
)


def make_task(name: str) -> Task:
    """The task kitchen-{complete, partial, mixed}-v0.

    Raises:
        ImportError: D4RL is not installed.
    """
    return d4rl_task(name, CONFIG)
