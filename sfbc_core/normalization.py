"""Affine input standardisation that is part of a model: stored, saved and moved with its weights."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

# A coordinate that never moves in the data has deviation 0; dividing by it would turn rounding noise into signal.
MINIMUM_DEVIATION = 1e-3


class Standardizer(nn.Module):
    """x ↦ (x - mean) / deviation per coordinate; the identity until :meth:`fit` is called.

    The paper feeds raw states. A standardised first layer represents the same functions and only starts training from a
    better-scaled point, so the models here use it unless their config turns it off.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    @torch.no_grad()
    def fit(self, data: Float[Tensor, "N dim"]) -> None:
        """Take mean and deviation from the rows of `data`, in float64 so that a million rows lose nothing."""
        data = data.double() if data.device.type != "mps" else data
        self.mean.copy_(data.mean(0))
        self.deviation.copy_(data.std(0, correction=0).clamp_min(MINIMUM_DEVIATION))

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Standardised `x`."""
        return (x - self.mean) / self.deviation
