"""Batch-constrained Q-learning (BCQ; Fujimoto, Meger and Precup, ICML 2019): the best of a VAE, moved a little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.behavior.vae import ConditionalVAE
from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod, batch_of
from sfbc_core.methods.q_learning import EnsembleQ, best_of, for_each, q_loss
from sfbc_core.networks import frozen, mlp, slow_copy, update_average
from sfbc_core.randomness import RandomSource, standard_normal
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.transitions import Transitions

LATENT_PER_ACTION, KL_WEIGHT = 2, 0.5  # the paper's


@config_dataclass
class BCQConfig:
    """Everything that decides a run, apart from the data and the machine; the defaults are the paper's."""

    perturbation: float = 0.05  # Φ, how far an action is moved at most, of a range of 2
    smallest_weight: float = 0.75  # λ: the target is λ min + (1 - λ) max over the two Q
    target_candidates: int = 10  # n, actions that the target chooses from
    num_candidates: int = 100  # and the policy
    latent_clip: float = 0.5  # latents are drawn within this
    discount: float = 0.99  # γ
    target_rate: float = 0.005
    hidden: tuple[int, ...] = (400, 300)  # of Q and of the perturbation
    vae_hidden: int = 750
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=100, learning_rate=1e-3)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(
            self, nonnegative=["perturbation"], share=["smallest_weight", "discount"], positive=["latent_clip"]
        )
        check_ranges(self, count=["target_candidates", "num_candidates", "vae_hidden"])
        check_ranges(self, positive_share=["target_rate"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> BCQConfig:
        """A budget for a CPU; `options` are other fields.

        In fewer steps the target networks have to follow much faster, or no reward reaches back to where a choice begins.
        """
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        sizes = {"hidden": (128, 128), "vae_hidden": 256, "target_rate": 0.2}
        return cls(**({"training": training, **sizes} | options))


class Perturbation(nn.Module):
    """ξ(s, a): the action, moved by at most `bound` in each coordinate and pulled back within [-1, 1]."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: tuple[int, ...], bound: float) -> None:
        super().__init__()
        self.bound, self.body = bound, mlp([obs_dim + act_dim, *hidden, act_dim])

    def forward(
        self, states: Float[Tensor, "*batch obs"], actions: Float[Tensor, "*batch act"]
    ) -> Float[Tensor, "*batch act"]:
        """The moved actions."""
        moved = self.bound * torch.tanh(self.body(torch.cat([states, actions], -1)))
        return (actions + moved).clamp(-1, 1)


class BCQ(GradientMethod, config=BCQConfig):
    """The agent: ``BCQ(config).fit(trajectories)``, then ``act(observations)``.

    A VAE models behavior; π(s) is, of n actions that it draws, each moved by ξ, the one of the largest Q. The policy can
    have as many modes as the VAE, but acts by the best of them. Q is asked, in its target too, for what the VAE draws and ξ
    moves: near the data as far as the VAE is faithful and Φ is small.
    """

    config: BCQConfig
    acting_fields = frozenset({"num_candidates"})

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """The VAE, two of Q, ξ, and slow copies of the last two."""
        config = self.config
        q = EnsembleQ(obs_dim, act_dim, config.hidden)
        perturbation = Perturbation(obs_dim, act_dim, config.hidden, config.perturbation)
        vae = ConditionalVAE(obs_dim, act_dim, LATENT_PER_ACTION * act_dim, config.vae_hidden)
        targets = {"target_q": slow_copy(q), "target_perturbation": slow_copy(perturbation)}
        return {"vae": vae, "q": q, "perturbation": perturbation, **targets}

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Those of the VAE, of Q, and -Q(s, ξ(s, a)) for an action that the VAE draws.

        Q is fitted to r + γ max_i (λ min + (1 - λ) max) Q(s', ξ(s', a_i)), min and max over the two networks.
        """
        config, nets = self.config, self.nets
        state, action, reward, next_state, going_on = batch_of(batch)
        latents = LATENT_PER_ACTION * action.shape[1]

        def noise(*shape: int) -> Tensor:
            return torch.randn(*shape, latents, generator=generator, device=action.device)

        with torch.no_grad():
            next_states = for_each(next_state, config.target_candidates)
            drawn = self._decoded(next_states, noise(len(state), config.target_candidates))
            q = nets["target_q"](next_states, nets["target_perturbation"](next_states, drawn))  # (2, B, n)
            mixed = config.smallest_weight * q.amin(0) + (1 - config.smallest_weight) * q.amax(0)
            target = reward + config.discount * going_on * mixed.amax(1)
            drawn = self._decoded(state, noise(len(state)))
        with frozen(nets["q"]):
            improved = nets["q"].first(state, nets["perturbation"](state, drawn))
        return {
            "vae": nets["vae"].loss(state, action, noise(len(state)), KL_WEIGHT).mean(),
            "q": q_loss(nets["q"](state, action), target),
            "perturbation": -improved.mean(),
        }

    def after_step(self, step: int) -> None:
        """The targets follow."""
        for name in ("q", "perturbation"):
            update_average(self.nets[f"target_{name}"], self.nets[name], self.config.target_rate)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """Of `num_candidates` actions of the VAE, each moved by ξ, the one of the largest Q."""
        n, act_dim = self.config.num_candidates, len(self.nets.actions.low)
        each = for_each(states, n)
        drawn = self._decoded(
            each, standard_normal((len(states), n, LATENT_PER_ACTION * act_dim), generator, states.device)
        )
        moved = self.nets["perturbation"](each, drawn)
        return best_of(moved, self.nets["q"].first(each, moved))

    def _decoded(self, states: Tensor, noise: Tensor) -> Tensor:
        clip = self.config.latent_clip
        return self.nets["vae"].decode(states, noise.clamp(-clip, clip))
