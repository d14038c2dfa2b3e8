"""μ(a|s) by conditional flow matching: a straight path from noise to action, learned as a velocity (Lipman et al., 2023)."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.behavior.base import BehaviorModel
from sfbc_core.behavior.diffusion import CHUNK_ROWS
from sfbc_core.configuration import config_dataclass
from sfbc_core.diffusion.score_network import ScoreNetwork, ScoreNetworkConfig
from sfbc_core.networks import rows_at_once
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig

Velocity = Callable[[Tensor, float], Tensor]  # (x, t) -> dx/dt


@config_dataclass
class FlowMatchingConfig:
    """The network and its training are those of the diffusion model; the paper of SfBC has no such model."""

    network: ScoreNetworkConfig = field(default_factory=ScoreNetworkConfig)
    steps: int = 15  # D, network evaluations
    order: Literal[1, 2] = 2  # 1: Euler; 2: Adams-Bashforth, which needs one evaluation a step as well
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(gradient_steps=586_000, batch_size=4096, learning_rate=1e-4)
    )
    standardize_states: bool = True

    def __post_init__(self) -> None:
        check_ranges(self, count=["steps"])

    @classmethod
    def small(cls, gradient_steps: int = 4000) -> FlowMatchingConfig:
        """For tasks with a few coordinates on a CPU, as :meth:`sfbc_core.behavior.diffusion.DiffusionConfig.small`."""
        return cls(ScoreNetworkConfig.small(), training=TrainingConfig.small(gradient_steps, learning_rate=4e-3))


class FlowMatchingBehavior(BehaviorModel):
    """dx/dt = v_θ(x, s, t) from noise x ~ N(0, I) at t = 0 to an action at t = 1.

    With x_t = (1 - t) ε + t a, the velocity that moves the density of x_t is v(x, s, t) = E[a - ε | x_t = x, s], and the
    regression of a - ε on (x_t, s, t) has it as its minimum (Lipman et al., 2023, Theorem 2).
    """

    config: FlowMatchingConfig

    def __init__(
        self, config: FlowMatchingConfig | None = None, seed: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(config or FlowMatchingConfig(), seed, device)

    def make_network(self, observation_dim: int, action_dim: int) -> ScoreNetwork:
        """The dense U-Net of the diffusion model; its output is the velocity."""
        return ScoreNetwork(action_dim, observation_dim, self.config.network)

    def loss(
        self, states: Float[Tensor, "B obs"], actions: Float[Tensor, "B act"], generator: torch.Generator
    ) -> Float[Tensor, " B"]:
        """‖v_θ((1 - t) ε + t a, s, t) - (a - ε)‖² with t ~ U(0, 1), ε ~ N(0, I), mean over coordinates."""
        t = torch.rand(len(actions), generator=generator, device=actions.device)
        noise = torch.randn(actions.shape, generator=generator, device=actions.device)
        between = torch.lerp(noise, actions, t[:, None])
        return (self.network(between, states, t) - (actions - noise)).square().mean(1)

    @torch.no_grad()
    def draw(self, states: Float[Tensor, "S obs"], noise: Float[Tensor, "S n act"]) -> Float[Tensor, "S n act"]:
        """Solve the ODE from the given noise for every state and sample, in equal steps."""
        times = [step / self.config.steps for step in range(self.config.steps)]
        time_parts = self.network.time_parts(times)
        chunk = max(1, rows_at_once(noise.device, CHUNK_ROWS) // noise.shape[1])  # states a call
        result = torch.empty_like(noise)
        for first in range(0, len(states), chunk):
            part = slice(first, first + chunk)
            velocity = self.network.noise_model(states[part], time_parts)
            result[part] = self._flow(velocity, noise[part], times)
        return result

    def _flow(self, velocity: Velocity, x: Float[Tensor, "S n act"], times: list[float]) -> Float[Tensor, "S n act"]:
        before = None
        for t in times:
            now = velocity(x, t)
            # Adams-Bashforth of order 2, whose first step is Euler's.
            slope = now if before is None or self.config.order == 1 else 1.5 * now - 0.5 * before
            x, before = x + slope / len(times), now
        return x

    def with_steps(self, steps: int) -> FlowMatchingBehavior:
        """The same model, its weights shared, sampled with another number of network evaluations."""
        other = copy(self)
        other.config = replace(self.config, steps=steps)
        return other
