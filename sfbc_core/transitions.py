"""Views of trajectories from which batches are drawn: transitions with next states, windows of them, numbered steps."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

ColumnsT = TypeVar("ColumnsT", bound="Columns")


class Columns:
    """A dataclass of tensors that all have one row for each of N things; `columns[index]` are those rows."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self: ColumnsT, index: Int[Tensor, " B"]) -> ColumnsT:
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Transitions(Columns):
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


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """B windows of L steps; where `mask` is not set there is no step.

    Attributes:
        rows: the row of each step in the data, shape (B, L); where there is none, 0 or, after the end, the last one.
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

    With `left`, the transitions that begin with it: where the episode is over, `rows` repeats its last one.

    Nothing is copied until a batch is drawn: a million windows of twenty steps would take twenty times the data.

    Args:
        steps: the number of every transition in its episode, from 0, shape (N,).
        length: L, steps of a window.
        left: how many transitions of its episode follow each transition, shape (N,), for windows that begin with it.

    Raises:
        ValueError: `length` below 1.
    """

    def __init__(self, steps: Int[Tensor, " N"], length: int, left: Int[Tensor, " N"] | None = None) -> None:
        if length < 1:
            raise ValueError(f"expected windows of at least 1 step, got {length}")
        self.steps, self.length, self.left = steps, length, left

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: Int[Tensor, " B"]) -> WindowBatch:
        if self.left is not None:
            ahead, left = torch.arange(self.length, device=index.device), self.left[index][:, None]
            taken = torch.minimum(ahead, left)
            return WindowBatch(index[:, None] + taken, ahead <= left, self.steps[index][:, None] + taken)
        back = torch.arange(self.length - 1, -1, -1, device=index.device)
        rows, steps = index[:, None] - back, self.steps[index][:, None] - back  # (B, L)
        mask = steps >= 0
        return WindowBatch(rows.where(mask, 0), mask, steps.where(mask, 0))


@dataclass(frozen=True, eq=False)
class NumberedSteps(Columns):
    """N steps of the data that know their rows in it; `steps[index]` are those of the index.

    For methods that keep something of their own for every row, such as a return that they plan anew.
    """

    observations: Float[Tensor, "N obs"]
    actions: Float[Tensor, "N act"]
    rows: Int[Tensor, " N"]
