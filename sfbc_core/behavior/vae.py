"""μ(a|s) as a conditional variational autoencoder: BCQ's architecture and loss (Fujimoto et al., 2019; Appendix B.2)."""

from __future__ import annotations

from dataclasses import field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.behavior.base import BehaviorModel
from sfbc_core.configuration import config_dataclass
from sfbc_core.networks import mlp
from sfbc_core.training import TrainingConfig


@config_dataclass
class VAEConfig:
    """Sizes and training; BCQ's values unless a comment says otherwise."""

    hidden: int = 750
    latent_per_action: int = 2  # latent coordinates an action coordinate
    kl_weight: float = 0.5  # of the mean KL divergence, against the mean squared error
    latent_clip: float | None = 0.5  # BCQ samples the latent within ±0.5; None samples the whole prior
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(gradient_steps=300_000, batch_size=256, learning_rate=3e-4)
    )  # steps and rate are SfBC's
    standardize_states: bool = True  # the paper does not say


class ConditionalVAE(nn.Module):
    """A decoder (s, z) ↦ a and the encoder (s, a) ↦ N(m, diag(d²)) of its latent z, two hidden layers each.

    Args:
        observation_dim, action_dim, latent_dim: coordinates of s, a and z.
        hidden: width of the layers.
    """

    def __init__(self, observation_dim: int, action_dim: int, latent_dim: int, hidden: int) -> None:
        super().__init__()
        self.encoder = mlp([observation_dim + action_dim, hidden, hidden, 2 * latent_dim])
        self.decoder = mlp([observation_dim + latent_dim, hidden, hidden, action_dim])

    def encode(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-deviation of the latent law q(z | s, a), (..., latent) each."""
        mean, log_deviation = self.encoder(torch.cat([states, actions], dim=-1)).chunk(2, dim=-1)
        return mean, log_deviation.clamp(-4, 15)  # BCQ's bounds

    def loss(
        self,
        states: Float[Tensor, "B obs"],
        actions: Float[Tensor, "B act"],
        noise: Float[Tensor, "B lat"],
        kl_weight: float,
    ) -> Float[Tensor, " B"]:
        """Mean squared error plus the weighted KL divergence from the prior, both means over coordinates as in BCQ."""
        mean, log_deviation = self.encode(states, actions)
        decoded = self.decode(states, mean + log_deviation.exp() * noise)
        divergence = 0.5 * (mean.square() + (2 * log_deviation).exp() - 1) - log_deviation
        return (decoded - actions).square().mean(1) + kl_weight * divergence.mean(1)

    def decode(self, states: Tensor, latent: Tensor) -> Tensor:
        """The action of a latent in a state, (..., act), each coordinate in (-1, 1)."""
        return torch.tanh(self.decoder(torch.cat([states, latent], dim=-1)))


class VAEBehavior(BehaviorModel):
    """a = decoder(s, z) with z ~ N(0, I), trained on reconstruction and KL divergence."""

    config: VAEConfig

    def __init__(self, config: VAEConfig | None = None, seed: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(config or VAEConfig(), seed, device)

    @property
    def noise_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.latent_per_action * self.action_dim

    def make_network(self, observation_dim: int, action_dim: int) -> nn.Module:
        """Encoder and decoder, each with two hidden ReLU layers."""
        latent_dim = self.config.latent_per_action * action_dim
        return ConditionalVAE(observation_dim, action_dim, latent_dim, self.config.hidden)

    def loss(
        self, states: Float[Tensor, "B obs"], actions: Float[Tensor, "B act"], generator: torch.Generator
    ) -> Float[Tensor, " B"]:
        """That of :meth:`ConditionalVAE.loss`, with a draw of the latent for each row."""
        noise = torch.randn(len(actions), self.noise_dim, generator=generator, device=actions.device)
        return self.network.loss(states, actions, noise, self.config.kl_weight)

    @torch.no_grad()
    def draw(self, states: Float[Tensor, "S obs"], noise: Float[Tensor, "S n lat"]) -> Float[Tensor, "S n act"]:
        """Decode latents."""
        clip = self.config.latent_clip
        latent = noise if clip is None else noise.clamp(-clip, clip)
        return self.network.decode(states[:, None].expand(-1, noise.shape[1], -1), latent)
