"""What the families share: making one of D4RL's tasks from its name."""

from __future__ import annotations

import os
from functools import partial

from sfbc_core.tasks.d4rl.environments import make_d4rl_env
from sfbc_core.tasks.d4rl.installation import import_d4rl
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories


def d4rl_task(name: str) -> Task:
    """The task `name`: D4RL's environment and data set, with the reference returns that D4RL publishes for it.

    Args:
        name: D4RL's name, such as "hopper-medium-v2".

    Raises:
        ImportError: D4RL is not installed.
    """
    infos = import_d4rl().infos
    return Task(
        name,
        make_env=partial(make_d4rl_env, name),
        load_trajectories=partial(load_trajectories, name),
        reference_returns=(float(infos.REF_MIN_SCORE[name]), float(infos.REF_MAX_SCORE[name])),
    )


def load_trajectories(name: str, *, folder: str | os.PathLike | None = None, download: bool = True) -> Trajectories:
    """The data set of the task `name`; the arguments are those of ``load_d4rl`` in ``sfbc_core.tasks.d4rl.datasets``."""
    # Not at the top: it needs h5py and requests. Where D4RL is not installed they are missing too, and the message should
    # be the one of `import_d4rl`.
    from sfbc_core.tasks.d4rl.datasets import load_d4rl

    return load_d4rl(name, folder=folder, download=download)
