"""Advantage-weighted regression (AWR; Peng, Kumar, Zhang and Levine, 2019): what did better than V is cloned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.methods.policies import GaussianPolicy
from sfbc_core.networks import mlp, slow_copy, update_average
from sfbc_core.planning import lambda_returns
from sfbc_core.randomness import RandomSource
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


class AWR(GradientMethod, config=AWRConfig):
    """The agent: ``AWR(config).fit(trajectories)``, then ``act(observations)``.

    V(s) is fitted to the TD(λ) returns R of the data, the values of behavior, and the policy clones the data with weights
    min(exp(A / β), w_max), where A = R - V(s), standardised over the data. The policy is a Gaussian with one mode in every
    state: weighted likelihood makes it cover all good actions, and what lies between them. There is no Q, and V is never
    asked for anything outside the data. The advantage is of what followed in the data, so luck counts as skill.

    V and the policy take their steps side by side, where the authors give V 200 and the policy 1000 in turn. The mean of the
    policy is bounded by a tanh, and its deviation is learned, where theirs is fixed task by task.
    """

    config: AWRConfig

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """V, the copy that the targets were computed with, and π."""
        hidden = self.config.hidden
        v = mlp([obs_dim, *hidden, 1])
        return {"v": v, "evaluated_v": slow_copy(v), "policy": GaussianPolicy([obs_dim, *hidden, act_dim])}

    def rows(self, data: Trajectories) -> NumberedSteps:
        """The steps, by their rows among the targets, which are computed when they are first asked for."""
        self.data, self.targets = data, None
        return data.steps()

    def losses(self, batch: NumberedSteps, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The squared error of V, and the weighted likelihood of π."""
        if self.targets is None:
            self.targets, self.weights = self.evaluated(self.data)
        error = self.targets[batch.rows] - self.nets["v"](batch.observations)[:, 0]
        likelihood = self.nets["policy"](batch.observations).log_prob(batch.actions).sum(1)
        return {"v": error.square().mean(), "policy": -(self.weights[batch.rows] * likelihood).mean()}

    @torch.no_grad()
    def evaluated(self, data: Trajectories) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """R and the weight of every transition, with the V of the last evaluation; `data` has standardised states."""
        values = torch.cat([self.nets["evaluated_v"](part)[:, 0] for part in data.observations.split(65_536)])
        returns = lambda_returns(data, values, self.config.discount, self.config.trace)
        advantages = returns - values.double()
        deviation = advantages.std(correction=0).clamp_min(1e-5)
        weights = ((advantages - advantages.mean()) / deviation / self.config.temperature).exp()
        return returns.float(), weights.clamp_max(self.config.max_weight).float()

    def after_step(self, step: int) -> None:
        """Evaluate anew every `evaluate_every` steps."""
        if (step + 1) % self.config.evaluate_every == 0:
            update_average(self.nets["evaluated_v"], self.nets["v"], 1.0)
            self.targets = None

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """The mean of the policy."""
        return self.nets["policy"](states).mean
