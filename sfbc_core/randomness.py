"""Explicit randomness: one generator for all rows, or one for each row so that rows do not depend on their company."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

RandomSource = torch.Generator | Sequence[torch.Generator]


def make_generator(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose of a run: `names` (a component, an iteration …) keep the streams of a seed apart.

    Every unit of work draws from its own stream, so a resumed run draws what an undisturbed one would have drawn.
    """
    mixed = zlib.crc32(repr((int(seed), *names)).encode())
    return torch.Generator(device).manual_seed(mixed)


def standard_normal(shape: Sequence[int], source: RandomSource, device: torch.device | str = "cpu") -> Tensor:
    """Draws of N(0, 1) on `device`, float32; with a sequence of generators, row i comes from generator i alone."""
    return _draw(torch.randn, shape, source, device)


def standard_uniform(shape: Sequence[int], source: RandomSource, device: torch.device | str = "cpu") -> Tensor:
    """Draws of U[0, 1) on `device`, float32; rows as in :func:`standard_normal`."""
    return _draw(torch.rand, shape, source, device)


def _draw(function, shape, source, device):
    if isinstance(source, torch.Generator):
        return function(tuple(shape), generator=source, device=source.device).to(device)
    if len(source) != shape[0]:
        raise ValueError(f"expected one generator for each of the {shape[0]} rows, got {len(source)}")
    rows = [function(tuple(shape[1:]), generator=generator, device=generator.device) for generator in source]
    return (torch.stack(rows) if rows else torch.empty(tuple(shape))).to(device)
