"""Every claim of Appendix G (VEM, EMaQ) and the limits of α, on random MDPs; and none holds for a wrong operator.

A claim is written as `violation(case)`, by how much it is violated, with the operator as an argument.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from sfbc_core.tabular import (
    TabularMDP,
    backup,
    bellman_operator,
    close_terminals,
    emaq_operator,
    expectile,
    expectile_operator,
    fixed_point,
    lottery,
    optimal_q,
    optimality_operator,
    planning_operator,
    soft_bellman_operator,
    softmax_policy,
    trajectory_planning_operator,
    vem_operator,
)

# ---- operators with one mistake each ----------------------------------------------------------------------------


def swapped_expectile(mdp, behavior, values, tau):
    """τ and 1 - τ change places."""
    return expectile_operator(mdp, behavior, values, 1 - tau)


def expectile_of_means(mdp, behavior, values, tau):
    """The randomness of the next state is averaged away before the expectile is taken."""
    return expectile(backup(mdp, values), behavior, tau)


def half_a_step(mdp, behavior, values, tau):
    """Half a step towards the expectile, not the expectile."""
    error = mdp.reward + mdp.discount * values - values[:, None, None]
    weight = behavior[:, :, None] * mdp.transition * np.where(error > 0, tau, 1 - tau)
    return values + (weight * error).sum((1, 2))


def swapped_vem(mdp, behavior, values, tau):
    return vem_operator(mdp, behavior, values, 1 - tau)


def softmax_with_wrong_sign(mdp, behavior, q, alpha):
    return bellman_operator(mdp, softmax_policy(behavior, -q, alpha), q)


def softmax_without_behavior(mdp, behavior, q, alpha):
    """π ∝ exp(αQ): the data are forgotten."""
    return soft_bellman_operator(mdp, np.full(q.shape, 1 / q.shape[1]), q, alpha)


def one_draw_more(mdp, behavior, q, num_samples):
    return emaq_operator(mdp, behavior, q, num_samples + 1)


def smallest_draw(mdp, behavior, q, num_samples):
    return 2 * mdp.expected_reward - emaq_operator(mdp, behavior, -q, num_samples)


def uniform_draws(mdp, behavior, q, num_samples):
    return emaq_operator(mdp, np.full(q.shape, 1 / q.shape[1]), q, num_samples)


# ---- G.1, VEM ---------------------------------------------------------------------------------------------------


def test_expectile_operator_grows_with_tau(holds, fails):
    """T^τ2_μ V >= T^τ1_μ V for τ2 > τ1. The paper has >, see the erratum below."""

    def violation(case, operator=expectile_operator):
        low, high = (operator(case.mdp, case.behavior, case.q[:, 0], tau) for tau in (case.tau / 2, case.tau))
        return (low - high).max()

    holds(violation)
    fails(partial(violation, operator=swapped_expectile))


def test_expectile_operator_at_one_half_is_the_bellman_expectation_operator(holds, fails):
    def violation(case, operator=expectile_operator):
        expected = (case.behavior * backup(case.mdp, case.q[:, 0])).sum(1)
        return np.abs(operator(case.mdp, case.behavior, case.q[:, 0], 0.5) - expected).max()

    holds(violation)
    fails(partial(violation, operator=half_a_step))


def test_expectile_operator_tends_to_the_best_outcome(holds, fails):
    """τ -> 1: the maximum over actions of μ and next states that occur; it is T* in a deterministic MDP, where μ takes all.

    From the condition of the expectile, its distance from the maximum is at most (1 - τ)/τ · spread / least probability.
    """

    def violation(case, operator=expectile_operator):
        v, tau = case.q[:, 0], 1 - 1e-7
        outcome, chance = case.mdp.reward + case.mdp.discount * v, case.behavior[:, :, None] * case.mdp.transition
        best = np.where(chance > 0, outcome, -np.inf).max((1, 2))
        slack = (1 - tau) / tau * np.ptp(outcome) / chance[chance > 0].min()
        return np.abs(operator(case.mdp, case.behavior, v, tau) - best).max() - slack

    holds(violation)
    for wrong in (swapped_expectile, expectile_of_means):
        fails(partial(violation, operator=wrong))


def test_vem_operator_has_the_fixed_point_of_the_expectile_operator(holds, fails):
    """For τ >= 1/2."""

    def violation(case, operator=vem_operator):
        start = case.q[:, 0]
        single = fixed_point(
            lambda v: expectile_operator(case.mdp, case.behavior, v, case.tau), start, case.mdp.discount, 1e-10
        )
        return np.abs(operator(case.mdp, case.behavior, single, case.tau).values - single).max()

    holds(violation)
    fails(partial(violation, operator=swapped_vem))


def test_vem_is_bounded_in_deterministic_mdps(holds):
    """Without chance an expectile for τ < 1 stays below the best outcome, and VEM below V*."""

    def violation(case):
        rows = np.arange(case.mdp.num_states)[:, None], np.arange(case.mdp.num_actions), case.mdp.transition.argmax(2)
        transition = np.zeros(case.mdp.transition.shape)
        transition[rows] = 1.0
        mdp = close_terminals(transition, case.mdp.reward, case.mdp.discount, case.mdp.terminal)
        end = fixed_point(lambda v: expectile_operator(mdp, case.behavior, v, case.tau), case.q[:, 0], mdp.discount)
        best = np.where(case.behavior > 0, optimal_q(mdp, case.behavior > 0), -np.inf).max(1)
        return (end - best).max()

    holds(violation)


def test_erratum_below_one_half_the_vem_operator_has_another_fixed_point():
    """The paper lets τ run over [0, 1). One state, γ = 0.9, two actions that pay 1 and 0 and are equally likely; τ = 0.1:

    the expectile of (1, 0) is 0.1, so T^τ_μ ends at V = 1; T_vem never falls below V^μ = 5, and ends there.
    """
    mdp = TabularMDP(np.ones((1, 2, 1)), np.array([[[1.0], [0.0]]]), 0.9, np.array([False]))
    half = np.array([[0.5, 0.5]])
    single = fixed_point(lambda v: expectile_operator(mdp, half, v, 0.1), np.zeros(1), 0.9, 1e-12)
    multi = fixed_point(lambda v: vem_operator(mdp, half, v, 0.1).values, np.zeros(1), 0.9, 1e-12)
    np.testing.assert_allclose([single[0], multi[0]], [1, 5], rtol=1e-8)


def test_erratum_the_expectile_operator_need_not_grow_strictly():
    """With one action and one outcome all expectiles are the same."""
    mdp = TabularMDP(np.ones((1, 1, 1)), np.ones((1, 1, 1)), 0.9, np.array([False]))
    low, high = (expectile_operator(mdp, np.ones((1, 1)), np.zeros(1), tau) for tau in (0.1, 0.9))
    assert low == high == 1


def test_vem_overestimates_in_a_stochastic_mdp_where_the_planning_operator_is_bounded():
    """By hand, γ = 1/2: V*(lottery) = 0, V*(start) = 0.1. VEM's expectile of (1, -1) is 2τ - 1, which grows to 1 with τ."""
    mdp, half = lottery(), np.full((5, 2), 0.5)
    optimal = optimal_q(mdp)
    np.testing.assert_allclose(optimal[:2], [[0, 0.1], [0, 0]], atol=1e-12)
    for tau in (0.6, 0.9, 0.99):
        vem = fixed_point(lambda v, tau=tau: vem_operator(mdp, half, v, tau).values, np.zeros(5), 0.5, 1e-12)
        assert vem[1] == pytest.approx(2 * tau - 1, abs=1e-9)
        assert vem[1] > optimal[1].max() + 0.1
    policy = softmax_policy(half, optimal, np.inf)
    ours = fixed_point(lambda q: planning_operator(mdp, half, policy, q).values, np.zeros((5, 2)), 0.5, 1e-12)
    np.testing.assert_allclose(ours, optimal, atol=1e-9)


def test_erratum_the_recursion_of_eq_12_overestimates_there_too():
    """Eq. 11 takes a maximum of expectations, Eq. 12 an expectation of maxima, which knows the ticket before it is drawn.

    With the exact V = (0.1, 0): R after action 0 is 0.5 max(±1, 0), in the mean 0.25, and the lottery looks better than the
    sure 0.1 although it is worth nothing.
    """
    mdp, half = lottery(), np.full((5, 2), 0.5)
    planned = trajectory_planning_operator(mdp, half, optimal_q(mdp).max(1), horizon=10)
    np.testing.assert_allclose(planned[:2], [[0.25, 0.1], [0, 0]], atol=1e-12)


def test_own_policy_improves_on_the_behavior(holds, fails):
    """T_π Q >= T_μ Q for every Q, if π ∝ μ exp(αQ) is made from it. G.1 says that this is lost; that is so for another π."""

    def violation(case, soft=soft_bellman_operator):
        improved = soft(case.mdp, case.behavior, case.q, case.alpha)
        return (bellman_operator(case.mdp, case.behavior, case.q) - improved).max()

    def another_policy(mdp, behavior, q, alpha):
        return bellman_operator(mdp, softmax_policy(behavior, q[:, ::-1], alpha), q)

    holds(violation)
    for wrong in (softmax_with_wrong_sign, softmax_without_behavior, another_policy):
        fails(partial(violation, soft=wrong))


# ---- G.2, EMaQ --------------------------------------------------------------------------------------------------


def test_emaq_with_one_sample_is_the_behavior_operator(holds, fails):
    def violation(case, operator=emaq_operator):
        reference = bellman_operator(case.mdp, case.behavior, case.q)
        return np.abs(operator(case.mdp, case.behavior, case.q, 1) - reference).max()

    holds(violation)
    for wrong in (one_draw_more, uniform_draws):
        fails(partial(violation, operator=wrong))


def test_emaq_lies_between_and_grows_with_the_samples(holds, fails):
    def violation(case, operator=emaq_operator):
        steps = [operator(case.mdp, case.behavior, case.q, n) for n in (1, 2, 3, 5, 9)]
        best = optimality_operator(case.mdp, case.q, case.behavior > 0)
        drop = max((few - more).max() for few, more in pairwise(steps))
        return max(drop, (bellman_operator(case.mdp, case.behavior, case.q) - steps[0]).max(), (steps[-1] - best).max())

    holds(violation)
    for wrong in (smallest_draw, uniform_draws):
        fails(partial(violation, operator=wrong))


def test_emaq_tends_to_the_best_action_of_the_data(holds, fails):
    """All N draws miss the best action with probability (1 - μ(best))^N."""

    def violation(case, operator=emaq_operator):
        samples = 2000
        best = optimality_operator(case.mdp, case.q, case.behavior > 0)
        slack = case.mdp.discount * np.ptp(case.q) * (1 - case.behavior[case.behavior > 0].min()) ** samples
        return np.abs(operator(case.mdp, case.behavior, case.q, samples) - best).max() - slack

    holds(violation)
    for wrong in (smallest_draw, uniform_draws):
        fails(partial(violation, operator=wrong))


def test_erratum_emaq_does_not_tend_to_the_optimality_operator_where_actions_are_missing():
    """G.2 lets N draws cover the whole action space. An action that μ never takes is never drawn."""
    mdp = TabularMDP(np.ones((1, 2, 1)), np.zeros((1, 2, 1)), 0.9, np.array([False]))
    q, behavior = np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    np.testing.assert_allclose(emaq_operator(mdp, behavior, q, 10**6), 0)
    np.testing.assert_allclose(optimality_operator(mdp, q), 0.9)


# ---- the limits of α --------------------------------------------------------------------------------------------


def test_alpha_to_zero_is_the_behavior_operator(holds, fails):
    """The derivative of V by α is a variance of Q, at most ptp(Q)²/4."""

    def violation(case, soft=soft_bellman_operator):
        reference = bellman_operator(case.mdp, case.behavior, case.q)
        slack = 1e-3 * case.mdp.discount * np.ptp(case.q) ** 2 / 4
        near = np.abs(soft(case.mdp, case.behavior, case.q, 1e-3) - reference).max() - slack
        return max(near, np.abs(soft(case.mdp, case.behavior, case.q, 0.0) - reference).max())

    holds(violation)
    fails(partial(violation, soft=softmax_without_behavior))


def test_alpha_to_infinity_is_the_best_action_of_the_data(holds, fails):
    """By Gibbs' inequality the soft value misses the maximum by at most log(1/μ(best))/α."""

    def violation(case, soft=soft_bellman_operator):
        reference = optimality_operator(case.mdp, case.q, case.behavior > 0)
        slack = case.mdp.discount * np.log(1 / case.behavior[case.behavior > 0].min()) / 1e4
        near = np.abs(soft(case.mdp, case.behavior, case.q, 1e4) - reference).max() - slack
        return max(near, np.abs(soft(case.mdp, case.behavior, case.q, np.inf) - reference).max())

    holds(violation)
    for wrong in (softmax_without_behavior, softmax_with_wrong_sign):
        fails(partial(violation, soft=wrong))
