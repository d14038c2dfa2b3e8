"""The algorithm with every expectation exact: targets, a policy made from them, targets again."""

from __future__ import annotations

from typing import Literal, get_args

from sfbc_core.tabular.mdp import TabularMDP, policy_q
from sfbc_core.tabular.operators import PolicyTable, QTable, bellman_operator, soft_values, softmax_policy
from sfbc_core.tabular.planning import early_planning_operator, planning_operator
from sfbc_core.tabular.trajectory_planning import trajectory_planning_operator

Target = Literal["planning", "recursion", "one step", "early maximum"]


def plan(
    mdp: TabularMDP,
    behavior: PolicyTable,
    alpha: float,
    iterations: int,
    target: Target = "planning",
    horizon: int = 60,
) -> list[QTable]:
    """Q_1 = Q^μ, the vanilla return of endless data; then Q_(k+1) is the target made with π ∝ μ exp(αQ_k).

    Args:
        behavior: μ, shape (S, A).
        alpha: inverse temperature, >= 0 or infinite, per unit of Q.
        iterations: K.
        target: "planning" is T^π_μ Q (Eq. 11), "recursion" the mean of Eq. 12 over recorded episodes, "one step" T_π Q, and
            "early maximum" max(T^π_μ Q, V).
        horizon: of the recursion, the steps that it looks ahead.

    Returns:
        Q_1 … Q_K, each of shape (S, A).

    Raises:
        ValueError: fewer than one iteration, an unknown target, or bad arguments of the parts.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    if target not in get_args(Target):
        raise ValueError(f"target must be one of {get_args(Target)}, got {target!r}")
    tables = [policy_q(mdp, behavior)]
    for _ in range(iterations - 1):
        q = tables[-1]
        policy = softmax_policy(behavior, q, alpha)
        if target == "planning":
            q = planning_operator(mdp, behavior, policy, q).values
        elif target == "recursion":
            q = trajectory_planning_operator(mdp, behavior, soft_values(behavior, q, alpha), horizon)
        elif target == "one step":
            q = bellman_operator(mdp, policy, q)
        else:
            q = early_planning_operator(mdp, behavior, policy, q)
        tables.append(q)
    return tables
