"""Exact operators on finite MDPs, in float64: what Appendices C and G of the paper speak of, computed.

It imports nothing else from the package, so that it can serve as an independent check of the rest.
"""

from sfbc_core.tabular.iteration import plan
from sfbc_core.tabular.mdp import TabularMDP, optimal_q, policy_q
from sfbc_core.tabular.operators import (
    backup,
    bellman_operator,
    emaq_operator,
    expectile,
    expectile_operator,
    optimality_operator,
    soft_bellman_operator,
    soft_values,
    softmax_policy,
)
from sfbc_core.tabular.planning import (
    PlanningResult,
    early_planning_operator,
    fixed_point,
    planning_operator,
    vem_operator,
)
from sfbc_core.tabular.sampling import Rollouts, empirical_policy, sample_episodes
from sfbc_core.tabular.trajectory_planning import trajectory_planning_operator
from sfbc_core.tabular.worlds import (
    ACTIONS,
    GridWorld,
    close_terminals,
    gridworld,
    lottery,
    random_mdp,
    random_policy,
    stay_or_leave,
    stitching_chain,
)

__all__ = [
    "ACTIONS",
    "GridWorld",
    "PlanningResult",
    "Rollouts",
    "TabularMDP",
    "backup",
    "bellman_operator",
    "close_terminals",
    "early_planning_operator",
    "emaq_operator",
    "empirical_policy",
    "expectile",
    "expectile_operator",
    "fixed_point",
    "gridworld",
    "lottery",
    "optimal_q",
    "optimality_operator",
    "plan",
    "planning_operator",
    "policy_q",
    "random_mdp",
    "random_policy",
    "sample_episodes",
    "soft_bellman_operator",
    "soft_values",
    "softmax_policy",
    "stay_or_leave",
    "stitching_chain",
    "trajectory_planning_operator",
    "vem_operator",
]
