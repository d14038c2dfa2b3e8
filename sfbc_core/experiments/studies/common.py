"""What the studies share: agents at a size for a CPU, data to run on without a policy, numbers of a size for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfbc_core.behavior import DiffusionConfig, SolverConfig
from sfbc_core.critic import CriticConfig
from sfbc_core.diffusion import ScoreNetworkConfig
from sfbc_core.evaluation import evaluate
from sfbc_core.methods.sfbc import SfBC, SfBCConfig
from sfbc_core.tasks.registry import Task
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories

PICTURE_ROWS = 1500  # transitions in a picture of planned returns


def cpu_agent(
    *,
    widths: tuple[int, ...],
    behavior_steps: int,
    critic_steps: int,
    members: int = 1,
    solver_steps: int = 8,
    behavior_rate: float = 4e-3,
    **options: Any,
) -> SfBCConfig:
    """SfBC for one core: networks and training smaller than the paper's, but of the same kind.

    Args:
        widths: of the score network's levels.
        behavior_steps, critic_steps: gradient steps, each on 1024 transitions.
        members: networks of the critic, of which each takes all the steps.
        solver_steps: network evaluations for a candidate, by the accurate solver of chapter 3.
        behavior_rate: learning rate of the behavior model.
        options: further fields of :class:`~sfbc_core.methods.sfbc.SfBCConfig`.
    """
    network = ScoreNetworkConfig(widths, embedding_dim=max(widths) // 2, fourier_features=32, fourier_scale=4.0)
    behavior = DiffusionConfig(
        network, solver=SolverConfig.accurate(solver_steps), training=_training(behavior_steps, behavior_rate)
    )
    critic = CriticConfig(members=members, training=_training(critic_steps, 3e-3))
    return SfBCConfig(behavior=behavior, critic=critic, **options)


def smoke_agent(**options: Any) -> SfBCConfig:
    """The same at a size that shows nothing but that it runs."""
    return cpu_agent(widths=(8,), behavior_steps=10, critic_steps=10, solver_steps=3, value_candidates=2, **options)


def _training(gradient_steps: int, learning_rate: float) -> TrainingConfig:
    return TrainingConfig(
        gradient_steps=gradient_steps,
        batch_size=1024,
        learning_rate=learning_rate,
        cosine_decay=True,
        checkpoint_every=1000,
    )


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
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **weights, **biases)
    return path


def stand_in_data(folder: Path, task: str, observation_dim: int, action_dim: int, policies: int, steps: int) -> None:
    """A small data set of `task` by untrained policies, where the task looks for its regenerated data in `folder`."""
    # Only here: they need D4RL.
    from sfbc_core.tasks.d4rl.regeneration.recipes import make_recipe
    from sfbc_core.tasks.d4rl.regeneration.recording import record

    policy = untrained_policy(folder / f"untrained-{observation_dim}-{action_dim}.npz", observation_dim, action_dim)
    record(make_recipe(task, steps=steps, policies=[policy] * policies), folder, progress=False)


def rounded(values: Tensor | np.ndarray | Sequence[float], digits: int = 3) -> list[Any]:
    """Numbers as lists, short enough for a file that people read."""
    values = values.cpu() if isinstance(values, Tensor) else values
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()


def planned_picture(agent: SfBC, trajectories: Trajectories, seed: int) -> dict[str, Any]:
    """The paper's Figure 2: positions of transitions drawn at random, and their targets after each iteration."""
    rows = np.random.default_rng(seed).choice(
        len(trajectories), size=min(PICTURE_ROWS, len(trajectories)), replace=False
    )
    rows = torch.from_numpy(np.sort(rows)).to(trajectories.device)
    return {
        "positions": rounded(trajectories.observations[rows, :2], 2),
        "targets": [rounded(targets[rows]) for targets in agent.targets],
    }


def selection_scores(
    agent: SfBC, selections: Mapping[str, Mapping[str, Any]], task: Task, episodes: int
) -> dict[str, float]:
    """The mean score of an agent for every way to act: fields of its config, by a name."""
    return {name: mean_score(agent.acting(**options), task, episodes) for name, options in selections.items()}


def mean_score(agent: SfBC, task: Task, episodes: int) -> float:
    """The normalised score of an agent's mean return, over episodes of its own seed."""
    return float(task.normalized_score(evaluate(agent, task, episodes, agent.config.seed).returns.mean()))
