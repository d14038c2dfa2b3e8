"""A network over stretches of time: residual convolutions along the steps, conditioned on the diffusion time."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from sfbc_core.configuration import config_dataclass
from sfbc_core.diffusion.score_network import FourierFeatures
from sfbc_core.ranges import check_ranges

FREQUENCIES = 4.0  # deviation of the random frequencies of t, in cycles over [0, 1]


@config_dataclass
class TemporalNetworkConfig:
    """Sizes of the network. Each block looks twice as far as the one before, so that `blocks` of kernel k span about
    (k - 1) 2^blocks steps.
    """

    channels: int = 128  # features of each step
    blocks: int = 4
    kernel: int = 5  # steps that a convolution sees; odd
    fourier_features: int = 32  # of the diffusion time; half are cosines, half are sines

    def __post_init__(self) -> None:
        check_ranges(self, count=["channels", "blocks", "kernel"])
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        if self.fourier_features % 2:
            raise ValueError(f"fourier_features must be even, got {self.fourier_features}")


class TemporalBlock(nn.Module):
    """x ↦ x + W₂ * silu(W₁ * silu(x) + condition), with dilated convolutions along the steps."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels, channels, kernel, padding="same", dilation=dilation)
        self.condition = nn.Linear(channels, channels)
        self.second = nn.Conv1d(channels, channels, kernel, padding="same", dilation=dilation)

    def forward(self, x: Float[Tensor, "B C L"], embedding: Float[Tensor, "B C"]) -> Float[Tensor, "B C L"]:
        """The features of the steps after the block."""
        hidden = self.first(silu(x)) + self.condition(embedding)[..., None]
        return x + self.second(silu(hidden))


class TemporalNetwork(nn.Module):
    """(x_1 … x_L, t) ↦ L answers, one a step; :meth:`pooled` gives one answer for all steps.

    Args:
        inputs, outputs: coordinates of a step, and of its answer.
        config: sizes.
    """

    def __init__(self, inputs: int, outputs: int, config: TemporalNetworkConfig) -> None:
        super().__init__()
        channels = config.channels
        self.time = nn.Sequential(
            FourierFeatures(config.fourier_features, FREQUENCIES),
            nn.Linear(config.fourier_features, channels),
            nn.SiLU(),
        )
        self.input_layer = nn.Linear(inputs, channels)
        self.blocks = nn.ModuleList(TemporalBlock(channels, config.kernel, 2**i) for i in range(config.blocks))
        self.output_layer = nn.Linear(channels, outputs)
        nn.init.zeros_(self.output_layer.weight)
        nn.init.zeros_(self.output_layer.bias)

    def features(self, x: Float[Tensor, "B L inputs"], t: Float[Tensor, " B"]) -> Float[Tensor, "B L C"]:
        """Features of every step, given all of them and the diffusion time of each row."""
        embedding, hidden = self.time(t), self.input_layer(x).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return silu(hidden.transpose(1, 2))

    def forward(self, x: Float[Tensor, "B L inputs"], t: Float[Tensor, " B"]) -> Float[Tensor, "B L outputs"]:
        """An answer for each step."""
        return self.output_layer(self.features(x, t))

    def pooled(self, x: Float[Tensor, "B L inputs"], t: Float[Tensor, " B"]) -> Float[Tensor, "B outputs"]:
        """One answer for all steps, from the mean of their features."""
        return self.output_layer(self.features(x, t).mean(1))
