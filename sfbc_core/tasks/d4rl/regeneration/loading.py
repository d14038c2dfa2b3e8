"""Regenerated data as trajectories: from the file that the command line made or, for maze2d, generated when it is needed."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from sfbc_core.arrays import warn_the_caller
from sfbc_core.tasks.cache import cache_dir, source_digest
from sfbc_core.tasks.d4rl.datasets import read_hdf5
from sfbc_core.tasks.d4rl.regeneration.maze2d import Maze2dRecorder
from sfbc_core.tasks.d4rl.regeneration.recipes import SIZES, Recipe, make_recipe, policies_needed, rules_of
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

    It is read from the file that the command line made. maze2d needs no policy: if there is no such file, or if
    `transitions` or `seed` is given, its data is generated here, which takes minutes for a million transitions, and kept
    in the cache.

    Args:
        task: D4RL's name.
        folder: where the file is; by default ``D4RL_DATASET_DIR``/regen, else ``~/.d4rl/datasets/regen``.
        transitions, seed: for maze2d data that is generated here; by default as many as D4RL's file has, and 0.

    Raises:
        FileNotFoundError: the file is missing and takes a policy to make; the message has the command for it.
        ValueError: `transitions` or `seed` is given for a task that needs a policy or together with a folder, or the file
            belongs to another task.
    """
    path = regenerated_path(task, folder)
    needed = policies_needed(task)
    generate = transitions is not None or seed is not None
    if needed and generate:
        raise ValueError(f"{REGENERATED}{task} is read from {path}: transitions and seed are given when it is made")
    if generate and folder is not None:
        raise ValueError(
            f"either a folder to read {REGENERATED}{task} from, or transitions and seed to make it anew, got both"
        )
    if generate or not (needed or path.exists()):
        recipe = make_recipe(task, steps=transitions, seed=seed or 0)
        # The digest of the source code in the name: when the code changes, the data is generated again.
        digests = f"{recipe.digest()}-{source_digest(Maze2dRecorder, waypoint_controller_class)}"
        return _from_cache(recipe, cache_dir() / f"regen-{digests}")
    if not path.exists():
        policy_options = " ".join(["--policy FILE.npz"] * len(needed))
        folder_option = "" if folder is None else f" --folder {folder}"
        raise FileNotFoundError(
            f"no regenerated data of {task} at {path}; this makes it, given the policy of {', then of '.join(needed)}: "
            f"python -m sfbc_core.tasks.d4rl.regeneration {task} {policy_options}{folder_option}"
        )
    if (found := recorded_attributes(path).get("name")) != REGENERATED + task:
        raise ValueError(f"{path} holds {found or 'data of unknown origin'}, expected {REGENERATED}{task}")
    data = read_hdf5(path, rules_of(task))
    if not needed and len(data) != SIZES[task]:  # without the file, that many would have been generated
        warn_the_caller(
            f"{path} holds {len(data):,} transitions of {REGENERATED}{task}, where D4RL's own data have {SIZES[task]:,}: "
            "it was made with --steps. Without the file, as many as D4RL's are generated when they are needed"
        )
    return data


def _from_cache(recipe: Recipe, folder: Path) -> Trajectories:
    """Data that take minutes to make; a damaged file is made again, with a warning."""
    path = regenerated_path(recipe.task, folder)
    if path.exists():
        try:
            record(recipe, folder)  # compares the recipe
            return read_hdf5(path, rules_of(recipe.task))
        except ValueError as error:
            warnings.warn(f"the cached data set is damaged and is generated again: {error}", stacklevel=3)
            path.unlink()
    return read_hdf5(record(recipe, folder), rules_of(recipe.task))
