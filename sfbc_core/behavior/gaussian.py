"""μ(a|s) as a squashed Gaussian: the unimodal model that the paper compares with (Appendix B.2)."""

from __future__ import annotations

import math
from dataclasses import field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.arrays import ArrayLike, as_floats, as_given
from sfbc_core.behavior.base import BehaviorModel
from sfbc_core.configuration import config_dataclass
from sfbc_core.networks import log_tanh_slope, mlp
from sfbc_core.training import TrainingConfig


@config_dataclass
class GaussianConfig:
    """Sizes and training; the defaults are the paper's where it gives one."""

    hidden: int = 256  # the paper's
    layers: int = 4  # the paper's
    minimum_log_deviation: float = -5.0  # of the Gaussian before the tanh
    maximum_log_deviation: float = 2.0
    # atanh is infinite at the bounds, where data often lies: actions are pulled in to 1 minus this for the likelihood.
    bound_margin: float = 1e-3
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(gradient_steps=300_000, batch_size=256, learning_rate=3e-4)
    )  # steps and rate are the paper's
    standardize_states: bool = True  # the paper does not say


class GaussianBehavior(BehaviorModel):
    """a = tanh(m(s) + d(s) ε) with ε ~ N(0, I), fitted by maximum likelihood."""

    config: GaussianConfig

    def __init__(self, config: GaussianConfig | None = None, seed: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(config or GaussianConfig(), seed, device)

    def make_network(self, observation_dim: int, action_dim: int) -> nn.Module:
        """A ReLU MLP from the state to mean and log deviation."""
        widths = [observation_dim, *[self.config.hidden] * self.config.layers]
        return mlp([*widths, 2 * action_dim])

    def parameters_of(self, states: Float[Tensor, "B obs"]) -> tuple[Float[Tensor, "B act"], Float[Tensor, "B act"]]:
        """Mean and log deviation before the tanh, for standardised states."""
        mean, log_deviation = self.network(states).chunk(2, dim=1)
        return mean, log_deviation.clamp(self.config.minimum_log_deviation, self.config.maximum_log_deviation)

    def loss(
        self, states: Float[Tensor, "B obs"], actions: Float[Tensor, "B act"], generator: torch.Generator
    ) -> Float[Tensor, " B"]:
        """Negative log-likelihood in nats, with the tanh's change of variables."""
        return -self._log_likelihood(states, actions)

    @torch.no_grad()
    def log_likelihood(
        self, states: Float[Tensor, "B obs"] | ArrayLike, actions: Float[Tensor, "B act"] | ArrayLike
    ) -> Float[Tensor, " B"] | Float[np.ndarray, " B"]:
        """log μ(a|s) of actions scaled to [-1, 1], for raw states, in nats; given back as the states are.

        Raises:
            RuntimeError, TypeError, ValueError: as :meth:`~sfbc_core.behavior.base.BehaviorModel.sample`, also for
                actions that are not as many as the states.
        """
        inputs = self._standardized(states)
        given = as_floats("actions", actions, (len(inputs), self.action_dim), self.device)
        return as_given(self._log_likelihood(inputs, given), states)

    def _log_likelihood(self, states: Tensor, actions: Tensor) -> Tensor:
        mean, log_deviation = self.parameters_of(states)
        limit = 1 - self.config.bound_margin
        raw = torch.atanh(actions.clamp(-limit, limit))
        normal = -0.5 * ((raw - mean) / log_deviation.exp()).square() - log_deviation - 0.5 * math.log(2 * math.pi)
        return (normal - log_tanh_slope(raw)).sum(1)

    @torch.no_grad()
    def mode(self, states: Float[Tensor, "B obs"] | ArrayLike) -> Float[Tensor, "B act"] | Float[np.ndarray, "B act"]:
        """tanh(m(s)) within the bounds of the data, for raw states: the action without noise.

        Raises:
            RuntimeError, TypeError, ValueError: as :meth:`~sfbc_core.behavior.base.BehaviorModel.sample`.
        """
        mean, _ = self.parameters_of(self._standardized(states))
        return as_given(self.scaler.unscale(torch.tanh(mean)), states)

    @torch.no_grad()
    def draw(self, states: Float[Tensor, "S obs"], noise: Float[Tensor, "S n act"]) -> Float[Tensor, "S n act"]:
        """tanh(m + d ε)."""
        mean, log_deviation = self.parameters_of(states)
        return torch.tanh(mean[:, None] + log_deviation.exp()[:, None] * noise)
