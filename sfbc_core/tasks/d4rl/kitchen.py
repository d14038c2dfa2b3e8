"""FrankaKitchen: a robot arm has to complete four subtasks in a kitchen, such as opening the microwave.

The step that completes a subtask earns a reward of 1, so the return is the number of completed subtasks, 0 to 4. The
episode ends when all four are done, or at D4RL's time limit of 280 steps. `complete` and `partial` share an environment;
`mixed` has other subtasks.
"""

from __future__ import annotations

from sfbc_core.tasks.d4rl.task import d4rl_task
from sfbc_core.tasks.registry import Task


def make_task(name: str) -> Task:
    """The task kitchen-{complete, partial, mixed}-v0.

    Raises:
        ImportError: D4RL is not installed.
    """
    return d4rl_task(name)
