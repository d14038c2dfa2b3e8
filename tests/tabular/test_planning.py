"""The multi-step operators against their definitions, written out."""

import numpy as np
import pytest

from sfbc_core.tabular import (
    bellman_operator,
    early_planning_operator,
    expectile_operator,
    fixed_point,
    plan,
    planning_operator,
    random_mdp,
    random_policy,
    stitching_chain,
    vem_operator,
)


@pytest.fixture(params=range(5))
def problem(request):
    rng = np.random.default_rng(request.param)
    mdp = random_mdp(rng, 4, 3, branching=2, discount=0.8, num_terminal=request.param % 2)
    return mdp, random_policy(rng, 4, 3), random_policy(rng, 4, 3), rng.normal(0, 3, size=(4, 3))


def unrolled(mdp, behavior, first, count=150):
    rows = [first]
    for _ in range(count):
        rows.append(bellman_operator(mdp, behavior, rows[-1]))
    return np.stack(rows)


@pytest.mark.parametrize("max_steps", [0, 1, 5, None])
def test_planning_operator_is_the_maximum_over_plans(problem, max_steps):
    mdp, behavior, policy, q = problem
    promises = unrolled(mdp, behavior, bellman_operator(mdp, policy, q))[: None if max_steps is None else max_steps + 1]
    values, steps = planning_operator(mdp, behavior, policy, q, max_steps)
    np.testing.assert_allclose(values, promises.max(0), atol=1e-9)
    found = np.take_along_axis(promises, steps[None], 0)[0]
    np.testing.assert_allclose(found, values, atol=1e-8)  # n* is where the maximum is


def test_planning_reaches_over_many_steps_at_once():
    """On a chain of 12, T_π needs 12 iterations to tell the start of the goal, T^π_μ with a μ that goes on needs one."""
    mdp, _ = stitching_chain(12)
    go_on = np.tile([1.0, 0.0], (mdp.num_states, 1))
    nothing = np.zeros((mdp.num_states, 2))
    values, steps = planning_operator(mdp, go_on, go_on, nothing)
    assert values[0, 0] == pytest.approx(0.9**11)
    assert steps[0, 0] == 11
    one_step = nothing
    for iteration in range(1, 13):
        one_step = bellman_operator(mdp, go_on, one_step)
        assert (one_step[0, 0] > 0) == (iteration == 12)


def test_early_planning_operator_adds_the_value_of_the_state(problem):
    mdp, behavior, policy, q = problem
    promises = unrolled(mdp, behavior, bellman_operator(mdp, policy, q))
    expected = np.maximum(promises.max(0), (policy * q).sum(1)[:, None])
    np.testing.assert_allclose(early_planning_operator(mdp, behavior, policy, q), expected, atol=1e-9)


def test_early_planning_keeps_any_large_constant():
    """No contraction and no bound: Q = 1000 everywhere stays, although nothing in this MDP is worth more than 5."""
    rng = np.random.default_rng(0)
    mdp, behavior = random_mdp(rng, 4, 3, discount=0.8), random_policy(rng, 4, 3)
    huge = np.full((4, 3), 1000.0)
    np.testing.assert_allclose(early_planning_operator(mdp, behavior, behavior, huge), huge)
    assert planning_operator(mdp, behavior, behavior, huge).values.max() < 802


def test_early_planning_ends_with_all_actions_of_the_data_equal():
    """Q(s, a) >= V(s), the mean of Q(s, ·) under π, for every a: so no action that π takes is below another."""
    rng = np.random.default_rng(3)
    mdp, behavior = random_mdp(rng, 4, 3, discount=0.8), random_policy(rng, 4, 3)
    first, *_, last = plan(mdp, behavior, 2.0, 300, target="early maximum")
    assert np.ptp(last, axis=1).max() < 0.01 * np.ptp(first, axis=1).max()  # and it goes on falling


@pytest.mark.parametrize("max_steps", [0, 2, None])
def test_vem_operator_is_the_maximum_over_plans(problem, max_steps):
    mdp, behavior, _, q = problem
    promises = [expectile_operator(mdp, behavior, q[:, 0], 0.8)]
    for _ in range(150 if max_steps is None else max_steps):
        promises.append((behavior * (mdp.expected_reward + 0.8 * mdp.transition @ promises[-1])).sum(1))
    values, steps = vem_operator(mdp, behavior, q[:, 0], 0.8, max_steps)
    np.testing.assert_allclose(values, np.max(promises, axis=0), atol=1e-9)
    assert steps.max() <= (150 if max_steps is None else max_steps)


def test_fixed_point_keeps_its_promise():
    end = fixed_point(lambda x: 1 + 0.9 * x, np.zeros(1), 0.9, 1e-9)
    assert end[0] == pytest.approx(10, rel=1e-8)
    with pytest.raises(RuntimeError, match=r"within 10 iterations; the last step changed by 1"):
        fixed_point(lambda x: x + 1, np.zeros(1), 0.9, max_iterations=10)


def test_refuses_bad_arguments(problem, untyped):
    mdp, behavior, policy, q = problem
    with pytest.raises(ValueError, match="max_steps must be >= 0, got -1"):
        planning_operator(mdp, behavior, policy, q, -1)
    with pytest.raises(ValueError, match="policy must have shape"):
        planning_operator(mdp, behavior, policy[:2], q)
    with pytest.raises(ValueError, match="behavior must hold probabilities"):
        planning_operator(mdp, behavior * 2, policy, q)
