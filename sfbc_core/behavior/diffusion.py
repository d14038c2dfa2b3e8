"""μ(a|s) as a conditional diffusion model (Section 4.1)."""

from __future__ import annotations

from copy import copy
from dataclasses import field, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.arrays import ArrayLike
from sfbc_core.behavior.base import BehaviorModel
from sfbc_core.configuration import config_dataclass
from sfbc_core.diffusion.schedule import VPSchedule
from sfbc_core.diffusion.score_network import ScoreNetwork, ScoreNetworkConfig
from sfbc_core.diffusion.solver_coefficients import Method, Prediction, Stage, solver_stages
from sfbc_core.diffusion.solvers import NoiseModel, run_stages
from sfbc_core.diffusion.spacings import Spacing
from sfbc_core.networks import rows_at_once
from sfbc_core.training import TrainingConfig

# Rows of one network call while sampling. On a CPU the activations of a chunk should stay in cache; a GPU wants big calls.
CHUNK_ROWS = {"cpu": 1024, "cuda": 65_536}


@config_dataclass
class SolverConfig:
    """Options of :func:`sfbc_core.diffusion.solvers.dpm_solver`. The defaults are those of public code for the method."""

    steps: int = 15  # D, network evaluations; the paper's Table 1 uses 15
    order: int = 3  # the paper's
    method: Method = "singlestep"  # as in public code; the paper does not say
    spacing: Spacing = "time"  # as in public code; what others do, chapter 3 measures
    prediction: Prediction = "noise"  # as in public code; the paper does not say
    t_end: float = 1e-3  # as in public code; the paper does not say
    high_order_start: bool = False

    def __post_init__(self) -> None:
        self.stages(VPSchedule())  # refuses what no solver can do, before anything is trained

    def stages(self, schedule: VPSchedule) -> list[Stage]:
        """The solver's stages on a schedule."""
        return _stages(self, schedule)

    @classmethod
    def accurate(cls, steps: int = 15) -> SolverConfig:
        """Third-order multistep data prediction, uniform in log-SNR: far more accurate at small D (chapter 3)."""
        return cls(steps, 3, "multistep", "log_snr", "data", high_order_start=True)


@cache  # milliseconds of scalar arithmetic, which every draw would pay
def _stages(solver: SolverConfig, schedule: VPSchedule) -> list[Stage]:
    return solver_stages(
        schedule,
        solver.steps,
        solver.order,
        solver.method,
        solver.spacing,
        solver.prediction,
        t_end=solver.t_end,
        high_order_start=solver.high_order_start,
    )


@config_dataclass
class DiffusionConfig:
    """The paper's behavior model; see :meth:`small` for a laptop."""

    network: ScoreNetworkConfig = field(default_factory=ScoreNetworkConfig)
    schedule: VPSchedule = field(default_factory=VPSchedule)
    solver: SolverConfig = field(default_factory=SolverConfig)
    # The paper trains for 600 epochs, which the public implementation counts as 4 M samples each.
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(gradient_steps=586_000, batch_size=4096, learning_rate=1e-4)
    )
    standardize_states: bool = True  # the paper does not say

    @classmethod
    def small(cls, gradient_steps: int = 4000) -> DiffusionConfig:
        """For tasks with a few coordinates on a CPU: a small network, trained fast, sampled in 15 accurate evaluations."""
        training = TrainingConfig.small(gradient_steps, learning_rate=4e-3)
        return cls(ScoreNetworkConfig.small(), solver=SolverConfig.accurate(15), training=training)


class DiffusionBehavior(BehaviorModel):
    """Denoising score matching on the actions (Eq. 9), sampled by a probability-flow ODE solver (Eq. 6)."""

    config: DiffusionConfig

    def __init__(
        self, config: DiffusionConfig | None = None, seed: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(config or DiffusionConfig(), seed, device)

    def make_network(self, observation_dim: int, action_dim: int) -> ScoreNetwork:
        """The dense U-Net."""
        return ScoreNetwork(action_dim, observation_dim, self.config.network)

    def loss(
        self, states: Float[Tensor, "B obs"], actions: Float[Tensor, "B act"], generator: torch.Generator
    ) -> Float[Tensor, " B"]:
        """Denoising score matching (Eq. 9)."""
        return self.network.loss(actions, states, self.config.schedule, generator)

    @torch.no_grad()
    def draw(self, states: Float[Tensor, "S obs"], noise: Float[Tensor, "S n act"]) -> Float[Tensor, "S n act"]:
        """Solve the ODE from the given noise for every state and sample."""
        solver = self.config.solver
        stages = solver.stages(self.config.schedule)
        time_parts = self.network.time_parts([stage.time for stage in stages])
        chunk = max(1, rows_at_once(noise.device, CHUNK_ROWS) // noise.shape[1])  # states a call
        result = torch.empty_like(noise)
        for first in range(0, len(states), chunk):
            part = slice(first, first + chunk)
            model = self.network.noise_model(states[part], time_parts)
            result[part] = run_stages(model, noise[part], stages, solver.prediction)
        return result

    def with_solver(self, solver: SolverConfig) -> DiffusionBehavior:
        """The same model, its weights shared, sampled by another solver."""
        other = copy(self)
        other.config = replace(self.config, solver=solver)
        return other

    def noise_model(self, states: Float[Tensor, "S obs"] | ArrayLike) -> NoiseModel:
        """ε_θ(·, s, t) for given raw states as a function (x: (S, n, act), t) for the solvers; actions scaled to [-1, 1]."""
        states = self._standardized(states)

        @torch.no_grad()
        def model(x: Tensor, t: float) -> Tensor:
            return self.network.noise_model(states, self.network.time_parts([t]))(x, t)

        return model
