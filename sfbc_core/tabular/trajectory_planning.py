"""What the recursion of Eq. 12 earns in expectation, by the exact law of its random return."""

from __future__ import annotations

import numpy as np

from sfbc_core.tabular.mdp import TabularMDP, check_policy
from sfbc_core.tabular.operators import PolicyTable, QTable, VTable

DIGITS = 12  # values that agree to so many decimals are one atom


def trajectory_planning_operator(
    mdp: TabularMDP, behavior: PolicyTable, values: VTable, horizon: int, max_atoms: int = 100_000
) -> QTable:
    """E[R | s, a] for R = r + γ max(R', V(s')) along episodes drawn by μ: Eq. 12, averaged over all data there could be.

    This is what the critic is regressed on. It is *not* Eq. 11: there the maximum is over expectations, here inside them,
    with the future of the episode known. The two agree where an episode is determined by its first state and action.

    The law of R is computed backwards as a list of values and probabilities for every (s, a); equal values are merged.
    Episodes go on until a terminal state, or for at most `horizon` steps, when V of the state reached stands in.

    Args:
        values: V, shape (S,).
        horizon: the largest number of steps to look ahead; the result increases with it, by at most a multiple of γ^horizon.
        max_atoms: refuse to keep more values than this for one (s, a). Sparse rewards need few; dense random ones multiply.

    Raises:
        ValueError: `behavior` does not fit, or horizon below 1.
        RuntimeError: more than `max_atoms` values.
    """
    check_policy(mdp, behavior, "behavior")
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1, got {horizon}")
    nothing = (np.zeros(1), np.ones(1))
    # What follows arrival in a state, max(R', V): at the horizon, V alone.
    following = [nothing if end else (np.array([v]), np.ones(1)) for v, end in zip(values, mdp.terminal, strict=True)]
    for step in range(horizon):
        returns = [[_return_law(mdp, s, a, following) for a in range(mdp.num_actions)] for s in range(mdp.num_states)]
        largest = max(len(law[0]) for row in returns for law in row)
        if largest > max_atoms:
            raise RuntimeError(f"the return of {step + 1} steps takes {largest} values, more than {max_atoms}")
        following = [
            nothing if mdp.terminal[s] else _planned(returns[s], behavior[s], values[s]) for s in range(mdp.num_states)
        ]
    return np.array([[law[0] @ law[1] for law in row] for row in returns])


Law = tuple[np.ndarray, np.ndarray]  # values and their probabilities, (n,) each; every law has its own n


def _return_law(mdp: TabularMDP, state: int, action: int, following: list[Law]) -> Law:
    """r + γ times what follows, mixed over the next states."""
    reached = np.flatnonzero(mdp.transition[state, action])
    return _merge(
        [mdp.reward[state, action, s] + mdp.discount * following[s][0] for s in reached],
        [mdp.transition[state, action, s] * following[s][1] for s in reached],
    )


def _planned(returns: list[Law], probabilities: np.ndarray, value: float) -> Law:
    """max(R', V), mixed over the actions of μ."""
    taken = np.flatnonzero(probabilities)
    return _merge(
        [np.maximum(returns[a][0], value) for a in taken],
        [probabilities[a] * returns[a][1] for a in taken],
    )


def _merge(values: list[np.ndarray], probabilities: list[np.ndarray]) -> Law:
    """One law of several parts, each value once."""
    atoms, position = np.unique(np.concatenate(values).round(DIGITS), return_inverse=True)
    return atoms, np.bincount(position, np.concatenate(probabilities), minlength=len(atoms))
