"""Diffuser (Janner, Du, Tenenbaum and Levine, ICML 2022): plans are drawn by diffusion, guided to large returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.behavior import SolverConfig
from sfbc_core.configuration import config_dataclass
from sfbc_core.diffusion import VPSchedule
from sfbc_core.diffusion.solvers import run_stages
from sfbc_core.diffusion.temporal_network import TemporalNetwork, TemporalNetworkConfig
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.methods.q_learning import best_of
from sfbc_core.networks import Standardizer
from sfbc_core.planning import discounted_returns
from sfbc_core.randomness import RandomSource, standard_normal
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import WindowBatch, Windows

FIRST_ACTION_WEIGHT = 10.0  # of the first action in the loss, the one that is taken; the published code's


@config_dataclass
class DiffuserConfig:
    """Everything that decides a run, apart from the data and the machine.

    The paper has a U-Net along time and ancestral sampling, and averages the weights; here are dilated convolutions, a
    solver of the same number of evaluations, and a rate that falls to zero.
    """

    horizon: int = 32  # steps of a plan; the paper's for locomotion, 128 and more in mazes
    network: TemporalNetworkConfig = field(default_factory=TemporalNetworkConfig)  # of the plans and of the guide
    guidance: float = 1.0  # ω: plans are drawn from p(τ) exp(ωJ(τ)), J in deviations of the returns; ours
    plans: int = 64  # drawn for each action, of which the best by the guide is begun; the published code's
    schedule: VPSchedule = field(default_factory=VPSchedule)
    solver: SolverConfig = field(default_factory=lambda: SolverConfig.accurate(20))  # the paper: 20 steps in locomotion
    discount: float = 0.99  # γ of the returns that the guide learns; the published code's
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=32, learning_rate=2e-4, cosine_decay=True)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, count=["horizon", "plans"], nonnegative=["guidance"], share=["discount"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> DiffuserConfig:
        """A budget for a CPU; `options` are other fields."""
        training = TrainingConfig.small(gradient_steps, batch_size=64, learning_rate=1e-3)
        sizes = {
            "network": TemporalNetworkConfig(32, 3),
            "horizon": 16,
            "plans": 2,
            "solver": SolverConfig.accurate(10),
        }
        return cls(**({"training": training, **sizes} | options))


class Diffuser(GradientMethod, config=DiffuserConfig):
    """The agent: ``Diffuser(config).fit(trajectories)``, then ``act(observations)``.

    A diffusion model of stretches (s_0, a_0, …, s_H, a_H) and a guide J, which tells the return from a noisy stretch. To
    act, stretches are drawn whose first state is held at the state of now, pushed along ∇J as they form; a_0 of the best is
    done, and all is drawn anew at the next step. The plans have all modes of the data. J is asked for stretches that are
    nearly of the data; the push, like every large ω, can take them out.
    """

    config: DiffuserConfig
    acting_fields = frozenset({"guidance", "plans"})

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """The noise model of the plans, and the guide."""
        width = obs_dim + act_dim
        return {
            "noise": TemporalNetwork(width, width, self.config.network),
            "guide": TemporalNetwork(width, 1, self.config.network),
        }

    def rows(self, data: Trajectories) -> Windows:
        """The stretch of `horizon` steps that begins at every transition; the last step of an episode is repeated."""
        returns = discounted_returns(data, self.config.discount)[:, None].float()
        scale = Standardizer(1).to(data.device)
        scale.fit(returns)
        self.states, self.actions, self.returns = data.observations, data.actions, scale(returns)[:, 0]
        return data.windows(self.config.horizon, forward=True)

    def losses(self, batch: WindowBatch, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Denoising of the stretches but for their first state, which is given; and the error of the guide."""
        config, nets = self.config, self.nets
        stretch = torch.cat([self.states[batch.rows], batch.of(self.actions)], 2)  # (B, L, obs + act)
        t = torch.rand(len(stretch), generator=generator, device=stretch.device)
        noise = torch.randn(stretch.shape, generator=generator, device=stretch.device)
        alpha, sigma = (of(t)[:, None, None] for of in (config.schedule.alpha, config.schedule.sigma))
        given = self.states[batch.rows[:, 0]]
        noisy = _with_first_state(alpha * stretch + sigma * noise, given)
        errors = (nets["noise"](noisy, t) - noise).square()
        weights = torch.ones_like(errors[0])
        weights[0, : given.shape[1]], weights[0, given.shape[1] :] = 0.0, FIRST_ACTION_WEIGHT
        told = nets["guide"].pooled(noisy, t)[:, 0]
        return {"noise": (weights * errors).mean(), "guide": (told - self.returns[batch.rows[:, 0]]).square().mean()}

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """The first action of the best of some plans."""
        plans, promised = self.plan(states, generator)
        return best_of(plans[:, :, 0, states.shape[1] :], promised).clamp(-1, 1)

    def plan(
        self, states: Float[Tensor, "B obs"], generator: RandomSource
    ) -> tuple[Float[Tensor, "B plans L width"], Float[Tensor, "B plans"]]:
        """Plans from standardised states, and what the guide promises of each, in deviations of the returns."""
        config, nets = self.config, self.nets
        width = states.shape[1] + len(nets.actions.low)
        shape = (len(states), config.plans, config.horizon, width)
        given = states.repeat_interleave(config.plans, 0)

        def guided_noise(x: Tensor, time: float) -> Tensor:
            """ε - ωσ∇J: the score of p(τ) exp(ωJ(τ)) is that of p plus ω∇J, and ε = -σ score."""
            t, x = x.new_full((len(x),), time), _with_first_state(x, given)
            noise = nets["noise"](x, t)
            if config.guidance:
                with torch.enable_grad():
                    x = x.detach().requires_grad_()
                    (slope,) = torch.autograd.grad(nets["guide"].pooled(x, t).sum(), x)
                noise = noise - config.guidance * config.schedule.sigma(time) * slope
            return noise

        x = standard_normal(shape, generator, states.device).flatten(0, 1)
        stages = config.solver.stages(config.schedule)
        x = _with_first_state(run_stages(guided_noise, x, stages, config.solver.prediction), given)
        promised = nets["guide"].pooled(x, x.new_zeros(len(x)))[:, 0]
        return x.reshape(shape), promised.reshape(shape[:2])


def _with_first_state(
    stretch: Float[Tensor, "B L width"], states: Float[Tensor, "B obs"]
) -> Float[Tensor, "B L width"]:
    """The stretch with its first state held at the given one: in-painting, as the paper calls it."""
    first = torch.cat([states, stretch[:, 0, states.shape[1] :]], 1)
    return torch.cat([first[:, None], stretch[:, 1:]], 1)
