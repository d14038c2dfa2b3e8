"""Tasks with regenerated data: D4RL's environments and reference scores, under names of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sfbc_core.tasks.d4rl import antmaze, locomotion, maze2d
from sfbc_core.tasks.registry import REGENERATED, Task

_FAMILIES = {"maze2d": maze2d.make_task, "antmaze": antmaze.make_task}


def make_task(name: str) -> Task:
    """The task `name`, such as "regen/maze2d-umaze-v1": that of D4RL, but for its name and its data.

    Raises:
        ImportError: D4RL is not installed.
    """
    d4rl_name = name.removeprefix(REGENERATED)
    task = _FAMILIES.get(d4rl_name.partition("-")[0], locomotion.make_task)(d4rl_name)
    # Not at the top: it needs h5py, which is as optional as D4RL. By now it is clear that both are there.
    from sfbc_core.tasks.d4rl.regeneration.loading import load_regenerated

    return replace(task, name=name, load_trajectories=partial(load_regenerated, d4rl_name))
