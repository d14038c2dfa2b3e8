"""FrankaKitchen: a robot arm has to complete four subtasks in a kitchen, such as to open the microwave.

Reward 1 for each subtask in the step that completes it, so a return is the number completed, 0 to 4. All four end the
episode; D4RL cuts it after 280 steps. `complete` and `partial` have the same environment, `mixed` other subtasks.
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
