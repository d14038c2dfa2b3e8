"""MuJoCo locomotion: hopper, halfcheetah and walker2d learn to run from three kinds of recordings.

The environments are gym's of version 2 with actions scaled to [-1, 1]: episodes of at most 1000 steps, which hopper and
walker2d end earlier by falling. The kind of recording makes no difference to the environment.
"""

from __future__ import annotations

from sfbc_core.tasks.d4rl.task import d4rl_task
from sfbc_core.tasks.registry import Task

def make_task(name: str) -> Task:
    """The task {halfcheetah, hopper, walker2d}-{medium-expert, medium, medium-replay}-v2.

    Raises:
        ImportError: D4RL is not installed.
    """
    return d4rl_task(name)
