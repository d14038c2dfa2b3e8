"""CQL: its penalty with two actions by hand and against an integral, the density of its policy, and a bandit."""

import math

import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit, built, first_row, linear, linear_q, three_steps

from sfbc_core.methods.cql import CQL, CQLConfig, conservative_gap
from sfbc_core.methods.policies import SquashedGaussianPolicy


def tiny(**options) -> CQLConfig:
    sizes = {"hidden": (32, 32), "actions": 4, "policy_learning_rate": 1e-2, "target_rate": 0.05}
    return CQLConfig(**({"training": BRIEF, **sizes} | options))


def test_the_gap_with_two_actions_by_hand():
    """Two draws from a density of ½ each, with Q = ln 3 and ln 5, and ln 2 in the data: ln((3 + 5)/½/2) - ln 2 = ln 4."""
    drawn = torch.tensor([[[3.0, 5.0]]]).log()
    gap = conservative_gap(drawn, torch.full((1, 2), 0.5).log(), torch.tensor([[2.0]]).log())
    assert gap.tolist() == [[pytest.approx(math.log(4))]]


def test_the_gap_estimates_an_integral(generator):
    """log ∫ exp(3a) da over [-1, 1] = log(2 sinh 3 / 3), from uniform draws and from draws of another density."""
    exact, n = math.log(2 * math.sinh(3) / 3), 40_000
    uniform = torch.rand(n, generator=generator)
    for actions, log_density in (
        (2 * uniform - 1, torch.full((n,), -math.log(2))),
        (2 * uniform.sqrt() - 1, uniform.sqrt().log()),  # p(a) = (1 + a)/2
    ):
        weights = (3 * actions - log_density).exp()
        error = float(weights.std() / weights.mean()) / math.sqrt(n)
        gap = conservative_gap(3 * actions[None, None], log_density[None], torch.zeros(1, 1))
        assert float(gap) == pytest.approx(exact, abs=4 * error)


def test_the_density_of_the_policy_integrates_to_one():
    """In float64: in float32 the actions near a bound, where wide policies have much of their mass, are all one number."""
    policy = SquashedGaussianPolicy([1, 4, 1]).double()
    with torch.no_grad():
        mean, log_deviation = policy.parameters_of(torch.zeros(1, 1).double())
        noise = torch.linspace(-6, 6, 20_001, dtype=torch.float64)[:, None]
        actions, log_likelihood = policy(torch.zeros(20_001, 1).double(), noise)
    assert torch.allclose(actions, torch.tanh(mean + log_deviation.exp() * noise))
    area = torch.trapezoid(log_likelihood.exp(), actions[:, 0])
    assert float(area) == pytest.approx(1, abs=1e-4)


def test_the_target_has_no_entropy_and_the_penalty_its_weight():
    agent = built(CQL(tiny(penalty=0.0, discount=0.9)))
    agent.nets["target_q"] = linear_q(linear(2.0, 0.0), linear(3.0, 0.0))  # at s' = 2: 4 and 6
    assert first_row(agent, three_steps())["q"] == pytest.approx(2 * (0.25 + 0.9 * 4.0) ** 2)
    plain, heavy = (first_row(built(CQL(tiny(penalty=weight))), three_steps())["q"] for weight in (0.0, 3.0))
    # Q is 0 everywhere: the gap is the logarithm of the mean of 1 / density, of each of the two.
    agent = built(CQL(tiny()))
    draws = torch.Generator().manual_seed(0)
    [torch.randn(1, 1, generator=draws) for _ in range(2)]  # of π in s and in s'
    state, following = torch.tensor([[1.0]]), torch.tensor([[2.0]])
    noise = lambda *shape: torch.randn(*shape, 1, generator=draws)  # noqa: E731
    with torch.no_grad():
        log_density = agent._drawn(state, following, noise, draws)[1]
    gap = float(torch.logsumexp(-log_density, 1)) - math.log(12)
    assert heavy - plain == pytest.approx(2 * 3.0 * gap, rel=1e-4)


def test_the_temperature_falls_while_there_is_more_entropy_than_asked_for():
    agent = built(CQL(tiny()))
    loss = agent.losses(agent.rows(three_steps())[torch.tensor([0])], 0, torch.Generator().manual_seed(0))
    loss["temperature"].backward()
    noise = torch.randn(1, 1, generator=torch.Generator().manual_seed(0))
    log_likelihood = agent.nets["policy"](torch.ones(1, 1), noise)[1]
    slope = agent.nets["temperature"].logarithm.grad
    assert float(slope) == pytest.approx(-(float(log_likelihood) - 1), rel=1e-5)


def test_the_penalty_holds_q_down_where_there_are_no_data():
    far = torch.tensor([[-1.0], [0.1], [1.0]])
    held, free = (CQL(tiny(penalty=weight)).fit(bandit()) for weight in (5.0, 0.0))
    with torch.no_grad():
        recorded = held.nets["q"](torch.zeros(2, 1), torch.tensor([[LEFT], [RIGHT]])).mean(0)
        outside = held.nets["q"](torch.zeros(3, 1), far).mean(0)
        exact = free.nets["q"](torch.zeros(2, 1), torch.tensor([[LEFT], [RIGHT]])).mean(0)
    assert exact.tolist() == pytest.approx([0.0, 1.0], abs=0.05)  # without the penalty, what the arms earn
    assert (outside < recorded.max() - 0.5).all()
    assert float(held.act(torch.zeros(1, 1))) == pytest.approx(RIGHT, abs=0.15)


def test_a_draw_differs_from_the_mode():
    agent = CQL(tiny()).fit(bandit())
    draws = agent.acting(deterministic=False).act(torch.zeros(50, 1))
    assert len(draws.unique()) > 40 and len(agent.act(torch.zeros(50, 1)).unique()) == 1


@pytest.mark.parametrize("options", [{"penalty": -1.0}, {"actions": 0}, {"policy_learning_rate": 0.0}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        CQLConfig(**options)
