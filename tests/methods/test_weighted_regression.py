"""Weighted regression against the weighted mean and deviation that its Gaussian must take."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError

from sfbc_core import (
    CriticConfig,
    GaussianBehavior,
    GaussianConfig,
    TrainingConfig,
    Trajectories,
    effective_sample_size,
)
from sfbc_core.methods import WeightedRegression, WeightedRegressionConfig, regression_weights

LEFT, RIGHT = -0.5, 0.8
TRAINING = TrainingConfig(gradient_steps=300, batch_size=128, learning_rate=1e-2, cosine_decay=True)
POLICY = GaussianConfig(hidden=16, layers=1, training=TRAINING)
CRITIC = CriticConfig(hidden=(16, 16), training=TRAINING)


def config(**options):
    return WeightedRegressionConfig(POLICY, CRITIC, **options)


def two_actions(reward_left=0.0, reward_right=1.0, rows=400, low=-1.0, high=1.0):
    """One state; half of the steps go left, half right; each ends its episode, so that Q is the reward."""
    right = torch.arange(rows) % 2 == 1
    actions = torch.where(right, RIGHT, LEFT)[:, None]
    rewards = torch.where(right, reward_right, reward_left)
    ends = torch.ones(rows, dtype=torch.bool)
    scaled = low + 0.5 * (actions + 1) * (high - low)
    return Trajectories(torch.zeros(rows, 1), scaled, rewards, ends, ~ends, action_low=low, action_high=high)


def closed_form(weight_left, weight_right):
    """Mean and deviation, before the tanh, of the Gaussian of greatest weighted likelihood."""
    weights = torch.tensor([weight_left, weight_right], dtype=torch.float64)
    weights /= weights.sum()
    raw = torch.atanh(torch.tensor([LEFT, RIGHT], dtype=torch.float64))
    mean = weights @ raw
    return float(mean), float((weights @ (raw - mean).square()).sqrt())


def learned(agent):
    with torch.no_grad():
        mean, log_deviation = agent.policy.parameters_of(torch.zeros(1, 1))
    return float(mean), float(log_deviation.exp())


@pytest.mark.parametrize(("alpha", "evaluation"), [(0.5, "returns"), (1.0, "returns"), (1.0, "critic")])
def test_the_gaussian_takes_the_weighted_mean_and_deviation(alpha, evaluation):
    agent = WeightedRegression(config(alpha=alpha, evaluation=evaluation)).fit(two_actions())
    # Rewards 0 and 1 have deviation 1/2, the unit of α.
    mean, deviation = closed_form(1.0, math.exp(alpha / 0.5))
    # The mean of one batch of 128 has a standard error of 0.07; the falling learning rate averages over about 100 of them.
    assert learned(agent) == pytest.approx((mean, deviation), abs=0.03)


def test_two_good_actions_leave_the_policy_between_them():
    agent = WeightedRegression(config(alpha=5.0, evaluation="returns", subtract_value=False))
    action = float(agent.fit(two_actions(1.0, 1.0)).act(torch.zeros(1, 1)))
    assert action == pytest.approx(math.tanh(closed_form(1.0, 1.0)[0]), abs=0.03)
    assert LEFT + 0.5 < action < RIGHT - 0.3  # an action that is nowhere in the data


def test_alpha_zero_is_behavior_cloning_to_the_bit():
    data = two_actions()
    agent = WeightedRegression(config(alpha=0.0, seed=3, evaluation="returns")).fit(data)
    clone = GaussianBehavior(POLICY, seed=3).fit(data)
    states = torch.zeros(5, 1)
    samples = [model.sample(states, 7, torch.Generator().manual_seed(0)) for model in (agent.policy, clone)]
    assert torch.equal(*samples)


def test_it_learns_which_way_to_go_in_each_state():
    """Left is right in state -1 and wrong in state +1."""
    generator = torch.Generator().manual_seed(0)
    states = torch.where(torch.rand(2000, 1, generator=generator) < 0.5, -1.0, 1.0)
    actions = torch.where(torch.rand(2000, 1, generator=generator) < 0.5, LEFT, RIGHT)
    rewards = (states.sign() == actions.sign()).float()[:, 0]
    ends = torch.ones(2000, dtype=torch.bool)
    agent = WeightedRegression(config(alpha=3.0)).fit(Trajectories(states, actions, rewards, ends, ~ends))
    acted = agent.act(torch.tensor([[-1.0], [1.0]]))[:, 0]
    # exp(±3) in weight: the worse action keeps 1/400 of it, which moves the mean by 0.004 before the tanh.
    assert acted.tolist() == pytest.approx([LEFT, RIGHT], abs=0.05)
    # The baseline: E[R] is 1/2 in both states.
    blind = agent.value.q(torch.tensor([[-1.0], [1.0]]), torch.zeros(2, 1, 1))
    assert blind[:, 0].tolist() == pytest.approx([0.5, 0.5], abs=0.1)


def test_the_baseline_makes_states_of_different_worth_count_alike():
    """Without it, exp(αQ) gives nearly all of the weight to the state with the larger rewards."""
    states = torch.tensor([[0.0], [1.0]]).repeat(500, 1)
    rewards = 10 * states[:, 0]
    ends = torch.ones(1000, dtype=torch.bool)
    data = Trajectories(states, torch.zeros(1000, 1), rewards, ends, ~ends)
    shares = {}
    for subtract in (True, False):
        agent = WeightedRegression(config(subtract_value=subtract, evaluation="returns", max_weight=None)).fit(data)
        shares[subtract] = float(agent.weights[states[:, 0] == 0].sum() / agent.weights.sum())
    assert shares[True] == pytest.approx(0.5, abs=0.1)
    assert shares[False] == pytest.approx(1 / (1 + math.exp(3 * 2)), rel=1e-6)  # rewards differ by 2 deviations


def test_bounds_other_than_one():
    data = two_actions(low=2.0, high=6.0)
    agent = WeightedRegression(config(alpha=0.5, evaluation="returns", subtract_value=False)).fit(data)
    expected = 4 + 2 * math.tanh(closed_form(1.0, math.exp(1.0))[0])
    assert float(agent.act(torch.zeros(1, 1))) == pytest.approx(expected, abs=0.04)


def test_acting_by_samples_follows_the_generator():
    agent = WeightedRegression(config(deterministic=False, subtract_value=False, evaluation="returns", alpha=0.0))
    agent.fit(two_actions())
    states = torch.zeros(20_000, 1)
    first, again = (agent.act(states, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    mean, deviation = learned(agent)
    # 5 standard errors of a mean of 20,000; the squashing is undone first.
    assert float(torch.atanh(first).mean()) == pytest.approx(mean, abs=5 * deviation / math.sqrt(20_000))


def test_weights_are_exponentials_up_to_a_factor():
    advantages = torch.tensor([0.0, 1.0, -2.0])
    torch.testing.assert_close(
        regression_weights(advantages, 2.0), torch.tensor([math.exp(-2), 1.0, math.exp(-6)], dtype=torch.float64)
    )


def test_weights_are_clipped():
    """exp gives 1, e and e^10; with a clip of 5 the last is 5 and all are divided by it."""
    weights = regression_weights(torch.tensor([0.0, 1.0, 10.0]), 1.0, max_weight=5.0)
    torch.testing.assert_close(weights, torch.tensor([1 / 5, math.e / 5, 1.0], dtype=torch.float64))


def test_a_huge_alpha_does_not_overflow():
    weights = regression_weights(torch.tensor([1000.0, 999.0]), 1e6)
    assert weights.tolist() == [1.0, 0.0]


def test_the_weights_are_those_of_selection():
    """Their effective sample size is that of the candidates with the same Q."""
    q = torch.linspace(0, 1, 50, dtype=torch.float64)
    weights = regression_weights(q, 4.0)
    assert float(weights.sum() ** 2 / weights.square().sum()) == pytest.approx(
        float(effective_sample_size(q[None], 4.0)), rel=1e-12
    )


def test_a_saved_agent_acts_the_same(tmp_path):
    agent = WeightedRegression(config(evaluation="returns", subtract_value=False)).fit(two_actions())
    agent.save(tmp_path / "agent")
    loaded = WeightedRegression.load(tmp_path / "agent")
    states = torch.linspace(-1, 1, 9)[:, None]
    assert loaded.config == agent.config
    assert torch.equal(loaded.act(states), agent.act(states))


def test_the_same_seed_gives_the_same_agent():
    first, again = (WeightedRegression(config(seed=5)).fit(two_actions()) for _ in range(2))
    assert torch.equal(first.weights, again.weights)
    assert torch.equal(first.act(torch.ones(3, 1)), again.act(torch.ones(3, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, "alpha must be finite and >= 0, got -1.0"),
        ({"alpha": math.inf}, "alpha must be a finite float, got inf"),
        ({"evaluation": "guess"}, "evaluation"),  # refused by the type check of the tests before our own
        ({"max_weight": 0.0}, "max_weight must be positive, got 0.0"),
    ],
)
def test_a_wrong_config_is_refused(options, message):
    with pytest.raises((ValueError, TypeCheckError), match=message):
        WeightedRegressionConfig(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.tensor([math.nan]), 1.0), "advantages must be finite"),
        ((torch.zeros(2), -1.0), "alpha must be finite and >= 0"),
        ((torch.zeros(2), 1.0, 0.0), "max_weight must be positive"),
    ],
)
def test_wrong_weights_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        regression_weights(*arguments)


def test_an_agent_that_is_not_fitted_says_so(tmp_path):
    agent = WeightedRegression()
    with pytest.raises(RuntimeError, match="not fitted yet"):
        agent.act(torch.zeros(1, 1))
