"""Data by robots that have learned nothing: what the profile "smoke" runs on where the real data need policies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sfbc_core.files import atomic_path


def untrained_policy(path: Path, observation_dim: int, action_dim: int) -> Path:
    """Write a policy of random weights: one that has learned nothing, for data on which code is tried."""
    generator = np.random.default_rng(0)
    sizes = {
        "fc0": (16, observation_dim),
        "fc1": (16, 16),
        "last_fc": (action_dim, 16),
        "last_fc_log_std": (action_dim, 16),
    }
    weights = {f"{name}.weight": 0.1 * generator.standard_normal(shape, np.float32) for name, shape in sizes.items()}
    biases = {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in sizes.items()}
    with atomic_path(path) as temporary:
        np.savez(temporary, **weights, **biases)
    return path


def untrained_data(folder: Path, task: str, sizes: tuple[int, int], policies: int, steps: int) -> None:
    """A small data set of `task` by untrained policies, where the task looks for its regenerated data in `folder`.

    Args:
        sizes: coordinates of an observation and of an action.
        policies: how many the recipe of the task asks for.
        steps: transitions.
    """
    # Only here: they need D4RL.
    from sfbc_core.tasks.d4rl.regeneration.recipes import make_recipe
    from sfbc_core.tasks.d4rl.regeneration.recording import record

    policy = untrained_policy(folder / "untrained-{}-{}.npz".format(*sizes), *sizes)
    record(make_recipe(task, steps=steps, policies=[policy] * policies), folder, progress=False)
