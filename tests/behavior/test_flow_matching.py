"""Flow matching: its solver against the known flow of a Gaussian, and its loss against the velocity that it seeks."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from sfbc_core import ScoreNetworkConfig, TrainingConfig, Trajectories
from sfbc_core.behavior import FlowMatchingBehavior, FlowMatchingConfig

MEAN, DEVIATION = 0.3, 0.2


def exact_velocity(x: torch.Tensor, t: torch.Tensor | float) -> torch.Tensor:
    """E[a - ε | (1 - t) ε + t a = x] for a ~ N(MEAN, DEVIATION²): the regression of jointly normal variables."""
    variance = (1 - t) ** 2 + (t * DEVIATION) ** 2
    covariance = t * DEVIATION**2 - (1 - t)
    return MEAN + covariance / variance * (x - t * MEAN)


class ExactNetwork(nn.Module):
    """Knows the velocity, and adds a constant to it; for one action coordinate, whatever the state."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.off = off

    def time_parts(self, times):
        return times

    def noise_model(self, states, time_parts):
        return lambda x, t: exact_velocity(x, t) + self.off

    def forward(self, x, states, t):
        return exact_velocity(x, t[:, None]) + self.off


def knowing(off: float = 0.0, **options) -> FlowMatchingBehavior:
    model = FlowMatchingBehavior(FlowMatchingConfig(**options))
    model.network = ExactNetwork(off)
    return model


@pytest.mark.parametrize("order", [1, 2])
def test_the_error_falls_with_the_order_of_the_solver(order):
    """The exact flow takes ε to MEAN + DEVIATION ε: it keeps the distance to the mean in deviations."""
    noise = torch.linspace(-2, 2, 21, dtype=torch.float64)[None, :, None]
    end = MEAN + DEVIATION * noise
    errors = []
    for steps in (40, 80, 160):
        drawn = knowing(order=order, steps=steps).draw(torch.zeros(1, 1), noise)
        errors.append((drawn - end).abs().max())
    for coarse, fine in itertools.pairwise(errors):
        assert torch.log2(coarse / fine) == pytest.approx(order, abs=0.25)


def test_one_step_is_the_mean_of_the_data():
    """At t = 0 nothing is known of the action but its mean: one Euler step takes every noise there."""
    noise = torch.randn(3, 50, 1, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(knowing(steps=1).draw(torch.zeros(3, 1), noise), torch.full((3, 50, 1), MEAN))


def test_the_loss_is_least_at_the_exact_velocity():
    """A constant c beside it costs c²; the two losses have the same noise, and their difference a small standard error."""
    generator = torch.Generator().manual_seed(0)
    actions = MEAN + DEVIATION * torch.randn(20_000, 1, generator=generator)
    states = torch.zeros(len(actions), 1)
    losses = [knowing(off).loss(states, actions, torch.Generator().manual_seed(1)) for off in (0.0, 0.1, -0.1)]
    for other in losses[1:]:
        difference = other - losses[0]
        error = difference.std() / len(difference) ** 0.5
        assert (difference.mean() - 0.01).abs() < 4 * error < 0.005


def test_two_modes_are_learned_with_their_weights():
    generator = torch.Generator().manual_seed(0)
    n = 4_000
    right = torch.rand(n, 1, generator=generator) < 0.3
    actions = torch.where(right, 0.7, -0.7) + 0.05 * torch.randn(n, 1, generator=generator)
    one = torch.ones(n, dtype=torch.bool)
    data = Trajectories(torch.zeros(n, 1), actions, torch.zeros(n), one, ~one)
    network = ScoreNetworkConfig(widths=(64, 32), embedding_dim=32, fourier_features=16, fourier_scale=2.0)
    training = TrainingConfig.small(600, batch_size=512, learning_rate=4e-3)
    model = FlowMatchingBehavior(FlowMatchingConfig(network, training=training)).fit(data)
    drawn = model.sample(torch.zeros(1, 1), 4_000)[0]
    share = (drawn > 0).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.06)  # 0.007 is the standard error of the draws; the rest is the network's
    assert ((drawn.abs() - 0.7).abs() < 0.25).float().mean() > 0.9


def test_other_steps_share_the_weights(walk):
    model = FlowMatchingBehavior(
        FlowMatchingConfig(ScoreNetworkConfig(widths=(8,)), training=TrainingConfig(gradient_steps=5, batch_size=16))
    ).fit(walk)
    other = model.with_steps(3)
    assert (
        other.network is model.network and other.config == replace(model.config, steps=3) and model.config.steps == 15
    )
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        model.with_steps(0)
