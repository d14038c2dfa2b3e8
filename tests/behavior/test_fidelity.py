"""What is called faithful, against models whose samples are known: exact ones, and each fault alone."""

from __future__ import annotations

import pytest
import torch

from sfbc_core import DiffusionBehavior, SolverConfig, Trajectories
from sfbc_core.behavior import Fidelity, GaussianBehavior, check_fidelity, solver_error
from sfbc_core.randomness import make_generator

ROWS = 1500


def two_modes(seed, n=ROWS) -> Trajectories:
    """One-step episodes; in every state the action is near -0.6 or near 0.6."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.rand(n, 1, generator=generator)
    return Trajectories(states, draw_two_modes(n, generator), torch.zeros(n), torch.ones(n), torch.zeros(n))


def draw_two_modes(n, generator):
    signs = torch.randint(2, (n, 1), generator=generator) * 2.0 - 1
    return 0.6 * signs + 0.05 * torch.randn(n, 1, generator=generator)


class Known(GaussianBehavior):
    """A fitted model whose samples are what a function of noise says, and whose loss is 1, or less on what it knows."""

    def __init__(self, data, to_actions, remembered=0.0):
        super().__init__()
        self._build(1, 1)
        self.standardizer.fit(data.observations)
        self.to_actions, self.remembered = to_actions, remembered
        self.known = self.standardizer(data.observations)

    def draw(self, states, noise):
        return self.to_actions(noise)

    def loss(self, states, actions, generator):
        losses = 1 + 0.5 * torch.randn(len(states), generator=generator)
        return losses - self.remembered * torch.isin(states[:, 0], self.known[:, 0])


@pytest.fixture(scope="module")
def data():
    return two_modes(0)


@pytest.fixture(scope="module")
def held_out():
    return two_modes(1)


def exact(noise):
    """As in the data: a mode by the sign of the noise, and around it, by the noise's size, a normal variable again."""
    uniform = torch.special.erf(noise.abs() / 2**0.5)
    return 0.6 * noise.sign() + 0.05 * torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))


FAULTS = {
    "between the modes": (lambda noise: 0.05 * noise, {"from the data", "from the samples"}),
    "one mode of two": (lambda noise: 0.6 + 0.05 * noise, {"from the samples"}),
    "at the bounds": (lambda noise: noise.sign(), {"at a bound", "from the data", "from the samples"}),
    "every fifth at a bound": (
        lambda noise: torch.where(noise.abs() > 1.2816, noise.sign(), exact(noise)),
        {"at a bound"},
    ),
    "noise over all": (lambda noise: torch.special.ndtr(noise) * 2 - 1, {"from the data"}),
}


def test_an_exact_model_is_faithful(data, held_out):
    found = check_fidelity(Known(data, exact), data, held_out)
    assert found.problems == [] and found.verdict == "faithful" and found.require() is found
    assert found.distance_to_data == pytest.approx(found.distance_within_data, rel=0.1)
    assert found.distance_from_data == pytest.approx(found.distance_within_data, rel=0.1)
    assert found.bound_share == found.bound_share_of_data == 0 and found.solver_error is None


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_and_no_other(data, held_out, name):
    to_actions, expected = FAULTS[name]
    found = check_fidelity(Known(data, to_actions), data, held_out)
    words = ("at a bound", "from the data", "from the samples", "loss", "solver")
    assert {word for word in words if word in found.verdict} >= expected
    assert ("loss" in found.verdict, "solver" in found.verdict) == (False, False)
    with pytest.raises(ValueError, match="not faithful: "):
        found.require()


def test_the_share_at_the_bounds_counts_actions_with_any_coordinate_there(data, held_out):
    found = check_fidelity(Known(data, lambda noise: torch.where(noise > 0, 1.0, 0.5)), data, held_out)
    assert found.bound_share == pytest.approx(0.5, abs=5 * 0.5 / ROWS**0.5)  # five standard errors of a fair coin


def test_a_model_that_has_memorised_its_data_has_a_higher_held_out_loss(data, held_out):
    """On what it knows, the loss is half a deviation lower."""
    found = check_fidelity(Known(data, exact, remembered=0.1), data, held_out)
    deviation = 0.5 / 10**0.5  # of the mean of ten draws
    assert found.excess_loss == pytest.approx(0.1 / deviation, abs=5 * 2**0.5 / ROWS**0.5)
    assert "held-out loss" in found.verdict


def test_distances_are_those_of_a_plain_loop():
    from sfbc_core.behavior.fidelity import _nearest

    points, others = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [3.0, 2.0]])
    assert _nearest(points, others) == pytest.approx((1 + 2) / 2)


def test_the_solvers_error_is_what_its_steps_change(tiny_diffusion, walk):
    model = DiffusionBehavior(tiny_diffusion, 0).fit(walk)
    few, many = (model.with_solver(SolverConfig.accurate(steps)) for steps in (5, 100))
    draws = [one.sample(walk.observations, 1, make_generator(0, "solver")) for one in (few, many)]
    expected = float((draws[0] - draws[1]).square().mean().sqrt())  # the walk's bounds are -1 and 1
    assert solver_error(few, walk.observations) == pytest.approx(expected, rel=1e-5) and expected > 0
    assert solver_error(many, walk.observations) == 0
    errors = [solver_error(model.with_solver(SolverConfig.accurate(steps)), walk.observations) for steps in (5, 10, 20)]
    assert errors[0] > errors[1] > errors[2], "more steps, less error"


def test_another_solver_shares_the_weights_and_leaves_the_model_as_it_was(tiny_diffusion, walk):
    model = DiffusionBehavior(tiny_diffusion, 0).fit(walk)
    before = model.config
    other = model.with_solver(SolverConfig.accurate(7))
    assert other.network is model.network and model.config is before
    assert other.config.solver.steps == 7 and other.config.network == before.network


def test_nothing_is_said_of_a_model_that_is_not_fitted(tiny_diffusion, walk):
    with pytest.raises(RuntimeError, match="not fitted yet"):
        check_fidelity(DiffusionBehavior(tiny_diffusion), walk, walk)


def test_the_solver_counts_for_the_verdict():
    fine = {"bound_share": 0.3, "bound_share_of_data": 0.3, "excess_loss": 0.0}
    fine |= {name: 0.1 for name in ("distance_to_data", "distance_from_data", "distance_within_data")}
    assert Fidelity(**fine, solver_error=0.049).problems == []
    assert Fidelity(**fine, solver_error=0.19).verdict == "the solver's error is 0.190, more than 0.05"
    assert Fidelity(**fine, solver_error=None).to_dict()["verdict"] == "faithful"
