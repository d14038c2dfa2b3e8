"""μ(a|s) in one network evaluation: a student that learns where the solver of a diffusion model takes each noise."""

from __future__ import annotations

from dataclasses import field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.behavior.base import BehaviorModel
from sfbc_core.behavior.diffusion import DiffusionConfig
from sfbc_core.configuration import config_dataclass
from sfbc_core.diffusion.score_network import ScoreNetwork
from sfbc_core.diffusion.solvers import run_stages
from sfbc_core.networks import mlp
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig


@config_dataclass
class DistilledConfig:
    """The teacher, and the student that takes its place; the paper of SfBC has no such model."""

    teacher: DiffusionConfig = field(default_factory=DiffusionConfig)
    hidden: tuple[int, ...] = (256, 256, 256)  # of the student
    # Of a batch, this share of the rows is solved by the teacher, which costs its D evaluations each.
    solved_share: float = 0.125

    def __post_init__(self) -> None:
        check_ranges(self, widths=["hidden"], positive_share=["solved_share"])

    @property
    def training(self) -> TrainingConfig:
        """The teacher's: both are trained in the same steps."""
        return self.teacher.training

    @property
    def standardize_states(self) -> bool:
        """As the teacher has it."""
        return self.teacher.standardize_states

    @classmethod
    def small(cls, gradient_steps: int = 4000) -> DistilledConfig:
        """For tasks with a few coordinates on a CPU."""
        return cls(DiffusionConfig.small(gradient_steps))


class TeacherAndStudent(nn.Module):
    """A score network, and g: (s, ε) ↦ the action at which its ODE ends that starts from ε.

    Args:
        observation_dim, action_dim: coordinates of s and a.
        config: sizes of both.
    """

    def __init__(self, observation_dim: int, action_dim: int, config: DistilledConfig) -> None:
        super().__init__()
        self.teacher = ScoreNetwork(action_dim, observation_dim, config.teacher.network)
        self.student = mlp([observation_dim + action_dim, *config.hidden, action_dim], nn.SiLU)

    def generate(self, states: Float[Tensor, "*B obs"], noise: Float[Tensor, "*B act"]) -> Float[Tensor, "*B act"]:
        """The student's actions."""
        return self.student(torch.cat([states, noise], dim=-1))


class DistilledBehavior(BehaviorModel):
    """a = g(s, ε) with ε ~ N(0, I), where g imitates a diffusion model's solver, noise by noise.

    The map from noise to action of the probability-flow ODE is a function (Eq. 6): the same noise in the same state always
    ends at the same action. So the student has a plain regression, and no need of a distance between laws. Teacher and
    student learn at the same time; as the learning rate falls, the teacher comes to rest and the student catches up.
    """

    config: DistilledConfig

    def __init__(
        self, config: DistilledConfig | None = None, seed: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(config or DistilledConfig(), seed, device)

    def make_network(self, observation_dim: int, action_dim: int) -> TeacherAndStudent:
        """Both networks."""
        return TeacherAndStudent(observation_dim, action_dim, self.config)

    def loss(
        self, states: Float[Tensor, "B obs"], actions: Float[Tensor, "B act"], generator: torch.Generator
    ) -> Float[Tensor, " B"]:
        """The teacher's denoising score matching (Eq. 9), and in the first rows ‖g(s, ε) - the solver's end‖².

        The student's part is scaled up so that its mean over the batch does not depend on how many rows have it.
        """
        losses = self.network.teacher.loss(actions, states, self.config.teacher.schedule, generator)
        count = max(1, round(self.config.solved_share * len(states)))
        noise = torch.randn(actions[:count].shape, generator=generator, device=actions.device)
        error = self.network.generate(states[:count], noise) - self.solve(states[:count], noise[:, None])[:, 0]
        return torch.cat([losses[:count] + error.square().mean(1) * len(states) / count, losses[count:]])

    @torch.no_grad()
    def solve(self, states: Float[Tensor, "S obs"], noise: Float[Tensor, "S n act"]) -> Float[Tensor, "S n act"]:
        """Where the teacher's solver ends from the given noise, within the bounds of the data; standardised states."""
        solver, teacher = self.config.teacher.solver, self.network.teacher
        stages = solver.stages(self.config.teacher.schedule)
        model = teacher.noise_model(states, teacher.time_parts([stage.time for stage in stages]))
        return run_stages(model, noise, stages, solver.prediction).clamp_(-1, 1)

    @torch.no_grad()
    def draw(self, states: Float[Tensor, "S obs"], noise: Float[Tensor, "S n act"]) -> Float[Tensor, "S n act"]:
        """One evaluation of the student."""
        return self.network.generate(states[:, None].expand(*noise.shape[:2], -1), noise)
