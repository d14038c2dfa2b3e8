"""Data and networks small enough to know the answer: three transitions, a bandit, a finite MDP, Q that is linear."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sfbc_core import TrainingConfig, Trajectories
from sfbc_core.methods.q_learning import EnsembleQ
from sfbc_core.tabular import random_mdp, random_policy, sample_episodes

LEFT, RIGHT = -0.5, 0.8  # the two arms of the bandit
BRIEF = TrainingConfig(gradient_steps=600, batch_size=128, learning_rate=1e-2, cosine_decay=True)


def three_steps(**options) -> Trajectories:
    """An episode of two transitions that ends by itself, and one that a timeout cuts at once; s = 1, 2, 3."""
    return Trajectories(
        [[1.0], [2.0], [3.0]], [[0.5], [-0.5], [0.0]], [0.25, 3.0, 7.0], [0, 1, 0], [0, 0, 1], **options
    )


def bandit(rows=400) -> Trajectories:
    """One state; half of the steps go left and earn 0, half go right and earn 1; each ends its episode."""
    right = torch.arange(rows) % 2 == 1
    ends = torch.ones(rows, dtype=torch.bool)
    return Trajectories(torch.zeros(rows, 1), torch.where(right, RIGHT, LEFT)[:, None], right.float(), ends, ~ends)


def small_world():
    """A finite MDP of seven states, of which one ends, with three actions and chance in every step, and a behavior policy
    that never takes about half of the actions.
    """
    rng = np.random.default_rng(3)
    mdp = random_mdp(rng, 7, 3, branching=2, discount=0.8, num_terminal=1)
    return mdp, random_policy(rng, 7, 3, full_support=False)


def living_states(mdp) -> np.ndarray:
    return np.flatnonzero(~mdp.terminal)


def recorded(mdp, behavior, episodes=1500) -> Trajectories:
    """Episodes of behavior in a finite MDP, with states as one-hot vectors and actions as one-hot throttles."""
    rng = np.random.default_rng(1)
    rollouts = sample_episodes(mdp, behavior, rng.choice(living_states(mdp), episodes), 20, rng)
    return Trajectories(
        np.eye(mdp.num_states)[rollouts.states],
        2 * np.eye(mdp.num_actions)[rollouts.actions] - 1,
        rollouts.rewards,
        rollouts.terminals,
        rollouts.timeouts,
    )


def first_row(agent, data, row=0, step=0) -> dict[str, float]:
    """The losses of an agent on one row of its data."""
    losses = agent.losses(agent.rows(data)[torch.tensor([row])], step, torch.Generator().manual_seed(0))
    return {name: loss.item() for name, loss in losses.items()}


def built(agent, obs_dim=1, act_dim=1):
    """An agent with networks that have learned nothing and are all zero."""
    agent.nets.build(obs_dim, act_dim)
    with torch.no_grad():
        for parameter in agent.nets.parameters():
            parameter.zero_()
    return agent


def linear(*weights: float, bias: float = 0.0) -> nn.Linear:
    """x ↦ weights·x + bias."""
    layer = nn.Linear(len(weights), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(bias)
    return layer


def linear_q(*members: nn.Linear) -> EnsembleQ:
    """Q whose members are the given functions of (s, a)."""
    q = EnsembleQ(1, 1, (1,), len(members))
    for i, member in enumerate(members):
        q[i] = member
    return q
