"""Weighted policy regression (Eq. 4): the projection of π* ∝ μ exp(αQ) onto a squashed Gaussian."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.behavior import GaussianBehavior, GaussianConfig
from sfbc_core.configuration import config_from_json, config_to_json
from sfbc_core.critic import CriticConfig, QCritic
from sfbc_core.files import atomic_path, load_json, load_tensors, save_json, save_tensors
from sfbc_core.planning import discounted_returns
from sfbc_core.randomness import RandomSource
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories

Evaluation = Literal["critic", "returns"]


@dataclass(frozen=True)
class WeightedRegressionConfig:
    """Everything that decides a run, apart from the data and the machine."""

    policy: GaussianConfig = field(default_factory=GaussianConfig)  # π_θ; the paper's Gaussian (Appendix B.2)
    critic: CriticConfig = field(default_factory=CriticConfig)  # of Q(s, a) and of the baseline V(s)
    alpha: float = 3.0  # inverse temperature, in units of 1 / deviation of the returns; not given in the paper
    discount: float = 0.99  # γ; the paper does not say
    evaluation: Evaluation = "critic"  # a transition's value: Q(s, a) as in Eq. 4, or its own return R as in AWR
    subtract_value: bool = True  # weigh by Q(s, a) - V(s), which stands in for the 1 / Z(s) of Eq. 4
    max_weight: float | None = 20.0  # no weight above this; AWR's. None: no clip
    deterministic: bool = True  # act by tanh(mean); otherwise by a sample of the Gaussian
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"alpha must be finite and >= 0, got {self.alpha}")
        if self.evaluation not in get_args(Evaluation):
            raise ValueError(f"evaluation must be one of {get_args(Evaluation)}, got {self.evaluation!r}")
        if self.max_weight is not None and not 0 < self.max_weight < math.inf:
            raise ValueError(f"max_weight must be positive and finite, or None, got {self.max_weight}")

    @classmethod
    def small(cls, gradient_steps: int = 2000, **options) -> WeightedRegressionConfig:
        """A budget for a CPU, both for the policy and for the critic; `options` are other fields."""
        training = TrainingConfig(gradient_steps=gradient_steps, batch_size=1024, learning_rate=2e-3, cosine_decay=True)
        policy = GaussianConfig(hidden=64, layers=2, training=training)
        return cls(policy, CriticConfig.small(gradient_steps), **options)


CONFIG_TYPES = {
    kind.__name__: kind for kind in (WeightedRegressionConfig, GaussianConfig, CriticConfig, TrainingConfig)
}


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
        ValueError: `alpha` negative or not finite, `max_weight` not positive, or advantages that are not finite.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"alpha must be finite and >= 0, got {alpha}")
    if max_weight is not None and not max_weight > 0:
        raise ValueError(f"max_weight must be positive, got {max_weight}")
    if not torch.isfinite(advantages).all():
        raise ValueError("advantages must be finite, found NaN or infinity")
    exponents = alpha * advantages.double()
    if max_weight is not None:
        exponents = exponents.clamp_max(math.log(max_weight))
    return (exponents - exponents.max()).exp()  # a large α cannot overflow


class WeightedRegression:
    """The agent: ``WeightedRegression(config).fit(trajectories)``, then ``act(observations)``.

    It maximises Σ_n exp(αA(s_n, a_n)) log π_θ(a_n|s_n) over squashed Gaussians (Eq. 4), with A = Q - V learned from vanilla
    returns. This is weighted maximum likelihood, the projection of π* in the direction D_KL(π* ‖ π_θ): the fitted Gaussian
    covers all of π*, and with it whatever lies between two modes.

    A factor that depends on s alone, such as the 1 / Z(s) of Eq. 4, does not move the optimum of a policy that can be
    anything at each state; it decides how much the states count against each other.

    Args:
        config: what to learn and how to act.
        device: where the models are trained and run.

    Attributes:
        policy: π_θ(a|s). critic: Q(s, a), or None with evaluation "returns". value: V(s), or None without a baseline.
        weights: the weight of every transition in the last fit, shape (N,).
    """

    def __init__(self, config: WeightedRegressionConfig | None = None, device: torch.device | str = "cpu") -> None:
        self.config = config or WeightedRegressionConfig()
        self.device = torch.device(device)
        self.policy = GaussianBehavior(self.config.policy, self.config.seed, device)
        self.critic: QCritic | None = None
        self.value: QCritic | None = None
        self.weights: Tensor | None = None

    def fit(self, trajectories: Trajectories, *, progress: bool = False) -> WeightedRegression:
        """Evaluate every transition of the data, then clone the actions with weights exp(αA) (Eq. 4).

        Args:
            trajectories: the data set.
            progress: whether to show progress bars.
        """
        trajectories = trajectories.to(self.device)
        returns = discounted_returns(trajectories, self.config.discount)
        advantages = self._evaluate(trajectories, returns, progress) - self._baseline(trajectories, returns, progress)
        # The unit of α is that of SfBC: the deviation of the critic's targets, with the critic's floor.
        scale = max(float(returns.std(correction=0)), self.config.critic.minimum_deviation)
        self.weights = regression_weights(advantages / scale, self.config.alpha, self.config.max_weight)
        self.policy.fit(trajectories, weights=self.weights, progress=progress)
        return self

    def _evaluate(self, trajectories: Trajectories, returns: Tensor, progress: bool) -> Float[Tensor, " N"]:
        """Q(s_n, a_n), or R_n."""
        if self.config.evaluation == "returns":
            return returns
        self.critic = QCritic(self.config.critic, self.config.seed, self.device)
        self.critic.fit(trajectories, returns, progress=progress)
        return self.critic.q(trajectories.observations, trajectories.actions[:, None])[:, 0].double()

    def _baseline(self, trajectories: Trajectories, returns: Tensor, progress: bool) -> Float[Tensor, " N"]:
        """V(s_n) = E_(a~μ) Q(s_n, a)."""
        if not self.config.subtract_value:
            return torch.zeros_like(returns)
        # Least squares on the state alone gives that mean: a critic whose actions are all the same sees only the state.
        low, high = trajectories.action_low, trajectories.action_high
        same = torch.full_like(trajectories.actions, 0.5 * (low + high))
        blind = Trajectories(**(trajectories.tensors() | {"actions": same}), action_low=low, action_high=high)
        self.value = QCritic(self.config.critic, self.config.seed + 1, self.device)
        self.value.fit(blind, returns, progress=progress)
        return self.value.q(blind.observations, blind.actions[:, None])[:, 0].double()

    def act(
        self, observations: Float[Tensor, "B obs"], generator: RandomSource | None = None
    ) -> Float[Tensor, "B act"]:
        """An action for each observation: tanh(mean), or a sample.

        Args:
            observations: shape (B, obs).
            generator: for samples; one, or one for each row; by default the policy's own.

        Raises:
            RuntimeError: the agent is not fitted.
        """
        if self.policy.network is None:
            raise RuntimeError("this WeightedRegression agent is not fitted yet: call fit(trajectories) first")
        if not self.config.deterministic:
            return self.policy.sample(observations, 1, generator)[:, 0]
        policy = self.policy
        states = policy.standardizer(observations.to(self.device, torch.float32))
        no_noise = torch.zeros(len(observations), 1, policy.action_dim, device=self.device)
        return policy.unscale(policy.draw(states, no_noise)[:, 0]).to(observations.device)

    def save(self, path: str | os.PathLike) -> None:
        """Write the policy into the folder `path`: config.json and weights.safetensors; whole or not at all.

        Critic and baseline are not needed to act and are not kept.
        """
        if self.policy.network is None:
            raise RuntimeError("this WeightedRegression agent is not fitted yet: there is nothing to save")
        with atomic_path(path) as folder:
            folder.mkdir()
            save_json(folder / "config.json", config_to_json(self.config))
            save_tensors(folder / "weights.safetensors", self.policy.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike, device: torch.device | str = "cpu") -> WeightedRegression:
        """The agent that :meth:`save` wrote.

        Raises:
            FileNotFoundError: no agent at `path`.
            ValueError: a damaged file, or a config of another version.
        """
        path = Path(path)
        for name in ("config.json", "weights.safetensors"):
            if not (path / name).is_file():
                raise FileNotFoundError(f"expected a saved agent in the folder {path}, but {name} is not there")
        agent = cls(config_from_json(load_json(path / "config.json"), CONFIG_TYPES), device)
        agent.policy.load_tensors(load_tensors(path / "weights.safetensors", agent.device))
        return agent
