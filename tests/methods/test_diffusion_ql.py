"""Diffusion-QL: gradients through the solver, its loss by hand, and a bandit with and without Q."""

import copy

import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit, first_row, linear, linear_q, three_steps

from sfbc_core import ScoreNetworkConfig, SolverConfig
from sfbc_core.methods.diffusion_ql import DiffusionQL, DiffusionQLConfig

NETWORK = ScoreNetworkConfig((32,), embedding_dim=16, fourier_features=16, fourier_scale=2.0)


def tiny(**options) -> DiffusionQLConfig:
    sizes = {"network": NETWORK, "hidden": (32, 32), "target_rate": 0.05, "policy_rate": 0.1}
    return DiffusionQLConfig(**({"training": BRIEF, "solver": SolverConfig.accurate(8), **sizes} | options))


def fresh(**options) -> DiffusionQL:
    agent = DiffusionQL(tiny(**options))
    agent.nets.build(1, 1)
    return agent


@pytest.fixture(scope="module")
def imitating() -> DiffusionQL:
    return DiffusionQL(tiny(eta=0.0)).fit(bandit())


def test_gradients_pass_through_all_evaluations_of_the_solver(imitating):
    """The slope of the mean action with a weight of the network, against a difference quotient in double precision."""
    policy = copy.deepcopy(imitating.nets["policy"]).double()
    noise = torch.randn(5, 4, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    states, weight = torch.zeros(5, 1, dtype=torch.float64), policy.input_layer.weight
    policy.time_parts = lambda of: {t: policy.embed_times(torch.tensor([t], dtype=torch.float64))[0] for t in of}

    def mean_action():
        return imitating._drawn(policy, states, noise).mean()

    (slope,) = torch.autograd.grad(mean_action(), weight)
    step = 1e-6
    with torch.no_grad():
        weight[0, 0] += step
        up = mean_action()
        weight[0, 0] -= 2 * step
        down = mean_action()
    assert float(slope[0, 0]) != 0
    assert float(slope[0, 0]) == pytest.approx(float(up - down) / (2 * step), rel=1e-4)


def test_the_policy_is_pulled_by_one_q_in_the_unit_of_the_other():
    agent, imitating = fresh(eta=3.0), fresh(eta=0.0)
    imitating.nets.load_state_dict(agent.nets.state_dict())
    agent.nets["q"] = linear_q(linear(0.0, 0.0, bias=2.0), linear(0.0, 0.0, bias=-5.0))
    alone = first_row(imitating, three_steps())["policy"]
    assert first_row(agent, three_steps(), step=0)["policy"] == pytest.approx(alone - 3.0 * (-5.0) / 2.0, rel=1e-5)
    assert first_row(agent, three_steps(), step=1)["policy"] == pytest.approx(alone - 3.0 * 2.0 / 5.0, rel=1e-5)


def test_without_q_it_is_behavior_and_with_it_it_goes_right(imitating):
    drawn, improved = (
        agent.acting(num_candidates=1).act(torch.zeros(400, 1))[:, 0]
        for agent in (imitating, DiffusionQL(tiny(eta=2.0)).fit(bandit()))
    )
    near = ((drawn - LEFT).abs() < 0.2) | ((drawn - RIGHT).abs() < 0.2)
    assert near.float().mean() > 0.9
    assert float((drawn > 0).float().mean()) == pytest.approx(0.5, abs=4 * 0.5 / 20 + 0.1)
    assert float((improved > 0).float().mean()) > 0.9


def test_it_takes_candidates_by_the_weight_of_their_q(imitating):
    agent = copy.deepcopy(imitating)
    for slope, side in ((1000.0, 1), (-1000.0, -1)):
        agent.nets["target_q"] = linear_q(linear(0.0, slope), linear(0.0, slope))
        assert (side * agent.acting(num_candidates=20).act(torch.zeros(30, 1)) > 0).all()


@pytest.mark.parametrize("options", [{"eta": -1.0}, {"num_candidates": 0}, {"policy_rate": 0.0}, {"hidden": ()}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        DiffusionQLConfig(**options)
