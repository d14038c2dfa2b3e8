"""VEM: its memory by hand, its values by a plain loop over the data of a finite MDP, and a bandit."""

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
from sfbc_core.methods.vem import VEM, VEMConfig
from sfbc_core.tabular import expectile


def tiny(**options) -> VEMConfig:
    return VEMConfig(**({"hidden": (32, 32), "plan_every": 20, "training": BRIEF} | options))


def with_values(*members, **options) -> VEM:
    """An agent whose planned V are the given linear functions of the state."""
    agent = built(VEM(tiny(**options)))
    for i, member in enumerate(members):
        agent.nets["memory_v"][i] = member
    return agent


def test_the_memory_by_hand():
    data = Trajectories(
        torch.arange(5.0)[:, None], torch.zeros(5, 1), [1.0, 0.0, 2.0, 0.0, 3.0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]
    )
    # V = min(s, 1.5): 0, 1, 1.5 | 1.5, 1.5; γ = 1/2.
    agent = with_values(linear(1.0), linear(0.0, bias=1.5), discount=0.5)
    # 2; 0 + ½ max(2, 1.5) = 1; 1 + ½ max(1, 1) = 1.5 | a cut: 3 + ½ 1.5 = 3.75; 0 + ½ max(3.75, 1.5) = 1.875
    assert agent.fresh_memory(data)[0].tolist() == pytest.approx([1.5, 1.0, 2.0, 1.875, 3.75])


def test_the_loss_of_v_is_the_expectile_of_the_memory():
    agent = with_values(linear(0.0), linear(0.0), expectile=0.8, discount=0.0, inverse_temperature=2.0)
    losses = first_row(agent, three_steps())  # R̂ = r = 0.25, V = 0
    assert losses["v"] == pytest.approx(2 * 0.8 * 0.25**2)
    likelihood = -0.5 * 0.5**2 - 0.5 * math.log(2 * math.pi)  # of the action 0.5 under N(0, 1)
    assert losses["policy"] == pytest.approx(-math.exp(2.0 * 0.25) * likelihood)


def exact_values(data, num_states, tau, discount):
    """The fixed point on the data, by a plain loop: plan, then take the expectile of what was planned at each state."""
    at = data.observations.argmax(1).numpy()
    values = np.zeros(num_states)
    for _ in range(200):
        planned, following = np.zeros(len(data)), 0.0
        for n in reversed(range(len(data))):
            if data.terminals[n]:
                following = 0.0
            elif data.timeouts[n]:
                following = values[at[n]]
            else:
                following = max(following, values[at[n + 1]])
            planned[n] = following = float(data.rewards[n]) + discount * following
        for state in np.unique(at):
            seen = planned[at == state]
            values[state] = expectile(seen, np.ones_like(seen), tau)
    return values


def test_values_are_those_of_a_plain_loop_over_the_data():
    mdp, behavior = small_world()
    data, living = recorded(mdp, behavior, episodes=300), living_states(mdp)
    exact, mean = (exact_values(data, mdp.num_states, tau, mdp.discount)[living] for tau in (0.9, 0.5))
    assert (exact - mean).max() > 0.3  # the answers are apart
    training = TrainingConfig(gradient_steps=2000, batch_size=256, learning_rate=1e-3, cosine_decay=True)
    agent = VEM(tiny(expectile=0.9, discount=mdp.discount, training=training)).fit(data)
    with torch.no_grad():
        values = agent.nets["v"](agent.nets.states(torch.eye(mdp.num_states)[living]))[..., 0].mean(0).numpy()
    assert values == pytest.approx(exact, abs=0.1)  # what remains is the noise of a constant learning rate


@pytest.mark.parametrize(("tau", "value"), [(0.5, 0.5), (0.9, 0.9)])
def test_a_bandit(tau, value):
    agent = VEM(tiny(expectile=tau, inverse_temperature=1.0)).fit(bandit())
    with torch.no_grad():
        assert agent.nets["v"](torch.zeros(1, 1)).flatten().tolist() == pytest.approx([value] * 2, abs=0.04)
    right = math.e / (1 + math.e)  # the weights differ by exp(1 - 0), whatever V is
    assert float(agent.act(torch.zeros(1, 1))) == pytest.approx(right * RIGHT + (1 - right) * LEFT, abs=0.03)


@pytest.mark.parametrize(
    "options", [{"expectile": 1.0}, {"inverse_temperature": -1.0}, {"plan_every": 0}, {"max_weight": 0.0}]
)
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        VEMConfig(**options)
