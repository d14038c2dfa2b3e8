"""Implicit Q-learning (Kostrikov, Nair and Levine, ICLR 2022): the best value in the data, from its actions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod, batch_of
from sfbc_core.methods.policies import GaussianPolicy
from sfbc_core.methods.q_learning import EnsembleQ, q_loss
from sfbc_core.networks import mlp, slow_copy, update_average
from sfbc_core.randomness import RandomSource, standard_normal
from sfbc_core.ranges import check_ranges
from sfbc_core.selection import check_inverse_temperature
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import Transitions

RewardScale = Literal["as_recorded", "return_range", "minus_one"]


@config_dataclass
class IQLConfig:
    """Everything that decides a run, apart from the data and the machine; the defaults are the paper's for locomotion.

    The paper's dropout in the policy, which it uses for kitchen only, is left out.
    """

    expectile: float = 0.7  # τ; 1/2: the values of the data's policy, 1: the best in the data. Paper: 0.9 in antmaze
    inverse_temperature: float = 3.0  # β, per unit of reward as learned from; 0 clones the data. Paper: 10 in antmaze
    max_weight: float = 100.0  # no transition counts more than this in the policy's loss; the paper's
    discount: float = 0.99  # γ; the paper's
    target_rate: float = 0.005  # the share by which the target of Q moves in each step; the paper's
    # "return_range": 1000 r / (best - worst return of an episode), the paper's for locomotion; "minus_one": r - 1, antmaze
    rewards: RewardScale = "as_recorded"
    hidden: tuple[int, ...] = (256, 256)  # widths of all networks; the paper's
    training: TrainingConfig = field(  # the paper's; its cosine is that of the policy's rate, the others are constant
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4, cosine_decay=True)
    )
    deterministic: bool = True  # act by the mean of the policy, as the paper does; otherwise by a draw
    seed: int = 0

    def __post_init__(self) -> None:
        check_inverse_temperature(self.inverse_temperature, "inverse_temperature")
        check_ranges(self, between=["expectile"], positive=["max_weight"], share=["discount"])
        check_ranges(self, positive_share=["target_rate"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> IQLConfig:
        """A budget for a CPU; `options` are other fields. In fewer steps the target of Q has to follow faster."""
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        return cls(**({"training": training, "target_rate": 0.2} | options))


def expectile_loss(difference: Float[Tensor, "*batch"], expectile: float) -> Float[Tensor, "*batch"]:
    """L₂^τ(u) = |τ - 1(u < 0)| u², the asymmetric square of Section 4.1.

    The v that minimises E L₂^τ(X - v) is the τ-expectile of X: its mean for τ = 1/2, its supremum as τ → 1.
    """
    return torch.where(difference < 0, 1 - expectile, expectile) * difference.square()


def implicit_q_networks(obs_dim: int, act_dim: int, hidden: Sequence[int]) -> dict[str, nn.Module]:
    """V, two of Q, and their slow copies."""
    q = EnsembleQ(obs_dim, act_dim, hidden)
    return {"v": mlp([obs_dim, *hidden, 1]), "q": q, "target_q": slow_copy(q)}


def implicit_q_losses(
    nets: nn.ModuleDict, batch: Transitions, expectile: float, discount: float
) -> tuple[dict[str, Tensor], Float[Tensor, " B"]]:
    """The losses of V and Q, Eq. (5) and (6), and Q(s, a) - V(s) of the batch, through which gradients reach V alone."""
    state, action, reward, next_state, going_on = batch_of(batch)
    with torch.no_grad():
        target_q = nets["target_q"].smallest(state, action)
        target = reward + discount * going_on * nets["v"](next_state)[:, 0]
    advantage = target_q - nets["v"](state)[:, 0]
    losses = {
        "v": expectile_loss(advantage, expectile).mean(),  # Eq. (5)
        "q": q_loss(nets["q"](state, action), target),  # Eq. (6), of each of the two
    }
    return losses, advantage


class IQL(GradientMethod, config=IQLConfig):
    """The agent: ``IQL(config).fit(trajectories)``, then ``act(observations)``.

    V(s) is the τ-expectile of Q(s, a) over the actions of the data, Q(s, a) is r + γV(s'), and the policy clones the data's
    actions with weights exp(β(Q - V)). Nothing ever asks Q for an action that is not in the data.

    All losses of a step see the same parameters, where Algorithm 1 updates V before Q and extracts the policy at the end. As
    nothing depends on the policy, it is learned alongside.
    """

    config: IQLConfig
    acting_fields = frozenset({"deterministic"})

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """V, two of Q, their slow copies, and π."""
        hidden = self.config.hidden
        return {
            **implicit_q_networks(obs_dim, act_dim, hidden),
            "policy": GaussianPolicy([obs_dim, *hidden, act_dim]),
        }

    def rows(self, data: Trajectories) -> Transitions:
        """The transitions, with rewards in the config's unit."""
        if self.config.rewards == "minus_one":
            data = data.replace(rewards=data.rewards - 1)
        elif self.config.rewards == "return_range":
            spread = float(data.episode_returns.max() - data.episode_returns.min())
            if spread == 0:
                raise ValueError("rewards='return_range' expects episodes of different returns, but all are equal")
            data = data.replace(rewards=data.rewards * (1000 / spread))
        return data.transitions()

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Eq. (5), (6) and (7)."""
        config = self.config
        values, advantage = implicit_q_losses(self.nets, batch, config.expectile, config.discount)
        weight = (config.inverse_temperature * advantage.detach()).exp().clamp(max=config.max_weight)
        likelihood = self.nets["policy"](batch.observations).log_prob(batch.actions).sum(1)
        return {**values, "policy": -(weight * likelihood).mean()}  # Eq. (7)

    def after_step(self, step: int) -> None:
        """θ̂ ← (1 - ρ)θ̂ + ρθ."""
        update_average(self.nets["target_q"], self.nets["q"], self.config.target_rate)

    def learning_rate(self, network: str, step: int, steps: int) -> float:
        """Only that of the policy falls along the cosine."""
        training = self.config.training
        return (training if network == "policy" else replace(training, cosine_decay=False)).rate(step, steps)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """The mean of the policy, or a draw that is pulled back within the bounds."""
        policy = self.nets["policy"](states)
        if self.config.deterministic:
            return policy.mean
        noise = standard_normal(policy.mean.shape, generator, states.device)
        return (policy.mean + policy.stddev * noise).clamp(-1, 1)
