"""MuJoCo locomotion: hopper, halfcheetah and walker2d learn to run from three kinds of recordings.

The environments are version 2 of gym's, with actions scaled to [-1, 1]. An episode takes at most 1000 steps, and ends
earlier when a hopper or walker2d falls. The kind of recording makes no difference to the environment.
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
