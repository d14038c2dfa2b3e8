"""The noise-prediction network ε_θ(a_t, s, t): a dense U-Net of residual blocks, conditioned on state and time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from sfbc_core.configuration import config_dataclass
from sfbc_core.diffusion.schedule import VPSchedule
from sfbc_core.ranges import check_ranges


@config_dataclass
class ScoreNetworkConfig:
    """Sizes of the network. The default has about 1.5 M parameters, the order of the paper's."""

    widths: tuple[int, ...] = (512, 256, 128)  # features of each U-Net level, from the action inwards
    embedding_dim: int = 256  # joint embedding of state and time
    fourier_features: int = 64  # half are cosines, half are sines
    fourier_scale: float = 16.0  # deviation of the random frequencies of t, in cycles over [0, 1]

    def __post_init__(self) -> None:
        check_ranges(self, widths=["widths"])
        if self.fourier_features % 2:
            raise ValueError(f"fourier_features must be even, got {self.fourier_features}")

    @classmethod
    def small(cls) -> ScoreNetworkConfig:
        """A variant of about 0.1 M parameters for tasks with a few state and action coordinates."""
        return cls(widths=(128, 64, 32), embedding_dim=64, fourier_features=32, fourier_scale=4.0)


class FourierFeatures(nn.Module):
    """Gaussian Fourier features t ↦ [cos(2πft), sin(2πft)] with fixed random frequencies f ~ N(0, scale²)."""

    def __init__(self, features: int, scale: float) -> None:
        super().__init__()
        # A stream of their own, from the same seed: the layers' weights do not depend on how many frequencies there are.
        generator = torch.Generator().manual_seed(torch.initial_seed())
        self.register_buffer("frequencies", scale * torch.randn(features // 2, generator=generator))

    def forward(self, t: Float[Tensor, " T"]) -> Float[Tensor, "T features"]:
        """Features of every time."""
        angles = 2 * math.pi * t[:, None] * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResidualBlock(nn.Module):
    """x ↦ skip(x) + W₂ silu(W₁ silu(x) + condition): a dense residual block with an additive condition."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, outputs)
        self.second = nn.Linear(outputs, outputs)
        self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`condition` broadcasts against the leading dimensions of `x`."""
        hidden = self.second(silu(self.first(silu(x)) + condition))
        return self.skip(x) + hidden


class ScoreNetwork(nn.Module):
    """ε_θ(a_t, s, t), the noise that was added to the action; the score is -ε_θ / σ_t (Eq. 9).

    The condition of every block depends on state and time alone. :meth:`embed_states` is therefore called once a state,
    :meth:`embed_times` once for all solver times, and what :meth:`condition` makes of the two is shared by all candidates
    of a state: only :meth:`predict` runs for every candidate.

    Args:
        action_dim, state_dim: number of action and (already standardised) state coordinates; `state_dim` may be 0.
        config: sizes.

    Its initial weights and frequencies follow from the seed of torch's global generator, as with any module.
    """

    def __init__(self, action_dim: int, state_dim: int, config: ScoreNetworkConfig | None = None) -> None:
        super().__init__()
        config = config or ScoreNetworkConfig()
        widths = config.widths
        embedding = config.embedding_dim
        self.fourier = FourierFeatures(config.fourier_features, config.fourier_scale)
        # The first layer of the joint embedding splits exactly into a part of the state and a part of the time.
        self.state_layer = nn.Linear(state_dim, embedding, bias=False) if state_dim else None
        self.time_layer = nn.Linear(config.fourier_features, embedding)
        self.joint_layer = nn.Linear(embedding, embedding)

        self.input_layer = nn.Linear(action_dim, widths[0])
        steps = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(ResidualBlock(outer, inner) for outer, inner in steps)
        self.middle = ResidualBlock(widths[-1], widths[-1])
        self.up = nn.ModuleList(ResidualBlock(2 * inner, outer) for outer, inner in reversed(steps))
        self.output_layer = nn.Linear(widths[0], action_dim)
        self.block_widths = [*widths[1:], widths[-1], *reversed(widths[:-1])]
        self.condition_layer = nn.Linear(embedding, sum(self.block_widths))
        nn.init.zeros_(self.output_layer.weight)  # start from ε = 0, so that early steps are not spent on undoing noise
        nn.init.zeros_(self.output_layer.bias)

    def embed_states(self, states: Float[Tensor, "S obs"]) -> Float[Tensor, "S emb"]:
        """The state's part of the joint embedding, once a state."""
        if self.state_layer is None:
            return states.new_zeros(states.shape[0], self.time_layer.out_features)
        return self.state_layer(states)

    def embed_times(self, t: Float[Tensor, " T"]) -> Float[Tensor, "T emb"]:
        """The time's part of the joint embedding, once for all times."""
        return self.time_layer(self.fourier(t))

    def condition(self, state_part: Float[Tensor, "... emb"], time_part: Float[Tensor, "... emb"]) -> list[Tensor]:
        """What is added in each block; broadcasts the two parts against each other."""
        joint = silu(self.joint_layer(silu(state_part + time_part)))
        return list(self.condition_layer(joint).split(self.block_widths, dim=-1))

    def predict(self, x: Float[Tensor, "*batch act"], condition: list[Tensor]) -> Float[Tensor, "*batch act"]:
        """Predicted noise at noisy actions `x`; each condition broadcasts against the batch dimensions of `x`."""
        conditions = iter(condition)
        features = self.input_layer(x)
        skips = []
        for block in self.down:
            features = block(features, next(conditions))
            skips.append(features)
        features = self.middle(features, next(conditions))
        for block in self.up:
            features = block(torch.cat([features, skips.pop()], dim=-1), next(conditions))
        return self.output_layer(silu(features))

    def time_parts(self, times: list[float]) -> dict[float, Tensor]:
        """What :meth:`embed_times` gives for each time, for all evaluations of a solver at once."""
        device = self.time_layer.weight.device
        return dict(zip(times, self.embed_times(torch.tensor(times, device=device)), strict=True))

    def noise_model(
        self, states: Float[Tensor, "S obs"], time_parts: dict[float, Tensor]
    ) -> Callable[[Tensor, float], Tensor]:
        """ε_θ(·, s, t) of given states, a function of x, shape (S, n, act), and of a time in `time_parts`: for a solver."""
        state_part = self.embed_states(states)[:, None]  # (S, 1, emb), shared by the candidates
        return lambda x, t: self.predict(x, self.condition(state_part, time_parts[t]))

    def loss(
        self,
        x: Float[Tensor, "B act"],
        states: Float[Tensor, "B obs"],
        schedule: VPSchedule,
        generator: torch.Generator,
    ) -> Float[Tensor, " B"]:
        """‖ε_θ(α_t x + σ_t ε, s, t) - ε‖² with t ~ U(0, 1), ε ~ N(0, I), mean over coordinates (Eq. 9; ε_θ = -σ_t s_θ)."""
        t = torch.rand(len(x), generator=generator, device=x.device)
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        noisy = schedule.alpha(t)[:, None] * x + schedule.sigma(t)[:, None] * noise
        return (self(noisy, states, t) - noise).square().mean(1)

    def forward(
        self, x: Float[Tensor, "B act"], states: Float[Tensor, "B obs"], t: Float[Tensor, " B"]
    ) -> Float[Tensor, "B act"]:
        """Predicted noise, one state and one time a row: the form that training uses."""
        return self.predict(x, self.condition(self.embed_states(states), self.embed_times(t)))
