"""A mixture of Gaussians, whose diffused density, score and probability flow are known: what solvers are tested against."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sfbc_core.diffusion.schedule import VPSchedule

# From how many deviations of its nearest mode on a point is "off the data". Of the mixture's own draws in one dimension
# fewer than one in ten thousand lie that far out: erfc(4/√2) = 6e-5.
OFF_DATA_DEVIATIONS = 4.0


class GaussianMixture:
    """Σ_k w_k N(m_k, s_k² I) in A dimensions, in float64.

    Diffused to time t it is Σ_k w_k N(α_t m_k, (α_t² s_k² + σ_t²) I): a mixture again, so everything about the diffusion
    of this data is exact.

    Args:
        weights: positive, one a mode; they are normalised to sum to one.
        means: one point a mode, shape (K, A), or K numbers for A = 1.
        deviations: one a mode, or one for all.
    """

    def __init__(
        self,
        weights: Sequence[float],
        means: Sequence[float] | Sequence[Sequence[float]],
        deviations: Sequence[float] | float,
        schedule: VPSchedule | None = None,
    ) -> None:
        self.schedule = schedule or VPSchedule()
        self.weights = torch.as_tensor(weights, dtype=torch.float64)
        self.means = torch.as_tensor(means, dtype=torch.float64)
        if self.means.ndim == 1:
            self.means = self.means[:, None]
        self.deviations = torch.as_tensor(deviations, dtype=torch.float64).expand(len(self.means)).clone()
        if self.weights.shape != (len(self.means),):
            raise ValueError(f"expected one weight for each of the {len(self.means)} means, got {len(self.weights)}")
        if (self.weights <= 0).any() or (self.deviations <= 0).any():
            raise ValueError("weights and deviations must be positive")
        self.weights = self.weights / self.weights.sum()

    @property
    def dim(self) -> int:
        """Number of coordinates A."""
        return self.means.shape[1]

    def _at(self, t: float) -> tuple[Float[Tensor, "K A"], Float[Tensor, " K"]]:
        """Means and deviations of the modes at time t; t = 0 is the data itself."""
        if t == 0:
            return self.means, self.deviations
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return alpha * self.means, (alpha**2 * self.deviations**2 + sigma**2).sqrt()

    def _log_joint(self, x: Float[Tensor, "*B A"], t: float) -> Float[Tensor, "*B K"]:
        means, deviations = self._at(t)
        squares = ((_double(x)[..., None, :] - means) / deviations[:, None]).square().sum(-1)
        normalizer = self.dim * (deviations.log() + 0.5 * math.log(2 * math.pi))
        return self.weights.log() - 0.5 * squares - normalizer

    def log_density(self, x: Float[Tensor, "*B A"], t: float = 0.0) -> Float[Tensor, "*B"]:
        """log p_t(x), in nats."""
        return self._log_joint(x, t).logsumexp(-1)

    def score(self, x: Float[Tensor, "*B A"], t: float) -> Float[Tensor, "*B A"]:
        """∇ log p_t(x)."""
        means, deviations = self._at(t)
        responsibilities = self._log_joint(x, t).softmax(-1)
        pulls = (means - _double(x)[..., None, :]) / deviations[:, None].square()
        return (responsibilities[..., None] * pulls).sum(-2)

    def noise(self, x: Float[Tensor, "*B A"], t: float) -> Float[Tensor, "*B A"]:
        """ε(x, t) = -σ_t ∇ log p_t(x): what a perfect noise model predicts."""
        return (-self.schedule.sigma(t) * self.score(x, t)).to(x.dtype)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n A"], Int[Tensor, " n"]]:
        """`n` draws of the data and the mode that each came from."""
        modes = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.dim, dtype=torch.float64, generator=generator)
        return self.means[modes] + self.deviations[modes, None] * noise, modes

    def distance_to_data(self, x: Float[Tensor, "*B A"]) -> Float[Tensor, "*B"]:
        """Distance to the nearest mode in that mode's deviations."""
        gaps = (_double(x)[..., None, :] - self.means).square().sum(-1).sqrt()
        return (gaps / self.deviations).min(-1).values

    def off_data(self, x: Float[Tensor, "*B A"]) -> Bool[Tensor, "*B"]:
        """Which points are off the data: more than `OFF_DATA_DEVIATIONS` = 4 deviations from every mode."""
        return self.distance_to_data(x) > OFF_DATA_DEVIATIONS

    def cumulative(self, x: Float[Tensor, " B"], t: float = 0.0) -> Float[Tensor, " B"]:
        """P(X_t <= x), for A = 1."""
        if self.dim != 1:
            raise ValueError(f"the cumulative distribution is for 1 dimension, this mixture has {self.dim}")
        means, deviations = self._at(t)
        standard = (_double(x)[:, None] - means[:, 0]) / deviations
        return (self.weights * 0.5 * torch.erfc(-standard / math.sqrt(2))).sum(-1)

    def flow(self, x: Float[Tensor, " B"], t_from: float, t_to: float) -> Float[Tensor, " B"]:
        """Exact end point at `t_to` of the probability-flow ODE through x at `t_from`, for A = 1.

        In one dimension the flow cannot cross itself and carries p_(t_from) to p_(t_to), so it keeps quantiles:
        the end point solves P(X_(t_to) <= y) = P(X_(t_from) <= x), found here by bisection to the last bits.
        """
        level = self.cumulative(x, t_from)
        means, deviations = self._at(t_to)
        low = (means[:, 0] - 12 * deviations).min().expand_as(level).clone()
        high = (means[:, 0] + 12 * deviations).max().expand_as(level).clone()
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = self.cumulative(middle, t_to) < level
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)


def _double(x: Tensor) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a tensor, got {type(x).__name__}")
    return x.double()
