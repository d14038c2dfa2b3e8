"""Policies that are one network: deterministic ones, and two Gaussians. All have one mode in every state."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.networks import log_tanh_slope, mlp


def deterministic_policy(widths: Sequence[int]) -> nn.Module:
    """s ↦ tanh m(s), actions in (-1, 1); `widths` from the state to the action."""
    return nn.Sequential(mlp(widths), nn.Tanh())


class GaussianPolicy(nn.Module):
    """π(a|s) = N(tanh m(s), diag(d²)) with a deviation d that is the same in every state.

    The tanh keeps the mean within the bounds. It does not squash the Gaussian itself, whose likelihood would be infinite for
    actions at the bounds, where data often lie.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.mean = deterministic_policy(widths)
        self.log_deviation = nn.Parameter(torch.zeros(widths[-1]))

    def forward(self, states: Float[Tensor, "B obs"]) -> torch.distributions.Normal:
        """The law of every coordinate of the action."""
        deviation = self.log_deviation.clamp(-5.0, 2.0).exp()  # a coordinate that never moves would drive it to 0
        return torch.distributions.Normal(self.mean(states), deviation, validate_args=False)


class SquashedGaussianPolicy(nn.Module):
    """π(a|s): a = tanh(m(s) + d(s) ε) with ε ~ N(0, I), as in soft actor-critic."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.body = mlp([*widths[:-1], 2 * widths[-1]])

    def parameters_of(self, states: Float[Tensor, "*batch obs"]) -> tuple[Tensor, Tensor]:
        """Mean and log-deviation before the tanh, each of the shape of the actions."""
        mean, log_deviation = self.body(states).chunk(2, -1)
        return mean, log_deviation.clamp(-20.0, 2.0)

    def forward(
        self, states: Float[Tensor, "*batch obs"], noise: Float[Tensor, "*batch act"]
    ) -> tuple[Float[Tensor, "*batch act"], Float[Tensor, "*batch"]]:
        """The actions of standard normal noise, and their log π(a|s) in nats; gradients reach the policy through both."""
        mean, log_deviation = self.parameters_of(states)
        raw = mean + log_deviation.exp() * noise
        normal = -0.5 * noise.square() - log_deviation - 0.5 * math.log(2 * math.pi)
        return torch.tanh(raw), (normal - log_tanh_slope(raw)).sum(-1)

    def mode(self, states: Float[Tensor, "*batch obs"]) -> Float[Tensor, "*batch act"]:
        """tanh m(s)."""
        return torch.tanh(self.parameters_of(states)[0])
