"""Diffuser: stretches of the data by hand, the state that is given, guidance in closed form, and a bandit."""

import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit, three_steps

from sfbc_core import SolverConfig, Trajectories
from sfbc_core.diffusion.temporal_network import TemporalNetwork, TemporalNetworkConfig
from sfbc_core.methods.diffuser import Diffuser, DiffuserConfig


def tiny(**options) -> DiffuserConfig:
    sizes = {"horizon": 4, "network": TemporalNetworkConfig(16, 2, 3, 8), "plans": 1}
    return DiffuserConfig(**({"training": BRIEF, "solver": SolverConfig.accurate(15), **sizes} | options))


def test_a_stretch_begins_at_its_row_and_repeats_the_last_of_the_episode():
    batch = three_steps().windows(3, forward=True)[torch.arange(3)]
    assert batch.rows.tolist() == [[0, 1, 1], [1, 1, 1], [2, 2, 2]]
    assert batch.mask.tolist() == [[True, True, False], [True, False, False], [True, False, False]]
    assert batch.steps.tolist() == [[0, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert batch.of(three_steps().actions)[..., 0].tolist() == [[0.5, -0.5, 0], [-0.5, 0, 0], [0, 0, 0]]


def untrained(**options) -> Diffuser:
    agent = Diffuser(tiny(**options))
    agent.nets.build(2, 1)
    with torch.no_grad():  # answers that are not zero
        for name in ("noise", "guide"):
            agent.nets[name].output_layer.weight.normal_(generator=torch.Generator().manual_seed(3)).mul_(0.1)
    return agent


def test_the_first_state_is_kept(generator):
    states = torch.tensor([[0.5, -2.0], [3.0, 0.1]])
    with torch.no_grad():
        plans, _ = untrained(plans=3, guidance=2.0).plan(states, generator)
    assert plans.shape == (2, 3, 4, 3)
    assert torch.equal(plans[:, :, 0, :2], states[:, None].expand(-1, 3, -1))


class Linear(torch.nn.Module):
    """J = c · x, at any time."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def pooled(self, x, t):
        return (x * self.slope).sum((1, 2))[:, None]


class Normal(torch.nn.Module):
    """The noise of N(0, I), whose law stays what it is: ε = σ_t x."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule

    def forward(self, x, t):
        return self.schedule.sigma(t)[:, None, None] * x


def test_guidance_in_closed_form():
    """With ε = σ_t x and ∇J = c the flow is dx/dt = -½ β ω c: every coordinate moves by ½ ω c ∫ β."""
    agent = untrained(solver=SolverConfig.accurate(40))
    schedule = agent.config.schedule
    slope = torch.randn(4, 3, generator=torch.Generator().manual_seed(5)) * 0.1
    agent.nets["noise"], agent.nets["guide"] = Normal(schedule), Linear(slope)
    states = torch.zeros(1, 2)
    plain, pushed = (
        agent.acting(guidance=weight).plan(states, torch.Generator().manual_seed(0))[0][0, 0] for weight in (0.0, 2.0)
    )
    distance = -2 * (schedule.log_alpha(1.0) - schedule.log_alpha(1e-3))  # ∫ β from t_end to 1
    expected = 0.5 * 2.0 * slope * distance
    free = torch.ones(4, 3, dtype=torch.bool)
    free[0, :2] = False  # the state that is given
    assert torch.allclose((pushed - plain)[free], expected[free], rtol=0.02, atol=0.01)


def test_the_guide_learns_returns_and_plans_hold_both_modes():
    agent = Diffuser(tiny(guidance=0.0)).fit(bandit())
    drawn = agent.act(torch.zeros(300, 1))[:, 0]
    near = ((drawn - LEFT).abs() < 0.25) | ((drawn - RIGHT).abs() < 0.25)
    assert near.float().mean() > 0.85
    assert float((drawn > 0.15).float().mean()) == pytest.approx(0.5, abs=4 * 0.5 / 17 + 0.1)
    best = agent.acting(plans=8).act(torch.zeros(100, 1))[:, 0]  # of eight plans that of the larger return
    assert float((best > 0.15).float().mean()) > 0.9
    guided = agent.acting(guidance=1.0).act(torch.zeros(300, 1))[:, 0]
    assert float((guided > 0.15).float().mean()) > float((drawn > 0.15).float().mean()) + 0.1


def test_a_block_sees_as_far_as_its_dilation(generator):
    """With a kernel of 3, two blocks see 2 and then 4 steps further to each side: 6 in all."""
    network = TemporalNetwork(1, 1, TemporalNetworkConfig(4, 2, 3, 4))
    with torch.no_grad():
        network.output_layer.weight.fill_(1.0)
        x = torch.randn(1, 31, 1, generator=generator)
        changed = x.clone()
        changed[0, 15] += 1.0
        difference = (network(x, torch.zeros(1)) - network(changed, torch.zeros(1)))[0, :, 0].abs()
    reached = (difference > 0).nonzero().flatten()
    assert (int(reached.min()), int(reached.max())) == (9, 21)


@pytest.mark.parametrize("options", [{"horizon": 0}, {"plans": 0}, {"guidance": -1.0}, {"discount": 2.0}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        DiffuserConfig(**options)


def test_an_even_kernel_has_no_middle():
    with pytest.raises(ValueError, match="kernel must be odd"):
        TemporalNetworkConfig(kernel=4)


def test_episodes_shorter_than_the_horizon_are_enough():
    data = Trajectories(torch.zeros(3, 1), torch.zeros(3, 1), [0.0, 1.0, 2.0], [1, 1, 1], [0, 0, 0])
    agent = Diffuser(tiny(horizon=8)).fit(data)
    assert agent.act(torch.zeros(2, 1)).shape == (2, 1)
