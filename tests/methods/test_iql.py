"""Implicit Q-learning against closed forms: expectiles, exact values of a finite MDP, losses by hand, a two-armed bandit."""

import math

import numpy as np
import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit, living_states, recorded, small_world, three_steps

from sfbc_core import TrainingConfig, Trajectories
from sfbc_core.methods import IQL, IQLConfig
from sfbc_core.methods.iql import expectile_loss
from sfbc_core.tabular import backup, expectile, optimal_q, policy_q


def tiny(**options) -> IQLConfig:
    return IQLConfig(**({"hidden": (32, 32), "target_rate": 0.05, "training": BRIEF} | options))


def unlearned(config: IQLConfig, obs_dim=1, act_dim=1, *, value=0.0, q=(0.0, 0.0), target_q=(0.0, 0.0)) -> IQL:
    """An agent whose networks are constants: V, both Q and both targets as given, the policy N(0, 1)."""
    agent = IQL(config)
    agent.nets.build(obs_dim, act_dim)
    constants = [agent.nets["v"], *agent.nets["q"], *agent.nets["target_q"]]
    with torch.no_grad():
        for parameter in agent.nets.parameters():
            parameter.zero_()
        for network, constant in zip(constants, (value, *q, *target_q), strict=True):
            network[-1].bias.fill_(constant)
    return agent


def losses(agent: IQL, data: Trajectories, row: int) -> dict[str, float]:
    batch = agent.rows(data)[torch.tensor([row])]
    return {name: loss.item() for name, loss in agent.losses(batch, 0, torch.Generator()).items()}


# The expectile loss


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.7, 0.9, 0.99])
def test_the_minimiser_is_the_expectile_of_the_uniform_distribution(tau):
    x = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    v = torch.linspace(0, 1, 1001, dtype=torch.float64)
    least = v[expectile_loss(x - v[:, None], tau).mean(1).argmin()]
    # τ ∫_v^1 (x - v) dx = (1 - τ) ∫_0^v (v - x) dx
    assert float(least) == pytest.approx(math.sqrt(tau) / (math.sqrt(tau) + math.sqrt(1 - tau)), abs=1e-3)


def test_the_expectile_of_one_half_is_the_mean(generator):
    x = torch.randn(501, dtype=torch.float64, generator=generator).exp()
    v = x.mean().requires_grad_()
    (slope,) = torch.autograd.grad(expectile_loss(x - v, 0.5).sum(), v)
    assert float(slope) == pytest.approx(0, abs=1e-10)


# Values


def exact_values(mdp, behavior, tau):
    """The fixed point V(s) = τ-expectile over a ~ μ of r + γ E V(s')."""
    values = np.zeros(mdp.num_states)
    for _ in range(300):
        values = expectile(backup(mdp, values), behavior, tau)
    return values


def learned_values(mdp, behavior, tau):
    """IQL on episodes of a finite MDP."""
    data, living = recorded(mdp, behavior), living_states(mdp)
    training = TrainingConfig(gradient_steps=2500, batch_size=256, learning_rate=1e-3, cosine_decay=True)
    agent = IQL(tiny(expectile=tau, discount=mdp.discount, training=training)).fit(data)
    states = agent.nets.states(torch.eye(mdp.num_states)[living])
    with torch.no_grad():
        return living, agent.nets["v"](states)[:, 0].numpy()


@pytest.fixture(scope="module")
def world():
    return small_world()


# Tolerances: some 15,000 transitions give returns of deviation about 0.6 in 6 states with a standard error of 0.03; the rest
# is the noise of a constant learning rate.
def test_half_an_expectile_gives_the_values_of_the_behavior(world):
    mdp, behavior = world
    living, values = learned_values(mdp, behavior, 0.5)
    exact = (behavior * policy_q(mdp, behavior)).sum(1)
    assert values == pytest.approx(exact[living], abs=0.1)


def test_a_large_expectile_gives_nearly_the_best_values_in_the_data(world):
    mdp, behavior = world
    living, values = learned_values(mdp, behavior, 0.97)
    best = np.where(behavior > 0, optimal_q(mdp, behavior > 0), -np.inf).max(1)
    mean = (behavior * policy_q(mdp, behavior)).sum(1)  # what a smaller τ would give
    anywhere = optimal_q(mdp).max(1)
    # The three answers are well apart: what the behavior earns, the best of its actions, the best of all actions.
    assert (best - mean)[living].mean() > 0.4 and (anywhere - best)[living].max() > 0.5
    assert values == pytest.approx(exact_values(mdp, behavior, 0.97)[living], abs=0.1)
    assert values == pytest.approx(best[living], abs=0.2)


# Losses by hand


def test_the_target_of_q_by_hand():
    agent = unlearned(tiny(discount=0.9))
    agent.nets["v"] = torch.nn.Linear(1, 1)  # V(s) = 2s + 1
    with torch.no_grad():
        agent.nets["v"].weight.fill_(2.0)
        agent.nets["v"].bias.fill_(1.0)
    data = three_steps()
    assert len(agent.rows(data)) == 2  # nobody knows what came after the cut
    # Q is 0: the loss is the squared target, once for each of the two.
    assert losses(agent, data, 0)["q"] == pytest.approx(2 * (0.25 + 0.9 * 5.0) ** 2)
    assert losses(agent, data, 1)["q"] == pytest.approx(2 * 3.0**2)  # after a terminal nothing counts
    recorded = three_steps(next_observations=[[2.0], [9.0], [4.0]])
    assert losses(agent, recorded, 2)["q"] == pytest.approx(2 * (7.0 + 0.9 * 9.0) ** 2)  # a cut is no end


def test_both_members_are_fitted_to_the_same_target():
    agent = unlearned(tiny(discount=0.9), value=2.0, q=(1.0, -1.0), target_q=(50.0, 60.0))
    target = 0.25 + 0.9 * 2.0
    assert losses(agent, three_steps(), 0)["q"] == pytest.approx((target - 1) ** 2 + (target + 1) ** 2)


@pytest.mark.parametrize(("value", "factor"), [(1.0, 0.8), (4.0, 0.2)])
def test_v_is_pulled_to_the_smaller_target(value, factor):
    agent = unlearned(tiny(expectile=0.8), value=value, q=(50.0, 60.0), target_q=(3.0, 2.0))
    assert losses(agent, three_steps(), 0)["v"] == pytest.approx(factor * (2.0 - value) ** 2)


@pytest.mark.parametrize(
    ("advantage", "weight"), [(0.5, math.exp(1.5)), (-2.0, math.exp(-6.0)), (2.0, 100.0), (1e4, 100.0)]
)
def test_the_weights_of_the_policy_are_clipped(advantage, weight):
    agent = unlearned(tiny(), value=1.0, target_q=(1.0 + advantage, 2e4))
    negative_log_likelihood = 0.5 * 0.5**2 + 0.5 * math.log(2 * math.pi)  # of the action 0.5 under N(0, 1)
    assert losses(agent, three_steps(), 0)["policy"] == pytest.approx(weight * negative_log_likelihood, rel=1e-4)


# One step and its rates


def test_the_target_moves_by_its_rate():
    agent = unlearned(tiny(target_rate=0.25), q=(8.0, -8.0), target_q=(4.0, 0.0))
    agent.after_step(0)
    assert [member[-1].bias.item() for member in agent.nets["target_q"]] == [5.0, -2.0]
    assert [member[-1].bias.item() for member in agent.nets["q"]] == [8.0, -8.0]


def test_the_target_starts_as_a_copy_of_q():
    agent = IQL(tiny())
    agent.nets.build(3, 2)
    both = zip(agent.nets["q"].parameters(), agent.nets["target_q"].parameters(), strict=True)
    assert all(torch.equal(one, other) and one is not other for one, other in both)
    first, second = agent.nets["q"]
    assert not torch.equal(first[0].weight, second[0].weight)


def test_only_the_rate_of_the_policy_falls():
    agent = IQL(IQLConfig())
    assert [agent.learning_rate("policy", step, 100) for step in (0, 50, 100)] == pytest.approx([3e-4, 1.5e-4, 0])
    assert {agent.learning_rate(name, step, 100) for name in ("v", "q") for step in (0, 50, 99)} == {3e-4}


# The policy


@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0])
def test_the_policy_of_a_bandit_is_the_weighted_gaussian(beta):
    agent = IQL(tiny(inverse_temperature=beta)).fit(bandit())
    right = math.exp(beta) / (1 + math.exp(beta))  # the weights differ by exp(β (1 - 0)), whatever V is
    mean = right * RIGHT + (1 - right) * LEFT
    # A batch of 128 has a mean with a standard error of at most 0.06; the falling rate averages over about 100 of them.
    assert float(agent.act(torch.zeros(1, 1))) == pytest.approx(mean, abs=0.03)
    deviation = math.sqrt(right * (1 - right)) * (RIGHT - LEFT)
    with torch.no_grad():
        assert float(agent.nets["policy"](torch.zeros(1, 1)).stddev) == pytest.approx(deviation, abs=0.03)


def test_the_value_of_a_bandit_is_its_expectile():
    agent = IQL(tiny(expectile=0.9)).fit(bandit())
    with torch.no_grad():
        value = float(agent.nets["v"](torch.zeros(1, 1)))
    assert value == pytest.approx(0.9, abs=0.03)  # τ (1 - v) = (1 - τ) v


def test_draws_come_from_the_policy_row_by_row():
    agent = unlearned(tiny())
    agent.fitted = True  # N(0, 1), about a third of which lies outside the bounds
    generators = [torch.Generator().manual_seed(i) for i in range(200)]
    drawn = agent.acting(deterministic=False).act(torch.zeros(200, 1), generators)
    normal = torch.cat([torch.randn(1, generator=torch.Generator().manual_seed(i)) for i in range(200)])
    assert torch.allclose(drawn[:, 0], normal.clamp(-1, 1), atol=1e-6)
    assert float(drawn.abs().max()) == 1
    assert torch.equal(agent.act(torch.zeros(200, 1)), torch.zeros(200, 1))


# Rewards


def test_the_unit_of_rewards():
    data = Trajectories(torch.zeros(4, 1), torch.zeros(4, 1), [1.0, 2.0, -1.0, 0.0], [0, 1, 0, 1], [0, 0, 0, 0])

    def rewards(unit):
        return IQL(tiny(rewards=unit)).rows(data).rewards.tolist()

    assert rewards("as_recorded") == [1.0, 2.0, -1.0, 0.0]
    assert rewards("minus_one") == [0.0, 1.0, -2.0, -1.0]
    assert rewards("return_range") == [250.0, 500.0, -250.0, 0.0]  # episodes of return 3 and -1


def test_a_range_of_returns_needs_two_of_them():
    with pytest.raises(ValueError, match="episodes of different returns"):
        IQL(tiny(rewards="return_range")).fit(three_steps().replace(rewards=torch.zeros(3)))


# The config


@pytest.mark.parametrize(
    "options",
    [
        {"expectile": 0.0},
        {"expectile": 1.0},
        {"inverse_temperature": -1.0},
        {"inverse_temperature": math.inf},
        {"max_weight": 0.0},
        {"discount": 1.1},
        {"target_rate": 0.0},
        {"rewards": "standardised"},
        {"hidden": ()},
        {"hidden": (32, 0)},
    ],
)
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        IQLConfig(**options)
