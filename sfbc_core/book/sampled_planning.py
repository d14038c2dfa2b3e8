"""The algorithm on data drawn from a finite MDP, with a table for a critic: planning as it is done, and no network."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.planning import discounted_returns, planned_returns, soft_value
from sfbc_core.tabular import Rollouts
from sfbc_core.trajectories import Trajectories


def as_trajectories(rollouts: Rollouts) -> Trajectories:
    """The data type that planning reads; a state and an action are their numbers."""
    return Trajectories(
        rollouts.states[:, None].astype(np.float32),
        rollouts.actions[:, None].astype(np.float32),
        rollouts.rewards,
        rollouts.terminals,
        rollouts.timeouts,
        action_low=-0.5,
        action_high=float(rollouts.actions.max()) + 0.5,
    )


def sampled_plan(
    rollouts: Rollouts,
    behavior: Float[np.ndarray, "S A"],
    discount: float,
    alpha: float,
    iterations: int,
    num_candidates: int,
    generator: torch.Generator,
) -> list[Float[np.ndarray, "S A"]]:
    """K iterations of planning and regression, Eq. 12 and 13, in which the critic is the mean target of each (s, a).

    Args:
        rollouts: the data.
        behavior: μ(a|s), from which candidates are drawn, shape (S, A).
        discount: γ.
        alpha: inverse temperature, in units of 1/Q.
        iterations: K; the first fits vanilla returns.
        num_candidates: M, drawn anew for every transition and iteration.
        generator: of the candidates.

    Returns:
        Q_1 … Q_K, shape (S, A) each; NaN where the data hold no such action.

    Raises:
        ValueError: fewer than one iteration or candidate, or a candidate that the data do not hold.
    """
    if iterations < 1 or num_candidates < 1:
        raise ValueError(f"expected iterations and num_candidates >= 1, got {iterations} and {num_candidates}")
    data = as_trajectories(rollouts)
    states = torch.from_numpy(rollouts.states)
    probabilities = torch.from_numpy(behavior)[states]  # (N, A)
    tables = [_mean_target(discounted_returns(data, discount), rollouts, behavior.shape)]
    for _ in range(iterations - 1):
        candidates = torch.multinomial(probabilities, num_candidates, replacement=True, generator=generator)  # (N, M)
        q = torch.from_numpy(tables[-1])[states[:, None], candidates]
        if torch.isnan(q).any():
            raise ValueError("a candidate that is not in the data was drawn: behavior must be the data's own policy")
        targets = planned_returns(data, soft_value(q, alpha), discount)
        tables.append(_mean_target(targets, rollouts, behavior.shape))
    return tables


def _mean_target(targets: Float[Tensor, " N"], rollouts: Rollouts, shape: tuple[int, ...]) -> Float[np.ndarray, "S A"]:
    """The least-squares critic with one number for each (s, a)."""
    pair = rollouts.states * shape[1] + rollouts.actions
    count = np.bincount(pair, minlength=shape[0] * shape[1])
    total = np.bincount(pair, targets.numpy(), minlength=shape[0] * shape[1])
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)
