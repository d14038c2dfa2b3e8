"""Weighted policy regression (Eq. 4): the projection of π* ∝ μ exp(αQ) onto a squashed Gaussian."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.arrays import check_finite, check_tensor
from sfbc_core.behavior import GaussianBehavior, GaussianConfig
from sfbc_core.configuration import config_dataclass
from sfbc_core.critic import CriticConfig, QCritic
from sfbc_core.methods.base import Method
from sfbc_core.planning import discounted_returns
from sfbc_core.randomness import RandomSource
from sfbc_core.ranges import check_ranges
from sfbc_core.run import Model, Run
from sfbc_core.selection import check_inverse_temperature
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories

Evaluation = Literal["critic", "returns"]


@config_dataclass
class WeightedRegressionConfig:
    """Everything that decides a run, apart from the data and the machine."""

    policy: GaussianConfig = field(default_factory=GaussianConfig)  # π_θ; the paper's Gaussian (Appendix B.2)
    critic: CriticConfig = field(default_factory=CriticConfig)  # of Q(s, a) and of the baseline V(s)
    alpha: float = 3.0  # inverse temperature, in units of 1 / deviation of the returns; not given in the paper
    discount: float = 0.99  # γ; the paper does not say
    evaluation: Evaluation = "critic"  # a transition's value: Q(s, a) as in Eq. 4, or its own return R
    subtract_value: bool = True  # weigh by Q(s, a) - V(s), which stands in for the 1 / Z(s) of Eq. 4
    max_weight: float | None = 20.0  # no weight above this; that of AWR. None: no clip
    deterministic: bool = True  # act by tanh(mean); otherwise by a sample of the Gaussian
    seed: int = 0

    def __post_init__(self) -> None:
        check_inverse_temperature(self.alpha)
        check_ranges(self, positive=["max_weight"])

    @classmethod
    def small(cls, gradient_steps: int = 2000, **options: Any) -> WeightedRegressionConfig:
        """A budget for a CPU, both for the policy and for the critic; `options` are other fields."""
        policy = GaussianConfig(hidden=64, layers=2, training=TrainingConfig.small(gradient_steps))
        return cls(policy, CriticConfig.small(gradient_steps), **options)


def regression_weights(
    advantages: Float[Tensor, " N"], alpha: float, max_weight: float | None = None
) -> Float[Tensor, " N"]:
    """min(exp(αA), max_weight), divided by the largest of them; safe for any finite α >= 0.

    The common factor makes no difference to a weighted fit.

    Args:
        advantages: A of every transition, shape (N,): its Q, with or without a baseline V(s) subtracted.
        alpha: inverse temperature, in units of 1 / `advantages`.
        max_weight: the clip; None for none.

    Returns:
        float64, shape (N,), the largest weight being 1.

    Raises:
        TypeError: advantages that are no tensor.
        ValueError: `alpha` negative or not finite, `max_weight` not positive, or advantages that are not finite.
    """
    check_inverse_temperature(alpha)
    if max_weight is not None and not max_weight > 0:
        raise ValueError(f"max_weight must be positive, got {max_weight}")
    advantages = check_tensor("advantages", advantages, "N").double()
    check_finite("advantages", advantages)
    if not len(advantages):
        return advantages
    exponents = alpha * advantages
    if max_weight is not None:
        exponents = exponents.clamp_max(math.log(max_weight))
    return (exponents - exponents.max()).exp()  # a large α cannot overflow


class WeightedRegression(Method, config=WeightedRegressionConfig):
    """The agent: ``WeightedRegression(config).fit(trajectories)``, then ``act(observations)``.

    With α = 0 it is behavior cloning. It maximises Σ_n exp(αA(s_n, a_n)) log π_θ(a_n|s_n) over squashed Gaussians (Eq. 4),
    with A = Q - V learned from vanilla returns. This is weighted maximum likelihood, the projection of π* in the direction
    D_KL(π* ‖ π_θ): the fitted Gaussian covers all of π*, and with it whatever lies between two modes.

    A factor that depends on s alone, such as the 1 / Z(s) of Eq. 4, does not move the optimum of a policy that can be
    anything at each state; it decides how much the states count against each other.

    Attributes:
        policy: π_θ(a|s).
        critic: Q(s, a), learned unless the evaluation is "returns". value: V(s), learned if it is subtracted.
        weights: the weight of every transition in the last fit, shape (N,).
    """

    config: WeightedRegressionConfig
    acting_fields = frozenset({"deterministic"})

    def __init__(self, config: WeightedRegressionConfig | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__(config, device)
        self.policy = GaussianBehavior(self.config.policy, self.config.seed, device)
        self.critic = QCritic(self.config.critic, self.config.seed, device)
        self.value = QCritic(self.config.critic, self.config.seed + 1, device)
        self.weights: Tensor | None = None

    def learn(self, data: Trajectories, run: Run, progress: bool) -> None:
        """Evaluate every transition of the data, then clone the actions with weights exp(αA) (Eq. 4)."""
        config = self.config
        self.weights = torch.ones(len(data), dtype=torch.float64, device=data.device)
        if config.alpha:  # or else every weight is 1, whatever the advantages
            returns = discounted_returns(data, config.discount)
            advantages = self._evaluate(data, returns, run, progress) - self._baseline(data, returns, run, progress)
            # The unit of α is that of SfBC: the deviation of the critic's targets.
            scale = config.critic.scale_of(returns)
            self.weights = regression_weights(advantages / scale, config.alpha, config.max_weight)
        run.fit(
            "policy",
            self.policy,
            lambda path: self.policy.fit(data, weights=self.weights, checkpoint=path, progress=progress),
        )

    def models(self) -> dict[str, Model]:
        """The policy; critic and baseline are not needed to act and are not kept."""
        return {"policy": self.policy}

    def _evaluate(self, data: Trajectories, returns: Tensor, run: Run, progress: bool) -> Float[Tensor, " N"]:
        """Q(s_n, a_n), or R_n."""
        if self.config.evaluation == "returns":
            return returns
        run.fit("critic", self.critic, lambda path: self.critic.fit(data, returns, checkpoint=path, progress=progress))
        return self.critic.q(data.observations, data.actions[:, None])[:, 0].double()

    def _baseline(self, data: Trajectories, returns: Tensor, run: Run, progress: bool) -> Float[Tensor, " N"]:
        """V(s_n) = E_(a~μ) Q(s_n, a)."""
        if not self.config.subtract_value:
            return torch.zeros_like(returns)
        # Least squares on the state alone gives that mean: a critic whose actions are all the same sees only the state.
        middle = 0.5 * (data.action_low + data.action_high)
        blind = data.replace(actions=middle.expand_as(data.actions))
        run.fit("value", self.value, lambda path: self.value.fit(blind, returns, checkpoint=path, progress=progress))
        return self.value.q(blind.observations, blind.actions[:, None])[:, 0].double()

    def decide(self, observations: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """An action for each observation: tanh(mean), or a sample."""
        if not self.config.deterministic:
            return self.policy.sample(observations, 1, generator)[:, 0]
        return self.policy.mode(observations)
