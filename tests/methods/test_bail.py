"""BAIL: the exact envelope of a small set, returns completed by hand, the rows that are kept, and a bandit."""

import pytest
import torch
from hand_made import BRIEF, RIGHT, bandit, built, first_row, linear, three_steps

from sfbc_core import TrainingConfig, Trajectories
from sfbc_core.methods.bail import BAIL, BAILConfig, augmented_returns, envelope_loss


def tiny(**options) -> BAILConfig:
    return BAILConfig(**({"hidden": (32, 32), "training": BRIEF} | options))


@pytest.mark.parametrize("penalty", [1.0, 9.0, 1000.0])
def test_the_envelope_of_two_returns(penalty):
    v = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    loss = sum(envelope_loss(v, torch.full_like(v, g), penalty) for g in (0.0, 1.0))
    assert float(v[loss.argmin()]) == pytest.approx(penalty / (1 + penalty), abs=1e-4)  # v = K (1 - v)


def test_the_envelope_of_a_small_set_is_learned():
    """Three states with two returns each: in every state the envelope is (K best + worst) / (K + 1)."""
    states = torch.tensor([0.0, 0, 1, 1, 2, 2]).repeat(50)[:, None]
    returns = torch.tensor([0.2, 1.0, 0.0, 0.5, 0.1, 0.8]).repeat(50)
    ends = torch.ones(300, dtype=torch.bool)
    data = Trajectories(states, torch.zeros(300, 1), returns, ends, ~ends)
    training = TrainingConfig(gradient_steps=2000, batch_size=128, learning_rate=3e-3, cosine_decay=True)
    agent = BAIL(tiny(penalty=20.0, training=training)).fit(data)
    with torch.no_grad():
        envelope = agent.nets["envelope"](agent.nets.states(torch.tensor([[0.0], [1.0], [2.0]])))[:, 0]
    assert envelope.tolist() == pytest.approx([20.2 / 21, 10.0 / 21, 16.1 / 21], abs=0.02)


def test_returns_are_completed_by_those_of_the_nearest_state():
    """γ = 1/2. The first episode is cut at s = 10; of the states whose return is known, that of 9.5 is the nearest."""
    data = Trajectories(
        torch.tensor([[0.0], [10.0], [9.5], [0.0]]), torch.zeros(4, 1), [1.0, 2.0, 4.0, 8.0], [0, 0, 0, 1], [0, 1, 0, 0]
    )
    # Vanilla: 2, 2 | 8, 8. The cut gets ½ of 8 more: 2 + 4 = 6, and 1 + ½ 6 = 4.
    assert augmented_returns(data, 0.5).tolist() == pytest.approx([4.0, 6.0, 8.0, 8.0])


def test_without_a_known_return_they_stay():
    data = Trajectories(torch.zeros(2, 1), torch.zeros(2, 1), [1.0, 2.0], [0, 0], [0, 1])
    assert augmented_returns(data, 0.9).tolist() == pytest.approx([2.8, 2.0])


def test_the_rows_nearest_to_the_envelope_in_ratio():
    states = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    ends = torch.ones(4, dtype=torch.bool)
    data = Trajectories(states, torch.zeros(4, 1), [0.9, 1.9, 2.0, 8.0], ends, ~ends)
    agent = built(BAIL(tiny(best_share=0.5)))
    agent.rows(data)
    agent.nets["envelope"] = linear(1.0)  # V(s) = s, in units of the largest return 8: ratios 0.9, 0.95, 0.5, 1
    assert agent.best_rows().tolist() == [False, True, False, True]


def test_only_those_are_cloned():
    agent = built(BAIL(tiny(envelope_share=0.5)))
    batch = agent.rows(three_steps())[torch.arange(3)]
    agent.best = torch.tensor([True, False, False])
    loss = agent.losses(batch, 300, torch.Generator())  # of 600 steps the first 300 are the envelope's
    assert set(loss) == {"policy"}
    assert float(loss["policy"]) == pytest.approx(0.5**2)  # π = 0, and the action of the first row is 0.5
    assert set(first_row(agent, three_steps(), step=299)) == {"envelope"}


def test_negative_returns_are_ratios_too():
    ends = torch.ones(3, dtype=torch.bool)
    agent = built(BAIL(tiny()))
    agent.rows(Trajectories(torch.zeros(3, 1), torch.zeros(3, 1), [-4.0, -2.0, 0.0], ends, ~ends))
    assert agent.returns.tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_of_two_arms_it_clones_the_better():
    agent = BAIL(tiny(best_share=0.4)).fit(bandit())
    assert float(agent.act(torch.zeros(1, 1))) == pytest.approx(RIGHT, abs=0.03)


@pytest.mark.parametrize("options", [{"best_share": 0.0}, {"penalty": 0.0}, {"envelope_share": 1.0}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        BAILConfig(**options)
