"""BCQ: how far an action is moved, the target and the choice by hand, and a bandit."""

import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit, built, first_row, linear, linear_q, three_steps
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core.methods.bcq import BCQ, BCQConfig, Perturbation


def tiny(**options) -> BCQConfig:
    sizes = {"hidden": (32, 32), "vae_hidden": 32, "target_rate": 0.05, "num_candidates": 20}
    return BCQConfig(**({"training": BRIEF, **sizes} | options))


@given(bound=st.floats(0, 3), scale=st.floats(0, 1e4), seed=st.integers(0, 1000))
def test_no_action_is_moved_further_than_the_bound_or_out_of_range(bound, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    network = Perturbation(3, 2, (8,), bound)
    states = scale * torch.randn(50, 3, generator=generator)
    actions = 2 * torch.rand(50, 2, generator=generator) - 1
    with torch.no_grad():
        moved = network(states, actions)
    assert (moved - actions).abs().max() <= bound * (1 + 1e-6) + 1e-6
    assert moved.abs().max() <= 1


def test_the_target_mixes_the_two_and_takes_the_best():
    """The VAE decodes to tanh(z): with Q₁ = a and Q₂ = -a, λ min + (1 - λ) max is (1 - 2λ)|a|."""
    agent = built(BCQ(tiny(smallest_weight=0.25, discount=1.0, target_candidates=1)))
    decoder = agent.nets["vae"].decoder
    with torch.no_grad():  # through both layers: relu(z₁) - relu(-z₁), by two units
        for layer, weight in ((decoder[0], [[0.0, 1, 0], [0, -1, 0]]), (decoder[2], [[1.0, 0], [0, 1]])):
            layer.weight[:2, : len(weight[0])] = torch.tensor(weight)
        decoder[4].weight[0, :2] = torch.tensor([1.0, -1.0])
    agent.nets["target_q"] = linear_q(linear(0.0, 1.0), linear(0.0, -1.0))
    drawn = torch.randn(1, 1, 2, generator=torch.Generator().manual_seed(0)).clamp(-0.5, 0.5)[0, 0, 0].tanh().abs()
    expected = 0.25 + (1 - 2 * 0.25) * float(drawn)
    assert first_row(agent, three_steps())["q"] == pytest.approx(2 * expected**2, rel=1e-5)
    assert first_row(agent, three_steps(), row=1)["q"] == pytest.approx(2 * 3.0**2)  # after a terminal nothing counts


def test_the_perturbation_is_improved_by_the_first_q():
    agent = built(BCQ(tiny()))  # which decodes to 0 and moves nothing
    agent.nets["q"] = linear_q(linear(2.0, 5.0, bias=1.0), linear(100.0, 100.0))
    assert first_row(agent, three_steps())["perturbation"] == pytest.approx(-3.0)  # -Q(1, 0)


def test_it_acts_by_the_best_that_the_vae_draws():
    agent = BCQ(tiny(perturbation=0.0, latent_clip=3.0)).fit(bandit(), progress=False)
    agent.nets["q"] = linear_q(linear(0.0, 1.0), linear(0.0, -1.0))  # the first decides: as far right as there is
    right = float(agent.act(torch.zeros(1, 1)))
    agent.nets["q"] = linear_q(linear(0.0, -1.0), linear(0.0, 1.0))
    left = float(agent.act(torch.zeros(1, 1)))
    assert right == pytest.approx(RIGHT, abs=0.15) and left == pytest.approx(LEFT, abs=0.15)


def test_the_bandit_goes_right():
    agent = BCQ(tiny(latent_clip=3.0)).fit(bandit())
    assert float(agent.act(torch.zeros(1, 1))) == pytest.approx(RIGHT, abs=0.2)


@pytest.mark.parametrize(
    "options", [{"perturbation": -0.1}, {"smallest_weight": 1.5}, {"target_candidates": 0}, {"latent_clip": 0.0}]
)
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        BCQConfig(**options)
