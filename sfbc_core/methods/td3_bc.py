"""TD3+BC (Fujimoto and Gu, NeurIPS 2021): a deterministic actor-critic that is held to the data by one term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod, batch_of
from sfbc_core.methods.policies import deterministic_policy
from sfbc_core.methods.q_learning import EnsembleQ, q_loss
from sfbc_core.networks import frozen, slow_copy, update_average
from sfbc_core.randomness import RandomSource
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.transitions import Transitions


@config_dataclass
class TD3BCConfig:
    """Everything that decides a run, apart from the data and the machine; the defaults are the paper's."""

    alpha: float = 2.5  # weight of Q against the squared distance to the data's action; 0 clones
    discount: float = 0.99  # γ
    target_rate: float = 0.005  # share by which the targets move, each time that the policy is updated
    policy_noise: float = 0.2  # deviation of the noise on the target policy's action
    noise_clip: float = 0.5  # and its largest size
    policy_every: int = 2  # gradient steps of Q for each of the policy
    hidden: tuple[int, ...] = (256, 256)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, nonnegative=["alpha", "policy_noise", "noise_clip"], share=["discount"])
        check_ranges(self, positive_share=["target_rate"], count=["policy_every"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> TD3BCConfig:
        """A budget for a CPU; `options` are other fields.

        In fewer steps the target networks have to follow much faster, or no reward reaches back to where a choice begins.
        """
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        return cls(**({"training": training, "target_rate": 0.2} | options))


class TD3BC(GradientMethod, config=TD3BCConfig):
    """The agent: ``TD3BC(config).fit(trajectories)``, then ``act(observations)``.

    TD3 with π maximising λ Q(s, π(s)) - (π(s) - a)², where λ = α / mean |Q| takes the unit of rewards out. π has one mode in
    every state. Q is asked for actions that π and its target propose, near the data if α is small but not in them; what
    keeps this sound is the smaller of two Q and the noise on the target's action.
    """

    config: TD3BCConfig

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """Two of Q, π, and their slow copies."""
        q = EnsembleQ(obs_dim, act_dim, self.config.hidden)
        policy = deterministic_policy([obs_dim, *self.config.hidden, act_dim])
        return {"q": q, "policy": policy, "target_q": slow_copy(q), "target_policy": slow_copy(policy)}

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """That of Q in every step, that of π in every `policy_every`-th."""
        config, nets = self.config, self.nets
        state, action, reward, next_state, going_on = batch_of(batch)
        with torch.no_grad():
            noise = torch.randn(action.shape, generator=generator, device=action.device) * config.policy_noise
            noise = noise.clamp(-config.noise_clip, config.noise_clip)
            next_action = (nets["target_policy"](next_state) + noise).clamp(-1, 1)
            target = reward + config.discount * going_on * nets["target_q"].smallest(next_state, next_action)
        losses = {"q": q_loss(nets["q"](state, action), target)}
        if (step + 1) % config.policy_every == 0:
            proposed = nets["policy"](state)
            with frozen(nets["q"]):
                value = nets["q"].first(state, proposed)
            scale = config.alpha / value.detach().abs().mean().clamp_min(1e-12)  # λ
            losses["policy"] = (proposed - action).square().mean() - scale * value.mean()
        return losses

    def after_step(self, step: int) -> None:
        """The targets follow when the policy has moved."""
        if (step + 1) % self.config.policy_every == 0:
            for name in ("q", "policy"):
                update_average(self.nets[f"target_{name}"], self.nets[name], self.config.target_rate)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """π(s)."""
        return self.nets["policy"](states)
