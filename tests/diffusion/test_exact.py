"""The oracle itself, against autograd, quadrature and simulation."""

from __future__ import annotations

import math

import pytest
import torch

from sfbc_core import GaussianMixture, rk45

MIXTURE = GaussianMixture([3.0, 1.0, 2.0], [-0.8, 0.1, 0.7], [0.1, 0.05, 0.2])
PLANE = GaussianMixture([1.0, 2.0], [[0.5, -0.5], [-0.5, 0.2]], 0.3)


@pytest.mark.parametrize("mixture", [MIXTURE, PLANE])
@pytest.mark.parametrize("t", [0.0, 0.01, 0.3, 1.0])
def test_score_is_the_gradient_of_log_density(mixture, t, generator):
    x = torch.randn(50, mixture.dim, dtype=torch.float64, generator=generator, requires_grad=True)
    (gradient,) = torch.autograd.grad(mixture.log_density(x, t).sum(), x)
    torch.testing.assert_close(mixture.score(x.detach(), t), gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", [0.0, 0.05, 1.0])
def test_density_integrates_to_one_and_cumulative_is_its_integral(t):
    grid = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    density = MIXTURE.log_density(grid[:, None], t).exp()
    integral = torch.cumulative_trapezoid(density, grid)
    assert integral[-1] == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(MIXTURE.cumulative(grid, t)[1:], integral, rtol=0, atol=1e-7)


def test_samples_have_the_mixture_moments(generator):
    n = 200_000
    x, modes = MIXTURE.sample(n, generator)
    weights = torch.tensor([0.5, 1 / 6, 1 / 3], dtype=torch.float64)
    shares = torch.bincount(modes, minlength=3) / n
    assert ((shares - weights).abs() < 5 * (weights * (1 - weights) / n).sqrt()).all()  # 5 standard errors
    mean = (weights * MIXTURE.means[:, 0]).sum()
    assert abs(x.mean() - mean) < 5 * x.std() / math.sqrt(n)


def test_flow_keeps_quantiles_and_agrees_with_a_fine_integration():
    x = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)
    end = MIXTURE.flow(x, 1.0, 0.01)
    torch.testing.assert_close(MIXTURE.cumulative(end, 0.01), MIXTURE.cumulative(x, 1.0), rtol=0, atol=1e-12)
    integrated, evaluations = rk45(MIXTURE.noise, x[:, None], MIXTURE.schedule, t_end=0.01, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(integrated[:, 0], end, rtol=0, atol=1e-6)
    assert evaluations > 50


def test_distance_is_measured_in_deviations_of_the_nearest_mode():
    torch.testing.assert_close(
        MIXTURE.distance_to_data(torch.tensor([[0.1], [-0.6]])),
        torch.tensor([0.0, 2.0], dtype=torch.float64),
        rtol=0,
        atol=1e-6,
    )


def test_off_the_data_is_more_than_four_deviations_from_every_mode(generator):
    # The modes have deviations 0.1, 0.05 and 0.2, so the data are [-1.2, -0.4], [-0.1, 0.3] and [-0.1, 1.5].
    points = torch.tensor([[-1.21], [-1.19], [-0.41], [-0.39], [-0.11], [-0.09], [0.29], [1.49], [1.51]])
    assert MIXTURE.off_data(points).tolist() == [True, False, False, True, True, False, False, False, True]
    n, bound = 200_000, math.erfc(4 / math.sqrt(2))  # for one mode; modes beside it can only lower the share
    share = MIXTURE.off_data(MIXTURE.sample(n, generator)[0]).double().mean()
    assert share < bound + 5 * math.sqrt(bound / n)  # 5 standard errors
    assert bound < 1e-4


def test_bad_mixtures_are_refused():
    with pytest.raises(ValueError, match="one weight for each of the 2 means, got 1"):
        GaussianMixture([1.0], [0.0, 1.0], 0.1)
    with pytest.raises(ValueError, match="must be positive"):
        GaussianMixture([1.0, 1.0], [0.0, 1.0], 0.0)
    with pytest.raises(ValueError, match="for 1 dimension, this mixture has 2"):
        PLANE.flow(torch.zeros(1, dtype=torch.float64), 1.0, 0.1)
