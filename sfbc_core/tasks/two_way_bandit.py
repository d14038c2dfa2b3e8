"""A bandit with two good ways to act and nothing between them (chapter 4): one state, one step, and every answer known."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor

from sfbc_core.arrays import checked_count
from sfbc_core.diffusion import GaussianMixture
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

ENV_ID = "sfbc/TwoWayBandit-v0"
BEHAVIOR = GaussianMixture([0.5, 0.5], [-0.6, 0.6], 0.06)  # μ: half went left, half went right
PEAK, WIDTH = 0.6, 0.25  # where the two peaks of Q are, and how wide
LESS = 0.05  # δ of the task: the right way is worth so much less
NOISE = 0.1  # deviation of the recorded rewards


def true_q(actions: Float[Tensor, "*B"], delta: float = LESS) -> Float[Tensor, "*B"]:
    """Q_δ(a) = exp(-((a + 0.6)/0.25)²) + (1 - δ) exp(-((a - 0.6)/0.25)²)."""
    left, right = (torch.exp(-(((actions - peak) / WIDTH) ** 2)) for peak in (-PEAK, PEAK))
    return left + (1 - delta) * right


class TwoWayBanditEnv(gymnasium.Env):
    """One step from a state that is always 0; it earns Q of its action, without the noise of the recordings."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    max_episode_steps: ClassVar[int] = 1

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)  # always 0
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """The one state."""
        super().reset(seed=seed)
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """The only step; an action outside [-1, 1] is an error."""
        taken = float(np.asarray(action).item())
        if not -1 <= taken <= 1:
            raise ValueError(f"the action must lie in [-1, 1], got {taken}")
        return np.zeros(1, dtype=np.float32), float(true_q(torch.tensor(taken))), True, False, {}


def generate(transitions: int = 4_000, seed: int = 0, *, delta: float = LESS, noise: float = NOISE) -> Trajectories:
    """Episodes of one step, with actions of `BEHAVIOR` and rewards Q_δ(a) + noise · ε, where ε ~ N(0, 1).

    Raises:
        ValueError: `transitions` or `seed` is no whole number, or `transitions` is less than 1 or `seed` less than 0.
    """
    transitions, seed = checked_count("transitions", transitions), checked_count("seed", seed, least=0)
    generator = torch.Generator().manual_seed(seed)
    actions = BEHAVIOR.sample(transitions, generator)[0].clamp(-1, 1)
    disturbance = noise * torch.randn(transitions, generator=generator, dtype=torch.float64)
    ends = torch.ones(transitions, dtype=torch.bool)
    rewards = true_q(actions[:, 0], delta) + disturbance
    return Trajectories(torch.zeros(transitions, 1), actions, rewards, terminals=ends, timeouts=~ends)


def make_task(name: str) -> Task:
    """The task ``two-way-bandit``; a return of 1, that of the left peak, scores 100."""
    return Task(name, partial(gymnasium.make, ENV_ID), generate, reference_returns=(0.0, 1.0))
