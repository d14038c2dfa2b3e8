import itertools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sfbc_core.tabular import (
    bellman_operator,
    emaq_operator,
    expectile,
    optimality_operator,
    random_mdp,
    random_policy,
    softmax_policy,
)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_bellman_operator_is_the_sum_it_says(rng):
    mdp, policy, q = random_mdp(rng, 3, 2), random_policy(rng, 3, 2), rng.normal(size=(3, 2))
    for s, a in itertools.product(range(3), range(2)):
        expected = sum(
            mdp.transition[s, a, t] * (mdp.reward[s, a, t] + 0.9 * sum(policy[t, b] * q[t, b] for b in range(2)))
            for t in range(3)
        )
        assert bellman_operator(mdp, policy, q)[s, a] == pytest.approx(expected, abs=1e-12)


def test_optimality_operator_looks_at_supported_actions_only(rng):
    mdp, q = random_mdp(rng, 3, 2), np.array([[1.0, 5.0], [2.0, 1.0], [0.0, 0.0]])
    full = mdp.expected_reward + 0.9 * mdp.transition @ [5, 2, 0]
    restricted = mdp.expected_reward + 0.9 * mdp.transition @ [1, 2, 0]
    np.testing.assert_allclose(optimality_operator(mdp, q), full)
    support = np.array([[True, False], [True, True], [True, True]])
    np.testing.assert_allclose(optimality_operator(mdp, q, support), restricted)


def test_softmax_policy_by_hand():
    behavior, q = np.array([[0.5, 0.25, 0.25]]), np.array([[0.0, np.log(4), 1.0]])
    np.testing.assert_allclose(softmax_policy(behavior, q, 1.0), np.array([[0.5, 1, np.e / 4]]) / (1.5 + np.e / 4))
    np.testing.assert_array_equal(softmax_policy(behavior, q, 0.0), behavior)
    np.testing.assert_array_equal(softmax_policy(behavior, q, np.inf), [[0, 1, 0]])


def test_softmax_policy_is_safe_for_large_values_and_never_leaves_the_data():
    behavior, q = np.array([[0.5, 0.5, 0.0]]), np.array([[1e6, 1e6 - 1, 1e9]])
    for alpha in (1.0, 1e6, np.inf):
        policy = softmax_policy(behavior, q, alpha)
        assert policy[0, 2] == 0
        assert policy.sum() == pytest.approx(1)
    tied = softmax_policy(np.array([[0.2, 0.6, 0.2]]), np.array([[1.0, 1.0, 0.0]]), np.inf)
    np.testing.assert_allclose(tied, [[0.25, 0.75, 0]])
    with pytest.raises(ValueError, match="alpha must be >= 0, got -1"):
        softmax_policy(behavior, q, -1.0)


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_emaq_is_the_mean_over_all_draws(rng, samples):
    mdp, behavior, q = random_mdp(rng, 3, 3), random_policy(rng, 3, 3, full_support=False), rng.normal(size=(3, 3))
    value = np.zeros(3)
    for s in range(3):
        for draws in itertools.product(range(3), repeat=samples):
            value[s] += behavior[s, list(draws)].prod() * q[s, list(draws)].max()
    expected = mdp.expected_reward + 0.9 * mdp.transition @ value
    np.testing.assert_allclose(emaq_operator(mdp, behavior, q, samples), expected, atol=1e-12)


def test_emaq_refuses_no_sample(rng):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        emaq_operator(random_mdp(rng, 2, 2), np.full((2, 2), 0.5), np.zeros((2, 2)), 0)


@pytest.mark.parametrize("tau", [0.01, 0.3, 0.5, 0.8, 0.99])
def test_expectile_minimises_its_loss(rng, tau):
    values, weights = rng.normal(size=(20, 6)), rng.dirichlet(np.ones(6), size=20)
    weights[::3, 0] = 0.0
    weights /= weights.sum(1, keepdims=True)
    for x, w, found in zip(values, weights, expectile(values, weights, tau), strict=True):

        def loss(v, x=x, w=w):
            return (w * np.abs(tau - (x < v)) * (x - v) ** 2).sum()

        best = minimize_scalar(loss, bounds=(x.min(), x.max()), method="bounded", options={"xatol": 1e-10})
        assert found == pytest.approx(best.x, abs=1e-6)


def test_expectile_by_hand_and_at_its_ends():
    values, weights = np.array([[1.0, 0.0, 7.0]]), np.array([[0.5, 0.5, 0.0]])
    assert expectile(values, weights, 0.9)[0] == pytest.approx(0.9)  # 0.1 v = 0.9 (1 - v)
    assert expectile(values, weights, 0.5)[0] == 0.5
    assert expectile(values, weights, 0.0)[0] == 0.0
    assert expectile(values, weights, 1.0)[0] == 1.0  # the value 7 never occurs
    with pytest.raises(ValueError, match=r"\[0, 1\], got 1.2"):
        expectile(values, weights, 1.2)
