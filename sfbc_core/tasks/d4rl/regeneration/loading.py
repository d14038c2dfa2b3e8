"""Regenerated data as trajectories: read from the file that the command line made or, for maze2d, made on demand."""

from __future__ import annotations

import os

from sfbc_core.tasks.cache import cache_dir, source_digest
from sfbc_core.tasks.d4rl.datasets import read_hdf5
from sfbc_core.tasks.d4rl.regeneration.maze2d import Maze2dRecorder
from sfbc_core.tasks.d4rl.regeneration.recipes import make_recipe, policies_needed, rules_of
from sfbc_core.tasks.d4rl.regeneration.recording import record, recorded_attributes, regenerated_path
from sfbc_core.tasks.d4rl.waypoints import waypoint_controller_class
from sfbc_core.tasks.registry import REGENERATED
from sfbc_core.trajectories import Trajectories


def load_regenerated(
    task: str,
    *,
    folder: str | os.PathLike | None = None,
    transitions: int | None = None,
    seed: int | None = None,
) -> Trajectories:
    """The regenerated data set of the task that D4RL calls `task`.

    It is read from the file that the command line made. maze2d needs no policy: where there is no such file, or if a number
    of transitions or a seed is asked for, it is regenerated now, minutes for a million transitions, and kept in the cache.

    Args:
        task: D4RL's name.
        folder: where the file is; ``D4RL_DATASET_DIR``/regen, else ``~/.d4rl/datasets/regen``, if it is not given.
        transitions, seed: of maze2d that is regenerated now; as many as D4RL's file has, and 0, if not given.

    Raises:
        FileNotFoundError: the file is not there and needs a policy; the message has the command that makes it.
        ValueError: a number of transitions or a seed for a task that needs a policy or together with a folder, or a file
            that is not of this task.
    """
    path = regenerated_path(task, folder)
    needed = policies_needed(task)
    asked = transitions is not None or seed is not None
    if needed and asked:
        raise ValueError(f"{REGENERATED}{task} is read from {path}: transitions and seed are given when it is made")
    if asked and folder is not None:
        raise ValueError(
            f"either a folder to read {REGENERATED}{task} from, or transitions and seed to make it anew, got both"
        )
    if asked or not (needed or path.exists()):
        recipe = make_recipe(task, steps=transitions, seed=seed or 0)
        # As with other generated data, a change of the recipe's source makes other data.
        path = record(
            recipe, cache_dir() / f"regen-{recipe.digest()}-{source_digest(Maze2dRecorder, waypoint_controller_class)}"
        )
    elif not path.exists():
        files = " ".join(["--policy FILE.npz"] * len(needed))
        into = "" if folder is None else f" --folder {folder}"
        raise FileNotFoundError(
            f"no regenerated data of {task} at {path}; this makes it, given the policy of {', then of '.join(needed)}: "
            f"python -m sfbc_core.tasks.d4rl.regeneration {task} {files}{into}"
        )
    if (found := recorded_attributes(path).get("name")) != REGENERATED + task:
        raise ValueError(f"{path} holds {found or 'data of unknown origin'}, expected {REGENERATED}{task}")
    return read_hdf5(path, rules_of(task))
