"""The multi-step operators, evaluated exactly: T^π_μ (Eq. 11), its early-maximum variant, and VEM's T_vem."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sfbc_core.tabular.mdp import TabularMDP, check_policy, policy_q
from sfbc_core.tabular.operators import (
    PolicyTable,
    QTable,
    VTable,
    bellman_operator,
    expectile_operator,
)


class PlanningResult(NamedTuple):
    """What planning promises, and how far it looks for it."""

    values: Float[np.ndarray, "..."]  # the maximum over n, of Q (S, A) or of V (S,)
    steps: Int[np.ndarray, "..."]  # n*, the n that attains it (to within the tolerance, where only the limit does)


def planning_operator(
    mdp: TabularMDP,
    behavior: PolicyTable,
    policy: PolicyTable,
    q: QTable,
    max_steps: int | None = None,
    tolerance: float = 1e-10,
) -> PlanningResult:
    """T^π_μ Q(s, a) = max over n >= 0 of (T_μ)^n T_π Q(s, a) (Eq. 11): follow μ for n steps, then act by π.

    Args:
        behavior: μ, shape (S, A).
        policy: π, shape (S, A), held fixed.
        q: Q, shape (S, A).
        max_steps: N of Proposition 2, the largest n that is tried. None: all n. Then the supremum is found to within
            `tolerance`: (T_μ)^n T_π Q tends to Q^μ at the rate γ^n, so n grows until less than that is left, and then
            Q^μ itself takes part.
        tolerance: relative to the size of Q; also the least gain for which a larger n counts as better.

    Raises:
        ValueError: a policy that does not fit, or `max_steps` below 0.
    """
    check_policy(mdp, policy)
    check_policy(mdp, behavior, "behavior")
    limit = policy_q(mdp, behavior)
    matrix = (mdp.transition[:, :, :, None] * behavior).reshape(q.size, q.size)  # (s, a) to (s', a') by P and μ
    reward = mdp.expected_reward.ravel()
    first = bellman_operator(mdp, policy, q).ravel()
    best, steps = _maximum_over_steps(first, reward, mdp.discount * matrix, limit.ravel(), max_steps, tolerance)
    return PlanningResult(best.reshape(q.shape), steps.reshape(q.shape))


def early_planning_operator(
    mdp: TabularMDP, behavior: PolicyTable, policy: PolicyTable, q: QTable, tolerance: float = 1e-10
) -> QTable:
    """max(T^π_μ Q(s, a), V(s)): the operator of the variant R_n = max(r_n + γ R_(n+1), V_n), the maximum one step early.

    The plan of zero steps, "have the value of the state", is open to every action, whatever it does. For a fixed π it is
    monotone, but no contraction: any large enough constant Q is a fixed point. Arguments as of :func:`planning_operator`.

    Raises:
        ValueError: a policy that does not fit.
    """
    value = (policy * q).sum(1, keepdims=True)
    return np.maximum(planning_operator(mdp, behavior, policy, q, None, tolerance).values, value)


def vem_operator(
    mdp: TabularMDP,
    behavior: PolicyTable,
    values: VTable,
    tau: float,
    max_steps: int | None = None,
    tolerance: float = 1e-10,
) -> PlanningResult:
    """T_vem V(s) = max over n >= 1 of (T_μ)^(n-1) T^τ_μ V(s), the multi-step estimation operator of VEM (Appendix G.1).

    `steps` counts n - 1, the steps by μ before the expectile, as in :func:`planning_operator`.

    Raises:
        ValueError: τ outside [0, 1], a policy that does not fit, or `max_steps` below 0.
    """
    limit = (behavior * policy_q(mdp, behavior)).sum(1)
    matrix = np.einsum("sa,sat->st", behavior, mdp.transition)
    reward = (behavior * mdp.expected_reward).sum(1)
    first = expectile_operator(mdp, behavior, values, tau)
    return _maximum_over_steps(first, reward, mdp.discount * matrix, limit, max_steps, tolerance)


def _maximum_over_steps(
    first: Float[np.ndarray, " n"],
    reward: Float[np.ndarray, " n"],
    matrix: Float[np.ndarray, "n n"],
    limit: Float[np.ndarray, " n"],
    max_steps: int | None,
    tolerance: float,
) -> PlanningResult:
    """The maximum over n of step^n(first), for step(x) = reward + matrix x with the fixed point `limit`."""
    if max_steps is not None and max_steps < 0:
        raise ValueError(f"max_steps must be >= 0, got {max_steps}")
    least_gain = tolerance * (1 + max(np.abs(first).max(), np.abs(limit).max()))
    best, steps, current = first.copy(), np.zeros(first.shape, dtype=int), first
    n = 0
    while n < max_steps if max_steps is not None else np.abs(current - limit).max() > least_gain:
        n += 1
        current = reward + matrix @ current
        steps[current > best + least_gain] = n
        np.maximum(best, current, out=best)
    if max_steps is None:
        np.maximum(best, limit, out=best)
    return PlanningResult(best, steps)


def fixed_point(
    operator: Callable[[np.ndarray], np.ndarray],
    start: Float[np.ndarray, "..."],
    discount: float,
    tolerance: float = 1e-9,
    max_iterations: int = 100_000,
) -> Float[np.ndarray, "..."]:
    """The fixed point of a γ-contraction by iteration, stopped when Banach's bound γ/(1-γ) |x_(k+1) - x_k| is small.

    Args:
        operator: a map of the array `start` to one of its shape.
        discount: γ of the contraction. Of an operator that is none, the result is what the iteration settles at.
        tolerance: relative to the size of the result.

    Raises:
        RuntimeError: no convergence in `max_iterations`.
    """
    current = start
    for _ in range(max_iterations):
        following = operator(current)
        change = np.abs(following - current).max()
        current = following
        if discount * change <= (1 - discount) * tolerance * (1 + np.abs(current).max()):
            return current
    raise RuntimeError(f"no fixed point within {max_iterations} iterations; the last step changed by {change:g}")
