"""Two views of trajectories from which batches are drawn: single transitions with next states, and windows of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Transitions:
    """N transitions; `transitions[index]` are those rows.

    Attributes:
        observations: s, shape (N, obs).
        actions: a, shape (N, act).
        rewards: r, shape (N,).
        next_observations: s', shape (N, obs).
        terminals: whether the task ended with the transition, so that s' is worth nothing, shape (N,).
    """

    observations: Float[Tensor, "N obs"]
    actions: Float[Tensor, "N act"]
    rewards: Float[Tensor, " N"]
    next_observations: Float[Tensor, "N obs"]
    terminals: Bool[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.rewards)

    def __getitem__(self, index: Int[Tensor, " B"]) -> Transitions:
        return Transitions(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """B windows of L steps; where `mask` is not set there was no step yet and everything is zero.

    Attributes:
        rows: the row of each step in the data, shape (B, L); 0 where there is none.
        mask: whether there is a step, shape (B, L).
        steps: the number of each step in its episode, from 0, shape (B, L).
    """

    rows: Int[Tensor, "B L"]
    mask: Bool[Tensor, "B L"]
    steps: Int[Tensor, "B L"]

    def of(self, values: Float[Tensor, "N ..."]) -> Float[Tensor, "B L ..."]:
        """The values of the steps, out of those of all N transitions; zero where there is no step."""
        taken = values[self.rows]
        return taken * self.mask.reshape(self.mask.shape + (1,) * (taken.ndim - 2))


class Windows:
    """For every transition of the data, the `length` transitions that end with it; `windows[index]` are those of its rows.

    Nothing is copied until a batch is drawn: a million windows of twenty steps would take twenty times the data.

    Args:
        steps: the number of every transition in its episode, from 0, shape (N,).
        length: L, steps of a window.

    Raises:
        ValueError: `length` below 1.
    """

    def __init__(self, steps: Int[Tensor, " N"], length: int) -> None:
        if length < 1:
            raise ValueError(f"expected windows of at least 1 step, got {length}")
        self.steps, self.length = steps, length

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: Int[Tensor, " B"]) -> WindowBatch:
        back = torch.arange(self.length - 1, -1, -1, device=index.device)
        rows, steps = index[:, None] - back, self.steps[index][:, None] - back  # (B, L)
        mask = steps >= 0
        return WindowBatch(rows.where(mask, 0), mask, steps.where(mask, 0))
