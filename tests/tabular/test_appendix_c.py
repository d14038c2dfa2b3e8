"""Every claim of Appendix C, on random MDPs; each test also shows that operators with a mistake do not pass it.

A claim is written as `violation(case)`, by how much it is violated, with the operator as an argument.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import reject
from scipy.optimize import brentq

from sfbc_core.tabular import (
    PlanningResult,
    TabularMDP,
    bellman_operator,
    close_terminals,
    early_planning_operator,
    fixed_point,
    optimal_q,
    plan,
    planning_operator,
    policy_q,
    soft_bellman_operator,
    softmax_policy,
    stay_or_leave,
)

# ---- operators with one mistake each ----------------------------------------------------------------------------


def unrolled(mdp, behavior, first, count):
    """(T_μ)^n first for n = 0 … count - 1, shape (count, S, A)."""
    rows = [first]
    for _ in range(count - 1):
        rows.append(bellman_operator(mdp, behavior, rows[-1]))
    return np.stack(rows)


def own_policy(mdp, behavior, policy, q):
    """π is made anew from the argument, not held fixed."""
    return planning_operator(mdp, behavior, softmax_policy(behavior, q, 1.0), q)


def undiscounted(mdp, behavior, policy, q):
    """T_π forgets γ."""
    first = mdp.expected_reward + mdp.transition @ (policy * q).sum(1)
    return PlanningResult(unrolled(mdp, behavior, first, 40).max(0), np.zeros(q.shape, dtype=int))


def early_maximum(mdp, behavior, policy, q):
    """The maximum is taken one step too early."""
    return PlanningResult(early_planning_operator(mdp, behavior, policy, q), np.zeros(q.shape, dtype=int))


def minimum(mdp, behavior, policy, q):
    """The worst number of steps, not the best."""
    first = bellman_operator(mdp, policy, q)
    return PlanningResult(unrolled(mdp, behavior, first, 40).min(0), np.zeros(q.shape, dtype=int))


def at_least_one_step(mdp, behavior, policy, q):
    """n = 0 is left out."""
    first = bellman_operator(mdp, policy, q)
    return PlanningResult(unrolled(mdp, behavior, first, 40)[1:].max(0), np.zeros(q.shape, dtype=int))


def never_follows(mdp, behavior, policy, q):
    """n = 0 alone: T_π."""
    return planning_operator(mdp, behavior, policy, q, max_steps=0)


def lucky(mdp, behavior, policy, q):
    """The best next state in place of the mean over next states."""
    outcome = np.where(mdp.transition > 0, mdp.reward + mdp.discount * (policy * q).sum(1), -np.inf).max(2)
    return PlanningResult(np.maximum(outcome, planning_operator(mdp, behavior, policy, q).values), np.zeros(q.shape))


# ---- Proposition 1 ----------------------------------------------------------------------------------------------


def planned_fixed_point(case, planning):
    return fixed_point(lambda q: planning(case.mdp, case.behavior, case.policy, q).values, case.q, case.mdp.discount)


def test_proposition_1_1_monotonicity(holds, fails):
    def violation(case, planning=planning_operator):
        low, high = (planning(case.mdp, case.behavior, case.policy, q).values for q in (case.q, case.higher_q))
        return (low - high).max()

    holds(violation)
    fails(partial(violation, planning=own_policy))


def test_proposition_1_2_contraction(holds, fails):
    def violation(case, planning=planning_operator):
        low, high = (planning(case.mdp, case.behavior, case.policy, q).values for q in (case.q, case.higher_q))
        return np.abs(low - high).max() - case.mdp.discount * np.abs(case.q - case.higher_q).max()

    holds(violation)
    for wrong in (own_policy, undiscounted, early_maximum):
        fails(partial(violation, planning=wrong))


def test_proposition_1_3_fixed_point_is_at_least_q_of_the_policy(holds, fails):
    def violation(case, planning=planning_operator):
        return (policy_q(case.mdp, case.policy) - planned_fixed_point(case, planning)).max()

    holds(violation)
    for wrong in (minimum, at_least_one_step):
        fails(partial(violation, planning=wrong))


def test_proposition_1_3_fixed_point_is_at_most_optimal(holds, fails):
    """The paper bounds it by Q*; the best policy among the actions of the data is a sharper bound, if π takes no others."""

    def violation(case, planning=planning_operator):
        best, anywhere = optimal_q(case.mdp, case.behavior > 0), optimal_q(case.mdp)
        outside = case._replace(policy=np.full(case.q.shape, 1 / case.q.shape[1]))  # π takes what μ does not
        return max(
            (planned_fixed_point(case, planning) - best).max(),
            (best - anywhere).max(),
            (planned_fixed_point(outside, planning) - anywhere).max(),
        )

    holds(violation)
    for wrong in (early_maximum, lucky):
        fails(partial(violation, planning=wrong))


def test_beyond_the_paper_fixed_point_is_at_least_q_of_the_behavior(holds, fails):
    def violation(case, planning=planning_operator):
        return (policy_q(case.mdp, case.behavior) - planned_fixed_point(case, planning)).max()

    holds(violation)
    fails(partial(violation, planning=never_follows))


# ---- Proposition 2 ----------------------------------------------------------------------------------------------


def test_proposition_2_error_bound(holds, fails):
    """For every (s, a): |T Q - Q*| <= γ^(n* + 1) max|Q - Q̃| + max|Q̃ - Q*|, with Q̃ the fixed point of (T_μ)^n* T_π."""

    def violation(case, planning=planning_operator, exponent=1):
        values, steps = planning(case.mdp, case.behavior, case.policy, case.q, 6)
        optimal, worst = optimal_q(case.mdp), -np.inf
        for n in np.unique(steps).astype(int):
            contraction = case.mdp.discount ** (n + exponent)
            end = fixed_point(
                lambda q, n=n: unrolled(case.mdp, case.behavior, bellman_operator(case.mdp, case.policy, q), n + 1)[-1],
                case.q,
                case.mdp.discount ** (n + 1),
                1e-10,
            )
            bound = contraction * np.abs(case.q - end).max() + np.abs(end - optimal).max()
            worst = max(worst, (np.abs(values - optimal)[steps == n] - bound).max())
        return worst

    def undiscounted_end(mdp, behavior, policy, q, max_steps):
        return PlanningResult(undiscounted(mdp, behavior, policy, q).values, np.zeros(q.shape, dtype=int))

    holds(violation)
    fails(partial(violation, planning=undiscounted_end))
    fails(partial(violation, exponent=2))  # the rate is γ^(n* + 1) and no better


def test_proposition_2_a_pessimistic_start_looks_far(holds, fails):
    """With rewards >= 0 and Q = 0, each further step along the data promises at least as much; else it need not."""

    def violation(case, rewards=np.abs):
        mdp = TabularMDP(case.mdp.transition, rewards(case.mdp.reward), case.mdp.discount, case.mdp.terminal)
        first = bellman_operator(mdp, case.policy, np.zeros(case.q.shape))
        promises = unrolled(mdp, case.behavior, first, 6)
        return max((few - more).max() for few, more in pairwise(promises))

    holds(violation)
    fails(partial(violation, rewards=np.copy))


def test_proposition_2_zero_is_not_pessimistic_where_rewards_are_negative():
    """The paper calls initial values near zero pessimistic. Where every step costs, they are optimistic, and n* is 0."""
    mdp = one_state([-1.0, -1.0])
    half = np.array([[0.5, 0.5]])
    assert planning_operator(mdp, half, half, np.zeros((1, 2))).steps.tolist() == [[0, 0]]
    assert planning_operator(mdp, half, half, np.full((1, 2), -100.0)).steps.min() > 100


# ---- fixed points: T_π against T^π_μ ----------------------------------------------------------------------------


def one_state(rewards, discount=0.9):
    """A single state that every action returns to."""
    count = len(rewards)
    return TabularMDP(np.ones((1, count, 1)), np.array(rewards).reshape(1, count, 1), discount, np.array([False]))


def test_fixed_point_differs_from_that_of_the_policy():
    """The smallest example: one state, two actions, π takes the bad one. Q^π = (1, 0); the fixed point is Q^μ = (10, 9)."""
    mdp, behavior, policy = one_state([1.0, 0.0]), np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    np.testing.assert_allclose(policy_q(mdp, policy), [[1, 0]])
    end = fixed_point(lambda q: planning_operator(mdp, behavior, policy, q).values, np.zeros((1, 2)), 0.9, 1e-12)
    np.testing.assert_allclose(end, [[10, 9]], rtol=1e-9)


def test_beyond_the_paper_with_its_own_policy_it_has_the_fixed_points_of_the_policy(holds, fails):
    """Where Q = T_π Q for π ∝ μ exp(αQ) of that very Q, planning changes nothing: it is a faster way to the same place."""

    def violation(case, soft=soft_bellman_operator):
        q = case.q
        for _ in range(300):  # T_π is no contraction here; a case that does not settle says nothing
            following = soft(case.mdp, case.behavior, q, case.alpha)
            settled, q = np.abs(following - q).max() < 1e-11, following
            if settled:
                policy = softmax_policy(case.behavior, q, case.alpha)
                return np.abs(planning_operator(case.mdp, case.behavior, policy, q).values - q).max()
        return 0.0

    def wrong_sign(mdp, behavior, q, alpha):
        return bellman_operator(mdp, softmax_policy(behavior, -q, alpha), q)

    holds(violation)
    fails(partial(violation, soft=wrong_sign))


def test_beyond_the_paper_and_no_others(holds, fails):
    """The converse: where the algorithm has settled under planning, Q = T_π Q too."""

    def violation(case, policy_of=softmax_policy):
        q = case.q
        for _ in range(120):
            following = planning_operator(case.mdp, case.behavior, policy_of(case.behavior, q, case.alpha), q).values
            settled, q = np.abs(following - q).max() < 1e-10, following
            if settled:
                policy = policy_of(case.behavior, q, case.alpha)
                return np.abs(bellman_operator(case.mdp, policy, q) - q).max()
        reject()  # hypothesis draws another: nothing is claimed of what does not settle

    def wrong_sign(behavior, q, alpha):
        return softmax_policy(behavior, -q, min(alpha, 1.0))  # a larger one does not settle

    holds(violation)
    fails(partial(violation, policy_of=wrong_sign))


def test_beyond_the_paper_the_improved_policy_may_be_worse_than_the_behavior_on_the_way():
    """T_π Q >= T_μ Q holds for the Q that π is made from, not for Q^π. A deterministic example, found by search."""
    transition = np.zeros((5, 2, 5))
    transition[np.arange(4)[:, None], np.arange(2), [[4, 0], [0, 2], [2, 3], [1, 0]]] = 1.0
    reward = np.zeros((5, 2, 5))
    reward[:4] = np.array([[0.2, -1.6], [-3.3, -0.5], [-0.2, -5.6], [1.0, -6.2]])[:, :, None]
    mdp = close_terminals(transition, reward, 0.9, np.arange(5) == 4)
    logits = np.array([[-2.27, 3.93], [0, 0.35], [-1.39, 1.92], [1.83, -1.8], [0, 0]])
    behavior = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    policy = softmax_policy(behavior, plan(mdp, behavior, 1.0, 2)[-1], 1.0)
    gain = (policy * policy_q(mdp, policy) - behavior * policy_q(mdp, behavior)).sum(1)
    assert gain[0] > 1
    assert gain[3] < -0.2


def test_beyond_the_paper_the_iterates_of_the_algorithm_stay_between(holds, fails):
    """π from the last Q, started at Q^μ: all iterates lie between Q^μ and the best within the data, converged or not."""

    def violation(case, planning=planning_operator):
        q = start = policy_q(case.mdp, case.behavior)
        best, worst = optimal_q(case.mdp, case.behavior > 0), -np.inf
        for _ in range(4):
            q = planning(case.mdp, case.behavior, softmax_policy(case.behavior, q, case.alpha), q).values
            worst = max(worst, (start - q).max(), (q - best).max())
        return worst

    holds(violation)
    for wrong in (undiscounted, early_maximum, lucky):
        fails(partial(violation, planning=wrong))


def test_erratum_with_its_own_policy_it_is_not_monotone_and_no_contraction():
    """Proposition 1 needs a fixed π. By hand, one state, α = 1, μ uniform, γ = 0.9, no reward:

    the value of Q = (0, -10) is -10 e^-10 / (1 + e^-10) = -0.00045, that of (0, -2) is lower, -2 e^-2 / (1 + e^-2) = -0.238.
    """
    mdp, half = one_state([0.0, 0.0]), np.array([[0.5, 0.5]])
    low, high = np.array([[0.0, -10.0]]), np.array([[0.0, -2.0]])
    after_low, after_high = (soft_bellman_operator(mdp, half, q, 1.0)[0, 0] for q in (low, high))
    assert after_low == pytest.approx(0.9 * -10 * np.exp(-10) / (1 + np.exp(-10)))
    assert after_high == pytest.approx(0.9 * -2 * np.exp(-2) / (1 + np.exp(-2)))
    assert after_high < after_low
    # Where the weights switch from the common to the rare action, T even expands: here, near its unstable fixed point.
    mdp, behavior, tables = stay_or_leave(), rarely(), [np.array([[x, 0.0], [0.0, 0.0]]) for x in (4.30, 4.35)]
    after = [soft_bellman_operator(mdp, behavior, q, 2.0)[0, 0] for q in tables]
    assert after[1] - after[0] > 0.05


def rarely():
    """μ, which stays with probability 0.001."""
    return np.array([[0.001, 0.999], [0.5, 0.5]])


def test_erratum_with_its_own_policy_there_may_be_three_fixed_points():
    """Staying pays 1, leaving ends; α = 2. Q(stay) = 1 + γV has three solutions, and the outer two attract."""
    mdp, behavior = stay_or_leave(), rarely()

    def excess(x):  # Q(stay) = x, Q(leave) = 0
        weight = 0.001 * np.exp(2 * x) / (0.001 * np.exp(2 * x) + 0.999)
        return 1 + 0.9 * weight * x - x

    low, middle, high = brentq(excess, 0, 2), brentq(excess, 3, 6), brentq(excess, 8, 11)

    def settle(start):
        q = np.array([[start, 0.0], [0.0, 0.0]])
        for _ in range(400):
            q = planning_operator(mdp, behavior, softmax_policy(behavior, q, 2.0), q).values
        return q[0, 0]

    assert settle(middle - 0.1) == pytest.approx(low, abs=1e-6)
    assert settle(middle + 0.1) == pytest.approx(high, abs=1e-6)
    # The algorithm starts at Q^μ, and so stays at the lower one for ever, at a tenth of what staying is worth.
    assert plan(mdp, behavior, 2.0, 50)[-1][0, 0] == pytest.approx(low, abs=1e-6)
    assert high / low > 9
