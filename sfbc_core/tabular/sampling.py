"""Data drawn from a finite MDP, and the behavior policy that data show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sfbc_core.tabular.mdp import TabularMDP, check_policy
from sfbc_core.tabular.operators import PolicyTable


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Transitions of episodes, in the order they happened, shape (N,) each."""

    states: Int[np.ndarray, " N"]
    actions: Int[np.ndarray, " N"]
    rewards: Float[np.ndarray, " N"]
    terminals: Bool[np.ndarray, " N"]
    timeouts: Bool[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.states)


def sample_episodes(
    mdp: TabularMDP,
    behavior: PolicyTable,
    starts: Int[np.ndarray, " E"],
    horizon: int,
    rng: np.random.Generator,
) -> Rollouts:
    """One episode from each start, acting by μ until a terminal state; after `horizon` steps the recording is cut.

    All episodes walk together, so that a million steps take a second.

    Raises:
        ValueError: no start, a start that is no state or is terminal, horizon below 1, or a policy that does not fit.
    """
    check_policy(mdp, behavior, "behavior")
    if len(starts) == 0 or horizon < 1:
        raise ValueError(f"expected at least one start and horizon >= 1, got {len(starts)} and {horizon}")
    if starts.min() < 0 or starts.max() >= mdp.num_states or mdp.terminal[starts].any():
        raise ValueError(f"starts must be states 0 … {mdp.num_states - 1} that are not terminal")
    action_law, next_law = behavior.cumsum(1), mdp.transition.cumsum(2)
    running, state = np.arange(len(starts)), starts
    columns: list[tuple[np.ndarray, ...]] = []  # one entry a step: episode, state, action, reward, terminal, timeout
    for step in range(horizon):
        action = _draw(action_law[state], rng)
        following = _draw(next_law[state, action], rng)
        ended = mdp.terminal[following]
        cut = ~ended & (step == horizon - 1)
        columns.append((running, state, action, mdp.reward[state, action, following], ended, cut))
        running, state = running[~ended], following[~ended]
        if not len(running):
            break
    episode, *rest = (np.concatenate(column) for column in zip(*columns, strict=True))
    in_order = episode.argsort(kind="stable")  # step by step within an episode already
    return Rollouts(*(column[in_order] for column in rest))


def _draw(cumulative: Float[np.ndarray, "B n"], rng: np.random.Generator) -> Int[np.ndarray, " B"]:
    """One index a row by its probabilities, given as running sums."""
    # The total may differ from 1 by rounding, and an index past the last of positive probability must not come up.
    return (cumulative <= rng.random((len(cumulative), 1)) * cumulative[:, -1:]).sum(1)


def empirical_policy(rollouts: Rollouts, num_states: int, num_actions: int) -> PolicyTable:
    """μ̂(a|s), the share of each action among the visits of a state; uniform in a state that was never visited."""
    counts = np.zeros((num_states, num_actions))
    np.add.at(counts, (rollouts.states, rollouts.actions), 1)
    visits = counts.sum(1, keepdims=True)
    return np.where(visits > 0, counts / np.maximum(visits, 1), 1 / num_actions)
