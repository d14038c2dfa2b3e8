"""The one-step operators on Q and V that the paper compares, exact on finite MDPs (float64)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from sfbc_core.tabular.mdp import TabularMDP, check_policy

QTable = Float[np.ndarray, "S A"]
VTable = Float[np.ndarray, " S"]
PolicyTable = Float[np.ndarray, "S A"]


def backup(mdp: TabularMDP, values: VTable) -> QTable:
    """r(s, a) + γ E_(s'|s,a) V(s'): one step, then V. All operators below differ in their V alone."""
    return mdp.expected_reward + mdp.discount * mdp.transition @ values


def bellman_operator(mdp: TabularMDP, policy: PolicyTable, q: QTable) -> QTable:
    """T_π Q(s, a) = r(s, a) + γ E_s' E_(a'~π) Q(s', a'), the Bellman expectation operator (Section 4.2)."""
    return backup(mdp, (policy * q).sum(1))


def optimality_operator(mdp: TabularMDP, q: QTable, support: Bool[np.ndarray, "S A"] | None = None) -> QTable:
    """T* Q(s, a) = r(s, a) + γ E_s' max_a' Q(s', a'); with `support`, the maximum over supported actions only."""
    return backup(mdp, (q if support is None else np.where(support, q, -np.inf)).max(1))


def softmax_policy(behavior: PolicyTable, q: QTable, alpha: float) -> PolicyTable:
    """π(a|s) ∝ μ(a|s) exp(αQ(s, a)) (Eq. 8), for any α >= 0; α = ∞ is greedy among the actions that μ takes.

    With α = ∞, actions of equal Q share by μ, as in the limit.

    Raises:
        ValueError: α negative or NaN.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha must be >= 0, got {alpha}")
    best = np.where(behavior > 0, q, -np.inf).max(1, keepdims=True)
    gap = np.minimum(q - best, 0.0)  # an action outside the support may exceed the best, and must not overflow
    weights = behavior * (gap == 0 if np.isinf(alpha) else np.exp(alpha * gap))
    return weights / weights.sum(1, keepdims=True)


def soft_values(behavior: PolicyTable, q: QTable, alpha: float) -> VTable:
    """V(s) = E_(a~π) Q(s, a) with π ∝ μ exp(αQ) (Eq. 13): between the mean under μ (α = 0) and the maximum (α = ∞).

    Raises:
        ValueError: α negative or NaN.
    """
    return (softmax_policy(behavior, q, alpha) * q).sum(1)


def soft_bellman_operator(mdp: TabularMDP, behavior: PolicyTable, q: QTable, alpha: float) -> QTable:
    """T_π Q with π ∝ μ exp(αQ) made from the same Q: what one iteration of the algorithm would be without planning.

    Unlike T_π with a fixed π it is neither monotone nor a contraction, because the weights move with Q.
    """
    return backup(mdp, soft_values(behavior, q, alpha))


def emaq_operator(mdp: TabularMDP, behavior: PolicyTable, q: QTable, num_samples: int) -> QTable:
    """T_EMaQ Q(s, a) = r + γ E_s' E max over N independent draws a'_i ~ μ of Q(s', a'_i) (Appendix G.2).

    Exact: the largest of N draws is at most q with probability F(q)^N.

    Raises:
        ValueError: N below 1, or a policy that does not fit.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    check_policy(mdp, behavior, "behavior")
    order = q.argsort(1)
    below = np.take_along_axis(behavior, order, 1).cumsum(1)
    below /= below[:, -1:]  # the last is 1 but for rounding, which a power would enlarge
    at_most = np.concatenate([np.zeros((len(q), 1)), below], 1) ** num_samples
    return backup(mdp, (np.diff(at_most, axis=1) * np.take_along_axis(q, order, 1)).sum(1))


def expectile(values: Float[np.ndarray, "*rows n"], weights: Float[np.ndarray, "*rows n"], tau: float) -> np.ndarray:
    """The v that minimises Σ_i w_i |τ - 1(x_i < v)| (x_i - v)², for every row; τ = 1/2 is the mean.

    Exact: the derivative is increasing and linear between neighbouring values, and so is solved on each piece. τ = 0 and
    τ = 1 are the smallest and the largest value of positive weight, the limits.

    Raises:
        ValueError: τ outside [0, 1].
    """
    if not 0 <= tau <= 1:
        raise ValueError(f"tau must lie in [0, 1], got {tau}")
    if tau in (0, 1):
        extreme, missing = (np.max, -np.inf) if tau == 1 else (np.min, np.inf)
        return extreme(np.where(weights > 0, values, missing), axis=-1)
    order = values.argsort(-1)
    x, w = np.take_along_axis(values, order, -1), np.take_along_axis(weights, order, -1)
    mass, moment = w.cumsum(-1), (w * x).cumsum(-1)
    # With the values up to the i-th below v: (1-τ) Σ_below w (v - x) = τ Σ_above w (x - v).
    pull = (1 - tau) * moment + tau * (moment[..., -1:] - moment)
    solution = pull / ((1 - tau) * mass + tau * (mass[..., -1:] - mass))
    # The right piece is the last at whose left end the derivative is still negative or zero.
    piece = ((x <= solution).sum(-1, keepdims=True) - 1).clip(0)
    return np.take_along_axis(solution, piece, -1)[..., 0]


def expectile_operator(mdp: TabularMDP, behavior: PolicyTable, values: VTable, tau: float) -> VTable:
    """T^τ_μ V(s): the τ-expectile of r + γV(s') under a ~ μ and s' ~ P, the fixed point of VEM's update (Appendix G.1).

    Action and next state are drawn together, as they are in a data set: where the next state is random, a large τ prefers
    the lucky ones. In a deterministic MDP only the actions differ.

    Raises:
        ValueError: τ outside [0, 1], or a policy that does not fit.
    """
    check_policy(mdp, behavior, "behavior")
    outcomes = mdp.reward + mdp.discount * values  # (S, A, S)
    weights = behavior[:, :, None] * mdp.transition
    return expectile(outcomes.reshape(mdp.num_states, -1), weights.reshape(mdp.num_states, -1), tau)
