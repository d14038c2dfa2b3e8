"""Behavior cloning, and of the best episodes alone: %BC (Chen et al., NeurIPS 2021, Section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.methods.policies import deterministic_policy
from sfbc_core.randomness import RandomSource
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import Transitions


@config_dataclass
class BCConfig:
    """Everything that decides a run, apart from the data and the machine."""

    best_share: float = 1.0  # of the transitions, in the episodes of the largest returns; 0.1 is the 10 %BC of papers
    hidden: tuple[int, ...] = (256, 256)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, positive_share=["best_share"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> BCConfig:
        """A budget for a CPU; `options` are other fields."""
        return cls(**({"training": TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)} | options))


def best_episodes(data: Trajectories, share: float) -> Trajectories:
    """The episodes of the largest returns that hold at least `share` of the transitions; always one, even if it is long."""
    order = data.episode_returns.argsort(descending=True, stable=True).to(data.device)
    before = data.episode_lengths[order].cumsum(0) - data.episode_lengths[order]
    keep = torch.empty_like(order, dtype=torch.bool)
    keep[order] = before < share * len(data)
    return data.select_episodes(keep)


class BC(GradientMethod, config=BCConfig):
    """The agent: ``BC(config).fit(trajectories)``, then ``act(observations)``.

    π minimises E ‖π(s) - a‖² over the data, so it answers with the mean of what was done: where behavior has two modes, with
    an action between them. It queries nothing outside the data.
    """

    config: BCConfig

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """π alone."""
        return {"policy": deterministic_policy([obs_dim, *self.config.hidden, act_dim])}

    def rows(self, data: Trajectories) -> Transitions:
        """The state and the action of every step of the episodes that are kept; s' and rewards are of no use here."""
        kept = best_episodes(data, self.config.best_share)
        return Transitions(kept.observations, kept.actions, kept.rewards, kept.observations, kept.terminals)

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The mean squared error."""
        return {"policy": (self.nets["policy"](batch.observations) - batch.actions).square().sum(1).mean()}

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """π(s)."""
        return self.nets["policy"](states)
