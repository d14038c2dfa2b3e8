"""What the recursion of Eq. 12 earns in expectation, by the exact law of its random return."""

from __future__ import annotations

import numpy as np

from sfbc_core.tabular.mdp import TabularMDP, check_policy
from sfbc_core.tabular.operators import PolicyTable, QTable, VTable, backup

DIGITS = 12  # values that agree to so many decimals are one atom


def trajectory_planning_operator(
    mdp: TabularMDP, behavior: PolicyTable, values: VTable, horizon: int, max_atoms: int = 100_000
) -> QTable:
    """E[R | s, a] for R = r + γ max(R', V(s')) along episodes drawn by μ: Eq. 12, averaged over all data there could be.

    This is what the critic is regressed on. It is *not* Eq. 11: there the maximum is over expectations, here inside them,
    with the future of the episode known. The two agree where an episode is determined by its first state and action.

    The law of max(R, V) is computed backwards, as a list of values and probabilities for every state; equal values are
    merged. Episodes go on until a terminal state, or for at most `horizon` steps, when V of the state reached stands in.

    Args:
        values: V, shape (S,); that of a terminal state plays no part.
        horizon: the largest number of steps to look ahead; the result increases with it, by at most a multiple of γ^horizon.
        max_atoms: refuse to keep more values than this for one state. Sparse rewards need few; dense random ones multiply.

    Raises:
        ValueError: `behavior` does not fit, or horizon below 1.
        RuntimeError: more than `max_atoms` values.
    """
    check_policy(mdp, behavior, "behavior")
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1, got {horizon}")
    outcomes = [_outcomes(mdp, behavior, state) for state in range(mdp.num_states)]
    nothing = (np.zeros(1), np.ones(1))
    # What follows arrival in a state, max(R', V): at the horizon, V alone.
    following = [nothing if end else (np.array([v]), np.ones(1)) for v, end in zip(values, mdp.terminal, strict=True)]
    for step in range(1, horizon):
        following = [
            nothing if end else _planned(outcomes[s], following, mdp.discount, values[s])
            for s, end in enumerate(mdp.terminal)
        ]
        largest = max(len(atoms) for atoms, _ in following)
        if largest > max_atoms:
            raise RuntimeError(f"the return of {step + 1} steps takes {largest} values, more than {max_atoms}")
    return backup(mdp, np.array([atoms @ chances for atoms, chances in following]))


Law = tuple[np.ndarray, np.ndarray]  # values and their probabilities, (n,) each; every law has its own n


def _outcomes(mdp: TabularMDP, behavior: PolicyTable, state: int) -> dict[tuple[int, float], float]:
    """The probability of every next state and reward, under μ; actions that lead to the same are one."""
    outcomes: dict[tuple[int, float], float] = {}
    chances = behavior[state][:, None] * mdp.transition[state]
    for action, following in np.argwhere(chances > 0).tolist():
        key = (following, float(mdp.reward[state, action, following]))
        outcomes[key] = outcomes.get(key, 0.0) + float(chances[action, following])
    return outcomes


def _planned(outcomes: dict[tuple[int, float], float], following: list[Law], discount: float, value: float) -> Law:
    """The law of max(R, V) in one state, each value once."""
    laws = [(reward + discount * following[s][0], chance * following[s][1]) for (s, reward), chance in outcomes.items()]
    values, chances = (np.concatenate(parts) for parts in zip(*laws, strict=True))
    atoms, position = np.unique(np.maximum(values, value).round(DIGITS), return_inverse=True)
    return atoms, np.bincount(position, chances, minlength=len(atoms))
