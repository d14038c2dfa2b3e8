"""Tasks with regenerated data: D4RL's environments and reference scores under names of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sfbc_core.tasks.d4rl import antmaze, locomotion, maze2d
from sfbc_core.tasks.registry import REGENERATED, Task

_FAMILIES = {"maze2d": maze2d.make_task, "antmaze": antmaze.make_task}


def make_task(name: str) -> Task:
    """The task `name`, such as "regen/maze2d-umaze-v1": D4RL's task with another name and other data.

    Raises:
        ImportError: D4RL is not installed.
    """
    d4rl_name = name.removeprefix(REGENERATED)
    task = _FAMILIES.get(d4rl_name.partition("-")[0], locomotion.make_task)(d4rl_name)
    # Not at the top: it needs h5py. Where D4RL is not installed that is missing too, and the line above has said so better.
    from sfbc_core.tasks.d4rl.regeneration.loading import load_regenerated

    return replace(task, name=name, load_trajectories=partial(load_regenerated, d4rl_name))
