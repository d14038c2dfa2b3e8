"""The variance-preserving SDE with a linear β(t), in closed form."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sfbc_core.configuration import config_dataclass

# A time or a log-SNR: a Python number (computed in float64) or a tensor (computed in its own dtype).
Scalar = TypeVar("Scalar", float, Tensor)


@config_dataclass
class VPSchedule:
    """Forward process dx = -½β(t)x dt + √β(t) dw on t ∈ [0, 1] with β(t) = β_min + t(β_max - β_min).

    Its transition law is x_t | x_0 ~ N(α_t x_0, σ_t² I), with log α_t = -½∫₀ᵗβ and σ_t² = 1 - α_t²
    (Appendix B.1 of the paper; Song et al., 2021). Every method takes a float or a tensor and returns the same kind;
    the results are exact to the rounding of that kind, also near t = 0, where σ_t² = 1 - α_t² would cancel.
    """

    beta_min: float = 0.1  # β(0); the paper's value
    beta_max: float = 20.0  # β(1); the paper's value

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise ValueError(f"expected 0 < beta_min <= beta_max, got {self.beta_min} and {self.beta_max}")

    def beta(self, t: Scalar) -> Scalar:
        """Noise rate β(t), per unit of time."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def log_alpha(self, t: Scalar) -> Scalar:
        """log α_t = -¼t²(β_max - β_min) - ½tβ_min."""
        return -0.25 * t * t * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min

    def alpha(self, t: Scalar) -> Scalar:
        """Signal coefficient α_t."""
        return _through_torch(lambda x: self.log_alpha(x).exp(), t)

    def sigma(self, t: Scalar) -> Scalar:
        """Noise deviation σ_t = √(1 - α_t²)."""
        return _through_torch(lambda x: (-torch.expm1(2 * self.log_alpha(x))).sqrt(), t)

    def log_snr(self, t: Scalar) -> Scalar:
        """λ_t = log(α_t / σ_t), half the logarithm of the signal-to-noise ratio; it falls strictly in t (∞ at t = 0)."""

        def compute(x: Tensor) -> Tensor:
            log_alpha = self.log_alpha(x)
            return log_alpha - 0.5 * (-torch.expm1(2 * log_alpha)).log()

        return _through_torch(compute, t)

    def time(self, log_snr: Scalar) -> Scalar:
        """The time t at which λ_t = `log_snr`, the inverse of :meth:`log_snr`.

        From λ one has -log α_t = ½log(1 + e^(-2λ)); t then solves a quadratic, in the form that does not cancel.
        """

        def compute(x: Tensor) -> Tensor:
            negative_log_alpha = 0.5 * softplus(-2 * x, threshold=50)
            quarter_slope, half_beta = 0.25 * (self.beta_max - self.beta_min), 0.5 * self.beta_min
            root = (half_beta**2 + 4 * quarter_slope * negative_log_alpha).sqrt()
            return 2 * negative_log_alpha / (half_beta + root)

        return _through_torch(compute, log_snr)


def _through_torch(function, value):
    """Apply a tensor function to a tensor, or to a number in float64."""
    if isinstance(value, Tensor):
        return function(value)
    try:
        nan = math.isnan(value)
    except TypeError as error:
        raise TypeError(f"expected a number or a tensor, got {type(value).__name__}") from error
    if nan:
        raise ValueError("expected a number, got NaN")
    return function(torch.tensor(value, dtype=torch.float64)).item()
