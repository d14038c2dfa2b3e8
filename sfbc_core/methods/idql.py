"""IDQL (Hansen-Estruch et al., 2023): implicit Q-learning, and draws of a diffusion model by its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.behavior import DiffusionBehavior, DiffusionConfig
from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.methods.iql import implicit_q_losses, implicit_q_networks
from sfbc_core.methods.q_learning import best_of, for_each
from sfbc_core.networks import update_average
from sfbc_core.randomness import RandomSource, standard_normal
from sfbc_core.ranges import check_ranges
from sfbc_core.run import Model, Run
from sfbc_core.selection import resample
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import Transitions

Choice = Literal["weights", "greedy"]


@config_dataclass
class IDQLConfig:
    """Everything that decides a run, apart from the data and the machine; the critic's values are the paper's.

    The behavior model is the one of SfBC, where the paper has a residual network with five steps of ancestral sampling.
    """

    behavior: DiffusionConfig = field(default_factory=DiffusionConfig)
    expectile: float = 0.7  # τ; the paper's for locomotion, 0.9 in antmaze
    num_candidates: int = 64  # N actions of μ to choose from; the paper tunes it
    selection: Choice = "weights"  # draw by the weights of the implicit policy; "greedy" takes the largest Q
    discount: float = 0.99  # γ
    target_rate: float = 0.005  # the share by which the target of Q moves in each step
    hidden: tuple[int, ...] = (256, 256)  # of V and Q
    training: TrainingConfig = field(  # of V and Q
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, between=["expectile"], count=["num_candidates"], share=["discount"])
        check_ranges(self, positive_share=["target_rate"], widths=["hidden"])
        if not self.behavior.standardize_states:
            raise ValueError("behavior.standardize_states must be True: Q and the behavior model see the same states")

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> IDQLConfig:
        """A budget for a CPU; `options` are other fields. In fewer steps the target of Q has to follow much faster."""
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        behavior = DiffusionConfig.small(gradient_steps)
        return cls(**({"behavior": behavior, "training": training, "target_rate": 0.2} | options))


def implicit_weights(q: Float[Tensor, "B N"], value: Float[Tensor, " B"], expectile: float) -> Float[Tensor, "B N"]:
    """w(s, a) = |τ - 1(Q(s, a) < V(s))|: how the policy that V implies weighs the actions of behavior.

    With τ = 1/2 they are all alike, and the policy is behavior.
    """
    return torch.where(q < value[:, None], 1 - expectile, expectile)


class IDQL(GradientMethod, config=IDQLConfig):
    """The agent: ``IDQL(config).fit(trajectories)``, then ``act(observations)``.

    V and Q are those of IQL, learned from actions of the data alone, and are the values of an implicit policy μ(a|s) w(s,
    a). It is drawn from as in SfBC: N actions of a diffusion model of μ, of which one is taken by its weight. So it has the
    modes of behavior, and Q is asked only for what μ draws. The weights are two numbers, τ and 1 - τ, where SfBC has
    exp(αQ).
    """

    config: IDQLConfig
    acting_fields = frozenset({"num_candidates", "selection"})

    def __init__(self, config: IDQLConfig | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__(config, device)
        self.behavior = DiffusionBehavior(self.config.behavior, self.config.seed, device)

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """V, two of Q, and their slow copies."""
        return implicit_q_networks(obs_dim, act_dim, self.config.hidden)

    def models(self) -> dict[str, Model]:
        """The networks of the values and the behavior model."""
        return {**super().models(), "behavior": self.behavior}

    def learn(self, data: Trajectories, run: Run, progress: bool) -> None:
        """Fit V and Q, then μ; neither depends on the other, but data without next states are refused at once."""
        super().learn(data, run, progress)
        run.fit("behavior", self.behavior, lambda path: self.behavior.fit(data, checkpoint=path, progress=progress))

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Those of IQL's V and Q."""
        return implicit_q_losses(self.nets, batch, self.config.expectile, self.config.discount)[0]

    def after_step(self, step: int) -> None:
        """The target follows."""
        update_average(self.nets["target_q"], self.nets["q"], self.config.target_rate)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """One of N actions of μ: by its weight, or the best."""
        n, nets = self.config.num_candidates, self.nets
        noise = standard_normal((len(states), n, self.behavior.action_dim), generator, states.device)
        candidates = self.behavior.draw(states, noise).clamp(-1, 1)  # between scales that both models have in common
        q = nets["target_q"].smallest(for_each(states, n), candidates)
        if self.config.selection == "greedy":
            return best_of(candidates, q)
        index = resample(implicit_weights(q, nets["v"](states)[:, 0], self.config.expectile), generator)
        return candidates[torch.arange(len(q), device=q.device), index[:, 0]]
