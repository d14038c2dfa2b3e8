import itertools

import numpy as np
import pytest

from sfbc_core.tabular import TabularMDP, optimal_q, policy_q, random_mdp, random_policy


def two_states(discount=0.5):
    """Action 0 stays, action 1 changes the state; only staying in state 1 pays."""
    transition = np.zeros((2, 2, 2))
    transition[[0, 1], 0, [0, 1]] = transition[[0, 1], 1, [1, 0]] = 1
    reward = np.zeros((2, 2, 2))
    reward[1, 0, 1] = 1
    return TabularMDP(transition, reward, discount, np.zeros(2, dtype=bool))


def test_values_worked_out_by_hand():
    mdp = two_states()
    stay = np.array([[1.0, 0.0], [1.0, 0.0]])
    # V(1) = 1/(1 - 1/2) = 2 and V(0) = 0; changing first costs one step.
    np.testing.assert_allclose(policy_q(mdp, stay), [[0, 1], [2, 0]], atol=1e-12)
    # The best: change in 0, stay in 1. V* = (1, 2).
    np.testing.assert_allclose(optimal_q(mdp), [[0.5, 1], [2, 0.5]], atol=1e-12)
    # Without the way from 0 to 1, state 0 is worth nothing; Q(0, 1) is still about taking it.
    support = np.array([[True, False], [True, True]])
    np.testing.assert_allclose(optimal_q(mdp, support), [[0, 1], [2, 0]], atol=1e-12)


def test_q_of_a_policy_is_a_fixed_point():
    rng = np.random.default_rng(1)
    mdp, policy = random_mdp(rng, 6, 3, branching=3, num_terminal=1), random_policy(rng, 6, 3)
    q = policy_q(mdp, policy)
    np.testing.assert_allclose(q, mdp.expected_reward + 0.9 * mdp.transition @ (policy * q).sum(1), atol=1e-12)
    np.testing.assert_allclose(q[-1], 0, atol=1e-12)  # the terminal state


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("restricted", [False, True])
def test_optimal_q_is_the_best_of_all_deterministic_policies(seed, restricted):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 3, 3, branching=2)
    support = random_policy(rng, 3, 3, full_support=not restricted) > 0
    policies = [np.eye(3)[list(choice)] for choice in itertools.product(*map(np.flatnonzero, support))]
    best = np.max([policy_q(mdp, policy) for policy in policies], axis=0)
    np.testing.assert_allclose(optimal_q(mdp, support), best, atol=1e-10)


def test_equal_actions_do_not_take_turns_for_ever():
    transition = np.full((4, 3, 4), 0.25)
    mdp = TabularMDP(transition, np.full((4, 3, 4), 1 / 3), 0.99, np.zeros(4, dtype=bool))
    np.testing.assert_allclose(optimal_q(mdp), 100 / 3)


def test_is_deterministic():
    rng = np.random.default_rng(0)
    assert random_mdp(rng, 4, 2, branching=1).is_deterministic
    assert not random_mdp(rng, 4, 2, branching=2).is_deterministic


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transition": np.full((2, 2, 2), 0.4)}, "sums run from 0.8 to 0.8"),
        ({"transition": np.ones((2, 2, 3)) / 3}, r"got \(2, 2, 3\)"),
        ({"reward": np.zeros((2, 2, 1))}, r"got \(2, 2, 1\)"),
        ({"reward": np.full((2, 2, 2), np.nan)}, "finite"),
        ({"discount": 1.0}, r"\[0, 1\), got 1.0"),
        ({"terminal": np.array([False, True])}, r"declared are \[1\]"),
    ],
)
def test_refuses_what_is_no_mdp(change, message, untyped):
    good = two_states()
    parts = {"transition": good.transition, "reward": good.reward, "discount": 0.5, "terminal": good.terminal}
    with pytest.raises(ValueError, match=message):
        TabularMDP(**(parts | change))


def test_refuses_what_is_no_policy(untyped):
    with pytest.raises(ValueError, match=r"\(S, A\) = \(2, 2\), got \(2, 3\)"):
        policy_q(two_states(), np.ones((2, 3)) / 3)
    with pytest.raises(ValueError, match="sums run from 2 to 2"):
        policy_q(two_states(), np.ones((2, 2)))
    with pytest.raises(ValueError, match="at least one action"):
        optimal_q(two_states(), np.array([[True, True], [False, False]]))
