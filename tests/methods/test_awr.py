"""AWR: its targets and weights by hand, its values against the exact ones of a finite MDP, and a bandit."""

import math

import numpy as np
import pytest
import torch
from hand_made import (
    BRIEF,
    LEFT,
    RIGHT,
    bandit,
    built,
    first_row,
    linear,
    living_states,
    recorded,
    small_world,
    three_steps,
)

from sfbc_core import TrainingConfig, Trajectories
from sfbc_core.methods import AWR, AWRConfig
from sfbc_core.networks import Ensemble
from sfbc_core.tabular import policy_q


def tiny(**options) -> AWRConfig:
    return AWRConfig(**({"hidden": (32, 32), "evaluate_every": 20, "training": BRIEF} | options))


def with_value(value, **options) -> AWR:
    """An agent whose V, at the last evaluation too, is the given function of the state."""
    agent = built(AWR(tiny(**options)))
    agent.nets["v"], agent.nets["memory_v"] = Ensemble([value]), Ensemble([value])
    return agent


def five_steps() -> Trajectories:
    """Three transitions that end by themselves, and two that are cut; s = 0 … 4."""
    return Trajectories(
        torch.arange(5.0)[:, None], torch.zeros(5, 1), [1.0, 0.0, 2.0, 0.0, 3.0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]
    )


def test_returns_and_weights_by_hand():
    agent = with_value(linear(1.0), discount=0.5, trace=0.5, temperature=2.0)  # V = s
    returns, weights = agent.fresh_memory(five_steps())
    # 2; 0 + ½ (½ 2 + ½ 2) = 1; 1 + ½ (½ 1 + ½ 1) = 1.5 | a cut: 3 + ½ 4 = 5; 0 + ½ (½ 4 + ½ 5) = 2.25
    assert returns.tolist() == pytest.approx([1.5, 1.0, 2.0, 2.25, 5.0])
    advantages = np.array([1.5, 0.0, 0.0, -0.75, 1.0])
    standardised = (advantages - advantages.mean()) / advantages.std()
    assert weights.tolist() == pytest.approx(np.exp(standardised / 2.0).tolist())


def test_no_weight_is_above_the_largest():
    agent = with_value(linear(1.0), discount=0.5, max_weight=1.2)
    _, weights = agent.fresh_memory(five_steps())
    assert weights.max() == pytest.approx(1.2) and weights.min() < 0.5


def test_losses_by_hand():
    agent = with_value(linear(0.0), discount=0.0)  # R = r = 0.25, 3, 7
    losses = first_row(agent, three_steps())
    assert losses["v"] == pytest.approx(0.25**2)
    rewards = np.array([0.25, 3.0, 7.0])
    weight = math.exp((0.25 - rewards.mean()) / rewards.std())
    likelihood = -0.5 * 0.5**2 - 0.5 * math.log(2 * math.pi)  # of the action 0.5 under N(0, 1)
    assert losses["policy"] == pytest.approx(-weight * likelihood)


def test_values_are_those_of_behavior():
    mdp, behavior = small_world()
    data, living = recorded(mdp, behavior), living_states(mdp)
    exact = (behavior * policy_q(mdp, behavior)).sum(1)[living]
    training = TrainingConfig(gradient_steps=2000, batch_size=256, learning_rate=1e-3, cosine_decay=True)
    agent = AWR(tiny(discount=mdp.discount, training=training)).fit(data)
    with torch.no_grad():
        values = agent.nets["v"](agent.nets.states(torch.eye(mdp.num_states)[living]))[0, :, 0].numpy()
    assert values == pytest.approx(exact, abs=0.1)


def test_a_bandit():
    agent = AWR(tiny()).fit(bandit())
    with torch.no_grad():
        assert float(agent.nets["v"](torch.zeros(1, 1))) == pytest.approx(0.5, abs=0.04)
    right = math.exp(2) / (1 + math.exp(2))  # rewards 0 and 1, half of each: standardised they are -1 and 1
    assert float(agent.act(torch.zeros(1, 1))) == pytest.approx(right * RIGHT + (1 - right) * LEFT, abs=0.03)


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"trace": 1.5}, {"evaluate_every": 0}, {"max_weight": 0.0}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        AWRConfig(**options)
