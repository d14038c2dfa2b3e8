from itertools import pairwise

import numpy as np
import pytest

from sfbc_core.tabular import (
    early_planning_operator,
    plan,
    planning_operator,
    policy_q,
    random_mdp,
    random_policy,
    soft_bellman_operator,
    soft_values,
    softmax_policy,
    trajectory_planning_operator,
)

ALPHA = 3.0
TARGETS = {
    "planning": lambda m, b, pi, q: planning_operator(m, b, pi, q).values,
    "recursion": lambda m, b, pi, q: trajectory_planning_operator(m, b, soft_values(b, q, ALPHA), 5),
    "one step": lambda m, b, pi, q: soft_bellman_operator(m, b, q, ALPHA),
    "early maximum": early_planning_operator,
}


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    return random_mdp(rng, 4, 3, branching=2, discount=0.8, num_terminal=1), random_policy(rng, 4, 3)


@pytest.mark.parametrize("target", TARGETS)
def test_plan_is_the_iteration_it_says(problem, target):
    mdp, behavior = problem
    tables = plan(mdp, behavior, ALPHA, 3, target, horizon=5)
    assert len(tables) == 3
    np.testing.assert_allclose(tables[0], policy_q(mdp, behavior))
    for before, after in pairwise(tables):
        policy = softmax_policy(behavior, before, ALPHA)
        np.testing.assert_allclose(after, TARGETS[target](mdp, behavior, policy, before), atol=1e-12)


def test_targets_differ(problem):
    ends = [plan(*problem, ALPHA, 3, target, horizon=5)[-1] for target in TARGETS]
    assert all(np.abs(a - b).max() > 1e-3 for i, a in enumerate(ends) for b in ends[:i])


def test_refuses_bad_arguments(problem, untyped):
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        plan(*problem, ALPHA, 0)
    with pytest.raises(ValueError, match="got 'best'"):
        plan(*problem, ALPHA, 2, "best")
