"""Losses along a training: their means over every so many steps, kept in checkpoints and with what was learned."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sfbc_core.files import check_layout, join_parts, split_parts
from sfbc_core.scalars import tell


class LossLog:
    """Means of named losses over every so many steps. A loss that is absent from a step does not count there."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.history: dict[str, list[float]] = {}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor], done: int, last: bool) -> None:
        """Take in the losses of a step, the one after which `done` steps are done."""
        for name, value in values.items():
            # A sum stays on the device: reading it each step would stall a GPU.
            self._sums[name] = self._sums.get(name, 0) + value.detach()
            self._counts[name] = self._counts.get(name, 0) + 1
        if not (last or done % self.every == 0):
            return
        for name, total in self._sums.items():
            mean = total.item() / self._counts[name]
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"the loss {name!r} is {mean} after {done} gradient steps; lower the learning rate?"
                )
            self.history.setdefault(name, []).append(mean)
            tell(name, done, mean)
        self._sums, self._counts = {}, {}

    def tensors(self) -> dict[str, Tensor]:
        """Everything, by name, for a checkpoint."""
        return join_parts(
            {
                "history": {name: torch.tensor(means, dtype=torch.float64) for name, means in self.history.items()},
                "sum": self._sums,
                "count": {name: torch.tensor(count) for name, count in self._counts.items()},
            }
        )

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`tensors` gave."""
        parts = split_parts(tensors)
        self.history = loss_history(parts.pop("history", {}))
        self._sums, counts = parts.pop("sum", {}), parts.pop("count", {})
        check_layout(self._sums, {name: self._sums[name].new_empty(()) for name in counts})
        check_layout(counts, dict.fromkeys(counts, torch.tensor(0)))
        check_layout(parts, {})
        if wrong := [str(total.dtype) for total in self._sums.values() if not total.is_floating_point()]:
            raise ValueError(f"expected the sums of losses as floating-point numbers, got {wrong[0]}")
        self._counts = {name: int(count) for name, count in counts.items()}


def loss_history(tensors: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """The means of each loss along a training, from the tensors in which files keep them.

    Raises:
        ValueError: a tensor that is no list of numbers in double precision.
    """
    check_layout(tensors, {name: torch.empty(means.numel(), dtype=torch.float64) for name, means in tensors.items()})
    return {name: means.tolist() for name, means in tensors.items()}
