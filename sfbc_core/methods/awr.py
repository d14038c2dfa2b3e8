"""Advantage-weighted regression (AWR; Peng, Kumar, Zhang and Levine, 2019): what did better than V is cloned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.memory import MemoryMethod
from sfbc_core.methods.policies import GaussianPolicy
from sfbc_core.networks import Ensemble, mlp, slow_copy
from sfbc_core.planning import lambda_returns
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import NumberedSteps


@config_dataclass
class AWRConfig:
    """Everything that decides a run, apart from the data and the machine; the defaults are those of the authors'
    configurations, unless a comment says otherwise.
    """

    temperature: float = 1.0  # β of the weights exp(A / β), A standardised over the data
    max_weight: float = 20.0  # no transition counts more than this
    trace: float = 0.95  # λ of TD(λ)
    discount: float = 0.99  # γ
    evaluate_every: int = 1000  # gradient steps for which targets and weights stay; an iteration of the paper's policy
    hidden: tuple[int, ...] = (128, 64)
    # By Adam, with a rate and steps of ours; theirs is gradient descent with momentum, 0.01 for V and 5e-5 for the policy.
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, positive=["temperature", "max_weight"], share=["trace", "discount"])
        check_ranges(self, count=["evaluate_every"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> AWRConfig:
        """A budget for a CPU; `options` are other fields. In fewer steps V has to be taken up more often."""
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        return cls(**({"training": training, "evaluate_every": 100} | options))


class AWR(MemoryMethod, config=AWRConfig):
    """The agent: ``AWR(config).fit(trajectories)``, then ``act(observations)``.

    V(s) is fitted to the TD(λ) returns R of the data, the values of behavior, and the policy clones the data with weights
    min(exp(A / β), w_max), where A = R - V(s), standardised over the data. The policy is a Gaussian with one mode in every
    state: weighted likelihood makes it cover all good actions, and what lies between them. There is no Q, and V is never
    asked for anything outside the data. The advantage is of what followed in the data, so luck counts as skill.

    V and the policy take their steps side by side, where the authors give V 200 and the policy 1000 in turn. The mean of the
    policy is bounded by a tanh, and its deviation is learned, where theirs is fixed task by task.
    """

    config: AWRConfig

    @property
    def renew_every(self) -> int:
        """The config's `evaluate_every`."""
        return self.config.evaluate_every

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """V, the copy that the targets were computed with, and π."""
        hidden = self.config.hidden
        v = Ensemble([mlp([obs_dim, *hidden, 1])])
        return {"v": v, "memory_v": slow_copy(v), "policy": GaussianPolicy([obs_dim, *hidden, act_dim])}

    def losses(self, batch: NumberedSteps, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The squared error of V, and the weighted likelihood of π."""
        returns, weights = self.remembered(batch)
        error = returns - self.nets["v"](batch.observations)[0, :, 0]
        likelihood = self.nets["policy"](batch.observations).log_prob(batch.actions).sum(1)
        return {"v": error.square().mean(), "policy": -(weights * likelihood).mean()}

    def compute(
        self, data: Trajectories, values: Float[Tensor, " N"]
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """R and the weight of every transition."""
        returns = lambda_returns(data, values, self.config.discount, self.config.trace)
        advantages = returns - values.double()
        deviation = advantages.std(correction=0).clamp_min(1e-5)
        weights = ((advantages - advantages.mean()) / deviation / self.config.temperature).exp()
        return returns.float(), weights.clamp_max(self.config.max_weight).float()
